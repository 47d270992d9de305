//! The states of an order and the one table of how they may follow each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every command exited with 0.
    Succeeded,
    /// A command failed, the order could not be started, or a dependency failed.
    Failed,
    /// The order's or the job's time ran out.
    TimedOut,
    /// Somebody asked to stop it.
    Cancelled,
}

impl Outcome {
    /// The word that rows, events and results use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not handed to its target yet.
    Queued,
    /// Handed to its target.
    Running,
    /// At its end.
    Ended(Outcome),
}

/// A step that no order may take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {from} cannot become {to}")]
pub struct IllegalStep {
    /// Where the order stands.
    pub from: Status,
    /// Where somebody wanted it to go.
    pub to: Status,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Ended(Outcome::Succeeded),
        Self::Ended(Outcome::Failed),
        Self::Ended(Outcome::TimedOut),
        Self::Ended(Outcome::Cancelled),
    ];

    /// The word that rows use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }

    /// The status that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// The letter in the run item.
    pub const fn letter(self) -> char {
        match self {
            Self::Queued => 'q',
            Self::Running => 'r',
            Self::Ended(Outcome::Succeeded) => 's',
            Self::Ended(Outcome::Failed) => 'f',
            Self::Ended(Outcome::TimedOut) => 't',
            Self::Ended(Outcome::Cancelled) => 'c',
        }
    }

    /// The status that has this letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.letter() == letter)
    }

    /// How the order ended, if it did.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ended(outcome) => Some(outcome),
            Self::Queued | Self::Running => None,
        }
    }

    /// The one table: queued → running → ended, and queued → ended where no worker was needed or the news of the start
    /// was lost. The same again is allowed, because every step may be repeated. Nothing leaves an end.
    pub fn step(self, to: Self) -> Result<Self, IllegalStep> {
        match (self, to) {
            (Self::Queued, _) | (Self::Running, Self::Running | Self::Ended(_)) => Ok(to),
            (Self::Ended(a), Self::Ended(b)) if a == b => Ok(to),
            _ => Err(IllegalStep { from: self, to }),
        }
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words and letters of the contract, and which letters may follow.
    const TABLE: [(&str, char, &str); 6] = [
        ("queued", 'q', "qrsftc"),
        ("running", 'r', "rsftc"),
        ("succeeded", 's', "s"),
        ("failed", 'f', "f"),
        ("timed_out", 't', "t"),
        ("cancelled", 'c', "c"),
    ];

    #[test]
    fn words_and_letters_are_the_contracts() {
        for ((word, letter, _), status) in TABLE.into_iter().zip(Status::ALL) {
            assert_eq!((status.as_str(), status.letter()), (word, letter));
            assert_eq!((Status::from_word(word), Status::from_letter(letter)), (Some(status), Some(status)));
            assert_eq!((status.to_string(), serde_json::to_value(status).unwrap()), (word.to_owned(), word.into()));
            if let Some(outcome) = status.outcome() {
                assert_eq!((outcome.as_str(), outcome.to_string()), (word, word.to_owned()));
                assert_eq!(serde_json::to_value(outcome).unwrap(), word);
                assert_eq!(serde_json::from_value::<Outcome>(word.into()).unwrap(), outcome);
            }
        }
        for none in ["", "done", "Queued", "queued ", "q"] {
            assert_eq!(Status::from_word(none), None, "{none}");
        }
        for none in ('\0'..='\u{ff}').filter(|letter| !"qrsftc".contains(*letter)) {
            assert_eq!(Status::from_letter(none), None, "{none}");
        }
    }

    #[test]
    fn every_step_is_in_the_table_or_refused() {
        for ((_, _, may_follow), from) in TABLE.into_iter().zip(Status::ALL) {
            for to in Status::ALL {
                let expected = if may_follow.contains(to.letter()) { Ok(to) } else { Err(IllegalStep { from, to }) };
                assert_eq!(from.step(to), expected, "{from} to {to}");
            }
        }
        let refused = Status::Ended(Outcome::TimedOut).step(Status::Running).unwrap_err();
        assert_eq!(refused.to_string(), "an order that is timed_out cannot become running");
    }

    #[test]
    fn no_chain_of_steps_goes_back_or_leaves_an_end() {
        let all = Status::ALL.len();
        for mut number in 0..all.pow(6) {
            let mut seen = vec![Status::Queued];
            for _ in 0..6 {
                let here = seen[seen.len() - 1];
                seen.push(here.step(Status::ALL[number % all]).unwrap_or(here));
                number /= all;
            }
            let ended = seen.iter().position(|status| status.outcome().is_some()).unwrap_or(seen.len());
            let running = seen.iter().position(|status| *status != Status::Queued).unwrap_or(seen.len());
            assert!(seen[running..ended].iter().all(|status| *status == Status::Running), "{seen:?}");
            assert!(seen[ended..].iter().all(|status| *status == seen[ended]), "{seen:?}");
        }
    }
}
