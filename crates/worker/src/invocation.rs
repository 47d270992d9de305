//! One invocation: from the dispatch to the result that stands.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use common::{
    aws::{Aws, AwsError},
    bundle::Manifest,
    claim::{Claim, Claims, Ending, FRESH},
    clock::{Clock, Timestamp},
    env,
    executor::Executor,
    fleet::document::Document,
    http::Http,
    ids::InstanceId,
    intake::validate::CALLBACK_URL,
    keys::Share,
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
    desk::{Desk, RoleDesk, SignedDesk},
    dispatch::Dispatch,
    fetch::{self, FetchError, Unlocked},
    leftovers::{LeftoversError, kill_leftovers},
    log::{Log, is_worth_it},
    mask::Masker,
    run::{self, Finished, RunError},
    spool::Spool,
    standing::Standing,
    stop,
    trace::Trace,
    workspace::{self, Workspace},
};

/// What the worker keeps of Lambda's time to report; it stops its commands by itself before Lambda does.
const LAMBDA_MARGIN: Duration = Duration::from_secs(20);
/// How long an answer is waited for on an instance, where a log of any size may be on its way.
const ANSWER: Duration = Duration::from_secs(60);

/// Why an invocation could not be brought to a result that stands.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A call failed before anything was run.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The order ended, and its result does not stand.
    #[error("the order ended as `{}`, and its result could not be delivered: {error}", result.status)]
    Undelivered {
        /// The result, without log and events.
        result: Box<OrderResult>,
        /// Why it does not stand.
        error: AwsError,
    },
    /// What a former invocation left cannot be cleared away, so nothing may run here.
    #[error("failed to clear this environment: {0}")]
    Leftovers(#[from] LeftoversError),
    /// Commands changed what this process may do, and with it what all later orders may.
    #[error("commands changed the limits or the priority of the worker")]
    Lowered,
    /// The machine failed.
    #[error("failed to use this machine: {0}")]
    Machine(#[from] io::Error),
}

/// Runs the order that a dispatch names, on Lambda or in a build. `by` names this invocation; `lambda_deadline` is when
/// Lambda ends it, in the machine's time.
pub async fn handle(
    aws: &Aws,
    settings: &Settings,
    dispatch: &Dispatch,
    by: &Executor,
    lambda_deadline: Option<Timestamp>,
) -> Result<Report, WorkerError> {
    let claims = Claims::new(aws, &dispatch.internal_bucket, &dispatch.run_id);
    let desk = Desk::Role(RoleDesk { claims, order: dispatch.order_num, http: &settings.http });
    let name = format!("{} of {}", dispatch.order_num, dispatch.run_id);
    let trace = Some(Trace { run: &dispatch.run_id, order: dispatch.order_num, began: settings.clock.now() });
    let invocation = Invocation { desk, settings, name, by, lambda_deadline, trace };
    let fetch = async |workspace: &Workspace| fetch::by_role(aws, settings, dispatch, workspace).await;
    Box::pin(in_workspace(settings, by, async |workspace| invocation.work(fetch(workspace).await, workspace).await))
        .await
}

/// Runs the share of an order that the dispatch document gives to this instance.
pub async fn handle_share(
    settings: &Settings,
    document: &Document,
    instance: &InstanceId,
    by: &Executor,
) -> Result<Report, WorkerError> {
    let Some(urls) = document.instances.get(instance) else {
        // A command by tag also reaches instances that came after the order was pinned.
        tracing::info!(run_id = %document.run_id, %instance, "the order is not for this instance");
        return Ok(Report::NotMine);
    };
    let http = Http::new(ANSWER).map_err(io::Error::other)?;
    let share = Share::of_instance(document.order_num, instance.clone());
    let name = format!("{share} of {}", document.run_id);
    let desk = Desk::Signed(SignedDesk { http: http.clone(), document, share, urls });
    // What an instance reaches are the URLs of its document, and a collector is none of them.
    let invocation = Invocation { desk, settings, name, by, lambda_deadline: None, trace: None };
    let fetch = async |workspace: &Workspace| fetch::by_urls(&http, document, urls, workspace).await;
    Box::pin(in_workspace(settings, by, async |workspace| invocation.work(fetch(workspace).await, workspace).await))
        .await
}

/// Gives an invocation a folder of its own and clears everything away that it leaves.
///
/// On Lambda the next order runs in the same environment and is maybe somebody else's. So there everything goes that
/// commands may have written; a build's container and an instance's folders are not the worker's to empty.
async fn in_workspace(
    settings: &Settings,
    by: &Executor,
    work: impl AsyncFnOnce(&Workspace) -> Result<Report, WorkerError>,
) -> Result<Report, WorkerError> {
    let clear = async |workspace: Option<Workspace>| {
        kill_leftovers().await?;
        settings.spool.get().map_or(Ok(()), Spool::empty)?;
        workspace.map_or(Ok(()), Workspace::remove)?;
        if matches!(by, Executor::Lambda(_)) { workspace::clear(&settings.scratch) } else { Ok(()) }
            .map_err(WorkerError::from)
    };
    clear(None).await?;
    let standing = Standing::of_worker()?;
    let workspace = Workspace::create(&settings.scratch, settings.user.as_ref())?;
    let report = work(&workspace).await;
    let cleared = clear(Some(workspace)).await;
    let unchanged = || if Standing::of_worker()? == standing { Ok(()) } else { Err(WorkerError::Lowered) };
    if let Err(error) = cleared.and_then(|()| unchanged()) {
        tracing::error!(%error, "this environment is not used again");
        // The result stands, or the watchdog will see to it: a fresh environment is worth more than a kind end.
        std::process::exit(1);
    }
    report
}

struct Invocation<'a> {
    desk: Desk<'a>,
    settings: &'a Settings,
    /// The order or share, for the log.
    name: String,
    by: &'a Executor,
    lambda_deadline: Option<Timestamp>,
    trace: Option<Trace<'a>>,
}

