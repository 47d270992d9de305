//! One invocation: from the dispatch to the result that stands.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use common::{
    aws::{Aws, AwsError},
    bundle::Manifest,
    claim::{Claim, Claims},
    clock::{Clock, Timestamp},
    env, keys,
    objects::Objects,
    outcome::OrderResult,
    status::Outcome,
    worker_event::WorkerEvent,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    Report, Settings,
    capture::Capture,
    collect::collect,
    dispatch::Dispatch,
    fetch::{Unlocked, fetch},
    leftovers::{LeftoversError, kill_leftovers},
    log::{Log, is_worth_it},
    mask::Masker,
    report::deliver,
    run::{self, Finished, RunError},
    stop,
    workspace::Workspace,
};

/// What the worker keeps of Lambda's time to report; it stops its commands by itself before Lambda does.
const LAMBDA_MARGIN: Duration = Duration::from_secs(20);
/// How often an unclear claim is tried again. The nonce makes it the same claim.
const CLAIM_ATTEMPTS: usize = 5;

/// Why an invocation could not be brought to a result that stands.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// What a former invocation left cannot be cleared away, so nothing may run here.
    #[error("failed to clear this environment: {0}")]
    Leftovers(#[from] LeftoversError),
    /// The machine failed.
    #[error("failed to use this machine: {0}")]
    Machine(#[from] io::Error),
}

/// Runs the order that a dispatch names. `by` names this invocation; `lambda_deadline` is when Lambda ends it, in the
/// machine's time.
pub async fn handle(
    aws: &Aws,
    settings: &Settings,
    dispatch: &Dispatch,
    by: String,
    lambda_deadline: Option<Timestamp>,
) -> Result<Report, WorkerError> {
    kill_leftovers().await?;
    let workspace = Workspace::create(&settings.scratch)?;
    let invocation = Invocation { aws, settings, dispatch, lambda_deadline };
    let report = Box::pin(invocation.work(by, &workspace)).await;
    let cleared =
        kill_leftovers().await.map_err(WorkerError::from).and_then(|_| workspace.remove().map_err(WorkerError::from));
    if let Err(error) = cleared {
        tracing::error!(%error, "this environment is not used again");
        // The result stands, or the watchdog will see to it: a fresh environment is worth more than a kind end.
        std::process::exit(1);
    }
    report
}

struct Invocation<'a> {
    aws: &'a Aws,
    settings: &'a Settings,
    dispatch: &'a Dispatch,
    lambda_deadline: Option<Timestamp>,
}

