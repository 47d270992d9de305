//! The run item, the rows, claims and results, and `done`.

use serde_json::json;

use super::{
    Tampering,
    tools::{body, claim, claim_for_engine, done, item, remove, remove_object, result, row},
};
use crate::healthy::{at, ms, put};

pub(super) const OF_ITEM: &[Tampering] = &[
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

pub(super) const OF_ROWS: &[Tampering] = &[
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

pub(super) const OF_RESULTS: &[Tampering] = &[
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
        |e| e.objects.get_mut("tmp/claims/run-1/0007.stop.json").unwrap().written_ms = 1_000,
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

pub(super) const OF_DONE: &[Tampering] = &[
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
