//! The task of the watchdog's state machine, one look at an order or one tick of a run; and what is told of workers that
//! are gone.
//!
//! ```text
//!  order 0001…   result? ─yes─▶ done      facts ─▶ decide ─▶ wait, end the order (through its claim), or done
//!  order 0000    run completed? ─yes─▶ delete the key, done      else wake the orchestrator, wait
//!  a build, a command or an invocation ended ─▶ result? ─yes─▶ nothing
//!                                                └─no─▶ end the order, if the claim names that very one or nobody
//! ```
//!
//! [`decide`] is pure; [`look`], [`tick`] and [`lost`] read the facts and perform.

pub mod decide;
mod event;
mod look;
mod lost;
mod tick;

use common::{
    aws::{Aws, AwsError},
    clock::Clock,
    env::{self, BadSettings, Environment},
    watchdog::Look,
};
pub use event::{BadEvent, Event};

/// What the function needs from its environment; buckets and tables come with each execution's input.
#[derive(Clone, Debug)]
pub struct Settings {
    /// First path element of the engine's own parameters.
    pub ssm_prefix: String,
    /// The engine's bucket, for events that do not name it.
    pub internal_bucket: String,
    /// Time.
    pub clock: Clock,
}

impl Settings {
    /// Reads them.
    pub fn load(environment: &Environment) -> Result<Self, BadSettings> {
        let clock = environment.clock()?;
        let mut reader = environment.reader();
        let settings = Self {
            ssm_prefix: reader.text(env::SSM_PREFIX),
            internal_bucket: reader.text(env::INTERNAL_BUCKET),
            clock,
        };
        reader.finish(settings)
    }
}

/// Handles one event; the state machine reads the look that it gives.
pub async fn handle(aws: &Aws, settings: &Settings, event: &Event) -> Result<Look, AwsError> {
    match event {
        Event::Watch(watch) if watch.order_num.index().is_none() => tick::tick(aws, settings, watch).await,
        Event::Watch(watch) => look::look(aws, settings, watch).await,
        Event::Build(build) => lost::end(aws, settings, lost::codebuild::lost(build)).await,
        Event::Command(command) => lost::end(aws, settings, lost::run_command::lost(aws, command).await?).await,
        Event::Invocation(invocation) => lost::end(aws, settings, Some(lost::lambda::lost(invocation))).await,
        Event::Other(kind) => {
            tracing::debug!(kind, "concerns nothing here");
            Ok(Look::DONE)
        }
    }
}
