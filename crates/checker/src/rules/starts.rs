//! The start log: what ran, how often, and in which order.

use super::Found;
use crate::{
    starts::{Start, Started, written_by},
    view::{OrderView, Share, View},
};

/// File systems stamp with the clock of the last tick, some milliseconds behind the one that `date` reads.
const CLOCKS_APART_MS: u64 = 20;

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for start in &view.evidence.starts {
        let is_known = view.job.orders.iter().any(|order| order.name == start.order);
        found.hold(is_known, 1, || format!("the start log has `{}`, which is no order of the job", start.order));
    }
    for order in &view.orders {
        check_instances(order, found);
        for share in order.of_workers() {
            check_share(order, share, found);
        }
        check_dependencies(view, order, found);
    }
}

/// Each line is of something that can be claimed.
fn check_instances(order: &OrderView<'_>, found: &mut Found) {
    for (_, start) in &order.starts {
        let is_known = order.of_workers().iter().any(|share| share.instance == start.instance.as_deref());
        found.hold(is_known, 1, || {
            format!("{} ran on {:?}, where nothing of it was to run", order.whole.name, start.instance)
        });
    }
}

fn check_share(order: &OrderView<'_>, share: &Share<'_>, found: &mut Found) {
    let name = &share.name;
    let lines = |what: Started| {
        order.starts.iter().filter(move |(_, start)| start.what == what && start.instance.as_deref() == share.instance)
    };
    let (begins, ends) = (lines(Started::Begin).count(), lines(Started::End).count());
    found.hold(begins <= 1, 1, || format!("{name} began {begins} times"));
    found.hold(ends <= 1, 1, || format!("{name} ended {ends} times"));
    let (begin, end) = (lines(Started::Begin).next(), lines(Started::End).next());
    if let Some((position, begin)) = begin {
        check_begin(order, share, begin, found);
        found.hold(end.is_none_or(|(end, _)| end > position), 1, || format!("{name} ended before it began"));
    }
    let wanted = |what: Started| order.order.cmds.iter().any(|cmd| written_by(cmd) == Some(what));
    if wanted(Started::Begin) {
        found.hold(end.is_none() || begin.is_some(), 1, || format!("{name} ended and never began"));
    }
    // Only its own worker knows that all its commands ran.
    let is_reported = share.result.is_some_and(|result| {
        result.status == "succeeded" && result.writer.is_some() && result.writer == share.claimed_by()
    });
    if is_reported {
        for (what, line) in [(Started::Begin, begin), (Started::End, end)] {
            found.hold(line.is_some() || !wanted(what), 4, || {
                format!("{name} is said to have succeeded, and the start log has no {what:?} of it")
            });
        }
    }
}

fn check_begin(order: &OrderView<'_>, share: &Share<'_>, begin: &Start, found: &mut Found) {
    let name = &share.name;
    match share.claim {
        None => found.add(1, format!("{name} began without a claim")),
        Some(_) if share.is_the_engines() => {
            found.add(2, format!("{name} began though the engine had claimed it and ended it"));
        }
        Some(claim) => found.hold(begin.at_ms.is_none_or(|at| at >= claim.written_ms), 1, || {
            format!("{name} began before it was claimed")
        }),
    }
    if share.instance.is_some()
        && let (Some(claim), Some(ended)) = (share.claim, order.whole.claim)
    {
        found.hold(claim.written_ms <= ended.latest_ms(), 2, || {
            format!("{name} began, and claimed its share after the engine had ended the order")
        });
    }
    found.hold(share.result.is_some(), 4, || format!("{name} began and has no result"));
    for result in [share.result, order.whole.result].into_iter().flatten() {
        let latest = result.stored.latest_ms() + CLOCKS_APART_MS;
        found.hold(begin.at_ms.is_none_or(|at| at <= latest), 2, || {
            format!("{name} began at {:?}, after a result of it stood", begin.at_ms)
        });
    }
}

fn check_dependencies(view: &View<'_>, order: &OrderView<'_>, found: &mut Found) {
    let name = &order.whole.name;
    for dependency in view.dependencies(order) {
        let its = &dependency.whole.name;
        if let (Some(claim), Some(result)) = (first_claim(order), dependency.whole.result) {
            found
                .hold(claim >= result.stored.written_ms, 3, || format!("{name} was claimed before {its} had a result"));
        }
        let Some((position, begin)) = order.line(Started::Begin, None) else { continue };
        if let Some(result) = dependency.whole.result {
            found.hold(begin.at_ms.is_none_or(|at| at >= result.stored.written_ms), 3, || {
                format!("{name} began before {its} had a result")
            });
        }
        let is_later =
            |what: Started| dependency.starts.iter().any(|(later, start)| start.what == what && *later > position);
        found.hold(!is_later(Started::Begin), 3, || format!("{name} began before {its}, for which it waits"));
        // One that was given up may go on where nobody can reach it; one that its worker reported has ended.
        let is_over = dependency.status == "succeeded" && dependency.is_reported_by_us();
        found.hold(!is_over || !is_later(Started::End), 3, || format!("{name} began before {its} had ended"));
    }
}

/// The last millisecond in which the first worker's claim of the order or of a share of it can have been written.
fn first_claim(order: &OrderView<'_>) -> Option<u64> {
    order
        .all()
        .filter(|share| share.is_a_workers())
        .filter_map(|share| share.claim)
        .map(crate::evidence::Stored::latest_ms)
        .min()
}
