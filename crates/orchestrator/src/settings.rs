//! What the orchestrator needs from its environment.

use common::{
    clock::Clock,
    env::{self, BadSettings, Environment},
    stack::Function,
    target::TargetLimits,
    telemetry::Telemetry,
};

/// Settings of the orchestrator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Table of rows.
    pub orders_table: String,
    /// Table of events.
    pub order_events_table: String,
    /// Table of run items.
    pub locks_table: String,
    /// The engine's bucket.
    pub internal_bucket: String,
    /// Bucket of `done` objects.
    pub done_bucket: String,
    /// The worker function.
    pub worker_lambda: String,
    /// The CodeBuild project of the worker.
    pub codebuild_project: String,
    /// The SSM document that runs an order on an instance.
    pub ssm_document: String,
    /// ARN of the watchdog's state machine.
    pub watchdog_sfn: String,
    /// First path element of the engine's own parameters.
    pub ssm_prefix: String,
    /// Most orders of a run at once.
    pub max_parallel: TargetLimits,
    /// Seconds that events are kept.
    pub event_ttl_seconds: u64,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// Time.
    pub clock: Clock,
}

impl Settings {
    /// Reads them; all that is missing is named at once.
    pub fn load(environment: &Environment) -> Result<Self, BadSettings> {
        let clock = environment.clock()?;
        let mut reader = environment.reader();
        let settings = Self {
            orders_table: reader.text(env::ORDERS_TABLE),
            order_events_table: reader.text(env::ORDER_EVENTS_TABLE),
            locks_table: reader.text(env::LOCKS_TABLE),
            internal_bucket: reader.text(env::INTERNAL_BUCKET),
            done_bucket: reader.text(env::DONE_BUCKET),
            worker_lambda: reader.text(env::WORKER_LAMBDA),
            codebuild_project: reader.text(env::CODEBUILD_PROJECT),
            ssm_document: reader.text(env::SSM_DOCUMENT),
            watchdog_sfn: reader.text(env::WATCHDOG_SFN),
            ssm_prefix: reader.text(env::SSM_PREFIX),
            max_parallel: reader.parsed(env::MAX_PARALLEL, TargetLimits::default()),
            event_ttl_seconds: reader.parsed(env::EVENT_TTL_SECONDS, 0),
            telemetry: Telemetry::load(environment, Function::Orchestrator.name()),
            clock,
        };
        reader.finish(settings)
    }
}
