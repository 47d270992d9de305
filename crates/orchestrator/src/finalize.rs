//! The end of a run: `done` is written, once, then the job's last event; the commit as `completed` and the deletion of
//! the key follow in [`crate::pass`].

use common::{
    events::{self, Kind},
    graph,
    ids::OrderNum,
    keys,
    objects::{First, Objects},
    status::Outcome,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{PassError, pass::Pass, trace};

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
        let stands = match objects.put_first(&key, bytes).await? {
            First::Theirs(stands) => Some(stands),
            // When it was written, only reading tells.
            First::Mine => objects.get(&key, MAX_BYTES).await?,
        };
        let stands = stands.ok_or_else(|| PassError::Stored("`done` vanished".to_owned()))?;
        let done: Done =
            serde_json::from_slice(&stands.body).map_err(|error| PassError::Stored(format!("`done`: {error}")))?;
        let event = self.recorder().of_job(Kind::JobCompleted, done.status.as_str(), stands.written_at);
        let event = event.summary(Value::Object(done.summary), &self.plan.done_endpt);
        events::write(self.aws, &self.settings.order_events_table, &[event]).await?;
        self.settings.telemetry.record(|| [trace::run(&self.plan, stands.written_at, done.status)]);
        tracing::info!(run_id = %run, status = %done.status, "the run ended");
        Ok(())
    }

    async fn job_status(&self) -> Result<Outcome, PassError> {
        let run_cancelled = self.ledger.count(Outcome::Cancelled) > 0
            && self.objects().exists(&keys::cancel(&self.item.run_id, OrderNum::RUN)).await?;
        let is_late = self.now() >= self.plan.deadline;
        Ok(graph::job_status(&self.nodes, &self.ledger, run_cancelled, is_late))
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
