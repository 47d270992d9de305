//! `aws-exe run JOB`: starts the embedded AWS, submits the job over HTTP like any client, shows it while it runs, and
//! ends with its summary, the logs of what failed, and an exit code.
//!
//! ```text
//!  submit ─▶ observe (rows, done) ─▶ Update ─▶ view: live lines | plain lines | JSON
//!               ▲
//!  Ctrl-C ─▶ cancel the run, go on observing until it ended
//! ```

mod live;
mod observe;
mod plain;
mod submit;
mod view;

use common::{
    aws::Aws, env::Environment, ids::OrderNum, intake::kick_off::WAKE, keys, objects::Objects, stack::Stack,
    status::Outcome,
};
use local::EmbeddedAws;
use serde_json::Value;

use crate::{
    args::RunArgs,
    embedded::{self, Wanted},
    exit::{Exit, Failure},
    job_file,
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
    let wanted = Wanted { port: 0, data: args.keep.clone(), concurrency: args.concurrency, testing: &args.testing };
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
    let interrupted = Interrupt::watch()?;
    let accepted = tokio::select! {
        accepted = submit::submit(&endpoint, &job) => accepted?,
        // Nothing was accepted as far as we know; the embedded AWS goes down with all its children.
        () = interrupted.wait() => return Ok(Exit::Interrupted),
    };
    let aws = embedded::client(&endpoint);
    let mut view = View::choose(json);
    let observer = Observer::new(&aws, Stack::embedded(), accepted.run_id.clone());
    watch(&aws, observer, &mut view, &interrupted).await
}

async fn watch(
    aws: &Aws,
    mut observer: Observer<'_>,
    view: &mut View,
    interrupted: &Interrupt,
) -> Result<Exit, Failure> {
    let mut cancelled = false;
    loop {
        let update = tokio::select! {
            update = observer.next() => update?,
            () = interrupted.wait(), if !cancelled => {
                cancelled = true;
                view.note("interrupted: stopping the run; its commands get SIGINT and their grace time");
                cancel(aws, &observer).await?;
                continue;
            }
        };
        let done = update.done.clone();
        view.show(&update);
        let Some(done) = done else { continue };
        let failed = observer.failed(&update).await?;
        view.finish(&update, &done, &failed);
        return Ok(if cancelled && done.status == Outcome::Cancelled { Exit::Interrupted } else { done.status.into() });
    }
}

async fn cancel(aws: &Aws, observer: &Observer<'_>) -> Result<(), Failure> {
    let bucket = Stack::embedded().internal_bucket();
    let put = Objects::new(aws, &bucket).put(&keys::cancel(observer.run_id(), OrderNum::RUN), WAKE).await;
    put.map_err(|error| Failure::machine(error.to_string()))
}

/// Ctrl-C, remembered from the moment it is watched for.
struct Interrupt {
    seen: tokio::sync::watch::Receiver<bool>,
}

impl Interrupt {
    fn watch() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let of = |kind| signal(kind).map_err(|error| Failure::machine(format!("failed to watch for signals: {error}")));
        let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
        let (tell, seen) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tell.send_replace(true);
            // Held open, so that whoever waits waits for the value and not for this task's end.
            tell.closed().await;
        });
        Ok(Self { seen })
    }

    async fn wait(&self) {
        let mut seen = self.seen.clone();
        if seen.wait_for(|seen| *seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
