//! Orders that count as succeeded because they did in an earlier run: nothing of them happened in this one, everything that
//! they depend on counts as well, and row, plan and the run's first event tell the same.

use serde_json::{Map, Value};

use super::Found;
use crate::view::{OrderView, View};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    let plan = view.evidence.objects.get(&format!("tmp/exec/{}/plan.json", view.evidence.run_id));
    let rerun_of = plan.and_then(|plan| plan.field("rerun_of"));
    let planned = plan.and_then(|plan| plan.field("orders")?.as_array());
    let mut count = 0;
    for (index, order) in view.orders.iter().enumerate() {
        let in_plan = planned.and_then(|orders| orders.get(index)?.get("reused_from"));
        found.hold(in_plan == order.reused_from(), 4, || {
            let (name, in_row) = (&order.whole.name, order.reused_from());
            format!("{name} is taken over from {in_row:?} by its row, and from {in_plan:?} by the plan")
        });
        if let Some(from) = order.reused_from() {
            count += 1;
            check_order(view, order, from, found);
        }
    }
    let carried = plan.and_then(|plan| plan.field("carried")?.as_object());
    check_event(view, carried, rerun_of, count, found);
}

fn check_order(view: &View<'_>, order: &OrderView<'_>, from: &Value, found: &mut Found) {
    let name = &order.whole.name;
    let is_another = from.as_str().is_some_and(|from| !from.is_empty() && from != view.evidence.run_id);
    found.hold(is_another, 4, || format!("{name} is taken over from {from}, which is no other run"));
    found.hold(order.status == "succeeded", 4, || format!("{name} is taken over, and is `{}`", order.status));
    found.hold(order.at("ended_at") == order.at("created_at"), 4, || {
        format!("{name} is taken over, and did not end when the run was created")
    });
    let traces = [
        ("a claim", order.all().any(|share| share.claim.is_some())),
        ("a request to stop", order.all().any(|share| share.stop.is_some())),
        ("a result", order.all().any(|share| share.result.is_some())),
        ("a dispatch", order.at("dispatched_at").is_some() || order.pinned.is_some()),
        ("an event", !order.events.is_empty()),
        ("a line in the start log", !order.starts.is_empty()),
    ];
    for (what, _) in traces.into_iter().filter(|(_, is_there)| *is_there) {
        found.add(1, format!("{name} is taken over, and there is {what}"));
    }
    for dependency in view.dependencies(order).filter(|dependency| dependency.reused_from().is_none()) {
        found.add(3, format!("{name} is taken over, and depends on {}, which is not", dependency.whole.name));
    }
}

/// The first event of a run says what the job carries along, and that of a rerun of which run, and how many orders it need
/// not run.
fn check_event(
    view: &View<'_>,
    carried: Option<&Map<String, Value>>,
    rerun_of: Option<&Value>,
    count: usize,
    found: &mut Found,
) {
    let started = view.evidence.events.iter().find(|event| event["event_type"] == "job_started");
    let told = started.and_then(|event| event.get("data"));
    let mut should = carried.cloned().unwrap_or_default();
    if let Some(run) = rerun_of {
        should.insert("rerun_of".to_owned(), run.clone());
        should.insert("reused".to_owned(), count.into());
    }
    let should = (!should.is_empty()).then(|| Value::from(should));
    found.hold(told == should.as_ref(), 4, || format!("the job started with {told:?}, and the plan says {should:?}"));
    found.hold(count == 0 || rerun_of.is_some(), 4, || format!("{count} orders are taken over from no run"));
}
