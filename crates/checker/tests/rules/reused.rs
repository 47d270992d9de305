//! A run in which an order counts as succeeded because it did in an earlier run.

use checker::{Evidence, Started, check};
use serde_json::json;

use crate::healthy::{at, event, evidence, job, line, ms, put};

/// The healthy run, but the order `a` was taken over from `run-0`.
fn rerun() -> Evidence {
    let mut evidence = evidence();
    let orders: Vec<_> =
        (0..8).map(|index| if index == 0 { json!({"reused_from": "run-0"}) } else { json!({}) }).collect();
    put(
        &mut evidence,
        "tmp/exec/run-1/plan.json",
        0,
        json!({"schema_version": 1, "rerun_of": "run-0", "orders": orders}),
    );
    evidence.objects.remove("tmp/claims/run-1/0001.json");
    evidence.objects.remove("tmp/callbacks/runs/run-1/0001/result.json");
    evidence.events.retain(|event| event["order_name"] != "a");
    evidence.events[0]["data"] = json!({"rerun_of": "run-0", "reused": 1});
    evidence.starts.retain(|start| start.order != "a");
    let row = evidence.rows.get_mut("0001").unwrap().as_object_mut().unwrap();
    row.remove("dispatched_at");
    row.insert("ended_at".to_owned(), at(0));
    row.insert("reused_from".to_owned(), json!("run-0"));
    evidence
}

fn row<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut serde_json::Map<String, serde_json::Value> {
    evidence.rows.get_mut(number).unwrap().as_object_mut().unwrap()
}

/// The order with this number is taken over as well, by all that is written down.
fn take_over(evidence: &mut Evidence, number: &str, index: usize) {
    row(evidence, number).insert("reused_from".to_owned(), json!("run-0"));
    let plan = evidence.objects.get_mut("tmp/exec/run-1/plan.json").unwrap();
    plan.body.as_mut().unwrap()["orders"][index]["reused_from"] = json!("run-0");
    evidence.events[0]["data"]["reused"] = json!(2);
}

/// What was done, how, and what must be found: the invariant and words of the sentence.
type Tampering = (&'static str, fn(&mut Evidence), u8, &'static str);

const TAMPERED: &[Tampering] = &[
    (
        "it has a claim",
        |e| put(e, "tmp/claims/run-1/0001.json", 2, json!({"nonce": "n", "by": "lambda:1", "at": at(2)})),
        1,
        "there is a claim",
    ),
    (
        "it has a result",
        |e| put(e, "tmp/callbacks/runs/run-1/0001/result.json", 2, json!({"status": "succeeded"})),
        1,
        "there is a result",
    ),
    (
        "it is asked to stop",
        |e| put(e, "tmp/claims/run-1/0001.stop.json", 2, json!({"at": at(2), "status": "failed", "reason": "r"})),
        1,
        "there is a request to stop",
    ),
    ("it was dispatched", |e| drop(row(e, "0001").insert("dispatched_at".to_owned(), at(1))), 1, "there is a dispatch"),
    (
        "it has an event",
        |e| e.events.insert(1, event("a", Some("0001"), "completed", "succeeded", 0, &json!({}))),
        1,
        "there is an event",
    ),
    ("it began", |e| e.starts.insert(0, line("a", None, Started::Begin, ms(1))), 1, "a line in the start log"),
    ("it ended later", |e| drop(row(e, "0001").insert("ended_at".to_owned(), at(1))), 4, "when the run was created"),
    (
        "it came from this run",
        |e| drop(row(e, "0001").insert("reused_from".to_owned(), json!("run-1"))),
        4,
        "no other run",
    ),
    ("the plan says nothing of it", |e| drop(row(e, "0001").remove("reused_from")), 4, "by its row"),
    ("it has neither a run nor a result", |e| drop(row(e, "0001").remove("reused_from")), 4, "without a result"),
    (
        "it did not succeed",
        |e| e.item.as_mut().unwrap()["orders"] = json!("f2s2fctc"),
        4,
        "is taken over, and is `failed`",
    ),
    ("what it depends on ran", |e| take_over(e, "0005", 4), 3, "depends on `fails`, which is not"),
    ("the event counts otherwise", |e| e.events[0]["data"]["reused"] = json!(2), 4, "the job started with"),
    (
        "the event says nothing",
        |e| drop(e.events[0].as_object_mut().unwrap().remove("data")),
        4,
        "the job started with",
    ),
    (
        "the plan names no run",
        |e| {
            let plan = e.objects.get_mut("tmp/exec/run-1/plan.json").unwrap().body.as_mut().unwrap();
            plan.as_object_mut().unwrap().remove("rerun_of");
        },
        4,
        "from no run",
    ),
];

#[test]
fn an_order_that_is_taken_over_needs_no_result() {
    let found = check(&job(), &rerun());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_does_not_agree_about_it_is_found() {
    let missed = TAMPERED.iter().filter_map(|(name, tamper, row, words)| {
        let mut evidence = rerun();
        tamper(&mut evidence);
        let found = check(&job(), &evidence);
        let is_found = found.iter().any(|violation| violation.row == *row && violation.what.contains(words));
        (!is_found).then(|| format!("{name}: nothing of invariant {row} says `{words}`: {found:#?}"))
    });
    let missed: Vec<String> = missed.collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
