//! Dispatch: the order's watchdog first, then its target, then row and event.
//!
//! The watchdog exists before the target starts, so nothing runs that nobody would time out. The payload is the same on
//! every repeat, and the worker's claim makes a repeat harmless.

use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use common::{
    aws::{AwsError, Class},
    claim::{Ended, Ending},
    clock::Timestamp,
    events::{self, Kind},
    ids::OrderNum,
    keys,
    status::{Outcome, Status},
    target::Target,
    watchdog::{self, Watch},
};
use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::{PassError, pass::Pass, record::PARALLEL};

/// Dispatches between two checkpoints of the ledger.
const CHECKPOINT: usize = 200;

/// The worker stops at its timeout by itself; a look this much later finds its report.
const LOOK_AFTER_SECS: u64 = 5;

/// What came of one dispatch.
enum Dispatched {
    /// The target has it.
    Yes(Timestamp),
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
                Ok(Dispatched::Yes(at)) => {
                    let name = &self.planned(order)?.name;
                    let event = self.recorder().of_order(order, name, Kind::Dispatched, Status::Running.as_str(), at);
                    events.push(event.execution_url(&self.urls(order).execution));
                    running.push(order);
                }
                Ok(Dispatched::Later) => {}
                Ok(Dispatched::Refused(reason)) => refused.push((order, reason)),
                // The others of the chunk are written down all the same.
                Err(error) => failure = Some(error),
            }
        }
        events::write(self.aws, &self.settings.order_events_table, events).await?;
        for order in running {
            self.step(order, Status::Running)?;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut ended = Vec::new();
        for (order, reason) in refused {
            let ending = Ending { outcome: Outcome::Failed, reason };
            if let Ended::Yes(result, written_at) = self.end_order(order, &ending).await? {
                ended.push((order, result, written_at));
            }
        }
        let any_ended = !ended.is_empty();
        self.record_results(ended).await?;
        Ok(any_ended)
    }

    async fn dispatch(&self, order: OrderNum) -> Result<Dispatched, PassError> {
        let planned = self.planned(order)?;
        let at = self.now();
        let watch = Watch {
            run_id: self.item.run_id.clone(),
            order_num: order,
            timeout: planned.timeout,
            start_timeout: planned.start_timeout,
            stop_grace: planned.stop_grace,
            start_time: at.secs(),
            internal_bucket: self.settings.internal_bucket.clone(),
            locks_table: self.settings.locks_table.clone(),
            wait_seconds: planned.start_timeout.min(planned.timeout + LOOK_AFTER_SECS),
        };
        let started = watchdog::start(self.aws, &self.settings.watchdog_sfn, &self.plan.submit_id, &watch).await;
        let started = match started {
            Ok(()) => self.start_target(order).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => {}
            Err(error) if error.class == Class::Refused => {
                return Ok(Dispatched::Refused(format!("it could not be started: {error}")));
            }
            Err(error) => {
                tracing::warn!(%error, %order, "is not dispatched yet; the tick tries again");
                return Ok(Dispatched::Later);
            }
        }
        let urls = self.urls(order);
        Ok(Dispatched::Yes(self.rows().dispatched(&self.item.run_id, order, at, urls.named()).await?))
    }

    async fn start_target(&self, order: OrderNum) -> Result<(), AwsError> {
        let planned = self.planned(order).map_err(|error| AwsError::refused("start the target", error.to_string()))?;
        match planned.target {
            Target::Lambda => {
                let bucket = &self.settings.internal_bucket;
                let payload = json!({
                    "s3_location": format!("s3://{bucket}/{}", keys::bundle(&self.item.run_id, order)),
                    "internal_bucket": bucket,
                    "sops_key_ssm_path": self.plan.sops_key_ssm_path,
                    "run_id": self.item.run_id,
                    "order_num": order,
                    "bundle_sha256": planned.bundle_sha256,
                });
                let request = self
                    .aws
                    .lambda()
                    .invoke()
                    .function_name(&self.settings.worker_lambda)
                    .invocation_type(InvocationType::Event)
                    .payload(Blob::new(payload.to_string()));
                request.send().await.map(drop).map_err(|error| AwsError::of("invoke the worker", error))
            }
            // Submission refuses these; a plan of a later release would be left alone by its version.
            Target::Codebuild | Target::Ssm => {
                Err(AwsError::refused("start the target", format!("this release has no `{}` orders", planned.target)))
            }
        }
    }

    /// Where a person sees the order run.
    pub(crate) fn urls(&self, order: OrderNum) -> Urls {
        let region = self.aws.config().region().map_or("us-east-1", |region| region.as_ref());
        let function = self.settings.worker_lambda.rsplit(':').next().unwrap_or_default();
        let name = keys::execution(&self.item.run_id, order, &self.plan.submit_id);
        Urls {
            execution: format!(
                "https://{region}.console.aws.amazon.com/lambda/home?region={region}#/functions/{function}?tab=monitoring"
            ),
            watchdog: watchdog::console_url(&self.settings.watchdog_sfn, &name),
        }
    }
}
