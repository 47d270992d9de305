//! `aws-exe run JOB`: starts the embedded AWS, submits the job over HTTP like any client, shows it while it runs, and
//! ends with its summary, the logs of what failed, and an exit code.
//!
//! ```text
//!  submit ─▶ observe (rows, done) ─▶ Update ─▶ view: live lines | plain lines | JSON
//!               ▲
//!  Ctrl-C ─▶ cancel the run, go on observing until it ended; once more ─▶ end at once
//! ```

mod live;
mod observe;
mod plain;
mod submit;
mod view;

use common::{
    aws::Aws,
    env::Environment,
    ids::{OrderNum, RunId, fresh_nonce},
    intake::kick_off::WAKE,
    keys,
    objects::Objects,
    run_item::{RunItems, RunStatus},
    stack::Stack,
    status::Outcome,
};
use local::EmbeddedAws;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    args::RunArgs,
    embedded::{self, Wanted},
    exit::{Exit, Failure},
    job_file, remote,
    state::told,
};
use observe::Observer;
use view::View;

/// Runs a job.
pub(crate) async fn run(args: RunArgs) -> Result<Exit, Failure> {
    let environment = Environment::of_process();
    let job = job_file::read(args.job.as_deref(), &environment)?;
    let named = |option: &'static str, texts: &[String]| {
        texts.iter().map(|text| embedded::named_value(option, text, &environment)).collect::<Result<Vec<_>, _>>()
    };
    let (secrets, parameters) = (named("--secret", &args.secrets)?, named("--parameter", &args.parameters)?);
    let wanted = Wanted {
        port: 0,
        data: args.keep.clone(),
        concurrency: args.concurrency,
        instances: args.instances.clone(),
        testing: &args.testing,
    };
    let embedded = embedded::start(wanted).await?;
    let result = run_in(&embedded, job, secrets, parameters, args.json).await;
    let ended =
        embedded.shutdown().await.map_err(|error| Failure::machine(format!("failed to end the embedded AWS: {error}")));
    let exit = result?;
    ended.map(|()| exit)
}

type Named = Vec<(String, secrecy::SecretString)>;

async fn run_in(
    embedded: &EmbeddedAws,
    job: Value,
    secrets: Named,
    parameters: Named,
    json: bool,
) -> Result<Exit, Failure> {
    for (name, value) in secrets {
        embedded
            .put_secret(&name, value)
            .await
            .map_err(|error| Failure::input(format!("`--secret {name}`: {error}")))?;
    }
    for (name, value) in parameters {
        embedded
            .put_parameter(&name, value)
            .await
            .map_err(|error| Failure::input(format!("`--parameter {name}`: {error}")))?;
    }
    let endpoint = embedded.endpoint();
    let aws = remote::client(&endpoint);
    let mut watched = Watched {
        aws: &aws,
        stack: Stack::embedded(),
        run_id: fresh_run_id()?,
        interrupts: Interrupts::watch()?,
        view: View::choose(json),
        cancelled: false,
    };
    if !watched.submit(&endpoint, &job).await? {
        return Ok(Exit::Interrupted);
    }
    watched.watch().await
}

/// Drawn here, so that asking again makes no second run, and so that what is not accepted yet can be cancelled.
fn fresh_run_id() -> Result<RunId, Failure> {
    fresh_nonce().parse().map_err(|error| Failure::machine(format!("failed to name the run: {error}")))
}

/// The run, from its submission to its end.
struct Watched<'a> {
    aws: &'a Aws,
    stack: Stack,
    run_id: RunId,
    interrupts: Interrupts,
    view: View,
    /// Whether the first interrupt has asked for the end of the run.
    cancelled: bool,
}

impl Watched<'_> {
    /// Submits the job; says whether there is a run to watch.
    async fn submit(&mut self, endpoint: &str, job: &Value) -> Result<bool, Failure> {
        tokio::select! {
            accepted = submit::submit(endpoint, &self.run_id, job) => return accepted.map(|()| true),
            () = self.interrupts.reach(1) => {}
        }
        // It may have been accepted a moment ago, and its commands are to be stopped kindly. If it was not, it will find
        // the request and start nothing.
        if !self.cancel().await? {
            return Ok(false);
        }
        let table = self.stack.locks_table();
        let item = RunItems::new(self.aws, &table).get(&self.run_id).await.map_err(told)?;
        Ok(item.is_some_and(|item| item.status != RunStatus::Submitting))
    }

    /// Shows the run until it has ended. The first interrupt cancels it, the second ends this at once; then the commands
    /// are killed with everything else.
    async fn watch(&mut self) -> Result<Exit, Failure> {
        let mut observer = Observer::new(self.aws, self.stack.clone(), self.run_id.clone());
        loop {
            let seen = if self.cancelled { 2 } else { 1 };
            let update = tokio::select! {
                update = observer.next() => update?,
                () = self.interrupts.reach(seen) => {
                    if self.cancelled || !self.cancel().await? {
                        self.view.note("interrupted again: killing the commands");
                        return Ok(Exit::Interrupted);
                    }
                    continue;
                }
            };
            let done = update.done.clone();
            self.view.show(&update);
            let Some(done) = done else { continue };
            let failed = observer.failed(&update).await?;
            self.view.finish(&update, &done, &failed);
            let stopped = self.cancelled && done.status == Outcome::Cancelled;
            return Ok(if stopped { Exit::Interrupted } else { done.status.into() });
        }
    }

    /// Asks for the end of the run; says whether that was done before a second interrupt.
    async fn cancel(&mut self) -> Result<bool, Failure> {
        self.cancelled = true;
        self.view.note("interrupted: stopping the run; its commands get SIGINT and their grace time");
        let (bucket, key) = (self.stack.internal_bucket(), keys::cancel(&self.run_id, OrderNum::RUN));
        let objects = Objects::new(self.aws, &bucket);
        tokio::select! {
            put = objects.put(&key, WAKE) => put.map(|()| true).map_err(told),
            () = self.interrupts.reach(2) => Ok(false),
        }
    }
}

/// Ctrl-C and SIGTERM, counted from the moment they are watched for.
struct Interrupts {
    seen: watch::Receiver<u32>,
}

impl Interrupts {
    fn watch() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let of = |kind| signal(kind).map_err(|error| Failure::machine(format!("failed to watch for signals: {error}")));
        let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
        let (tell, seen) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = tell.closed() => return,
                }
                tell.send_modify(|seen| *seen += 1);
            }
        });
        Ok(Self { seen })
    }

    /// Waits until there were so many.
    async fn reach(&self, count: u32) {
        let mut seen = self.seen.clone();
        if seen.wait_for(|seen| *seen >= count).await.is_err() {
            // The watching task ends after this does.
            std::future::pending::<()>().await;
        }
    }
}
