//! For every rule one thing that was tampered with, and that must be found.

use checker::{Evidence, Start, Started, check};
use serde_json::{Value, json};

use crate::healthy::{at, event, evidence, job, line, ms, put};

/// What was done, how, and what must be found: the invariant and words of the sentence.
type Tampering = (&'static str, fn(&mut Evidence), u8, &'static str);

fn item(evidence: &mut Evidence) -> &mut Value {
    evidence.item.as_mut().unwrap()
}

fn row<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    evidence.rows.get_mut(number).unwrap()
}

fn body<'e>(evidence: &'e mut Evidence, key: &str) -> &'e mut Value {
    evidence.objects.get_mut(key).unwrap_or_else(|| panic!("there is no `{key}`")).body.as_mut().unwrap()
}

fn result<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    body(evidence, &format!("tmp/callbacks/runs/run-1/{number}/result.json"))
}

fn claim<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    body(evidence, &format!("tmp/claims/run-1/{number}.json"))
}

fn done(evidence: &mut Evidence) -> &mut Value {
    evidence.done.as_mut().unwrap().body.as_mut().unwrap()
}

fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field);
}

fn remove_object(evidence: &mut Evidence, key: &str) {
    evidence.objects.remove(key).unwrap();
}

fn event_of<'e>(evidence: &'e mut Evidence, name: &str, kind: &str) -> &'e mut Value {
    evidence.events.iter_mut().find(|event| event["order_name"] == name && event["event_type"] == kind).unwrap()
}

fn drop_event(evidence: &mut Evidence, name: &str, kind: &str) {
    evidence.events.retain(|event| event["order_name"] != name || event["event_type"] != kind);
}

fn add_event(evidence: &mut Evidence, event: Value) {
    evidence.events.push(event);
    evidence.events.sort_by_key(|event| event["epoch"].as_str().unwrap().to_owned());
}

fn claim_for_engine(evidence: &mut Evidence, key: &str, status: &str, seconds: u64) {
    put(
        evidence,
        key,
        seconds,
        json!({"nonce": key, "by": "engine", "at": at(seconds), "status": status, "reason": "r"}),
    );
}

const OF_ITEM: &[Tampering] = &[
    ("no run item", |e| e.item = None, 6, "no run item"),
    ("not completed", |e| item(e)["status"] = json!("idle"), 6, "not completed"),
    ("an owner is left", |e| item(e)["orchestrator_id"] = json!("me"), 8, "`orchestrator_id`"),
    ("a lease is left", |e| item(e)["lease_until"] = json!(1), 8, "`lease_until`"),
    ("a lease's beginning is left", |e| item(e)["acquired_at"] = json!(1), 8, "`acquired_at`"),
    ("news are left", |e| item(e)["news"] = json!(1), 8, "`news`"),
    ("letters not in the shortest form", |e| item(e)["orders"] = json!("sss2fctc"), 15, "cannot be read"),
    ("a letter is missing", |e| item(e)["orders"] = json!("3s2fct"), 5, "7 letters for 8"),
    ("an order still runs", |e| item(e)["orders"] = json!("3s2frtc"), 5, "running"),
    ("another flow", |e| item(e)["flow_id"] = json!("you:0a1b2c3d-exec"), 7, "flow of this job"),
    ("no trace", |e| item(e)["trace_id"] = json!("XYZ"), 7, "no trace id"),
    ("another run's answer", |e| item(e)["answer"] = json!("{\"run_id\":\"other\"}"), 7, "answer's `run_id`"),
    ("no plan", |e| remove_object(e, "tmp/exec/run-1/plan.json"), 7, "no plan"),
    ("another deadline", |e| item(e)["deadline"] = json!(ms(60)), 14, "deadline"),
];

