//! The rows: one an order, as the job has it, and agreeing with the ledger and with the result.

use serde_json::{Value, json};

use super::Found;
use crate::{
    times,
    view::{OrderView, View},
};

/// Commands in a row are complete up to 64 KiB; nearer to that, it depends on how they are counted.
const WHOLE_CMDS_BYTES: usize = 48 * 1024;
/// What DynamoDB counts for an element of a list besides its content.
const PER_CMD_BYTES: usize = 3;

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for number in view.evidence.rows.keys() {
        let is_ours = view.job.orders.iter().any(|order| order.number == *number);
        found.hold(is_ours, 4, || format!("there is a row `{number}`, which is no order of the job"));
    }
    let created = view.orders.first().and_then(|order| order.at("created_at"));
    for order in &view.orders {
        let Some(row) = order.row else {
            found.add(4, format!("{} has no row", order.whole.name));
            continue;
        };
        check_description(view, order, row, found);
        found.hold(row["status"] == order.status, 4, || {
            format!("the row of {} says {}, the ledger {}", order.whole.name, row["status"], order.status)
        });
        found.hold(order.at("created_at") == created, 4, || {
            format!("{} was created at another time than the first order", order.whole.name)
        });
        check_times(order, row, found);
        check_result(order, row, found);
    }
}

/// What the submission wrote.
fn check_description(view: &View<'_>, view_of: &OrderView<'_>, row: &Value, found: &mut Found) {
    let (run_id, order) = (&view.evidence.run_id, view_of.order);
    let names: Vec<&str> = view.dependencies(view_of).map(|dependency| dependency.order.name.as_str()).collect();
    let item = view.evidence.item.as_ref();
    let of_item = |field: &str| item.and_then(|item| item.get(field)).cloned().unwrap_or_default();
    let number = &order.number;
    let facts = [
        ("pk", json!(format!("{run_id}:{number}"))),
        ("run_id", json!(run_id)),
        ("order_num", json!(number)),
        ("trace_id", of_item("trace_id")),
        ("flow_id", of_item("flow_id")),
        ("order_name", json!(order.name)),
        ("queue_id", json!(order.queue_id)),
        ("dependencies", json!(names)),
        ("must_succeed", json!(order.must_succeed)),
        ("timeout", json!(order.timeout)),
        ("callback_url", json!(format!("tmp/callbacks/runs/{run_id}/{number}/result.json"))),
        ("s3_location", json!(format!("s3://{}/tmp/exec/{run_id}/{number}/exec.zip", view.evidence.names.internal))),
    ];
    let name = &view_of.whole.name;
    for (field, should) in facts {
        found.hold(row[field] == should, 4, || {
            format!("`{field}` in the row of {name} is {}, not {should}", row[field])
        });
    }
    let target = row["execution_target"].as_str().unwrap_or_default();
    found.hold(order.targets.contains(&target), 4, || format!("{name} is on `{target}`, not on {:?}", order.targets));
    if order.cmds.iter().map(|cmd| cmd.len() + PER_CMD_BYTES).sum::<usize>() < WHOLE_CMDS_BYTES {
        found
            .hold(row["cmds"] == json!(order.cmds), 4, || format!("the row of {name} has other commands than the job"));
    }
}

fn check_times(order: &OrderView<'_>, row: &Value, found: &mut Found) {
    let name = &order.whole.name;
    for field in ["created_at", "last_update", "ended_at"] {
        found.hold(order.at(field).is_some(), 4, || {
            format!("`{field}` in the row of {name} is no time: {}", row[field])
        });
    }
    let (created, ended) = (order.at("created_at"), order.at("ended_at"));
    found.hold(created <= ended, 4, || format!("{name} ended before it was created: {row}"));
    if row.get("dispatched_at").is_some() {
        let dispatched = order.at("dispatched_at");
        found.hold(dispatched.is_some() && created <= dispatched, 4, || {
            format!("{name} was dispatched before it was created, or at no time: {}", row["dispatched_at"])
        });
        if order.is_reported_by_us() && !order.is_dispatched_again() {
            found.hold(dispatched <= ended, 4, || format!("{name} ended before it was dispatched: {row}"));
        }
    }
}

/// What the row has of the result that stands.
fn check_result(order: &OrderView<'_>, row: &Value, found: &mut Found) {
    let name = &order.whole.name;
    let reason = row["failure_reason"].as_str().unwrap_or_default();
    let Some(result) = order.whole.result else {
        let is_needed = order.reused_from().is_none();
        found.hold(!is_needed || !reason.is_empty(), 4, || format!("{name} did not run, and its row does not say why"));
        return;
    };
    found.hold(result.status == order.status, 4, || {
        format!("the result of {name} says `{}`, the ledger `{}`", result.status, order.status)
    });
    if result.writer.is_none() {
        return;
    }
    if order.status != "succeeded" {
        found.hold(!reason.is_empty(), 4, || format!("the row of {name} does not say why it did not succeed"));
    }
    for (field, told) in [("failure_reason", "reason"), ("log_location", "log_location")] {
        let (is, should) = (row[field].as_str(), result.stored.text(told));
        found.hold(is == should, 4, || format!("`{field}` in the row of {name} is {is:?}, the result has {should:?}"));
    }
    if let (Some(finished), true) = (result.at("finished_at"), order.is_reported_by_us()) {
        let should = Some(finished.max(order.at("created_at").unwrap_or_default()));
        let is = times::field(row, "ended_at");
        // The engine may have ended it before in a pass that came to nothing: then the first time stands.
        let is_earlier = result.writer == Some("engine") && is < should;
        found.hold(is == should || is_earlier, 4, || {
            format!("the row of {name} has {} as its end, the result {should:?}", row["ended_at"])
        });
    }
}