impl Invocation<'_> {
    async fn work(&self, by: String, workspace: &Workspace) -> Result<Report, WorkerError> {
        let fetched = fetch(self.aws, self.dispatch, workspace).await;
        let claim = Claim::of_worker(by, self.now());
        if !self.claim(&claim).await? {
            tracing::info!(run_id = %self.dispatch.run_id, order_num = %self.dispatch.order_num, "somebody else has this order");
            return Ok(Report::NotMine);
        }
        let (result, url) = match fetched {
            Ok(unlocked) => {
                let url = unlocked.variables.get("CALLBACK_URL").cloned();
                (Box::pin(self.run(unlocked, &claim, workspace)).await, url)
            }
            Err(error) => (self.unstarted(&claim, &format!("the order could not be prepared: {error}")), None),
        };
        let outcome = result.status;
        let (run, order) = (&self.dispatch.run_id, self.dispatch.order_num);
        deliver(self.objects(), run, order, &result, url.as_ref().map(ExposeSecret::expose_secret)).await?;
        Ok(Report::Ended(outcome))
    }

    async fn claim(&self, claim: &Claim) -> Result<bool, AwsError> {
        let mut attempt = 1;
        loop {
            match self.claims().take(self.dispatch.order_num, claim).await {
                Err(error) if attempt == CLAIM_ATTEMPTS => return Err(error),
                Err(error) => tracing::warn!(%error, attempt, "the claim is unclear"),
                taken => return taken,
            }
            attempt += 1;
        }
    }

    /// Runs the commands and makes the result. Never fails: what goes wrong is in the result.
    async fn run(&self, unlocked: Unlocked, claim: &Claim, workspace: &Workspace) -> OrderResult {
        let secrets = unlocked.variables.iter().filter(|(name, _)| !unlocked.plain.contains(*name));
        let masker = Masker::new(secrets.map(|(name, value)| (name.clone(), value.clone())));
        match Box::pin(self.run_masked(&unlocked, &masker, claim, workspace)).await {
            Ok(result) => result,
            Err(error) => self.unstarted(claim, &masker.mask_str(&error.to_string())),
        }
    }

    async fn run_masked(
        &self,
        unlocked: &Unlocked,
        masker: &Masker,
        claim: &Claim,
        workspace: &Workspace,
    ) -> Result<OrderResult, RunFailure> {
        let events_dir = workspace.subfolder("events")?;
        let variables = self.environment(&unlocked.variables, &events_dir, workspace)?;
        let file = workspace.path().join("output.log");
        let mut capture = Capture::create(masker.clone(), &file)?;
        let manifest = &unlocked.manifest;
        let deadline = self.deadline(claim.at, manifest);
        let order = run::Order {
            commands: &unlocked.commands,
            dir: &unlocked.dir,
            env: &variables,
            deadline: deadline.0,
            deadline_reason: &deadline.1,
            stop_grace: Duration::from_secs(manifest.stop_grace),
            clock: self.settings.clock,
        };
        let log = Log {
            objects: self.objects(),
            key: keys::log(&self.dispatch.run_id, self.dispatch.order_num),
            file,
            clock: self.settings.clock,
        };
        let (tell, stop) = watch::channel(None);
        let spooled = AtomicU64::new(0);
        let output = |chunk: &[u8]| {
            capture.push(chunk);
            spooled.store(capture.spooled(), Ordering::Relaxed);
        };
        let finished = tokio::select! {
            finished = run::run(&order, output, stop) => finished?,
            () = stop::watch_for(self.claims(), self.dispatch.order_num, self.settings.clock, &tell) => unreachable!("watches until it is dropped"),
            () = log.refresh(&spooled) => unreachable!("refreshes until it is dropped"),
        };
        capture.finish();
        let log_location = self.keep_log(&log, &capture, &finished).await;
        let mut events = collect(&events_dir, masker)?;
        events.extend(masker.too_short().iter().map(|name| too_short(name, finished.finished_at)));
        let log_incomplete = capture.spool_error().map(|error| format!("the whole log ends early: {error}"));
        Ok(OrderResult {
            status: finished.status,
            log: capture.text(),
            schema_version: Some(1),
            reason: reason(&finished, &unlocked.commands).map(|reason| masker.mask_str(&reason)).or(log_incomplete),
            exit_code: finished.exit_code,
            failed_command: finished.failed_command,
            started_at: Some(finished.started_at),
            finished_at: Some(finished.finished_at),
            writer: Some(claim.by.clone()),
            log_truncated: Some(capture.truncated()),
            log_location,
            events,
        })
    }

    /// Puts the whole log where it is worth it; gives its key if it is there.
    async fn keep_log(&self, log: &Log<'_>, capture: &Capture, finished: &Finished) -> Option<String> {
        if !is_worth_it(capture.truncated(), finished.started_at.until(finished.finished_at)) {
            return None;
        }
        match log.put().await {
            Ok(()) => Some(log.key.clone()),
            Err(error) => {
                tracing::error!(%error, "the whole log is not kept");
                None
            }
        }
    }

    /// The whole environment of the commands, built from nothing.
    fn environment(
        &self,
        variables: &BTreeMap<String, SecretString>,
        events_dir: &Path,
        workspace: &Workspace,
    ) -> io::Result<BTreeMap<String, String>> {
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| io::Error::other("a folder's name is not UTF-8"))
        };
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), self.settings.path.clone()),
            ("HOME".to_owned(), text(&workspace.subfolder("home")?)?),
            ("TMPDIR".to_owned(), text(&workspace.subfolder("tmp")?)?),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]);
        all.extend(variables.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
        all.insert(env::EVENTS_DIR.name.to_owned(), text(events_dir)?);
        Ok(all)
    }

    /// One deadline over all commands, and what to say at it: the order's timeout or the job's deadline, and before
    /// Lambda's own.
    fn deadline(&self, claimed_at: Timestamp, manifest: &Manifest) -> (Timestamp, String) {
        let timeout = Duration::from_secs(manifest.timeout);
        let order = (claimed_at.plus(timeout), format!("its timeout of {} s is over", manifest.timeout));
        let job = (manifest.deadline, "the job's time is over".to_owned());
        let lambda = self.lambda_deadline.map(|ends| {
            let left = Clock::REAL.now().until(ends) * self.settings.clock.factor();
            let kept = LAMBDA_MARGIN + Duration::from_secs(manifest.stop_grace);
            (self.now().plus(left.saturating_sub(kept)), "the time of its Lambda invocation is over".to_owned())
        });
        [Some(order), Some(job), lambda].into_iter().flatten().min_by_key(|(at, _)| *at).unwrap_or_default()
    }

    /// The result of an order none of whose commands ran to an end that is known.
    fn unstarted(&self, claim: &Claim, reason: &str) -> OrderResult {
        tracing::error!(run_id = %self.dispatch.run_id, order_num = %self.dispatch.order_num, reason, "the order cannot run");
        OrderResult {
            writer: Some(claim.by.clone()),
            started_at: Some(claim.at),
            ..OrderResult::of_engine(Outcome::Failed, reason, self.now())
        }
    }

    fn objects(&self) -> Objects<'_> {
        Objects::new(self.aws, &self.dispatch.internal_bucket)
    }

    fn claims(&self) -> Claims<'_> {
        Claims::new(self.objects(), &self.dispatch.run_id)
    }

    fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }
}

