//! Engine times against each other: nothing is claimed before what it waits for has ended, and nothing is timed out before
//! its time.

use super::Found;
use crate::{
    times::seconds,
    view::{OrderView, Share, View},
};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for order in &view.orders {
        let possible = possible_from(view, order);
        check_dispatch(view, order, found);
        for share in order.all() {
            check_order(share, possible, found);
            if share.result.is_some_and(|result| result.status == "timed_out" && result.writer.is_some()) {
                check_timed_out(view, order, share, possible, found);
            }
        }
    }
}

/// When the order can have been dispatched at the earliest: everything that it waits for has ended.
fn possible_from(view: &View<'_>, order: &OrderView<'_>) -> Option<u64> {
    let ends = view.dependencies(order).map(|dependency| dependency.at("ended_at"));
    ends.chain([order.at("created_at")]).flatten().max()
}

fn check_dispatch(view: &View<'_>, order: &OrderView<'_>, found: &mut Found) {
    let Some(dispatched) = order.at("dispatched_at") else { return };
    for dependency in view.dependencies(order) {
        found.hold(dependency.at("ended_at") <= Some(dispatched), 3, || {
            format!("{} was dispatched before {} had ended", order.whole.name, dependency.whole.name)
        });
    }
}

fn check_order(share: &Share<'_>, possible: Option<u64>, found: &mut Found) {
    let name = &share.name;
    // The engine may claim an order that still waits: it is cancelled, or the job's time is over.
    if let Some(claimed) = share.claimed_at().filter(|_| share.is_a_workers()) {
        found.hold(Some(claimed) >= possible, 3, || {
            format!("{name} was claimed before everything that it waits for had ended")
        });
    }
    let Some(result) = share.result.filter(|result| result.writer.is_some()) else { return };
    let (started, finished) = (result.at("started_at"), result.at("finished_at"));
    if let (Some(started), Some(finished)) = (started, finished) {
        found.hold(started <= finished, 4, || format!("{name} finished before it started"));
    }
    if let (Some(claimed), true) = (share.claimed_at(), share.is_a_workers() && share.claimed_by() == result.writer) {
        found.hold(started.is_none_or(|started| started >= claimed), 1, || {
            format!("{name} was started before it was claimed")
        });
        found.hold(finished.is_none_or(|finished| finished >= claimed), 1, || {
            format!("{name} finished before it was claimed")
        });
    }
}

/// A result that says that the time is over.
fn check_timed_out(
    view: &View<'_>,
    order: &OrderView<'_>,
    share: &Share<'_>,
    possible: Option<u64>,
    found: &mut Found,
) {
    let name = &share.name;
    let (Some(result), Some(deadline)) = (share.result, view.deadline) else { return };
    let is_composed = share.instance.is_none() && order.is_on_instances();
    if is_composed && !share.is_the_engines() {
        // Its shares are looked at by themselves.
        return;
    }
    let due = |since: Option<u64>, allowed: u64| since.map(|since| deadline.min(since + seconds(allowed)));
    let (at, due, what) = if share.is_a_workers() {
        let due = due(share.claimed_at(), order.order.timeout);
        (result.at("finished_at"), due, "its claim and `timeout`")
    } else if share.is_the_engines() {
        (share.claimed_at(), due(possible, order.order.start_timeout), "its dispatch and `start_timeout`")
    } else {
        return;
    };
    // A share that the engine claims along with its order may be ended because that order ran too long.
    let whole = order.whole.claim.filter(|_| share.instance.is_some()).and(order.whole.claimed_at());
    let is_along = whole.is_some() && at >= whole;
    found.hold(is_along || at >= due, 14, || {
        format!("{name} was timed out at {at:?}, before {what} and the deadline ({due:?})")
    });
}
