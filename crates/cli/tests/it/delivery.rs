//! Events that come twice, late, out of order or not at all.

use crate::support::{
    Stack, StartLog,
    expect::expect_success,
    faults::{at, delivery_to},
    job,
    job::Job,
};

/// A diamond whose orders write their names.
fn diamond(starts: &StartLog) -> Job {
    let start = || starts.commands();
    let job = job().order("a").cmds(start()).order("b").after(["a"]).cmds(start());
    job.order("c").after(["a"]).cmds(start()).order("d").after(["b", "c"]).cmds(start())
}

const DIAMOND: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn results_that_are_told_twice_change_nothing() {
    let stack = Stack::start().faults([delivery_to("orchestrator").times(1000).then("duplicate")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&diamond(&starts)).await;
    expect_success(&run).await;
    starts.each_once(DIAMOND);
}

#[tokio::test]
async fn an_invoke_that_is_delivered_twice_starts_once() {
    let stack = Stack::start().faults([delivery_to("worker").times(1000).then("duplicate")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&diamond(&starts)).await;
    expect_success(&run).await;
    starts.each_once(DIAMOND);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_the_workers_own() {
    for lost in ["error_after", "cut_after"] {
        let lost = at("s3", "PutObject").by("worker").about("/tmp/claims/").then(lost);
        // Who took it for another's would leave the order to its timeout.
        let stack = Stack::start().speed(20).faults([lost]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").cmds(starts.commands())).await;
        expect_success(&run).await;
        starts.each_once(["a"]);
    }
}

#[tokio::test]
async fn results_in_any_order_give_the_same_outcome() {
    // Each result's message waits for a different number of calls, so they overtake each other.
    let held = [40, 5, 25, 1, 60, 10].into_iter().enumerate();
    let script = held.map(|(at, calls)| delivery_to("orchestrator").nth(at as u64 + 2).held_for_calls(calls));
    let stack = Stack::start().concurrency(6).faults(script).await;
    let starts = StartLog::of(&stack);
    let names = ["p", "q", "r", "s", "t", "u"];
    let job = names.iter().fold(job(), |job, name| job.order(name).cmds(starts.commands()));
    let run = stack.submit(&job.order("end").after(names).cmds(starts.commands())).await;
    expect_success(&run).await;
    starts.each_once(names.into_iter().chain(["end"]));
}

#[tokio::test]
async fn the_tick_finds_a_result_whose_message_was_lost() {
    let lost = delivery_to("orchestrator").about("/0001/result.json").then("drop");
    let stack = Stack::start().speed(20).faults([lost]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&diamond(&starts)).await;
    expect_success(&run).await;
    starts.each_once(DIAMOND);
}

#[tokio::test]
async fn the_tick_begins_a_run_whose_first_message_was_lost() {
    let stack = Stack::start().speed(20).faults([delivery_to("orchestrator").then("drop")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&diamond(&starts)).await;
    expect_success(&run).await;
    starts.each_once(DIAMOND);
}

#[tokio::test]
async fn a_message_to_a_run_that_is_over_or_unknown_is_ignored() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&diamond(&starts)).await;
    expect_success(&run).await;
    let before = (run.item().await, run.rows().await, run.events().await);
    for key in [
        format!("tmp/callbacks/runs/{}/0000/result.json", run.id),
        format!("tmp/callbacks/runs/{}/0004/result.json", run.id),
        format!("tmp/callbacks/runs/{}/0099/result.json", run.id),
        "tmp/callbacks/runs/no-such-run/0001/result.json".to_owned(),
    ] {
        stack.put_object("exe-sys-internal", &key, r#"{"status":"failed","log":""}"#).await;
    }
    // They are delivered in some order with the messages of another run; all of them before it is over does not matter.
    expect_success(&stack.submit(&job().order("later")).await).await;
    assert_eq!((run.item().await, run.rows().await, run.events().await), before);
    starts.each_once(DIAMOND);
}