/// Why the commands could not be run or followed.
#[derive(Debug, thiserror::Error)]
enum RunFailure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("failed to use this machine: {0}")]
    Machine(#[from] io::Error),
}

/// Why the order did not succeed, in a sentence.
fn reason(finished: &Finished, commands: &[String]) -> Option<String> {
    let number = finished.failed_command.map_or(0, |index| index + 1);
    let command = || format!("command {number} of {}", commands.len());
    match (finished.status, &finished.reason) {
        (Outcome::Succeeded, _) => None,
        (_, Some(reason)) => Some(format!("{} was stopped: {reason}", command())),
        (_, None) => Some(match finished.exit_code {
            Some(code) if code > 128 => format!("{} was ended by signal {}", command(), code - 128),
            Some(code) => format!("{} exited with {code}", command()),
            None => format!("{} did not run", command()),
        }),
    }
}

/// A secret that is too short to be masked without masking half of the log.
fn too_short(name: &str, at: Timestamp) -> WorkerEvent {
    let data = json!({"variable": name, "message": "its value is shorter than 4 characters and is not masked in logs"});
    let data = data.as_object().cloned().unwrap_or_default();
    WorkerEvent { event_type: "secret_not_masked".to_owned(), status: "warning".to_owned(), epoch: at, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(status: Outcome, exit_code: Option<i32>, reason: Option<&str>) -> Finished {
        let at = Timestamp::from_secs(1);
        Finished {
            status,
            exit_code,
            failed_command: Some(1),
            reason: reason.map(str::to_owned),
            started_at: at,
            finished_at: at,
        }
    }

    #[test]
    fn the_reason_names_the_command() {
        let commands = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let told = |status, code, text| reason(&finished(status, code, text), &commands);
        assert_eq!(told(Outcome::Failed, Some(3), None).unwrap(), "command 2 of 3 exited with 3");
        assert_eq!(told(Outcome::Failed, Some(139), None).unwrap(), "command 2 of 3 was ended by signal 11");
        assert_eq!(
            told(Outcome::TimedOut, Some(130), Some("the time is over")).unwrap(),
            "command 2 of 3 was stopped: the time is over"
        );
        assert_eq!(told(Outcome::Succeeded, Some(0), None), None);
    }
}
