//! Exit codes of a worker that runs in a build or on an instance. They are the order's outcome; and where the result could
//! not be delivered, they are the one thing that still tells it: the build's or the command's state carries them.

use crate::status::Outcome;

/// What a worker process ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerExit {
    /// Somebody else has the order.
    NotMine,
    /// The order ended so, and its result stands.
    Delivered(Outcome),
    /// The order ended so, and nobody knows yet.
    Undelivered(Outcome),
}

impl WorkerExit {
    /// The exit code. Below 40 they are those of every verb of the binary.
    pub const fn code(self) -> u8 {
        match self {
            Self::NotMine | Self::Delivered(Outcome::Succeeded) => 0,
            Self::Delivered(Outcome::Failed | Outcome::Cancelled) => 1,
            Self::Delivered(Outcome::TimedOut) => 3,
            Self::Undelivered(Outcome::Succeeded) => 40,
            Self::Undelivered(Outcome::Failed) => 41,
            Self::Undelivered(Outcome::TimedOut) => 42,
            Self::Undelivered(Outcome::Cancelled) => 43,
        }
    }

    /// The outcome that an exit code carries because its worker could not deliver it.
    pub fn undelivered(code: i64) -> Option<Outcome> {
        [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled]
            .into_iter()
            .find(|outcome| i64::from(Self::Undelivered(*outcome).code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_undelivered_outcomes_are_read_back() {
        for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled] {
            assert_eq!(WorkerExit::undelivered(i64::from(WorkerExit::Undelivered(outcome).code())), Some(outcome));
            assert_eq!(WorkerExit::undelivered(i64::from(WorkerExit::Delivered(outcome).code())), None);
        }
        assert_eq!(WorkerExit::undelivered(137), None);
    }
}
