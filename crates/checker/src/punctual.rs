//! How long a run may take at most: for runs that met no fault, or a single one. A storm may delay for as long as it lasts.

use std::time::Duration;

use serde_json::Value;

use crate::{
    evidence::Evidence,
    job,
    rules::{Found, Violation},
    times::{self, seconds},
    view::{OrderView, Share, View},
};

/// Seconds after its time and its `stop_grace` within which an order is timed out.
const ORDER_ALLOWANCE: u64 = 90;
/// Seconds after `job_timeout` and the longest `stop_grace` within which a run is over.
const RUN_ALLOWANCE: u64 = 240;

/// What ended too late, in engine time (invariants 6 and 14). For as long as a fault kept a service or a process away,
/// `away`, everything may be late.
pub fn punctual(job: &Value, evidence: &Evidence, away: Duration) -> Vec<Violation> {
    let mut found = Found::default();
    if let Ok(job) = job::read(job) {
        let view = View::new(&job, evidence);
        let away = away.as_secs();
        check_run(&view, away, &mut found);
        for order in &view.orders {
            for share in order.all() {
                check_share(&view, order, share, away, &mut found);
            }
        }
    }
    found.into_violations()
}

fn check_run(view: &View<'_>, away: u64, found: &mut Found) {
    let completed = view.evidence.events.iter().rfind(|event| event["event_type"] == "job_completed");
    let longest = view.orders.iter().map(OrderView::stop_grace).max().unwrap_or_default();
    let (Some(deadline), Some(at)) = (view.deadline, completed.and_then(|event| times::field(event, "epoch"))) else {
        return;
    };
    let latest = deadline + seconds(longest + RUN_ALLOWANCE + away);
    found.hold(at <= latest, 6, || format!("the run was over at {at}, and should have been by {latest}"));
}

fn check_share(view: &View<'_>, order: &OrderView<'_>, share: &Share<'_>, away: u64, found: &mut Found) {
    let Some(result) = share.result.filter(|result| result.status == "timed_out" && result.writer.is_some()) else {
        return;
    };
    let since = if share.is_a_workers() {
        share.claimed_at().map(|claimed| claimed + seconds(order.order.timeout))
    } else {
        order.at("dispatched_at").map(|dispatched| dispatched + seconds(order.order.start_timeout))
    };
    let due = since.into_iter().chain(view.deadline).min();
    let (Some(due), Some(finished)) = (due, result.at("finished_at")) else { return };
    let latest = due + seconds(order.stop_grace() + ORDER_ALLOWANCE + away);
    found.hold(finished <= latest, 14, || {
        format!("{} was timed out at {finished}, and should have been by {latest}", share.name)
    });
}
