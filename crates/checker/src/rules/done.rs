//! `done`: exactly its shape, the counts of the ledger, and the job's status worked out again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Found;
use crate::{
    evidence::Stored,
    expected::fate,
    times,
    view::{OUTCOMES, OrderView, View},
};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    let Some(done) = &view.evidence.done else {
        return found.add(5, "there is no `done`");
    };
    let fields = done.body.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    found.hold(names == ["status", "summary"], 5, || format!("`done` has the fields {names:?}"));
    check_counts(view, fields.get("summary").and_then(Value::as_object), found);
    let status = fields.get("status").and_then(Value::as_str).unwrap_or_default();
    let allowed = job_statuses(view);
    found.hold(allowed.contains(&status), 5, || {
        let ended: Vec<_> = view.orders.iter().map(|order| format!("{}: {}", order.whole.name, order.status)).collect();
        format!("`done` says `{status}`, and it should be {allowed:?}: {}", ended.join(", "))
    });
    check_time(view, done, found);
}

fn check_counts(view: &View<'_>, summary: Option<&Map<String, Value>>, found: &mut Found) {
    let Some(summary) = summary else {
        return found.add(5, "`done` has no summary");
    };
    let mut should: BTreeMap<&str, u64> = OUTCOMES[..3].iter().map(|outcome| (*outcome, 0)).collect();
    for order in &view.orders {
        *should.entry(order.status).or_default() += 1;
    }
    let told: BTreeMap<&str, u64> =
        summary.iter().map(|(status, count)| (status.as_str(), count.as_u64().unwrap_or(u64::MAX))).collect();
    found.hold(told == should, 5, || format!("`done` counts {told:?}, the ledger {should:?}"));
}

/// What the job may have ended as: one, but where it depends on what came first and nothing tells.
fn job_statuses(view: &View<'_>) -> Vec<&'static str> {
    let has = |wanted: &str, is_it: &dyn Fn(&OrderView<'_>) -> bool| {
        view.orders.iter().any(|order| order.status == wanted && is_it(order))
    };
    let is_needed = |order: &OrderView<'_>| order.order.must_succeed;
    let base = if has("failed", &is_needed) || has("cancelled", &is_needed) { "failed" } else { "succeeded" };
    let ended_late = |order: &OrderView<'_>| view.is_over(order.at("ended_at"));
    let completed = view.evidence.events.iter().rfind(|event| event["event_type"] == "job_completed");
    let mut statuses = if has("timed_out", &is_needed) || has("timed_out", &ended_late) {
        vec!["timed_out"]
    } else if has("timed_out", &|_| true) && view.is_over(completed.and_then(|event| times::field(event, "epoch"))) {
        // Whether the time was over before the last order ended or just after it cannot be told.
        vec!["timed_out", base]
    } else {
        vec![base]
    };
    if view.evidence.cancel("0000").is_some() && has("cancelled", &|_| true) {
        // A request that comes when everything has ended changes nothing.
        if has("cancelled", &|order| !is_cancelled_by_itself(view, order)) {
            statuses.clear();
        }
        statuses.push("cancelled");
    }
    statuses
}

/// Whether something else than a request to cancel the run explains that the order was cancelled.
fn is_cancelled_by_itself(view: &View<'_>, order: &OrderView<'_>) -> bool {
    let dependencies = view.dependencies(order).map(|dependency| dependency.status);
    view.evidence.cancel(&order.order.number).is_some()
        || fate(order.order.must_succeed, dependencies) == Some("cancelled")
        || order.whole.result.is_some_and(|result| result.writer.is_none() || order.can_be_stopped_by_hand())
}

/// Only when every order had ended: by S3's own times.
fn check_time(view: &View<'_>, done: &Stored, found: &mut Found) {
    for order in &view.orders {
        let Some(result) = order.whole.result else { continue };
        found.hold(done.latest_ms() >= result.stored.written_ms, 5, || {
            format!("`done` was written before the result of {}", order.whole.name)
        });
    }
}
