//! Dispatch: the order's watchdog first, then its target, then row and event.
//!
//! The watchdog exists before the target starts, so nothing runs that nobody would time out. How each target is started is
//! in [`crate::start`].

use common::{
    aws::Class,
    claim::{Ended, Ending},
    clock::Timestamp,
    events::Kind,
    ids::OrderNum,
    keys,
    status::{Outcome, Status},
    watchdog::{self, Watch},
};
use futures::{StreamExt as _, stream};

use crate::{PassError, pass::Pass, record::PARALLEL, trace};

/// Dispatches between two checkpoints of the ledger.
const CHECKPOINT: usize = 200;

/// The worker stops at its timeout by itself; a look this much later finds its report.
const LOOK_AFTER_SECS: u64 = 5;

/// What came of one dispatch.
enum Dispatched {
    /// The target has it. Since when, unless it has ended in the meantime and was never said to be dispatched.
    Yes(Option<Timestamp>, Urls),
    /// Not now; the tick tries again.
    Later,
    /// Never, for this reason.
    Refused(String),
}

/// Where a person sees the order run.
pub(crate) struct Urls {
    pub(crate) execution: String,
    watchdog: String,
}

impl Urls {
    pub(crate) fn named(&self) -> [(&str, &str); 2] {
        [("execution_url", &self.execution), ("step_function_url", &self.watchdog)]
    }
}

impl Pass<'_> {
    /// Dispatches orders by index. Gives whether an order ended on the way, so that the graph must be looked at again.
    pub(crate) async fn dispatch_all(&mut self, ready: &[usize]) -> Result<bool, PassError> {
        let mut any_ended = false;
        for (number, chunk) in ready.chunks(CHECKPOINT).enumerate() {
            if number > 0 {
                self.checkpoint().await?;
            }
            if self.budget.is_spent() {
                return Ok(any_ended);
            }
            any_ended |= self.dispatch_chunk(chunk).await?;
        }
        Ok(any_ended)
    }

    async fn dispatch_chunk(&mut self, chunk: &[usize]) -> Result<bool, PassError> {
        let this = &*self;
        let dispatched: Vec<_> = stream::iter(chunk.iter().map(|index| OrderNum::of_index(*index)))
            .map(|order| async move { (order, this.dispatch(order).await) })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut events = Vec::new();
        let mut running = Vec::new();
        let mut refused = Vec::new();
        let mut failure = None;
        for (order, result) in dispatched {
            match result {
                Ok(Dispatched::Yes(at, urls)) => {
                    let name = &self.planned(order)?.name;
                    let status = Status::Running.as_str();
                    let event = at.map(|at| self.recorder().of_order(order, name, Kind::Dispatched, status, at));
                    events.extend(event.map(|event| event.execution_url(&urls.execution)));
                    running.push(order);
                }
                Ok(Dispatched::Later) => {}
                Ok(Dispatched::Refused(reason)) => refused.push((order, reason)),
                // The others of the chunk are written down all the same.
                Err(error) => failure = Some(error),
            }
        }
        for order in running {
            self.step(order, Status::Running)?;
        }
        self.tell(events).await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut ended = Vec::new();
        for (order, reason) in refused {
            let ending = Ending::new(Outcome::Failed, reason);
            if let Ended::Yes(result, written_at) = self.end_order(order, &ending).await? {
                ended.push((order, result, written_at));
            }
        }
        let any_ended = !ended.is_empty();
        self.record_results(ended).await?;
        Ok(any_ended)
    }

    async fn dispatch(&self, order: OrderNum) -> Result<Dispatched, PassError> {
        let began = self.now();
        let dispatched = self.start(order).await;
        let planned = self.planned(order)?;
        self.settings.telemetry.record(|| {
            let ended = match &dispatched {
                Ok(Dispatched::Yes(..)) => "dispatched",
                Ok(Dispatched::Refused(_)) => "refused",
                Ok(Dispatched::Later) | Err(_) => "later",
            };
            [trace::dispatch(&self.item.run_id, &self.me, (order, planned), (began, self.now()), ended)]
        });
        dispatched
    }

    async fn start(&self, order: OrderNum) -> Result<Dispatched, PassError> {
        let planned = self.planned(order)?;
        let watch = Watch {
            run_id: self.item.run_id.clone(),
            order_num: order,
            timeout: planned.timeout,
            start_timeout: planned.start_timeout,
            stop_grace: planned.stop_grace,
            start_time: self.now().secs(),
            internal_bucket: self.settings.internal_bucket.clone(),
            result_key: keys::watched(&self.item.run_id, order),
            locks_table: self.settings.locks_table.clone(),
            target: planned.target,
            wait_seconds: planned.start_timeout.min(planned.timeout + LOOK_AFTER_SECS),
        };
        let started = watchdog::start(self.aws, &self.settings.watchdog_sfn, &self.plan.submit_id, &watch).await;
        let started = match started {
            // When it was first tried, also if this is a repeat: a worker may have ended in between.
            Ok(at) => self.start_target(order).await.map(|execution| (at, execution)),
            Err(error) => Err(error),
        };
        let (at, execution) = match started {
            Ok(started) => started,
            Err(error) if error.class == Class::Refused => {
                return Ok(Dispatched::Refused(format!("it could not be started: {error}")));
            }
            Err(error) => {
                tracing::warn!(%error, %order, "is not dispatched yet; the tick tries again");
                return Ok(Dispatched::Later);
            }
        };
        let urls = self.urls(order, Some(execution))?;
        let at = self.rows().dispatched(&self.item.run_id, order, at, urls.named()).await?;
        Ok(Dispatched::Yes(at, urls))
    }

    /// Where a person sees the order run. `execution` is known from its dispatch; without it the target as a whole is shown.
    pub(crate) fn urls(&self, order: OrderNum, execution: Option<String>) -> Result<Urls, PassError> {
        let name = keys::execution(&self.item.run_id, order, &self.plan.submit_id);
        let target = self.planned(order)?.target;
        Ok(Urls {
            execution: execution.unwrap_or_else(|| self.execution_url(target)),
            watchdog: watchdog::console_url(&self.settings.watchdog_sfn, &name),
        })
    }
}