const OF_ROWS: &[Tampering] = &[
    ("a row is missing", |e| drop(e.rows.remove("0002")), 4, "has no row"),
    ("a row too many", |e| drop(e.rows.insert("0009".into(), json!({}))), 4, "no order of the job"),
    ("a row says otherwise", |e| row(e, "0001")["status"] = json!("failed"), 4, "the row of `a` says"),
    ("a row never ended", |e| row(e, "0002")["status"] = json!("running"), 4, "the row of `b` says"),
    ("other commands", |e| row(e, "0001")["cmds"] = json!(["true"]), 4, "other commands"),
    ("other dependencies", |e| row(e, "0003")["dependencies"] = json!([]), 4, "`dependencies`"),
    ("another target", |e| row(e, "0001")["execution_target"] = json!("codebuild"), 4, "`a` is on"),
    (
        "ended before it was created",
        |e| row(e, "0005")["ended_at"] = json!("1731999999.000000"),
        4,
        "before it was created",
    ),
    ("no end", |e| remove(row(e, "0005"), "ended_at"), 4, "`ended_at`"),
    ("ended before it was dispatched", |e| row(e, "0006")["dispatched_at"] = at(4), 4, "before it was dispatched"),
    ("no reason", |e| remove(row(e, "0005"), "failure_reason"), 4, "does not say why"),
    ("another reason than the result", |e| row(e, "0004")["failure_reason"] = json!("x"), 4, "`failure_reason`"),
    ("another end than the result", |e| row(e, "0004")["ended_at"] = at(9), 4, "as its end"),
    ("another log than the result", |e| row(e, "0004")["log_location"] = json!("logs/x"), 4, "`log_location`"),
];

const OF_RESULTS: &[Tampering] = &[
    ("the result changed", |e| result(e, "0001")["status"] = json!("failed"), 4, "the result of `a` says"),
    ("the result cannot be read", |e| *result(e, "0001") = json!([]), 4, "the result of `a` says `failed`"),
    ("a claim without a result", |e| remove_object(e, "tmp/callbacks/runs/run-1/0001/result.json"), 4, "no result"),
    ("a result without a claim", |e| remove_object(e, "tmp/claims/run-1/0001.json"), 1, "claimed by None"),
    ("another's result", |e| result(e, "0001")["writer"] = json!("lambda:2"), 1, "reported by `lambda:2`"),
    ("a claim of another target", |e| claim(e, "0001")["by"] = json!("codebuild:x:1"), 1, "claimed by `codebuild:x:1`"),
    ("the request's id as nonce", |e| claim(e, "0001")["nonce"] = json!("a-build"), 1, "request's id"),
    ("one nonce twice", |e| claim(e, "0001")["nonce"] = json!("b-nonce"), 1, "drawn twice"),
    ("a claim without time", |e| remove(claim(e, "0001"), "at"), 1, "cannot be read"),
    ("the engine's claim without a reason", |e| remove(claim(e, "0006"), "reason"), 4, "how and why"),
    ("another end than the engine claimed", |e| claim(e, "0006")["status"] = json!("failed"), 4, "different ends"),
    ("the engine's result beside a worker", |e| result(e, "0004")["writer"] = json!("engine"), 2, "which a worker has"),
    (
        "the engine's result without its claim",
        |e| remove_object(e, "tmp/claims/run-1/0006.json"),
        2,
        "without its claim",
    ),
    (
        "a worker that stopped by itself",
        |e| {
            result(e, "0007")["status"] = json!("cancelled");
            remove_object(e, "tmp/claims/run-1/0007.stop.json");
        },
        4,
        "nobody asked it to stop",
    ),
    (
        "a stop where the engine has the claim",
        |e| put(e, "tmp/claims/run-1/0006.stop.json", 3, json!({"at": at(3), "status": "cancelled", "reason": "r"})),
        2,
        "no worker has its claim",
    ),
    (
        "a stop before the claim",
        |e| body(e, "tmp/claims/run-1/0007.stop.json")["at"] = at(1),
        2,
        "asked to stop before it was claimed",
    ),
    ("a stop without a word", |e| remove(body(e, "tmp/claims/run-1/0007.stop.json"), "status"), 4, "how and why"),
    ("a success with a failed command", |e| result(e, "0001")["exit_code"] = json!(1), 4, "a command that failed"),
    ("a command that there is not", |e| result(e, "0004")["failed_command"] = json!(7), 4, "has only 2"),
    ("a failure without a reason", |e| remove(result(e, "0004"), "reason"), 4, "does not say why"),
    ("a result without a version", |e| remove(result(e, "0001"), "schema_version"), 4, "no version"),
    (
        "a log that is not there",
        |e| result(e, "0001")["log_location"] = json!("logs/run-1/0001.log"),
        4,
        "the log of `a`",
    ),
    (
        "a claim of no order",
        |e| claim_for_engine(e, "tmp/claims/run-1/0009.json", "failed", 3),
        4,
        "no order of the job",
    ),
];

