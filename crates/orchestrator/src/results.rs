//! What is new: results that stand for orders that have not ended, and requests to cancel.

use common::{
    aws::AwsError,
    clock::{Clock, Timestamp},
    ids::{OrderNum, RunId},
    keys::{self, Callback},
    ledger::Ledger,
    objects::Objects,
    outcome::{MAX_BYTES, OrderResult},
};

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Results, by order, with when they were written.
    pub(crate) results: Vec<(OrderNum, OrderResult, Timestamp)>,
    /// Orders to cancel; [`OrderNum::RUN`] is the whole run.
    pub(crate) cancelled: Vec<OrderNum>,
}

/// Looks at one order's result alone.
pub(crate) async fn of_order(
    objects: Objects<'_>,
    run: &RunId,
    order: OrderNum,
    ledger: &Ledger,
    clock: Clock,
) -> Result<News, AwsError> {
    let wanted = if is_open(ledger, order) { vec![order] } else { vec![] };
    Ok(News { results: read(objects, run, wanted, clock).await?, cancelled: Vec::new() })
}

/// Looks at everything that was reported to the run.
pub(crate) async fn of_run(objects: Objects<'_>, run: &RunId, ledger: &Ledger, clock: Clock) -> Result<News, AwsError> {
    let mut wanted = Vec::new();
    let mut cancelled = Vec::new();
    for key in objects.list(&keys::callbacks(run)).await? {
        match keys::parse_callback(&key) {
            Some((_, Callback::Result(order))) if is_open(ledger, order) => wanted.push(order),
            Some((_, Callback::Cancel(order))) => cancelled.push(order),
            _ => {}
        }
    }
    Ok(News { results: read(objects, run, wanted, clock).await?, cancelled })
}

fn is_open(ledger: &Ledger, order: OrderNum) -> bool {
    ledger.get(order).is_some_and(|status| status.outcome().is_none())
}

async fn read(
    objects: Objects<'_>,
    run: &RunId,
    orders: Vec<OrderNum>,
    clock: Clock,
) -> Result<Vec<(OrderNum, OrderResult, Timestamp)>, AwsError> {
    let wanted = orders.into_iter().map(|order| (order, keys::result(run, order))).collect();
    let found = objects.get_all(wanted, MAX_BYTES).await?;
    let read = |(order, object): (OrderNum, Option<common::objects::Object>)| {
        let object = object?;
        let written_at = clock.of_machine(object.written_at);
        Some((order, OrderResult::read(&object.body, written_at), written_at))
    };
    Ok(found.into_iter().filter_map(read).collect())
}
