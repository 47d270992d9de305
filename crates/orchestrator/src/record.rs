//! Rows and events of what happened. Rows are written before the ledger takes the step; events before it is stored: those of
//! a whole pass together, as one that ends an order mostly starts the next.

use common::{
    clock::Timestamp,
    events::{self, Event, Kind},
    ids::OrderNum,
    keys,
    outcome::OrderResult,
    rows::Ending,
    status::Status,
    target::Target,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{PassError, pass::Pass, results::Told, trace};

/// Events that wait to be written: 20 full batches.
pub(crate) const MAX_UNWRITTEN: usize = 500;
/// Rows written at once.
pub(crate) const PARALLEL: usize = 16;

impl Pass<'_> {
    /// Records results.
    pub(crate) async fn record_results(&mut self, results: Vec<Told>) -> Result<(), PassError> {
        let this = &*self;
        let written: Vec<_> = stream::iter(&results)
            .map(|(order, result, written_at)| this.record_result(*order, result, *written_at))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        for (order, result, _) in results {
            self.step(order, Status::Ended(result.status))?;
        }
        self.tell(written.into_iter().flatten()).await
    }

    /// Takes events of steps that were taken; writes them, too, when there are many.
    pub(crate) async fn tell(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), PassError> {
        self.unwritten.extend(events);
        if self.unwritten.len() >= MAX_UNWRITTEN { self.write_events().await } else { Ok(()) }
    }

    /// Writes the events that are left. If that fails for good, the steps are taken again by the next pass from where all
    /// were written, and give the same events.
    pub(crate) async fn write_events(&mut self) -> Result<(), PassError> {
        events::write(self.aws, &self.settings.order_events_table, &self.unwritten).await?;
        self.unwritten.clear();
        self.told.clone_from(&self.ledger);
        Ok(())
    }

    async fn record_result(
        &self,
        order: OrderNum,
        result: &OrderResult,
        written_at: Timestamp,
    ) -> Result<Vec<Event>, PassError> {
        let planned = self.planned(order)?;
        if planned.target == Target::Ssm {
            // It holds secrets in clear, for no longer than the order lasts.
            self.objects().delete(&keys::dispatch(&self.item.run_id, order)).await?;
        }
        // A foreign writer may give any time or none, and S3 tells only the second: neither may lie after what follows.
        let told = result.finished_at.unwrap_or(written_at);
        let ended_at = told.min(self.now()).max(self.plan.created_at);
        let started_at = result.started_at.map(|started| started.clamp(self.plan.created_at, ended_at));
        // Nor may it lead to another order's log.
        let run = &self.item.run_id;
        let logs = [keys::log(run, order), keys::logs_of_instances(run, order)];
        let is_its_log = |location: &&str| logs.iter().any(|log| log == location);
        let ending = Ending {
            outcome: result.status,
            at: ended_at,
            started_at,
            reason: result.reason.as_deref(),
            log_location: result.log_location.as_deref().filter(is_its_log),
        };
        let is_queued = self.ledger.get(order) == Some(Status::Queued);
        let urls = self.urls(order, None)?;
        if let (true, Some(started)) = (is_queued, started_at) {
            // A worker had it, and nobody came to write down its dispatch.
            self.rows().dispatched(&self.item.run_id, order, started, urls.named()).await?;
        }
        let recorded = self.rows().ended(&self.item.run_id, order, ending, self.now()).await?;
        self.settings.telemetry.record(|| trace::order(run, (order, planned), result, recorded, self.now()));
        let mut events = self.recorder().of_result(order, &planned.name, result, recorded.ended_at);
        if let (true, Some(at)) = (is_queued, recorded.dispatched_at) {
            // Or somebody came as far as the row.
            let event = self.recorder().of_order(order, &planned.name, Kind::Dispatched, Status::Running.as_str(), at);
            events.insert(0, event.execution_url(&urls.execution));
        }
        Ok(events)
    }
}
