//! The evidence of a run in which nothing went wrong with the engine, built by hand: orders on every target, one that
//! fails, one that is timed out, one that is cancelled, and what follows from them.

use checker::{Evidence, Names, Start, Started, Stored, commands};
use serde_json::{Value, json};

pub(crate) const RUN: &str = "run-1";
pub(crate) const TRACE: &str = "0a1b2c3d";
/// When the run was submitted, in seconds.
pub(crate) const T0: u64 = 1_732_000_000;

/// A time so many seconds after the submission, in engine time.
pub(crate) fn at(seconds: u64) -> Value {
    json!(format!("{}.000000", T0 + seconds))
}

/// The same instant as machine time; here both pass alike.
pub(crate) fn ms(seconds: u64) -> u64 {
    (T0 + seconds) * 1_000
}

/// The job.
pub(crate) fn job() -> Value {
    let cmds = commands("/starts");
    let order = |name: &str, target: &str, dependencies: &[&str]| json!({"order_name": name, "execution_target": target, "timeout": 60, "dependencies": dependencies, "cmds": cmds});
    let with = |mut order: Value, field: &str, value: Value| {
        order[field] = value;
        order
    };
    let on = json!({"instance_ids": ["i-1", "i-2"]});
    json!({"username": "me", "orders": [
        order("a", "lambda", &[]),
        order("b", "codebuild", &["a"]),
        with(order("c", "ssm", &["0001"]), "ssm_targets", on),
        with(order("fails", "lambda", &[]), "must_succeed", json!(false)),
        order("skipped", "lambda", &["fails"]),
        order("stopped", "codebuild", &[]),
        with(order("late", "lambda", &["fails"]), "must_succeed", json!(false)),
        order("dragged", "lambda", &["stopped"]),
    ]})
}

/// How an order went: name, status, and when it was dispatched, claimed and ended, in seconds after the submission.
struct Went(&'static str, &'static str, Option<[u64; 2]>, u64);

const WENT: [Went; 8] = [
    Went("a", "succeeded", Some([1, 2]), 5),
    Went("b", "succeeded", Some([6, 7]), 12),
    Went("c", "succeeded", Some([6, 7]), 14),
    Went("fails", "failed", Some([1, 2]), 4),
    Went("skipped", "failed", None, 5),
    Went("stopped", "cancelled", Some([1, 3]), 3),
    Went("late", "timed_out", Some([6, 7]), 67),
    Went("dragged", "cancelled", None, 4),
];

/// The evidence.
pub(crate) fn evidence() -> Evidence {
    let mut evidence = Evidence {
        run_id: RUN.to_owned(),
        names: Names::embedded(),
        item: Some(item()),
        rows: [].into(),
        events: Vec::new(),
        objects: [].into(),
        done: None,
        starts: Vec::new(),
    };
    put(&mut evidence, "tmp/exec/run-1/plan.json", 0, json!({"schema_version": 1}));
    put(&mut evidence, "tmp/callbacks/runs/run-1/0000/result.json", 0, json!({"status": "init", "log": ""}));
    put(&mut evidence, "tmp/callbacks/runs/run-1/_cancel/0006/result.json", 2, json!({}));
    put(
        &mut evidence,
        "tmp/exec/run-1/0003/targets.json",
        6,
        json!({"schema_version": 1, "instances": ["i-1", "i-2"]}),
    );
    put(
        &mut evidence,
        "tmp/claims/run-1/0007.stop.json",
        66,
        json!({
        "nonce": "stop-late", "at": at(66), "status": "timed_out", "reason": "its timeout is over"}),
    );
    evidence.events.push(event("_job", None, "job_started", "running", 0, &json!({})));
    for (index, went) in WENT.iter().enumerate() {
        add(&mut evidence, index, went);
    }
    let summary = json!({"succeeded": 3, "failed": 2, "timed_out": 1, "cancelled": 2});
    let more = json!({"summary": summary, "done_endpt": "s3://exe-sys-done/run-1/done"});
    evidence.events.push(event("_job", None, "job_completed", "failed", 69, &more));
    evidence.events.sort_by_key(|event| event["epoch"].as_str().unwrap().to_owned());
    let body = Some(json!({"status": "failed", "summary": summary}));
    evidence.done = Some(Stored { written_ms: ms(68), etag: None, body });
    evidence.starts.sort_by_key(|start| start.at_ms);
    evidence
}