const OF_SHARES: &[Tampering] = &[
    ("secrets are left", |e| put(e, "tmp/exec/run-1/0003/dispatch.json", 6, json!({})), 18, "secrets in clear"),
    ("pinned to nothing", |e| body(e, "tmp/exec/run-1/0003/targets.json")["instances"] = json!([]), 4, "pinned to []"),
    (
        "pinned to others",
        |e| body(e, "tmp/exec/run-1/0003/targets.json")["instances"] = json!(["i-1", "i-3"]),
        4,
        "and names",
    ),
    (
        "an instance too many",
        |e| put(e, "tmp/claims/run-1/0003/i-9.json", 7, json!({"nonce": "n9", "by": "ssm:c:i-9", "at": at(7)})),
        1,
        "not pinned to it",
    ),
    (
        "claimed by another instance",
        |e| body(e, "tmp/claims/run-1/0003/i-1.json")["by"] = json!("ssm:c:i-2"),
        1,
        "claimed by `ssm:c:i-2`",
    ),
    (
        "claimed as a whole",
        |e| put(e, "tmp/claims/run-1/0003.json", 7, json!({"nonce": "n", "by": "ssm:c:i-1", "at": at(7)})),
        1,
        "as a whole",
    ),
    (
        "one share has not ended",
        |e| remove_object(e, "tmp/callbacks/runs/run-1/0003/instances/i-2/result.json"),
        4,
        "these have none",
    ),
    (
        "one share failed",
        |e| {
            let share = body(e, "tmp/callbacks/runs/run-1/0003/instances/i-2/result.json");
            share["status"] = json!("failed");
            share["reason"] = json!("r");
        },
        4,
        "its instances as",
    ),
    (
        "a worker wrote the order's result",
        |e| result(e, "0003")["writer"] = json!("ssm:c:i-1"),
        1,
        "the result of `c` as a whole",
    ),
    (
        "never pinned and not ended by the engine",
        |e| remove_object(e, "tmp/exec/run-1/0003/targets.json"),
        2,
        "pinned to no instance",
    ),
    (
        "an instance that claims after the engine ended the order",
        |e| {
            claim_for_engine(e, "tmp/claims/run-1/0003.json", "failed", 6);
            e.objects.get_mut("tmp/claims/run-1/0003/i-1.json").unwrap().written_ms = ms(8);
        },
        2,
        "began, and claimed its share after",
    ),
    (
        "shares of an order that has no instances",
        |e| put(e, "tmp/claims/run-1/0001/i-1.json", 2, json!({"nonce": "n1", "by": "lambda:1", "at": at(2)})),
        1,
        "does not run on instances",
    ),
];

const OF_OUTCOMES: &[Tampering] = &[
    (
        "ran in spite of a dependency",
        |e| {
            put(e, "tmp/claims/run-1/0005.json", 5, json!({"nonce": "n", "by": "lambda:x", "at": at(5)}));
            put(e, "tmp/callbacks/runs/run-1/0005/result.json", 5, json!({"status": "failed", "writer": "lambda:x"}));
        },
        3,
        "there is a worker's claim",
    ),
    ("dispatched in spite of a dependency", |e| row(e, "0005")["dispatched_at"] = at(4), 3, "there is a dispatch"),
    (
        "started in spite of a dependency",
        |e| e.starts.push(line("skipped", None, Started::Begin, ms(6))),
        3,
        "there is a line in the start log",
    ),
    ("skipped for nothing", |e| item(e)["orders"] = json!("5sctc"), 4, "its dependencies demand None"),
    (
        "skipped and not told so",
        |e| {
            for key in ["tmp/claims/run-1/0005.json", "tmp/callbacks/runs/run-1/0005/result.json"] {
                body(e, key)["skipped"] = json!(false);
            }
        },
        4,
        "does not say so",
    ),
    (
        "skipped by the claim alone",
        |e| body(e, "tmp/callbacks/runs/run-1/0005/result.json")["skipped"] = json!(false),
        4,
        "tell different ends",
    ),
    (
        "an end that left no result",
        |e| {
            remove_object(e, "tmp/claims/run-1/0005.json");
            remove_object(e, "tmp/callbacks/runs/run-1/0005/result.json");
        },
        4,
        "ended as `failed` without a result",
    ),
    (
        "timed out before anything began",
        |e| {
            item(e)["orders"] = json!("3sftctc");
            for key in ["tmp/claims/run-1/0005.json", "tmp/callbacks/runs/run-1/0005/result.json"] {
                body(e, key)["status"] = json!("timed_out");
                body(e, key)["skipped"] = json!(false);
            }
        },
        4,
        "timed out before the job's deadline",
    ),
    (
        "cancelled for nothing",
        |e| {
            remove_object(e, "tmp/callbacks/runs/run-1/_cancel/0006/result.json");
            row(e, "0006")["execution_target"] = json!("lambda");
        },
        4,
        "nobody asked for it",
    ),
];

