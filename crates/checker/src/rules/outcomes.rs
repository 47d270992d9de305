//! Why each order ended as it did: by its result, by a dependency, because it was cancelled, or at the job's deadline. And
//! that nothing ran which its dependencies forbid.

use super::Found;
use crate::{
    expected::fate,
    view::{OrderView, View},
};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for order in &view.orders {
        let dependencies = view.dependencies(order).map(|dependency| dependency.status);
        let fate = fate(order.order.must_succeed, dependencies);
        if order.whole.result.is_some() {
            check_reported(view, order, fate, found);
        } else {
            check_unstarted(view, order, fate, found);
        }
    }
}

fn check_reported(view: &View<'_>, order: &OrderView<'_>, fate: Option<&str>, found: &mut Found) {
    let name = &order.whole.name;
    if let Some(fate) = fate {
        found.hold(!order.is_claimed_by_a_worker(), 3, || {
            format!("a worker claimed {name}, which had to end as `{fate}` because of a dependency")
        });
        found.hold(!is_dispatched(order), 3, || {
            format!("{name} was dispatched, and had to end as `{fate}` because of a dependency")
        });
    }
    let is_foreign = order.whole.result.is_some_and(|result| result.writer.is_none());
    // While something is cancelled, what ends because of a dependency has a result as well.
    let is_explained = fate == Some("cancelled") || view.is_cancelling(order.order);
    let is_explained = is_explained || is_foreign || order.can_be_stopped_by_hand();
    let is_explained = order.status != "cancelled" || is_explained;
    found.hold(is_explained, 4, || format!("{name} was cancelled, and nobody asked for it"));
}

fn check_unstarted(view: &View<'_>, order: &OrderView<'_>, fate: Option<&str>, found: &mut Found) {
    let name = &order.whole.name;
    let is_explained = fate == Some(order.status)
        || (order.status == "cancelled" && view.is_cancelling(order.order))
        || (order.status == "timed_out" && view.is_over(order.at("ended_at")));
    found.hold(is_explained, 4, || {
        format!(
            "{name} ended as `{}` without a result, and no dependency, request to cancel or deadline explains it",
            order.status
        )
    });
    let traces = [
        ("a claim", order.all().any(|share| share.claim.is_some())),
        ("a request to stop", order.all().any(|share| share.stop.is_some())),
        ("a share's result", order.shares.iter().any(|share| share.result.is_some())),
        ("a dispatch", is_dispatched(order)),
        ("lines in the start log", !order.starts.is_empty()),
    ];
    for (what, _) in traces.into_iter().filter(|(_, is_there)| *is_there) {
        found.add(2, format!("{name} ended without a result, and there is {what}"));
    }
}

fn is_dispatched(order: &OrderView<'_>) -> bool {
    order.at("dispatched_at").is_some() || order.of_engine().any(|event| event["event_type"] == "dispatched")
}