/// Puts an object.
pub(crate) fn put(evidence: &mut Evidence, key: &str, seconds: u64, body: Value) {
    let stored = Stored { written_ms: ms(seconds), etag: None, body: Some(body) };
    evidence.objects.insert(key.to_owned(), stored);
}

/// A line of the start log.
pub(crate) fn line(order: &str, instance: Option<&str>, what: Started, at_ms: u64) -> Start {
    Start {
        run_id: RUN.to_owned(),
        order: order.to_owned(),
        instance: instance.map(str::to_owned),
        what,
        at_ms: Some(at_ms),
    }
}

fn item() -> Value {
    let answer = json!({"status": "ok", "run_id": RUN, "trace_id": TRACE, "flow_id": flow(),
        "done_endpt": "s3://exe-sys-done/run-1/done"});
    json!({"pk": "lock:run-1", "run_id": RUN, "trace_id": TRACE, "flow_id": flow(), "status": "completed",
        "orders": "3s2fctc", "deadline": ms(3_600), "plan_key": "tmp/exec/run-1/plan.json", "submit_id": "u",
        "job_digest": "d", "answer": answer.to_string(), "schema_version": 1, "ttl": T0 + 9})
}

fn flow() -> String {
    format!("me:{TRACE}-exec")
}

/// An event.
pub(crate) fn event(name: &str, number: Option<&str>, kind: &str, status: &str, seconds: u64, more: &Value) -> Value {
    let epoch = at(seconds);
    let mut event = json!({"trace_id": TRACE, "sk": format!("{name}:{}", epoch.as_str().unwrap()), "order_name": name,
        "epoch": epoch, "leg": format!("{TRACE}:{}", T0 + seconds), "event_type": kind, "status": status, "run_id": RUN,
        "flow_id": flow(), "ttl": T0 + 9});
    if let Some(number) = number {
        event["order_num"] = number.into();
    }
    for (field, value) in more.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

/// Everything of one order.
fn add(evidence: &mut Evidence, index: usize, Went(name, status, dispatched, ended): &Went) {
    let number = format!("{:04}", index + 1);
    let written = job()["orders"][index].clone();
    let target = written["execution_target"].as_str().unwrap();
    let dependencies: Vec<&str> = written["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| if d == "0001" { "a" } else { d.as_str().unwrap() })
        .collect();
    let reason = (*status != "succeeded").then(|| format!("why {name} did not succeed"));
    let mut row = json!({"pk": format!("run-1:{number}"), "run_id": RUN, "order_num": number, "trace_id": TRACE,
        "flow_id": flow(), "order_name": name, "cmds": written["cmds"], "queue_id": number,
        "s3_location": format!("s3://exe-sys-internal/tmp/exec/run-1/{number}/exec.zip"),
        "callback_url": format!("tmp/callbacks/runs/run-1/{number}/result.json"), "execution_target": target,
        "dependencies": dependencies, "must_succeed": written["must_succeed"].as_bool().unwrap_or(true), "timeout": 60,
        "status": status, "created_at": at(0), "last_update": at(*ended), "ended_at": at(*ended), "ttl": T0 + 9});
    let mut more = json!({});
    if let Some(reason) = &reason {
        row["failure_reason"] = reason.as_str().into();
        more["message"] = reason.as_str().into();
    }
    if let Some([at_dispatch, claimed]) = *dispatched {
        row["dispatched_at"] = at(at_dispatch);
        let url = json!({"execution_url": "https://console"});
        evidence.events.push(event(name, Some(&number), "dispatched", "running", at_dispatch, &url));
        report(evidence, &number, name, status, target, [claimed, *ended], reason.as_deref());
    } else {
        skip(evidence, &number, status, *ended, reason.as_deref());
    }
    if *name == "b" {
        let reported = json!({"data": {"add": 2}});
        evidence.events.push(event(name, Some(&number), "plan", "info", 9, &reported));
    }
    let kind = match (*status, dispatched) {
        ("failed", None) => "dependency_failed",
        ("succeeded" | "failed", _) => "completed",
        (other, _) => other,
    };
    evidence.events.push(event(name, Some(&number), kind, status, *ended, &more));
    evidence.rows.insert(number, row);
}

/// Claim and result of an order that a dependency ended.
fn skip(evidence: &mut Evidence, number: &str, status: &str, ended: u64, reason: Option<&str>) {
    let claim = json!({"nonce": format!("{number}-nonce"), "by": "engine", "at": at(ended), "status": status,
        "reason": reason, "skipped": true});
    put(evidence, &format!("tmp/claims/run-1/{number}.json"), ended, claim);
    let result = json!({"status": status, "log": "", "schema_version": 1, "finished_at": at(ended), "writer": "engine",
        "reason": reason, "skipped": true});
    put(evidence, &format!("tmp/callbacks/runs/run-1/{number}/result.json"), ended, result);
}

/// Claim, result and lines of an order that was dispatched.
fn report(
    evidence: &mut Evidence,
    number: &str,
    name: &str,
    status: &str,
    target: &str,
    [claimed, ended]: [u64; 2],
    reason: Option<&str>,
) {
    let by = match (status, target) {
        ("cancelled", _) | (_, "ssm") => "engine".to_owned(),
        (_, target) => format!("{target}:{name}-build"),
    };
    let mut result = json!({"status": status, "log": "", "schema_version": 1, "finished_at": at(ended), "writer": by});
    if let Some(reason) = reason {
        result["reason"] = reason.into();
    }
    if by != "engine" {
        result["started_at"] = at(claimed);
        result["exit_code"] = i64::from(status != "succeeded").into();
    }
    if name == "b" {
        result["events"] = json!([{"event_type": "plan", "status": "info", "epoch": at(9), "data": {"add": 2}}]);
    }
    put(evidence, &format!("tmp/callbacks/runs/run-1/{number}/result.json"), ended, result);
    if target == "ssm" {
        for instance in ["i-1", "i-2"] {
            let by = format!("ssm:{name}-command:{instance}");
            let claim = json!({"nonce": format!("{name}-{instance}"), "by": by, "at": at(claimed)});
            put(evidence, &format!("tmp/claims/run-1/{number}/{instance}.json"), claimed, claim);
            let share = json!({"status": status, "log": "", "schema_version": 1, "exit_code": 0, "writer": by,
                "started_at": at(claimed), "finished_at": at(ended)});
            put(evidence, &format!("tmp/callbacks/runs/run-1/{number}/instances/{instance}/result.json"), ended, share);
            evidence.starts.push(line(name, Some(instance), Started::Begin, ms(claimed) + 1_500));
            evidence.starts.push(line(name, Some(instance), Started::End, ms(ended) - 500));
        }
        return;
    }
    let mut claim = json!({"nonce": format!("{name}-nonce"), "by": by, "at": at(claimed)});
    if by == "engine" {
        claim["status"] = status.into();
        claim["reason"] = reason.into();
    } else {
        evidence.starts.push(line(name, None, Started::Begin, ms(claimed) + 500));
        if status == "succeeded" {
            evidence.starts.push(line(name, None, Started::End, ms(ended) - 500));
        }
    }
    put(evidence, &format!("tmp/claims/run-1/{number}.json"), claimed, claim);
}
