//! How a pass ends orders: always through their claims. Cancelling, and the job's deadline.

use std::time::Duration;

use common::{
    claim::{Ended, Ending},
    fleet,
    ids::OrderNum,
    status::Outcome,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{PassError, pass::Pass, record::PARALLEL, results::told};

/// Orders that are ended between two looks at the time that is left.
const CHUNK: usize = 500;

impl Pass<'_> {
    /// Cancels what was asked for.
    pub(crate) async fn apply_cancellations(&mut self, cancelled: &[OrderNum]) -> Result<(), PassError> {
        let whole_run = cancelled.contains(&OrderNum::RUN);
        let reason = if whole_run { "the run was cancelled" } else { "the order was cancelled" };
        let chosen: Vec<OrderNum> = if whole_run { self.numbers().collect() } else { cancelled.to_vec() };
        self.end_all(chosen, &Ending::new(Outcome::Cancelled, reason)).await
    }

    /// Times everything out: the job's time is over.
    pub(crate) async fn apply_deadline(&mut self) -> Result<(), PassError> {
        let seconds = self.plan.created_at.until(self.plan.deadline).as_secs();
        let reason = format!("the job's time of {seconds} s is over");
        self.end_all(self.numbers().collect(), &Ending::new(Outcome::TimedOut, reason)).await
    }

    /// Ends those of the orders that have not ended, each through its claim.
    ///
    /// Also those that still wait for others. Whether one was dispatched cannot be told from the ledger: a pass that died,
    /// or lost its lease, may have seen what it waits for fail, and so may have dispatched it. And without something that
    /// stands the next pass could come to another end, when what it waits for has ended in the meantime.
    pub(crate) async fn end_all(&mut self, orders: Vec<OrderNum>, ending: &Ending) -> Result<(), PassError> {
        let open = |order: &OrderNum| self.ledger.get(*order).is_some_and(|status| status.outcome().is_none());
        let each = orders.into_iter().filter(open).map(|order| (order, ending.clone())).collect();
        self.end_each(each).await
    }

    /// Ends orders through their claims, each as it is to end; as many as there is time for.
    pub(crate) async fn end_each(&mut self, orders: Vec<(OrderNum, Ending)>) -> Result<(), PassError> {
        for chunk in orders.chunks(CHUNK) {
            if self.budget.is_spent() {
                break;
            }
            self.end_chunk(chunk).await?;
        }
        Ok(())
    }

    async fn end_chunk(&mut self, orders: &[(OrderNum, Ending)]) -> Result<(), PassError> {
        let this = &*self;
        let ended: Vec<_> = stream::iter(orders)
            .map(|(order, ending)| async move { Ok::<_, PassError>((*order, this.end_order(*order, ending).await?)) })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let results = ended.into_iter().filter_map(|(order, ended)| match ended {
            Ended::Yes(result, written_at) => Some(told(order, result, written_at)),
            // Its worker reports, or a later look finds that it did not.
            Ended::Stopping(_) => None,
        });
        self.record_results(results.collect()).await
    }

    /// Ends one order through its claim.
    pub(crate) async fn end_order(&self, order: OrderNum, ending: &Ending) -> Result<Ended, PassError> {
        let planned = self.planned(order)?;
        let grace = Duration::from_secs(planned.stop_grace);
        Ok(fleet::end_order(self.claims(), order, planned.target, grace, ending, self.now()).await?)
    }
}
