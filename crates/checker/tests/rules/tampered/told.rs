//! Events, and what the commands themselves wrote down.

use checker::Started;
use serde_json::json;

use super::{
    Tampering,
    tools::{add_event, claim, drop_event, event_of, remove, remove_object, result, row},
};
use crate::healthy::{at, event, line, ms};

pub(super) const OF_EVENTS: &[Tampering] = &[
    ("no event of the end", |e| drop_event(e, "a", "completed"), 4, "not one: []"),
    ("two ends", |e| add_event(e, event("a", Some("0001"), "completed", "succeeded", 5, &json!({}))), 4, "not one"),
    (
        "an end that says otherwise",
        |e| event_of(e, "a", "completed")["status"] = json!("failed"),
        4,
        "event of the end of `a`",
    ),
    (
        "an end of another kind",
        |e| event_of(e, "skipped", "dependency_failed")["event_type"] = json!("completed"),
        4,
        "is told as",
    ),
    (
        "an end with another reason",
        |e| event_of(e, "fails", "completed")["message"] = json!("x"),
        4,
        "the end of `fails` says",
    ),
    ("an end at another time", |e| row(e, "0005")["ended_at"] = at(6), 4, "another time by its event"),
    (
        "something after the end",
        |e| add_event(e, event("a", Some("0001"), "plan", "info", 6, &json!({"data": {}}))),
        4,
        "not its last event",
    ),
    ("no event of the dispatch", |e| drop_event(e, "a", "dispatched"), 13, "0 events of its dispatch"),
    (
        "two dispatches",
        |e| add_event(e, event("a", Some("0001"), "dispatched", "running", 2, &json!({"execution_url": "u"}))),
        13,
        "2 events of its dispatch",
    ),
    ("dispatched at another time", |e| row(e, "0001")["dispatched_at"] = at(2), 4, "by its row"),
    (
        "ran without a dispatch",
        |e| {
            drop_event(e, "a", "dispatched");
            remove(row(e, "0001"), "dispatched_at");
        },
        4,
        "does not say when it was dispatched",
    ),
    ("a dispatch to nowhere", |e| remove(event_of(e, "a", "dispatched"), "execution_url"), 4, "where it runs"),
    (
        "something before the dispatch",
        |e| {
            drop_event(e, "b", "plan");
            add_event(e, event("b", Some("0002"), "plan", "info", 5, &json!({"data": {}})));
        },
        4,
        "not its dispatch",
    ),
    ("a report is lost", |e| drop_event(e, "b", "plan"), 4, "the commands of `b`"),
    (
        "a report of nobody",
        |e| add_event(e, event("a", Some("0001"), "plan", "info", 3, &json!({"data": {}}))),
        4,
        "the commands of `a`",
    ),
    (
        "an event of the engine that there is not",
        |e| add_event(e, event("a", Some("0001"), "restarted", "running", 3, &json!({}))),
        4,
        "3 events of the engine",
    ),
    ("no beginning of the job", |e| drop_event(e, "_job", "job_started"), 5, "the job's events"),
    (
        "two ends of the job",
        |e| add_event(e, event("_job", None, "job_completed", "failed", 65, &json!({}))),
        5,
        "the job's events",
    ),
    (
        "the job begins at another time",
        |e| event_of(e, "_job", "job_started")["epoch"] = at(1),
        4,
        "the job started at",
    ),
    (
        "the job's end says otherwise",
        |e| event_of(e, "_job", "job_completed")["status"] = json!("succeeded"),
        5,
        "last event has",
    ),
    (
        "the job's end points elsewhere",
        |e| event_of(e, "_job", "job_completed")["done_endpt"] = json!("s3://x"),
        5,
        "points to",
    ),
    (
        "something after the end of the job",
        |e| event_of(e, "late", "timed_out")["epoch"] = at(70),
        4,
        "of the event `timed_out`",
    ),
    ("a key of another time", |e| event_of(e, "a", "completed")["sk"] = json!("a:1"), 4, "`sk` of the event"),
    ("an event of another order", |e| event_of(e, "a", "completed")["order_num"] = json!("0002"), 4, "`order_num`"),
    ("an event of no order", |e| add_event(e, event("x", None, "plan", "info", 3, &json!({}))), 4, "which is no order"),
];

