//! Traces of runs for OpenTelemetry: one trace a run, whose spans the engine's processes send to a collector each by
//! itself, as docs/TRACING.md has it.
//!
//! ```text
//!  settings  where to, from the variables   span      what happened, and under which ids
//!  exporter  collects, sends, gives up      otlp      the form in which it is sent
//! ```
//!
//! Without a collector a [`Telemetry`] is nothing: no span is made, no id hashed, no client built. With one, nothing of
//! a run depends on it: spans are sent when the work is done, within a short time, and dropped when that fails.
//!
//! Whoever submits tells of it with two lines, once the run's id is known, and needs no AWS for that:
//!
//! ```text
//! telemetry.record(|| [Span::of(&run_id, Place::Client, began, clock.now()).failed(!accepted)]);
//! telemetry.flush(None, None).await;
//! ```

mod exporter;
mod otlp;
mod settings;
mod span;

use std::sync::Arc;

use exporter::Exporter;
pub use span::{Place, Span};

use crate::{aws::Aws, clock::Timestamp, env::Environment};

/// Where a process leaves the spans of what it did; by default nowhere.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Option<Arc<Exporter>>);

impl Telemetry {
    /// What the environment asks for; `role` says in traces which part of the engine this is. A variable that cannot be
    /// used is logged and otherwise left alone: no function stands still for its traces.
    pub fn load(environment: &Environment, role: &str) -> Self {
        let mut problems = Vec::new();
        let settings = settings::read(environment, role, &mut problems);
        for settings::Problem { variable, reason } in problems {
            tracing::warn!(variable, reason, "a variable of OpenTelemetry is not used");
        }
        Self(settings.map(|settings| Arc::new(Exporter::new(settings))))
    }

    /// Whether there is a collector.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps spans until they are sent. `spans` is only called if there is a collector.
    pub fn record<S: IntoIterator<Item = Span>>(&self, spans: impl FnOnce() -> S) {
        if let Some(exporter) = &self.0 {
            exporter.add(spans());
        }
    }

    /// Sends what was recorded, as long as that takes no longer than the settings say, and leaves enough of the time
    /// until `until` (the machine's) for an answer. A failure is logged, once a process. With `aws` headers may be in a
    /// parameter.
    pub async fn flush(&self, aws: Option<&Aws>, until: Option<Timestamp>) {
        if let Some(exporter) = &self.0 {
            Box::pin(exporter.flush(aws, until)).await;
        }
    }
}

#[cfg(test)]
mod tests;
