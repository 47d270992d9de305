//! What a person sees: small and large runs, wide and narrow terminals.

use common::target::Target;

use super::*;

const BEGAN: u64 = 1_700_000_000_000;

fn order(number: usize, status: Status) -> OrderState {
    let began = Timestamp::from_millis(BEGAN);
    let ended = status.outcome().map(|_| began.plus(Duration::from_millis(1_200)));
    OrderState {
        order_num: OrderNum::of_index(number - 1),
        order_name: format!("order-{number:04}"),
        queue_id: format!("{number:04}"),
        execution_target: Target::Lambda,
        dependencies: Vec::new(),
        must_succeed: true,
        status,
        timeout: 300,
        created_at: Some(began),
        dispatched_at: (status != Status::Queued).then_some(began),
        ended_at: ended,
        failure_reason: None,
        execution_url: None,
        reused_from: None,
    }
}

fn drawn(update: &Update, width: usize, height: usize) -> String {
    let began = Timestamp::from_millis(BEGAN);
    let now = began.plus(Duration::from_secs(72));
    let lines = frame(update, &graph_order(&update.orders), began, now, width, height);
    assert!(lines.len() < height.max(3), "{} lines on a screen of {height}", lines.len());
    assert!(lines.iter().all(|line| width_of(&line.text) <= width), "{lines:#?} within {width}");
    lines.into_iter().map(|line| line.text + "\n").collect()
}

const SUCCEEDED: Status = Status::Ended(Outcome::Succeeded);

fn small() -> Update {
    let mut orders = vec![
        order(1, SUCCEEDED),
        order(2, Status::Running),
        order(3, Status::Ended(Outcome::Failed)),
        order(4, Status::Queued),
        order(5, SUCCEEDED),
    ];
    orders[0].dependencies = vec!["order-0005".to_owned()];
    orders[0].order_name = "baün-日本".to_owned();
    orders[2].failure_reason = Some("command 1 of 2 exited with 3".to_owned());
    orders[4].reused_from = Some("nightly-1".to_owned());
    let last_lines = [(OrderNum::of_index(1), "42 of 100 tests".to_owned())].into();
    Update { orders, last_lines, ..Update::default() }
}

#[test]
fn a_line_an_order_each_below_what_it_waits_for() {
    insta::assert_snapshot!(drawn(&small(), 100, 24), @r"
    ▸ order-0002  running   1m 12s of 5m 00s  42 of 100 tests
    ✗ order-0003  failed               1.2 s  command 1 of 2 exited with 3
    · order-0004  queued
    ✓ order-0005  succeeded            1.2 s  in the run `nightly-1`
    ✓ baün-日本   succeeded            1.2 s
    3 of 5 ended, 1 of them not successfully, 1 running, 1m 12s
    ");
}

#[test]
fn a_narrow_terminal_keeps_what_matters() {
    insta::assert_snapshot!(drawn(&small(), 44, 24), @r"
    ▸ order-0002 1m 12s of 5m 00s  42 of 100 te…
    ✗ order-0003   1.2 s  command 1 of 2 exited…
    · order-0004
    ✓ order-0005   1.2 s  in the run `nightly-1`
    ✓ baün-日本    1.2 s
    3 of 5 ended, 1 of them not successfully, 1…
    ");
    insta::assert_snapshot!(drawn(&small(), 24, 24), @r"
    ▸ order-0… 42 of 100 te…
    ✗ order-0… command 1 of…
    · order-0…
    ✓ order-0… in the run `…
    ✓ baün-日…
    3 of 5 ended, 1 of them…
    ");
    for width in 0..120 {
        drawn(&small(), width.max(1), 24);
    }
}

#[test]
fn a_thousand_orders_fit() {
    let status = |number: usize| match number {
        601 | 640 => Status::Ended(Outcome::Failed),
        ..=639 => SUCCEEDED,
        641..=650 => Status::Running,
        _ => Status::Queued,
    };
    let orders = (1..=1_000).map(|number| order(number, status(number))).collect();
    let update = Update { orders, ..Update::default() };
    insta::assert_snapshot!(drawn(&update, 80, 24), @r"
    ✓ 600 orders succeeded: order-0001 … order-0600
    ✗ order-0601  failed               1.2 s
    ✓ 38 orders succeeded: order-0602 … order-0639
    ✗ order-0640  failed               1.2 s
    ▸ order-0641  running   1m 12s of 5m 00s
    ▸ order-0642  running   1m 12s of 5m 00s
    ▸ order-0643  running   1m 12s of 5m 00s
    ▸ order-0644  running   1m 12s of 5m 00s
    ▸ order-0645  running   1m 12s of 5m 00s
    ▸ order-0646  running   1m 12s of 5m 00s
    ▸ order-0647  running   1m 12s of 5m 00s
    ▸ order-0648  running   1m 12s of 5m 00s
    ▸ order-0649  running   1m 12s of 5m 00s
    ▸ order-0650  running   1m 12s of 5m 00s
    · 350 orders wait: order-0651 … order-1000
    640 of 1000 ended, 2 of them not successfully, 10 running, 1m 12s
    ");
    insta::assert_snapshot!(drawn(&update, 80, 8), @r"
    ✗ order-0601  failed               1.2 s
    ✗ order-0640  failed               1.2 s
    ▸ order-0641  running   1m 12s of 5m 00s
    ▸ order-0642  running   1m 12s of 5m 00s
    ▸ order-0643  running   1m 12s of 5m 00s
    ▸ order-0644  running   1m 12s of 5m 00s
    640 of 1000 ended, 2 of them not successfully, 10 running, 1m 12s, 994 not shown
    ");
}