const OF_EVENTS: &[Tampering] = &[
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

const OF_DONE: &[Tampering] = &[
    ("no done", |e| e.done = None, 5, "no `done`"),
    ("a field too many", |e| done(e)["run_id"] = json!("run-1"), 5, "has the fields"),
    ("a count is wrong", |e| done(e)["summary"]["succeeded"] = json!(4), 5, "counts"),
    ("a count is missing", |e| remove(&mut done(e)["summary"], "cancelled"), 5, "counts"),
    ("a count of nothing", |e| done(e)["summary"]["queued"] = json!(0), 5, "counts"),
    ("another status", |e| done(e)["status"] = json!("succeeded"), 5, "it should be [\"failed\"]"),
    ("timed out though tolerated", |e| done(e)["status"] = json!("timed_out"), 5, "it should be"),
    ("cancelled though only one order was", |e| done(e)["status"] = json!("cancelled"), 5, "it should be"),
    (
        "written before the last result",
        |e| e.done.as_mut().unwrap().written_ms = ms(60),
        5,
        "before the result of `late`",
    ),
];

const OF_STARTS: &[Tampering] = &[
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

const OF_TIMES: &[Tampering] = &[
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

#[test]
fn a_healthy_run_has_no_violation() {
    let found = check(&job(), &evidence());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn everything_that_is_tampered_with_is_found() {
    let all = [OF_ITEM, OF_ROWS, OF_RESULTS, OF_SHARES, OF_OUTCOMES, OF_EVENTS, OF_DONE, OF_STARTS, OF_TIMES];
    let missed = all.into_iter().flatten().filter_map(|(name, tamper, row, words)| {
        let mut evidence = evidence();
        tamper(&mut evidence);
        let found = check(&job(), &evidence);
        let is_found = found.iter().any(|violation| violation.row == *row && violation.what.contains(words));
        (!is_found).then(|| format!("{name}: nothing of invariant {row} says `{words}`: {found:#?}"))
    });
    let missed: Vec<String> = missed.collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_job_that_could_not_have_been_accepted_is_found() {
    let job = json!({"username": "me", "orders": [{"dependencies": ["nobody"]}]});
    let found = check(&job, &evidence());
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "invariant 16: a job was accepted that is none: `order-0001` waits for `nobody`, which is unknown"
    );
}

/// Whether something is found once this was taken away.
fn is_missed(take: impl FnOnce(&mut Evidence)) -> bool {
    let mut evidence = evidence();
    take(&mut evidence);
    !check(&job(), &evidence).is_empty()
}

#[test]
fn nothing_can_go_missing() {
    let whole = evidence();
    // Nothing tells whether there must be these: wake-ups, and requests that a command or a build ends well without.
    let may_go = |key: &str| ["/0000/", "/_cancel/", ".stop.json"].iter().any(|part| key.contains(part));
    for key in whole.objects.keys().filter(|key| !may_go(key)) {
        assert!(is_missed(|evidence| drop(evidence.objects.remove(key))), "{key}");
    }
    for number in whole.rows.keys() {
        assert!(is_missed(|evidence| drop(evidence.rows.remove(number))), "row {number}");
    }
    for (index, event) in whole.events.iter().enumerate() {
        assert!(is_missed(|evidence| drop(evidence.events.remove(index))), "{event}");
    }
    let of_succeeded = |start: &&Start| ["a", "b", "c"].contains(&start.order.as_str());
    for start in whole.starts.iter().filter(of_succeeded) {
        assert!(is_missed(|evidence| evidence.starts.retain(|other| other != start)), "{start:?}");
    }
}
