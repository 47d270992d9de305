//! The run item: completed, given back, and with a ledger in which every order has ended.

use serde_json::Value;

use super::Found;
use crate::{letters, times, view::View};

/// What only a run has on which somebody is at work, or to which somebody told something.
const OF_A_LEASE: [&str; 4] = ["orchestrator_id", "acquired_at", "lease_until", "news"];

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    let Some(item) = &view.evidence.item else {
        return found.add(6, "there is no run item");
    };
    found.hold(item["status"] == "completed", 6, || format!("the run item is {}, not completed", item["status"]));
    for field in OF_A_LEASE {
        found.hold(item.get(field).is_none(), 8, || format!("the completed run item has `{field}`"));
    }
    check_ledger(view, item, found);
    check_identity(view, item, found);
    check_deadline(view, item, found);
}

fn check_ledger(view: &View<'_>, item: &Value, found: &mut Found) {
    match letters::read(item["orders"].as_str().unwrap_or_default()) {
        Err(why) => found.add(15, format!("the ledger {} cannot be read: {why}", item["orders"])),
        Ok(statuses) => {
            let (is, should) = (statuses.len(), view.job.orders.len());
            found.hold(is == should, 5, || format!("the ledger has {is} letters for {should} orders"));
            let open: Vec<_> = statuses.iter().filter(|status| ["queued", "running"].contains(status)).collect();
            found.hold(open.is_empty(), 5, || format!("the run is completed, and its ledger has {open:?}"));
        }
    }
}

fn check_identity(view: &View<'_>, item: &Value, found: &mut Found) {
    let run_id = view.evidence.run_id.as_str();
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let trace_id = text("trace_id");
    let is_trace = trace_id.len() == 8 && trace_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    found.hold(is_trace, 7, || format!("`{trace_id}` is no trace id"));
    let start = format!("{}:{trace_id}-", view.job.username);
    let flow_id = text("flow_id");
    let label = flow_id.strip_prefix(&start);
    let is_flow = match &view.job.flow_label {
        Some(wanted) => label == Some(wanted.as_str()),
        None => matches!(label, Some("exec" | "ssm")),
    };
    found.hold(is_flow, 7, || format!("`{flow_id}` is not the flow of this job"));
    let facts = [
        ("pk", format!("lock:{run_id}")),
        ("run_id", run_id.to_owned()),
        ("plan_key", format!("tmp/exec/{run_id}/plan.json")),
    ];
    for (field, should) in facts {
        found
            .hold(item[field] == should, 7, || format!("`{field}` of the run item is {}, not `{should}`", item[field]));
    }
    let answer = item["answer"].as_str().and_then(|answer| serde_json::from_str::<Value>(answer).ok());
    let answer = answer.unwrap_or_default();
    let done_endpt = format!("s3://{}/{run_id}/done", view.evidence.names.done);
    for (field, should) in [
        ("run_id", run_id),
        ("trace_id", &trace_id),
        ("flow_id", &flow_id),
        ("done_endpt", &done_endpt),
        ("status", "ok"),
    ] {
        found.hold(answer[field] == should, 7, || {
            format!("the answer's `{field}` is {}, not `{should}`", answer[field])
        });
    }
    let plan = view.evidence.objects.get(&format!("tmp/exec/{run_id}/plan.json")).and_then(|plan| plan.body.as_ref());
    found.hold(plan.is_some_and(Value::is_object), 7, || "the run has no plan that can be read".to_owned());
}

fn check_deadline(view: &View<'_>, item: &Value, found: &mut Found) {
    let created = view.orders.first().and_then(|order| order.at("created_at"));
    if let Some(created) = created {
        let should = (created + times::seconds(view.job.timeout)) / 1_000;
        found.hold(item["deadline"] == should, 14, || {
            format!("the deadline is {}, not `job_timeout` after the submission: {should}", item["deadline"])
        });
    }
}
