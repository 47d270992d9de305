//! Outcomes that no worker reports: a build, a command or an invocation ended, and there may be no result. Then the order
//! ends now and not at its timeout, but only if its claim names that very one, or nobody.

pub(crate) mod codebuild;
pub(crate) mod lambda;
pub(crate) mod run_command;

use std::time::Duration;

use common::{
    aws::{Aws, AwsError},
    claim::{Claims, Ending, FRESH},
    clock::Timestamp,
    executor::Executor,
    ids::RunId,
    keys::{self, Share},
    outcome::OrderResult,
    status::Outcome,
    watchdog::Look,
    worker_exit::WorkerExit,
};

use crate::Settings;

/// What is known of a worker that is gone.
#[derive(Debug, PartialEq)]
pub(crate) struct Lost {
    pub(crate) run: RunId,
    pub(crate) share: Share,
    pub(crate) by: Executor,
    /// What the worker itself could still tell.
    pub(crate) told: Option<Told>,
    /// What the order ends as without that.
    pub(crate) otherwise: Ending,
}

/// What a worker that could not deliver its result told on another way.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    /// Its exit code.
    Exit(Outcome),
    /// The result without log and events, as JSON.
    Result(String),
}

/// Ends the order, if it has no result.
pub(crate) async fn end(aws: &Aws, settings: &Settings, lost: Option<Lost>) -> Result<Look, AwsError> {
    let Some(lost) = lost else { return Ok(Look::DONE) };
    let claims = Claims::new(aws, &settings.internal_bucket, &lost.run);
    if claims.objects().exists(&keys::result(&lost.run, lost.share.clone())).await? {
        return Ok(Look::DONE);
    }
    let by = lost.by.to_string();
    if let Executor::Lambda(_) = lost.by {
        // Deliveries of one event share their request id: the one that failed may have been turned away by the claim of
        // another, which is about to begin.
        let claim = claims.get(&lost.share).await?.filter(|claim| claim.by == by);
        let since = claim.map_or(Duration::MAX, |claim| claim.at.until(settings.clock.now()));
        settings.clock.sleep((2 * FRESH).saturating_sub(since)).await;
    }
    let now = settings.clock.now();
    let told = lost.told.as_ref().map(|told| told.result(&by, now));
    if claims.lost(&lost.share, &by, told, &lost.otherwise, now).await?.is_some() {
        tracing::warn!(run_id = %lost.run, order = %lost.share, by, reason = lost.otherwise.reason, "a worker is gone");
    } else {
        tracing::info!(run_id = %lost.run, order = %lost.share, by, "another worker has this order");
    }
    Ok(Look::DONE)
}

impl Told {
    fn result(&self, by: &str, now: Timestamp) -> OrderResult {
        let undelivered = "its worker could not deliver the result and its log";
        match self {
            Self::Exit(outcome) => OrderResult {
                writer: Some(by.to_owned()),
                ..OrderResult::of_engine(*outcome, &format!("{undelivered}; its exit code tells the outcome"), now)
            },
            Self::Result(text) => {
                let mut result = OrderResult::read(text.as_bytes(), now);
                let reason = result.reason.map_or_else(String::new, |reason| format!("{reason}; "));
                result.reason = Some(format!("{reason}{undelivered}"));
                result
            }
        }
    }
}

/// What an exit code tells, if its worker could not deliver a result.
fn told_by_exit(code: Option<i64>) -> Option<Told> {
    WorkerExit::undelivered(code?).map(Told::Exit)
}
