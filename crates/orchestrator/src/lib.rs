//! The orchestrator: one wake-up of one run.
//!
//! ```text
//!  S3 event ─▶ lease ──live──▶ deposit the wake-up, go home
//!                │ mine
//!                ▼
//!            ┌▶ results ─▶ record ─▶ stop ─▶ evaluate ─▶ dispatch ─▶ finalize ─▶ commit ─▶ home
//!            │  (what      (rows,    (cancel, (graph)    (watchdog,  (when all    │
//!            │   ended)     events)   deadline)           target)     ended)      │
//!            └───────────────────── news came in meanwhile ◀──────────────────────┘
//! ```
//!
//! The ledger in memory only ever holds steps that were performed to their end, so it can be saved at any moment. Every
//! step can be repeated: a pass that dies anywhere is done again by the next one. Why the lease and the counter of news
//! are safe is told in [`common::run_item`].

mod dispatch;
mod finalize;
mod lease;
mod pass;
mod record;
mod results;
mod settings;
mod start;
mod stop;
mod trace;

use std::time::Duration;

use aws_lambda_events::event::s3::S3Event;
use common::{
    aws::{Aws, AwsError},
    clock::{Clock, Timestamp},
    ids::RunId,
    keys::{self, Callback},
};
pub use settings::Settings;

/// Why a pass could not be brought to its end. The run is in order: the next wake-up does it again.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// What is stored cannot be: a newer version wrote it, or it was damaged.
    #[error("failed to work on the run: {0}")]
    Stored(String),
}

/// What is left at the end of an invocation to give up the lease and wake the next one.
const MARGIN: Duration = Duration::from_secs(10);

/// Handles one notification. `deadline` is when Lambda ends the invocation, in the machine's time.
pub async fn handle(aws: &Aws, settings: &Settings, event: S3Event, deadline: Timestamp) -> Result<(), PassError> {
    for (run, callback) in callbacks(event) {
        let budget = Budget { clock: settings.clock, deadline };
        pass::wake(aws, settings, &run, &callback, budget).await?;
    }
    Ok(())
}

/// The callbacks that a notification tells of; whatever else it tells of is passed over.
pub fn callbacks(event: S3Event) -> impl Iterator<Item = (RunId, Callback)> {
    event.records.into_iter().filter_map(|record| {
        let object = record.s3.object;
        let key = object.url_decoded_key.or(object.key)?;
        let callback = keys::parse_callback(&key);
        if callback.is_none() {
            tracing::debug!(key, "is no callback");
        }
        callback
    })
}

/// How long this invocation may still work.
#[derive(Clone, Copy, Debug)]
struct Budget {
    clock: Clock,
    deadline: Timestamp,
}

impl Budget {
    /// Whether it is time to hand over.
    fn is_spent(self) -> bool {
        Clock::REAL.now().plus(self.clock.machine(MARGIN)) >= self.deadline
    }
}

/// Whether a callback is about one order, so that a pass may look at that alone.
fn is_narrow(callback: &Callback) -> bool {
    match callback {
        Callback::Result(_) | Callback::Instance(..) => true,
        Callback::Wake | Callback::Cancel(_) => false,
    }
}
