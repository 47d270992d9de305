//! The ledger: one letter an order.

use std::fmt;

use crate::orders::{MAX_ORDERS, Order, Orders};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Its worker reported success.
    Succeeded,
    /// The engine found its worker lost.
    Lost,
    /// The engine timed it out, or the job.
    TimedOut,
    /// It was cancelled, or a dependency was.
    Cancelled,
    /// A dependency did not succeed.
    Skipped,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// Not dispatched, as far as the ledger knows.
    #[default]
    Queued,
    /// Dispatched.
    Running,
    /// Ended.
    Ended(Outcome),
}

impl Letter {
    /// How it ended.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ended(outcome) => Some(outcome),
            Self::Queued | Self::Running => None,
        }
    }
}

/// The letters of all orders.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ledger([Letter; MAX_ORDERS]);

impl Ledger {
    /// The letter of an order.
    pub fn get(&self, order: Order) -> Letter {
        self.0[order]
    }

    /// Takes a step.
    pub fn set(&mut self, order: Order, letter: Letter) {
        self.0[order] = letter;
    }

    /// Orders that have ended.
    pub fn ended(&self) -> Orders {
        (0..MAX_ORDERS).filter(|order| self.0[*order].outcome().is_some()).collect()
    }

    /// Orders that wait.
    pub fn queued(&self) -> Orders {
        (0..MAX_ORDERS).filter(|order| self.0[*order] == Letter::Queued).collect()
    }

    /// Whether no letter of `later` stands before its letter here: queued, running, ended for good.
    pub fn is_before(&self, later: &Self) -> bool {
        self.0.iter().zip(&later.0).all(|(before, after)| match before {
            Letter::Queued => true,
            Letter::Running => *after != Letter::Queued,
            Letter::Ended(_) => before == after,
        })
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in &self.0 {
            f.write_str(match letter {
                Letter::Queued => "q",
                Letter::Running => "r",
                Letter::Ended(Outcome::Succeeded) => "s",
                Letter::Ended(Outcome::Lost | Outcome::Skipped) => "f",
                Letter::Ended(Outcome::TimedOut) => "t",
                Letter::Ended(Outcome::Cancelled) => "c",
            })?;
        }
        Ok(())
    }
}