pub(super) const OF_STARTS: &[Tampering] = &[
    ("began twice", |e| e.starts.push(line("a", None, Started::Begin, ms(4))), 1, "`a` began 2 times"),
    (
        "a share began twice",
        |e| e.starts.push(line("c", Some("i-2"), Started::Begin, ms(9))),
        1,
        "`c` on `i-2` began 2",
    ),
    ("ended twice", |e| e.starts.push(line("a", None, Started::End, ms(4))), 1, "`a` ended 2 times"),
    ("ended before it began", |e| e.starts.retain(|s| s.order != "a" || s.what == Started::End), 1, "never began"),
    ("no order", |e| e.starts.push(line("x", None, Started::Begin, ms(4))), 1, "no order of the job"),
    (
        "on an instance where it was not to run",
        |e| e.starts.push(line("c", Some("i-7"), Started::Begin, ms(9))),
        1,
        "`c` ran on",
    ),
    ("began without a claim", |e| remove_object(e, "tmp/claims/run-1/0004.json"), 1, "began without a claim"),
    (
        "began though the engine ended it",
        |e| e.starts.push(line("stopped", None, Started::Begin, ms(3) + 5)),
        2,
        "ended it",
    ),
    (
        "began before its claim",
        |e| e.objects.get_mut("tmp/claims/run-1/0004.json").unwrap().written_ms = ms(3),
        1,
        "before it was claimed",
    ),
    (
        "began after its result",
        |e| e.objects.get_mut("tmp/callbacks/runs/run-1/0004/result.json").unwrap().written_ms = ms(1),
        2,
        "after a result of it stood",
    ),
    (
        "began before a dependency had a result",
        |e| e.objects.get_mut("tmp/callbacks/runs/run-1/0001/result.json").unwrap().written_ms = ms(9),
        3,
        "`b` began before `a` had a result",
    ),
    (
        "claimed before a dependency had a result",
        |e| e.objects.get_mut("tmp/callbacks/runs/run-1/0001/result.json").unwrap().written_ms = ms(9),
        3,
        "`b` was claimed before `a` had a result",
    ),
    (
        "began before a dependency",
        |e| {
            let begun = e.starts.iter().position(|s| s.order == "b").unwrap();
            let line = e.starts.remove(begun);
            e.starts.insert(0, line);
        },
        3,
        "`b` began before `a`, for which",
    ),
    (
        "began before a dependency had ended",
        |e| {
            let ended = e.starts.iter().position(|s| s.order == "a" && s.what == Started::End).unwrap();
            let line = e.starts.remove(ended);
            e.starts.push(line);
        },
        3,
        "`b` began before `a` had ended",
    ),
    ("succeeded and never began", |e| e.starts.retain(|s| s.order != "b"), 4, "no Begin of it"),
    (
        "succeeded and never ended",
        |e| e.starts.retain(|s| s.order != "b" || s.what == Started::Begin),
        4,
        "no End of it",
    ),
    (
        "began and has no result",
        |e| remove_object(e, "tmp/callbacks/runs/run-1/0003/instances/i-1/result.json"),
        4,
        "`c` on `i-1` began and has no result",
    ),
    (
        "began and was never dispatched",
        |e| {
            drop_event(e, "fails", "dispatched");
            remove(row(e, "0004"), "dispatched_at");
        },
        4,
        "began, and was never dispatched",
    ),
];

pub(super) const OF_TIMES: &[Tampering] = &[
    ("timed out before its time", |e| claim(e, "0007")["at"] = at(8), 14, "before its claim and `timeout`"),
    (
        "given up before its time to start",
        |e| {
            claim(e, "0006")["status"] = json!("timed_out");
            result(e, "0006")["status"] = json!("timed_out");
        },
        14,
        "`start_timeout`",
    ),
    (
        "dispatched before a dependency had ended",
        |e| row(e, "0002")["dispatched_at"] = at(4),
        3,
        "was dispatched before `a`",
    ),
    ("claimed before a dependency had ended", |e| claim(e, "0002")["at"] = at(4), 3, "everything that it waits for"),
    ("started before it was claimed", |e| result(e, "0001")["started_at"] = at(1), 1, "started before it was claimed"),
    (
        "finished before it was claimed",
        |e| result(e, "0001")["finished_at"] = at(1),
        1,
        "finished before it was claimed",
    ),
    ("finished before it started", |e| result(e, "0001")["started_at"] = at(8), 4, "finished before it started"),
];