impl Invocation<'_> {
    async fn work(&self, fetched: Result<Unlocked, FetchError>, workspace: &Workspace) -> Result<Report, WorkerError> {
        let claim = Claim::of_worker(self.by.to_string(), self.now());
        if !self.desk.take(&claim).await? {
            tracing::info!(order = self.name, "somebody else has this order");
            return Ok(Report::NotMine);
        }
        let (result, url) = match (self.desk.ended().await, fetched) {
            (Ok(Some(ending)), _) => (self.ended(&claim, &ending), None),
            // Without a look at the order's claim nothing may run.
            (Err(error), _) => (self.unstarted(&claim, &error.to_string()), None),
            (Ok(None), Ok(unlocked)) => {
                let url = unlocked.variables.get(CALLBACK_URL).cloned();
                (Box::pin(self.run(unlocked, &claim, workspace)).await, url)
            }
            (Ok(None), Err(error)) => {
                (self.unstarted(&claim, &format!("the order could not be prepared: {error}")), None)
            }
        };
        match self.desk.deliver(&result, url.as_ref().map(ExposeSecret::expose_secret)).await {
            Ok(()) => Ok(Report::Ended(result.status)),
            Err(error) => Err(WorkerError::Undelivered { result: Box::new(result.bare()), error }),
        }
    }

    /// Runs the commands and makes the result. Never fails: what goes wrong is in the result.
    async fn run(&self, unlocked: Unlocked, claim: &Claim, workspace: &Workspace) -> OrderResult {
        let secrets = unlocked.variables.iter().filter(|(name, _)| !unlocked.plain.contains(*name));
        let secrets = secrets.map(|(name, value)| (name.clone(), value.clone()));
        let signed = unlocked.variables.get(CALLBACK_URL).map(|url| signed_parts(url.expose_secret()));
        let signed = signed.into_iter().flatten().map(|part| (CALLBACK_URL.to_owned(), part));
        let masker = Masker::new(secrets.chain(signed));
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
        if let Some(user) = &self.settings.user {
            for folder in ["code", "events", "home", "tmp"] {
                user.take_over(&workspace.path().join(folder))?;
            }
        }
        let file = workspace.path().join("output.log");
        let here;
        let spool = if cfg!(target_os = "linux") {
            Spool::of_worker(&self.settings.spool, &file)?
        } else {
            // With a name it goes with the folder.
            here = Spool::create(&file)?;
            &here
        };
        let mut capture = Capture::new(masker.clone(), spool);
        let manifest = &unlocked.manifest;
        let deadline = self.deadline(claim.at, manifest);
        let order = run::Order {
            commands: &unlocked.commands,
            dir: &unlocked.dir,
            env: &variables,
            deadline: deadline.0,
            deadline_reason: &deadline.1,
            stop_grace: Duration::from_secs(manifest.stop_grace),
            user: self.settings.user.as_ref(),
            clock: self.settings.clock,
        };
        let is_fresh = claim.at.until(self.now()) < FRESH;
        if !is_fresh && let Some(request) = self.desk.stop_request().await? {
            return Ok(self.ended(claim, &Ending::new(request.status, request.reason)));
        }
        let log = Log { desk: &self.desk, spool, clock: self.settings.clock };
        let (tell, stop) = watch::channel(None);
        let finished = tokio::select! {
            finished = run::run(&order, |chunk: &[u8]| capture.push(chunk), stop) => finished?,
            () = stop::watch_for(&self.desk, self.settings.clock, &tell) => unreachable!("watches until it is dropped"),
            () = log.refresh() => unreachable!("refreshes until it is dropped"),
        };
        capture.finish();
        if let Some(trace) = &self.trace {
            self.settings.telemetry.record(|| trace.spans(claim.at, &finished.commands));
        }
        let log_location = self.keep_log(&log, &capture, &finished).await;
        // Whatever still runs could change the folder while it is read.
        if let Err(error) = kill_leftovers().await {
            tracing::warn!(%error, "commands still run");
        }
        let mut events =
            collect(&events_dir, masker).unwrap_or_else(|error| vec![unread(&error, finished.finished_at)]);
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
            skipped: false,
            writer: Some(claim.by.clone()),
            log_truncated: Some(capture.truncated()),
            log_location,
            events,
        })
    }

    /// Puts the whole log where it is worth it; gives its key if it is there.
    async fn keep_log(&self, log: &Log<'_>, capture: &Capture<'_>, finished: &Finished) -> Option<String> {
        if !is_worth_it(capture.truncated(), finished.started_at.until(finished.finished_at)) {
            return None;
        }
        match log.put().await {
            Ok(()) => Some(self.desk.log_key()),
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
    ) -> io::Result<BTreeMap<String, SecretString>> {
        let text = |path: &Path| {
            path.to_str().map(SecretString::from).ok_or_else(|| io::Error::other("a folder's name is not UTF-8"))
        };
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), SecretString::from(self.settings.path.as_str())),
            ("HOME".to_owned(), text(&workspace.subfolder("home")?)?),
            ("TMPDIR".to_owned(), text(&workspace.subfolder("tmp")?)?),
            ("LANG".to_owned(), SecretString::from("C.UTF-8")),
        ]);
        all.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
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
        tracing::error!(order = self.name, reason, "the order cannot run");
        OrderResult {
            writer: Some(claim.by.clone()),
            started_at: Some(claim.at),
            ..OrderResult::of_engine(Outcome::Failed, reason, self.now())
        }
    }

    /// The result of what was claimed a moment after the engine had ended the order, or was asked to stop before it began.
    fn ended(&self, claim: &Claim, ending: &Ending) -> OrderResult {
        OrderResult {
            writer: Some(claim.by.clone()),
            ..OrderResult::of_engine(ending.outcome, &ending.reason, self.now())
        }
    }

    fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }
}

