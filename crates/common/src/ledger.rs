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

impl FromIterator<Status> for Ledger {
    fn from_iter<I: IntoIterator<Item = Status>>(statuses: I) -> Self {
        Self(statuses.into_iter().collect())
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
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Ledgers in runs of equal letters, from none to as many as a job may have.
    fn ledger() -> impl Strategy<Value = Ledger> {
        let times = prop_oneof![8 => Just(1), 4 => 2..12_usize, 2 => 90..110_usize, 1 => 1..=MAX_ORDERS];
        vec((0..Status::ALL.len(), times), 0..40).prop_map(|runs| {
            let mut statuses: Vec<_> =
                runs.into_iter().flat_map(|(status, times)| vec![Status::ALL[status]; times]).collect();
            statuses.truncate(MAX_ORDERS);
            Ledger(statuses)
        })
    }

    /// The format, read by hand, into one letter an order: each letter with a count before it or none.
    fn spelt_out(text: &str) -> Option<String> {
        let is_letter = |c: char| "qrsftc".contains(c);
        let mut letters = String::new();
        for run in text.split_inclusive(is_letter) {
            let count = run.strip_suffix(is_letter)?;
            let is_count = count.bytes().all(|b| b.is_ascii_digit());
            let times = if count.is_empty() { 1 } else { count.parse::<u128>().ok().filter(|_| is_count)? };
            let fits = (1..=9_999).contains(&times);
            letters += &run[count.len()..].repeat(if fits { usize::try_from(times).ok()? } else { return None });
        }
        (letters.len() <= 9_999).then_some(letters)
    }

    fn letters_of(ledger: &Ledger) -> String {
        ledger.statuses().iter().map(|status| status.letter()).collect()
    }

    proptest! {
        // Some thousand letters each, far above a million in all.
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn letters_round_trip(ledger in ledger()) {
            let letters = ledger.letters();
            prop_assert_eq!(spelt_out(&letters), Some(letters_of(&ledger)));
            prop_assert_eq!(letters.parse::<Ledger>().unwrap(), ledger);
        }

        #[test]
        fn what_is_no_ledger_is_refused(text in prop_oneof!["[0-9qrsftcx -]{0,30}", "[0-9]{0,40}[qrsftc]", ".{0,12}"]) {
            prop_assert_eq!(text.parse::<Ledger>().ok().as_ref().map(letters_of), spelt_out(&text));
        }
    }

    #[test]
    fn every_ledger_of_up_to_seven_orders_round_trips() {
        let mut seen = 0;
        for size in 0..=7 {
            for mut number in 0..Status::ALL.len().pow(size) {
                let mut ledger = Ledger::queued(0);
                for _ in 0..size {
                    ledger.0.push(Status::ALL[number % Status::ALL.len()]);
                    number /= Status::ALL.len();
                }
                assert_eq!(ledger.letters().parse(), Ok(ledger));
                seen += 1;
            }
        }
        assert_eq!(seen, 335_923);
    }

    #[test]
    fn every_short_text_is_a_ledger_or_refused() {
        const CHARACTERS: [char; 7] = ['0', '1', '9', 'q', 's', 'x', '-'];
        for size in 0..=6 {
            for mut number in 0..CHARACTERS.len().pow(size) {
                let mut text = String::new();
                for _ in 0..size {
                    text.push(CHARACTERS[number % CHARACTERS.len()]);
                    number /= CHARACTERS.len();
                }
                assert_eq!(text.parse::<Ledger>().ok().as_ref().map(letters_of), spelt_out(&text), "{text}");
            }
        }
    }

    #[test]
    fn letters_are_short() {
        assert_eq!(Ledger::queued(9_999).letters(), "9999q");
        let mixed: Ledger = "12s3r85q".parse().unwrap();
        assert_eq!((mixed.len(), mixed.letters().as_str()), (100, "12s3r85q"));
        assert_eq!("srq".parse::<Ledger>().unwrap().letters(), "srq");
        assert_eq!("9998q1s".parse::<Ledger>().unwrap().letters(), "9998qs");
        for bad in ["3", "0q", "10000q", "9999qq", "x", "-1q"] {
            assert!(bad.parse::<Ledger>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ledger_is_asked_by_number_and_by_outcome() {
        let ledger: Ledger = "q2r3sf2tc".parse().unwrap();
        let of = |number: &str| ledger.get(number.parse().unwrap());
        assert_eq!((of("0001"), of("0010")), (Some(Status::Queued), Some(Status::Ended(Outcome::Cancelled))));
        assert_eq!((of("0000"), of("0011")), (None, None));
        let counts =
            [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled].map(|o| ledger.count(o));
        assert_eq!(counts, [3, 1, 2, 1]);
        let ask = |letters: &str| letters.parse::<Ledger>().map(|ledger| (ledger.is_empty(), ledger.all_ended()));
        assert_eq!(ask(""), Ok((true, true)));
        assert_eq!(ask("sftc"), Ok((false, true)));
        assert_eq!(ask("sfrc"), Ok((false, false)));
        assert_eq!(ask("qsss"), Ok((false, false)));
    }

    #[test]
    fn a_step_takes_one_order_forward_and_an_illegal_one_takes_none() {
        for from in Status::ALL {
            for to in Status::ALL {
                let before = Ledger(vec![Status::Queued, from, Status::Running]);
                let mut after = before.clone();
                let expected = match after.step(1, to) {
                    Ok(()) => Ledger(vec![Status::Queued, to, Status::Running]),
                    Err(_) => before,
                };
                assert_eq!(after, expected, "{from} to {to}");
            }
        }
    }
}
