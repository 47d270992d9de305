//! Why orders ended as they did, and the instances of one order.

use checker::Started;
use serde_json::json;

use super::{
    Tampering,
    tools::{body, claim_for_engine, item, remove_object, result, row},
};
use crate::healthy::{at, line, ms, put};

pub(super) const OF_SHARES: &[Tampering] = &[
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

pub(super) const OF_OUTCOMES: &[Tampering] = &[
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
