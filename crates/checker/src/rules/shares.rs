//! Orders on instances: claims on two levels, and one result out of those of all shares.

use std::collections::BTreeSet;

use super::Found;
use crate::view::{OrderView, Reported, View};

/// Most instances of one order.
const MOST_INSTANCES: usize = 1_000;

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for order in &view.orders {
        let name = &order.whole.name;
        let is_there = view.evidence.prepared(&order.order.number, "dispatch.json").is_some();
        found.hold(!is_there, 18, || {
            format!("what the instances of {name} were given, secrets in clear, is still there")
        });
        if order.is_on_instances() {
            check_pinned(order, found);
            check_claims(order, found);
            if let Some(result) = order.whole.result {
                check_result(order, &result, found);
            }
        } else {
            let is_whole = order.shares.is_empty() && order.pinned.is_none();
            found.hold(is_whole, 1, || format!("{name} does not run on instances, and has shares"));
        }
    }
}

fn check_pinned(order: &OrderView<'_>, found: &mut Found) {
    let Some(pinned) = &order.pinned else { return };
    let name = &order.whole.name;
    let set: BTreeSet<&str> = pinned.iter().copied().collect();
    let is_well = !set.is_empty() && set.len() == pinned.len() && pinned.is_sorted() && set.len() <= MOST_INSTANCES;
    found.hold(is_well, 4, || format!("{name} is pinned to {pinned:?}"));
    if let Some(named) = &order.order.instances {
        let should: BTreeSet<&str> = named.iter().map(String::as_str).collect();
        found.hold(set == should, 4, || format!("{name} is pinned to {set:?}, and names {should:?}"));
    }
}

fn check_claims(order: &OrderView<'_>, found: &mut Found) {
    let whole = &order.whole;
    found.hold(!whole.is_a_workers(), 1, || format!("a worker claimed {} as a whole", whole.name));
    for share in &order.shares {
        let instance = share.instance.unwrap_or_default();
        let is_pinned = order.pinned.as_ref().is_some_and(|pinned| pinned.contains(&instance));
        found.hold(is_pinned, 1, || format!("{} left something, and the order is not pinned to it", share.name));
        // One that claims its share after the engine ended the order may still be about to say that it ran nothing.
        let is_settled = share.claim.is_none() || share.result.is_some() || whole.is_the_engines();
        found.hold(is_settled, 4, || format!("{} was claimed and has no result", share.name));
        if let (true, Some(claim), Some(ended)) = (share.is_a_workers(), share.claim, whole.claim) {
            // It met the engine's claim when it looked, so it must not have run anything.
            let ran = share.result.is_some_and(|result| result.stored.field("exit_code").is_some());
            found.hold(!ran || claim.written_ms <= ended.latest_ms(), 2, || {
                format!("{} claimed its share after the engine had ended the order, and ran", share.name)
            });
        }
    }
}

/// The one result of all shares.
fn check_result(order: &OrderView<'_>, result: &Reported<'_>, found: &mut Found) {
    let (whole, name) = (&order.whole, &order.whole.name);
    let Some(writer) = result.writer else { return };
    found.hold(writer == "engine", 1, || format!("`{writer}` wrote the result of {name} as a whole"));
    let ended = whole.claim.and_then(|claim| claim.text("status"));
    let missing: Vec<&str> =
        order.shares.iter().filter(|share| share.result.is_none()).map(|share| &*share.name).collect();
    let Some(pinned) = order.pinned.as_ref().filter(|pinned| !pinned.is_empty()) else {
        return found.hold(ended == Some(result.status), 2, || {
            format!(
                "{name} is pinned to no instance, ended as `{}`, and the engine claimed it as {ended:?}",
                result.status
            )
        });
    };
    if ended.is_none() {
        found.hold(missing.is_empty(), 4, || format!("{name} has a result, and these have none: {missing:?}"));
    }
    let of_pinned = order.shares.iter().filter(|share| pinned.contains(&share.instance.unwrap_or_default()));
    let statuses: BTreeSet<&str> = of_pinned.filter_map(|share| share.result).map(|result| result.status).collect();
    let all_succeeded = missing.is_empty() && statuses.iter().all(|status| *status == "succeeded");
    let is_so = match (all_succeeded, ended) {
        // The order may have been ended before it was pinned.
        (true, Some(ended)) => ["succeeded", ended].contains(&result.status),
        (true, None) => result.status == "succeeded",
        (false, Some(ended)) => result.status == ended,
        (false, None) => result.status != "succeeded" && statuses.contains(result.status),
    };
    found.hold(is_so, 4, || {
        format!("{name} ended as `{}`, its instances as {statuses:?}, the engine's claim is {ended:?}", result.status)
    });
}
