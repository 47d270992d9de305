//! What must agree about every run that is over, whatever became of it: run item, rows, results, claims, events, `done`.

use std::collections::BTreeMap;

use common::status::Outcome;
use serde_json::Value;

use super::{expect::Ended, run::Run};

/// Events that end an order.
const ENDINGS: [&str; 4] = ["completed", "dependency_failed", "timed_out", "cancelled"];

/// Checks a completed run; gives what is stored of it.
pub(crate) async fn check(run: &Run<'_>, done: &Value) -> Ended {
    let item = run.item().await.unwrap();
    assert_eq!(item["status"], "completed");
    for gone in ["orchestrator_id", "acquired_at", "lease_until", "news"] {
        assert!(item.get(gone).is_none(), "a completed run item has no `{gone}`: {item:#}");
    }
    let rows = run.rows().await;
    let numbers: Vec<&str> = rows.iter().map(|row| text(row, "order_num")).collect();
    let all: Vec<String> = (1..=run.names.len()).map(|number| format!("{number:04}")).collect();
    assert_eq!(numbers, all, "every order has one row");

    let statuses = unfold(text(&item, "orders"));
    assert_eq!(statuses, rows.iter().map(|row| text(row, "status")).collect::<Vec<_>>(), "ledger and rows");
    check_done(done, &statuses);
    let events = run.events().await;
    for row in &rows {
        check_order(run, row, &events).await;
    }
    check_job_events(run, done, &events);
    check_dependencies(&rows);
    let key = format!("/exe-sys/sops-keys/{}", run.id);
    run.until("the run's key to be deleted", async || run.stack.parameter(&key).await.is_none().then_some(())).await;
    Ended { rows, events }
}

/// Letters with counts, `12s3f`, as words.
fn unfold(letters: &str) -> Vec<&'static str> {
    let mut statuses = Vec::new();
    let mut count = 0;
    for letter in letters.chars() {
        if let Some(digit) = letter.to_digit(10) {
            count = count * 10 + digit as usize;
            continue;
        }
        let word = match letter {
            's' => "succeeded",
            'f' => "failed",
            't' => "timed_out",
            'c' => "cancelled",
            other => panic!("the ledger of a completed run has no `{other}`: {letters}"),
        };
        statuses.extend(std::iter::repeat_n(word, count.max(1)));
        count = 0;
    }
    statuses
}

fn check_done(done: &Value, statuses: &[&str]) {
    let mut counts: BTreeMap<&str, u64> = ["succeeded", "failed", "timed_out"].map(|status| (status, 0)).into();
    for status in statuses {
        *counts.entry(status).or_default() += 1;
    }
    let told: BTreeMap<&str, u64> = done["summary"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(status, count)| (status.as_str(), count.as_u64().unwrap()))
        .collect();
    assert_eq!(told, counts, "`done` counts what the ledger has");
}

async fn check_order(run: &Run<'_>, row: &Value, events: &[Value]) {
    let (number, name, status) = (text(row, "order_num"), text(row, "order_name"), text(row, "status"));
    let its: Vec<&Value> = events.iter().filter(|event| event["order_name"] == name).collect();
    let kinds: Vec<&str> = its.iter().map(|event| text(event, "event_type")).collect();
    let count = |kind: &str| kinds.iter().filter(|known| **known == kind).count();
    let last = its.last().unwrap_or_else(|| panic!("`{name}` has no events"));
    assert!(ENDINGS.contains(&text(last, "event_type")), "the end of `{name}` is its last event: {kinds:?}");
    assert_eq!(ENDINGS.iter().map(|kind| count(kind)).sum::<usize>(), 1, "`{name}` ended once: {kinds:?}");
    assert_eq!(text(last, "status"), status, "event and row of `{name}`");
    assert_eq!(last["order_num"], number);

    let result = run.result(number).await;
    let claim = run.claim(number).await;
    if let Some(result) = &result {
        assert_eq!(text(result, "status"), status, "result and row of `{name}`");
        let claim = claim.as_ref().map(|claim| text(claim, "by"));
        match result["writer"].as_str() {
            Some("engine") | None => {}
            writer => assert_eq!(claim, writer, "who claimed `{name}` reported it"),
        }
    } else {
        assert!(claim.is_none(), "`{name}` was claimed and has no result");
        assert_eq!(count("dispatched"), 0, "`{name}` was dispatched and has no result");
        assert!(row.get("dispatched_at").is_none(), "`{name}` never ran: {row:#}");
    }
    if count("dispatched") > 0 || row.get("dispatched_at").is_some() {
        assert_eq!(count("dispatched"), 1, "`{name}` was dispatched once: {kinds:?}");
        assert_eq!(kinds[0], "dispatched", "`{name}`");
        assert_eq!(row["dispatched_at"], its[0]["epoch"], "row and event of `{name}`");
        assert!(text(row, "dispatched_at") <= text(row, "ended_at"), "`{name}` ended after it was dispatched: {row:#}");
    }
    assert!(text(row, "created_at") <= text(row, "ended_at"), "{row:#}");
    let ran = result.as_ref().and_then(|result| result.get("started_at")).is_some();
    if ran {
        assert_eq!(count("dispatched"), 1, "`{name}` ran, so it was dispatched: {kinds:?}");
    }
    if status != Outcome::Succeeded.as_str() && result.as_ref().is_none_or(|result| result.get("writer").is_some()) {
        assert!(!text(row, "failure_reason").is_empty(), "`{name}` says why it did not succeed");
    }
}

fn check_job_events(run: &Run<'_>, done: &Value, events: &[Value]) {
    let of_job: Vec<&Value> = events.iter().filter(|event| event["order_name"] == "_job").collect();
    let kinds: Vec<&str> = of_job.iter().map(|event| text(event, "event_type")).collect();
    assert_eq!(kinds, ["job_started", "job_completed"]);
    assert_eq!(events.first(), of_job.first().copied(), "the job's start is its first event");
    assert_eq!(events.last(), of_job.last().copied(), "the job's end is its last event");
    assert_eq!((&of_job[1]["status"], &of_job[1]["summary"]), (&done["status"], &done["summary"]));
    assert_eq!(of_job[1]["done_endpt"], format!("s3://exe-sys-done/{}/done", run.id));
    for event in events {
        let epoch = text(event, "epoch");
        assert_eq!(event["sk"], format!("{}:{epoch}", text(event, "order_name")));
        assert_eq!(event["leg"], format!("{}:{}", run.trace_id(), epoch.split('.').next().unwrap()));
        assert_eq!((&event["run_id"], &event["flow_id"]), (&Value::from(run.id.clone()), &run.answer["flow_id"]));
    }
}

/// Nothing was dispatched before everything that it waits for had ended.
fn check_dependencies(rows: &[Value]) {
    let ended: BTreeMap<&str, &str> = rows.iter().map(|row| (text(row, "order_name"), text(row, "ended_at"))).collect();
    for row in rows {
        let Some(dispatched) = row.get("dispatched_at").and_then(Value::as_str) else { continue };
        for dependency in row["dependencies"].as_array().unwrap() {
            let ended = ended[dependency.as_str().unwrap()];
            assert!(
                ended <= dispatched,
                "`{}` began at {dispatched}, `{dependency}` ended at {ended}",
                text(row, "order_name")
            );
        }
    }
}

#[track_caller]
fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("`{field}` is no text in {value:#}"))
}
