//! Exit codes: a documented type, reached by one exhaustive match.

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
