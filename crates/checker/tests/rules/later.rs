//! Two looks at one run, and how late it may be.

use std::time::Duration;

use checker::{Evidence, Stored, punctual, unchanged};
use serde_json::json;

use crate::healthy::{at, evidence, job, ms};

/// What was done to the earlier and to the later look, and what must be found.
type Change = (&'static str, fn(&mut Evidence, &mut Evidence), u8, &'static str);

const FORBIDDEN: &[Change] = &[
    ("a result vanished", |_, is| drop(is.objects.remove("tmp/callbacks/runs/run-1/0001/result.json")), 4, "vanished"),
    (
        "a result changed",
        |_, is| is.objects.get_mut("tmp/callbacks/runs/run-1/0001/result.json").unwrap().body = Some(json!({})),
        4,
        "written again",
    ),
    (
        "a claim was written again, and says the same",
        |_, is| is.objects.get_mut("tmp/claims/run-1/0001.json").unwrap().written_ms = ms(50),
        4,
        "written again",
    ),
    ("a request to stop vanished", |_, is| drop(is.objects.remove("tmp/claims/run-1/0007.stop.json")), 4, "vanished"),
    (
        "the pinned instances changed",
        |_, is| is.objects.get_mut("tmp/exec/run-1/0003/targets.json").unwrap().body = None,
        4,
        "again",
    ),
    ("done was written again", |_, is| is.done.as_mut().unwrap().written_ms += 1, 5, "`done`"),
    ("done vanished", |_, is| is.done = None, 5, "`done`"),
    ("a completed run went on", |_, is| is.item.as_mut().unwrap()["news"] = json!(1), 15, "the run item went"),
    (
        "a run is submitted again",
        |was, is| {
            was.item.as_mut().unwrap()["status"] = json!("idle");
            is.item.as_mut().unwrap()["status"] = json!("submitting");
        },
        15,
        "the run item went",
    ),
    ("another submission", |_, is| is.item.as_mut().unwrap()["submit_id"] = json!("v"), 7, "`submit_id`"),
    ("the run item vanished", |_, is| is.item = None, 6, "vanished"),
    (
        "the ledger went back",
        |was, is| {
            was.item.as_mut().unwrap()["orders"] = json!("srq5s");
            is.item.as_mut().unwrap()["orders"] = json!("s2q5s");
        },
        15,
        "order 0002 went from running to queued",
    ),
    (
        "an end became another",
        |was, is| {
            was.item.as_mut().unwrap()["orders"] = json!("f7s");
            is.item.as_mut().unwrap()["orders"] = json!("8s");
        },
        15,
        "order 0001 went from failed to succeeded",
    ),
    ("a row went back", |_, is| is.rows.get_mut("0001").unwrap()["status"] = json!("running"), 15, "the row 0001 went"),
    ("a row vanished", |_, is| drop(is.rows.remove("0001")), 4, "vanished"),
    ("dispatched again", |_, is| is.rows.get_mut("0001").unwrap()["dispatched_at"] = json!("x"), 4, "`dispatched_at`"),
    ("an event vanished", |_, is| drop(is.events.remove(2)), 4, "vanished or changed"),
    ("an event changed", |_, is| is.events[2]["status"] = json!("x"), 4, "vanished or changed"),
    ("the start log lost a line", |_, is| drop(is.starts.remove(0)), 1, "start log"),
];

#[test]
fn a_run_that_only_moves_forward_is_fine() {
    let is = evidence();
    assert!(unchanged(&is, &is).is_empty());
    let mut was = evidence();
    was.done = None;
    was.events.truncate(5);
    was.starts.truncate(3);
    was.objects.remove("tmp/callbacks/runs/run-1/0007/result.json");
    let item = was.item.as_mut().unwrap();
    (item["status"], item["orders"]) = (json!("active"), json!("s2r2q2rq"));
    let row = was.rows.get_mut("0007").unwrap();
    row["status"] = json!("running");
    row.as_object_mut().unwrap().remove("ended_at");
    let mut later = is.clone();
    // The tick writes its wake-up again, and a log grows.
    later.objects.get_mut("tmp/callbacks/runs/run-1/0000/result.json").unwrap().written_ms += 60_000;
    later.objects.insert("logs/run-1/0001.log".into(), Stored { written_ms: ms(9), etag: None, body: None });
    assert_eq!(unchanged(&was, &later), []);
}

#[test]
fn everything_that_changed_is_found() {
    for (name, change, row, words) in FORBIDDEN {
        let (mut was, mut is) = (evidence(), evidence());
        change(&mut was, &mut is);
        let found = unchanged(&was, &is);
        assert!(
            found.iter().any(|violation| violation.row == *row && violation.what.contains(words)),
            "{name}: nothing of invariant {row} says `{words}`: {found:#?}"
        );
    }
}

#[test]
fn what_ends_too_late_is_found() {
    assert_eq!(punctual(&job(), &evidence(), Duration::ZERO), []);
    let mut slow = evidence();
    let result = slow.objects.get_mut("tmp/callbacks/runs/run-1/0007/result.json").unwrap();
    // Claimed at 7, with a timeout of 60, a grace of 10 and 90 more.
    result.body.as_mut().unwrap()["finished_at"] = at(168);
    slow.events.last_mut().unwrap()["epoch"] = at(3_600 + 30 + 241);
    assert_eq!(punctual(&job(), &slow, Duration::from_secs(1)), []);
    let found = punctual(&job(), &slow, Duration::ZERO);
    assert_eq!(found.iter().map(|violation| violation.row).collect::<Vec<_>>(), [6, 14]);
    assert!(found[1].what.starts_with("`late` was timed out at"), "{found:#?}");
}
