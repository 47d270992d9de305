//! Exit codes, and how a failure is told: what failed, a hint where there is one, and the code.

use std::process::ExitCode;

use common::{status::Outcome, worker_exit::WorkerExit};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything went well.
    Success,
    /// The job failed or was cancelled by somebody else.
    Failed,
    /// The input is wrong.
    BadInput,
    /// The job or an order that must succeed ran out of time.
    TimedOut,
    /// This machine or AWS failed.
    Machine,
    /// A worker's own, which tells the order's outcome.
    Worker(WorkerExit),
    /// Interrupted, after the children were stopped.
    #[cfg(feature = "local")]
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::TimedOut => 3,
            Exit::Machine => 4,
            Exit::Worker(exit) => exit.code(),
            // 128 and the number of SIGINT, as shells have it.
            #[cfg(feature = "local")]
            Exit::Interrupted => 130,
        })
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Success,
            Outcome::Failed | Outcome::Cancelled => Self::Failed,
            Outcome::TimedOut => Self::TimedOut,
        }
    }
}

/// A verb that could not be brought to its end.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What is wrong, each a line.
    pub(crate) problems: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// The input is wrong.
    pub(crate) fn input(problem: impl Into<String>) -> Self {
        Self { exit: Exit::BadInput, problems: vec![problem.into()], hint: None }
    }

    /// This machine or AWS failed.
    pub(crate) fn machine(problem: impl Into<String>) -> Self {
        Self { exit: Exit::Machine, problems: vec![problem.into()], hint: None }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Tells a failure on standard error and gives its exit code.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    for problem in &failure.problems {
        eprintln!("error: {problem}");
    }
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
    failure.exit.into()
}
