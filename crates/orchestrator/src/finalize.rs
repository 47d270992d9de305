//! The end of a run: `done` is written, once, then the job's last event; the commit as `completed` and the deletion of
//! the key follow in [`crate::pass`].

use common::{
    events::{self, Kind},
    ids::OrderNum,
    keys,
    objects::Objects,
    status::{Outcome, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{PassError, pass::Pass};

/// `done`: `{"status", "summary"}`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    status: Outcome,
    summary: Map<String, Value>,
}

/// `done` is far smaller.
const MAX_BYTES: usize = 64 * 1024;

impl Pass<'_> {
    /// Writes `done` and the job's last event. The `done` that stands decides, whoever wrote it.
    pub(crate) async fn finalize(&self) -> Result<(), PassError> {
        let run = &self.item.run_id;
        let done = Done { status: self.job_status().await?, summary: self.summary() };
        let bytes = serde_json::to_vec(&done).map_err(|error| PassError::Stored(error.to_string()))?;
        let objects = Objects::new(self.aws, &self.settings.done_bucket);
        let key = keys::done(run);
        objects.put_first(&key, bytes).await?;
        let stands = objects.get(&key, MAX_BYTES).await?;
        let stands = stands.ok_or_else(|| PassError::Stored("`done` vanished".to_owned()))?;
        let done: Done =
            serde_json::from_slice(&stands.body).map_err(|error| PassError::Stored(format!("`done`: {error}")))?;
        let event = self.recorder().of_job(Kind::JobCompleted, done.status.as_str(), stands.written_at);
        let event = event.summary(Value::Object(done.summary), &self.plan.done_endpt);
        events::write(self.aws, &self.settings.order_events_table, vec![event]).await?;
        tracing::info!(run_id = %run, status = %done.status, "the run ended");
        Ok(())
    }

    /// The job's status, by the contract.
    async fn job_status(&self) -> Result<Outcome, PassError> {
        let cancelled = self.ledger.count(Outcome::Cancelled) > 0;
        if cancelled && self.objects().exists(&keys::cancel(&self.item.run_id, OrderNum::RUN)).await? {
            return Ok(Outcome::Cancelled);
        }
        let is_late = self.now() >= self.plan.deadline;
        Ok(self.status_of_orders(is_late))
    }

    fn status_of_orders(&self, is_late: bool) -> Outcome {
        let orders = || self.ledger.statuses().iter().zip(&self.plan.orders);
        let of_needed =
            |outcome| orders().any(|(status, order)| order.must_succeed && *status == Status::Ended(outcome));
        if of_needed(Outcome::TimedOut) || (is_late && self.ledger.count(Outcome::TimedOut) > 0) {
            Outcome::TimedOut
        } else if of_needed(Outcome::Failed) || of_needed(Outcome::Cancelled) {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        }
    }

    fn summary(&self) -> Map<String, Value> {
        let mut summary = Map::new();
        for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled] {
            let count = self.ledger.count(outcome);
            if count > 0 || outcome != Outcome::Cancelled {
                summary.insert(outcome.as_str().to_owned(), count.into());
            }
        }
        summary
    }
}
