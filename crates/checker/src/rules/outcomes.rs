//! Why each order ended as it did: by its result, by a dependency, because it was cancelled, or at the job's deadline. And
//! that nothing ran which its dependencies forbid.

use super::Found;
use crate::{
    expected::fate,
    times::seconds,
    view::{OrderView, Reported, View},
};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for order in &view.orders {
        let dependencies = view.dependencies(order).map(|dependency| dependency.status);
        let fate = fate(order.order.must_succeed, dependencies);
        match order.whole.result {
            Some(result) => check_result(view, order, &result, fate, found),
            // In `reused`.
            None if order.reused_from().is_some() => {}
            None => found.add(4, format!("{} ended as `{}` without a result", order.whole.name, order.status)),
        }
        if let Some(fate) = fate {
            check_not_run(order, fate, found);
        }
    }
}

/// Whether the result can be: who else but a dependency, a request or the deadline ends what did not end by itself?
fn check_result(view: &View<'_>, order: &OrderView<'_>, result: &Reported<'_>, fate: Option<&str>, found: &mut Found) {
    let name = &order.whole.name;
    if result.is_skipped() {
        found.hold(fate == Some(result.status), 4, || {
            format!("{name} was skipped as `{}`, and its dependencies demand {fate:?}", result.status)
        });
        return;
    }
    if result.writer == Some("engine") && result.status == "failed" {
        found.hold(fate.is_none(), 4, || format!("{name} failed because of a dependency, and does not say so"));
    }
    let is_asked_for = view.is_cancelling(order.order) || result.writer.is_none() || order.can_be_stopped_by_hand();
    found.hold(order.status != "cancelled" || is_asked_for, 4, || {
        format!("{name} was cancelled, and nobody asked for it")
    });
    let is_in_time = order.status != "timed_out"
        || result.writer.is_none()
        || may_have_run(order)
        || has_waited_to_start(view, order);
    found.hold(is_in_time || view.is_over(order.at("ended_at")), 4, || {
        format!("{name} timed out before the job's deadline, and was never dispatched")
    });
}

/// An order that had to end because of a dependency, whatever ended it.
fn check_not_run(order: &OrderView<'_>, fate: &str, found: &mut Found) {
    let traces = [
        ("a worker's claim", order.is_claimed_by_a_worker()),
        ("a request to stop", order.all().any(|share| share.stop.is_some())),
        ("a share's result", order.shares.iter().any(|share| share.result.is_some())),
        ("a dispatch", is_dispatched(order)),
        ("a line in the start log", !order.starts.is_empty()),
    ];
    for (what, _) in traces.into_iter().filter(|(_, is_there)| *is_there) {
        let name = &order.whole.name;
        found.add(3, format!("{name} had to end as `{fate}` because of a dependency, and there is {what}"));
    }
}

/// Whether it ended as late as one that could be dispatched and was never claimed: nobody may have lived to note an attempt.
fn has_waited_to_start(view: &View<'_>, order: &OrderView<'_>) -> bool {
    let ready = view.dependencies(order).filter_map(|dependency| dependency.at("ended_at"));
    let ready = ready.chain(order.at("created_at")).max();
    let due = ready.map(|ready| ready + seconds(order.order.start_timeout));
    order.at("ended_at").zip(due).is_some_and(|(ended, due)| ended >= due)
}

/// Whether it had a watchdog: of one that nobody lived to note the dispatch, what its worker did is left.
fn may_have_run(order: &OrderView<'_>) -> bool {
    is_dispatched(order) || order.is_claimed_by_a_worker()
}

fn is_dispatched(order: &OrderView<'_>) -> bool {
    order.at("dispatched_at").is_some() || order.of_engine().any(|event| event["event_type"] == "dispatched")
}
