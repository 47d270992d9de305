//! Watching a run until it has ended, for every verb that does so.
//!
//! ```text
//!  observe (run item, rows, logs, done) ─▶ Update ─▶ view: live lines | plain lines | JSON
//!       ▲
//!  Ctrl-C ─▶ `run`: cancel the run, go on until it ended; once more ─▶ end at once
//!            others: stop watching; the run goes on
//! ```

mod interrupts;
mod live;
mod observe;
mod plain;
mod view;

use std::time::Duration;

use common::{
    ids::{OrderNum, RunId},
    intake::kick_off::WAKE,
    keys,
    run_item::{RunItems, RunStatus},
    status::Outcome,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    code::Code,
    engine::Engine,
    exit::Exit,
    failure::Failure,
    output::Output,
    submission::{self, Submission},
};
pub(crate) use interrupts::Interrupts;
use observe::Observer;
use view::View;

/// How long calls may fail, one after the other, before watching is given up; and between two of them. Beyond what the SDK
/// itself tries.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// What an interrupt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// The run is this process's own: it ends with it.
    #[cfg(feature = "local")]
    CancelTheRun,
    /// The run goes on without anybody watching.
    StopWatching,
}

/// A run that is watched.
pub(crate) struct Watch<'a> {
    engine: &'a Engine,
    run_id: &'a RunId,
    output: &'a Output,
    on_interrupt: OnInterrupt,
    interrupts: Interrupts,
    view: View<'a>,
    /// Whether the first interrupt has asked for the end of the run.
    cancelled: bool,
}

impl<'a> Watch<'a> {
    /// Not quiet, it shows every change.
    pub(crate) fn new(
        engine: &'a Engine,
        run_id: &'a RunId,
        output: &'a Output,
        on_interrupt: OnInterrupt,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let view = if quiet { View::quiet(output) } else { View::choose(output) };
        Ok(Self { engine, run_id, output, on_interrupt, interrupts: Interrupts::watch()?, view, cancelled: false })
    }

    /// Submits the job as this run; says whether there is a run to watch.
    pub(crate) async fn submit(&mut self, submission: &Submission) -> Result<bool, Failure> {
        tokio::select! {
            accepted = submission::send(self.engine, submission, self.output) => return accepted.map(|_| true),
            () = self.interrupts.reach(1) => {}
        }
        // It may have been accepted a moment ago, and its commands are to be stopped kindly. If it was not, it will find
        // the request and start nothing.
        if !self.cancel().await? {
            return Ok(false);
        }
        let item = RunItems::new(&self.engine.aws, &self.engine.names.locks_table).get(self.run_id).await?;
        Ok(item.is_some_and(|item| item.status != RunStatus::Submitting))
    }

    /// Shows the run until it has ended, or until it is told to stop. If the interrupt cancels the run, a second one ends
    /// this at once; then the commands are killed with everything else.
    pub(crate) async fn until_the_end(&mut self) -> Result<Exit, Failure> {
        let mut observer = Observer::new(self.engine, self.run_id.clone());
        let mut failing_since: Option<Instant> = None;
        loop {
            let seen = if self.cancelled { 2 } else { 1 };
            let update = tokio::select! {
                update = observer.next() => match update {
                    Ok(update) => update,
                    // The run goes on whether it is seen or not: what is passing does not end the watching of hours.
                    Err(failure) if failure.code == Code::AwsFailed => {
                        if failing_since.is_none() {
                            self.view.note(&format!("{}; the run goes on, looking again", failure.message))?;
                        }
                        if failing_since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                            return Err(failure);
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(failure) => return Err(failure),
                },
                () = self.interrupts.reach(seen) => {
                    if self.on_interrupt == OnInterrupt::StopWatching {
                        let run = self.run_id;
                        self.view.note(&format!("the run goes on: `aws-exe status -f {run}` watches it, \
                                                 `aws-exe cancel {run}` ends it"))?;
                        return self.interrupted();
                    }
                    if self.cancelled || !self.cancel().await? {
                        self.view.note("interrupted again: killing the commands")?;
                        return self.interrupted();
                    }
                    continue;
                }
            };
            failing_since = None;
            self.view.show(update)?;
            let Some(done) = update.done.clone() else { continue };
            let update = update.clone();
            let failed = observer.failed().await?;
            self.view.finish(&update, &done, &failed)?;
            let result = json!({"run_id": self.run_id, "done": done});
            if self.cancelled && done.status == Outcome::Cancelled {
                self.output.finish_unsuccessfully(Code::StoppedByUser, &result)?;
                return Ok(Exit::Interrupted);
            }
            self.end(done.status, &result)?;
            return Ok(done.status.into());
        }
    }

    fn end(&self, outcome: Outcome, result: &Value) -> Result<(), Failure> {
        let code = match outcome {
            Outcome::Succeeded => return self.output.finish(result, String::new),
            Outcome::Failed => Code::JobFailed,
            Outcome::TimedOut => Code::JobTimedOut,
            Outcome::Cancelled => Code::JobCancelled,
        };
        self.output.finish_unsuccessfully(code, result)
    }

    /// An interrupt ended it.
    pub(crate) fn interrupted(&self) -> Result<Exit, Failure> {
        self.output.finish_unsuccessfully(Code::StoppedByUser, &json!({"run_id": self.run_id}))?;
        Ok(Exit::Interrupted)
    }

    /// Asks for the end of the run; says whether that was done before a second interrupt.
    async fn cancel(&mut self) -> Result<bool, Failure> {
        self.cancelled = true;
        self.view.note("interrupted: stopping the run; its commands get SIGINT and their grace time")?;
        let key = keys::cancel(self.run_id, OrderNum::RUN);
        let objects = self.engine.objects();
        tokio::select! {
            put = objects.put(&key, WAKE) => Ok(put.map(|()| true)?),
            () = self.interrupts.reach(2) => Ok(false),
        }
    }
}
