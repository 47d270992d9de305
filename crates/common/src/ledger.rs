//! The ledger: one letter an order, run-length written in the run item. Pure; the run item is in [`crate::run_item`].

use std::{fmt::Write as _, str::FromStr};

use crate::{
    ids::{MAX_ORDERS, OrderNum},
    status::{IllegalStep, Outcome, Status},
};

/// The status of every order of a run, in order of number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger(Vec<Status>);

/// A text that is no ledger.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the ledger: {0}")]
pub struct BadLedger(&'static str);

impl Ledger {
    /// The ledger of a run whose orders all wait.
    pub fn queued(orders: usize) -> Self {
        Self(vec![Status::Queued; orders])
    }

    /// How many orders the run has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no orders at all, which no accepted job has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All statuses, by index.
    pub fn statuses(&self) -> &[Status] {
        &self.0
    }

    /// The status of an order; nothing for numbers that the run does not have.
    pub fn get(&self, order: OrderNum) -> Option<Status> {
        self.0.get(order.index()?).copied()
    }

    /// Takes the order at `index` a step forward.
    pub fn step(&mut self, index: usize, to: Status) -> Result<(), IllegalStep> {
        self.0[index] = self.0[index].step(to)?;
        Ok(())
    }

    /// Whether every order has ended.
    pub fn all_ended(&self) -> bool {
        self.0.iter().all(|status| status.outcome().is_some())
    }

    /// How many orders ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|status| **status == Status::Ended(outcome)).count()
    }

    /// The text in the run item: each letter with its count before it where that is above 1 (`12s3r85q`, `srq`).
    pub fn letters(&self) -> String {
        let mut text = String::new();
        for group in self.0.chunk_by(|a, b| a == b) {
            if group.len() > 1 {
                // Writing to a String cannot fail.
                let _infallible = write!(text, "{}", group.len());
            }
            text.push(group[0].letter());
        }
        text
    }
}

impl FromStr for Ledger {
    type Err = BadLedger;

    fn from_str(text: &str) -> Result<Self, BadLedger> {
        let mut statuses = Vec::new();
        let mut count: Option<usize> = None;
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let grown = count.unwrap_or(0) * 10 + digit as usize;
                if grown > MAX_ORDERS {
                    return Err(BadLedger("a count is larger than a job"));
                }
                count = Some(grown);
                continue;
            }
            let status = Status::from_letter(c).ok_or(BadLedger("a letter stands for no status"))?;
            let times = count.take().unwrap_or(1);
            if times == 0 || statuses.len() + times > MAX_ORDERS {
                return Err(BadLedger("it has more orders than a job"));
            }
            statuses.resize(statuses.len() + times, status);
        }
        if count.is_some() {
            return Err(BadLedger("it ends in a count"));
        }
        Ok(Self(statuses))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ledger() -> impl Strategy<Value = Ledger> {
        prop::collection::vec((0..6_usize, 1..40_usize), 0..40).prop_map(|groups| {
            Ledger(groups.into_iter().flat_map(|(status, times)| vec![Status::ALL[status]; times]).collect())
        })
    }

    proptest! {
        #[test]
        fn letters_round_trip(ledger in ledger()) {
            prop_assert_eq!(ledger.letters().parse::<Ledger>().unwrap(), ledger);
        }

        #[test]
        fn no_text_panics(text in "[0-9qrsftcx ]{0,30}") {
            if let Ok(ledger) = text.parse::<Ledger>() {
                prop_assert!(ledger.len() <= MAX_ORDERS);
            }
        }
    }

    #[test]
    fn letters_are_short() {
        assert_eq!(Ledger::queued(9_999).letters(), "9999q");
        let mixed: Ledger = "12s3r85q".parse().unwrap();
        assert_eq!((mixed.len(), mixed.letters().as_str()), (100, "12s3r85q"));
        assert_eq!("srq".parse::<Ledger>().unwrap().letters(), "srq");
        for bad in ["3", "0q", "10000q", "9999qq", "x", "-1q"] {
            assert!(bad.parse::<Ledger>().is_err(), "{bad}");
        }
    }
}