/// The parts of a signed URL that whoever has them may use, and that programs show by themselves: the path with its query,
/// the query, the signature, the session's token.
fn signed_parts(url: &str) -> Vec<SecretString> {
    let Some((before, query)) = url.split_once('?') else { return Vec::new() };
    let path = before.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let is_secret = |(name, _): &(&str, &str)| ["X-Amz-Signature", "X-Amz-Security-Token"].contains(name);
    let secret = query.split('&').filter_map(|pair| pair.split_once('=')).filter(is_secret);
    let values = secret.flat_map(|(_, value)| {
        let plain = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        [value.to_owned(), plain]
    });
    path.map(|path| format!("{path}?{query}"))
        .into_iter()
        .chain([query.to_owned()])
        .chain(values)
        .map(SecretString::from)
        .collect()
}

/// Why the commands could not be run or followed.
#[derive(Debug, thiserror::Error)]
enum RunFailure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("failed to use this machine: {0}")]
    Machine(#[from] io::Error),
    #[error(transparent)]
    Aws(#[from] AwsError),
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

/// The folder of events cannot be read, which is for its commands to mend, and no reason to fail what they did.
fn unread(error: &io::Error, at: Timestamp) -> WorkerEvent {
    let data = json!({"file": "", "reason": format!("the folder of events cannot be read: {}", error.kind())});
    let data = data.as_object().cloned().unwrap_or_default();
    WorkerEvent { event_type: "malformed_event".to_owned(), status: "warning".to_owned(), epoch: at, data }
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
            commands: Vec::new(),
        }
    }

    #[test]
    fn what_a_signed_url_is_worth_is_masked_in_parts() {
        let url = "https://b.s3.amazonaws.com/tmp/r/0001/result.json?X-Amz-Algorithm=AWS4-HMAC-SHA256&\
                   X-Amz-Security-Token=IQoJ%2Fb3J%2Bpz%3D%3D&X-Amz-SignedHeaders=host&X-Amz-Signature=0123abcd4567";
        let parts = signed_parts(url).into_iter().map(|part| (CALLBACK_URL.to_owned(), part));
        let masker = Masker::new(parts);
        let query = url.split_once('?').unwrap().1;
        for (shown, masked) in [
            (format!("with url: /tmp/r/0001/result.json?{query} (Caused by"), "with url: *** (Caused by"),
            (format!("?{query}"), "?***"),
            ("signature 0123abcd4567".to_owned(), "signature ***"),
            ("IQoJ/b3J+pz== IQoJ%2Fb3J%2Bpz%3D%3D".to_owned(), "*** ***"),
            ("/tmp/r/0001/result.json".to_owned(), "/tmp/r/0001/result.json"),
        ] {
            assert_eq!(masker.mask_str(&shown), masked);
        }
        assert!(signed_parts("no url").is_empty());
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
