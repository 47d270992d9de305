//! The jobs that the model runs, and what follows from a ledger of theirs (as `common::graph` has it).

use crate::{
    ledger::{Ledger, Letter, Outcome},
    orders::{MAX_ORDERS, Order, Orders},
};

/// A job: who waits for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// How many orders.
    pub count: usize,
    /// The orders that each waits for.
    pub dependencies: [Orders; MAX_ORDERS],
    /// Orders that also run after a dependency that did not succeed (`must_succeed: false`).
    pub tolerant: Orders,
    /// Orders that count as succeeded from the beginning, because they did in an earlier run; with each, all that it waits
    /// for.
    pub counted: Orders,
}

/// What follows from a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The ledger with those ended that end because of a dependency.
    pub ledger: Ledger,
    /// Orders to start now.
    pub ready: Orders,
}

impl Job {
    /// One order.
    pub const ONE: Self = Self::of(1, [0, 0, 0, 0]);
    /// Two orders that wait for nothing.
    pub const PAIR: Self = Self::of(2, [0, 0, 0, 0]);
    /// 1 waits for 0.
    pub const CHAIN: Self = Self::of(2, [0, 0b1, 0, 0]);
    /// 2 waits for 1, 1 waits for 0, and 2 alone runs whatever became of 1.
    pub const CHAIN_TO_TOLERANT: Self = Self { tolerant: Orders::of_bits(0b100), ..Self::of(3, [0, 0b1, 0b10, 0]) };
    /// 1 waits for 0, and 2 waits for nothing.
    pub const CHAIN_AND_ONE: Self = Self::of(3, [0, 0b1, 0, 0]);
    /// 2 waits for 0 and 1.
    pub const FAN_IN: Self = Self::of(3, [0, 0, 0b11, 0]);
    /// 1 and 2 wait for 0, 3 waits for both.
    pub const DIAMOND: Self = Self::of(4, [0, 0b1, 0b1, 0b110]);

    const fn of(count: usize, bits: [u8; MAX_ORDERS]) -> Self {
        let mut dependencies = [Orders::NONE; MAX_ORDERS];
        let mut order = 0;
        while order < MAX_ORDERS {
            dependencies[order] = Orders::of_bits(bits[order]);
            order += 1;
        }
        Self { count, dependencies, tolerant: Orders::NONE, counted: Orders::NONE }
    }

    /// The same job, its orders running whatever became of what they wait for.
    #[must_use]
    pub fn tolerant(self) -> Self {
        Self { tolerant: self.all(), ..self }
    }

    /// The same job, of which these orders, as bits, count from the beginning.
    #[must_use]
    pub fn counting(self, bits: u8) -> Self {
        Self { counted: Orders::of_bits(bits), ..self }
    }

    /// The letters with which the run begins.
    pub fn beginning(&self) -> Ledger {
        let mut ledger = Ledger::default();
        self.counted.iter().for_each(|order| ledger.set(order, Letter::Ended(Outcome::Succeeded)));
        ledger
    }

    /// All orders.
    pub fn all(&self) -> Orders {
        Orders::first(self.count)
    }

    /// Whether every order has ended.
    pub fn is_over(&self, ledger: &Ledger) -> bool {
        self.all().within(ledger.ended())
    }

    /// What cascades and what may start. An order is looked at once all its dependencies have ended, never before.
    pub fn evaluate(&self, mut ledger: Ledger) -> Evaluation {
        let mut ready = Orders::NONE;
        // Every order here has a higher number than those it waits for, so one walk settles chains.
        for order in self.all().iter() {
            if ledger.get(order) != Letter::Queued || !self.dependencies[order].within(ledger.ended()) {
                continue;
            }
            match self.fate(ledger, order) {
                Some(outcome) => ledger.set(order, Letter::Ended(outcome)),
                None => ready.add(order),
            }
        }
        Evaluation { ledger, ready }
    }

    /// What becomes of an order whose dependencies have all ended; `None` means that it runs.
    fn fate(&self, ledger: Ledger, order: Order) -> Option<Outcome> {
        let mut fate = None;
        for outcome in self.dependencies[order].iter().filter_map(|dependency| ledger.get(dependency).outcome()) {
            match outcome {
                Outcome::Cancelled => return Some(Outcome::Cancelled),
                Outcome::Succeeded => {}
                _ if self.tolerant.has(order) => {}
                Outcome::Lost | Outcome::TimedOut | Outcome::Skipped => fate = Some(Outcome::Skipped),
            }
        }
        fate
    }

    /// Whether a pass that died before it could say so may have dispatched the order: its dependencies have all ended.
    pub fn may_have_been_dispatched(&self, ledger: &Ledger, order: Order) -> bool {
        match ledger.get(order) {
            Letter::Running => true,
            Letter::Queued => self.dependencies[order].within(ledger.ended()),
            Letter::Ended(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(letters: &[(Order, Letter)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (order, letter) in letters {
            ledger.set(*order, *letter);
        }
        ledger
    }

    #[test]
    fn what_waits_is_decided_when_all_it_waits_for_has_ended() {
        let lost = ledger(&[(0, Letter::Ended(Outcome::Lost))]);
        assert_eq!(Job::FAN_IN.evaluate(lost), Evaluation { ledger: lost, ready: Orders::from_iter([1]) });
        let skipped = ledger(&[(0, Letter::Ended(Outcome::Lost)), (1, Letter::Ended(Outcome::Skipped))]);
        assert_eq!(Job::CHAIN.evaluate(lost), Evaluation { ledger: skipped, ready: Orders::NONE });
        assert_eq!(Job::CHAIN.tolerant().evaluate(lost).ready, Orders::from_iter([1]));
        let cancelled = ledger(&[(0, Letter::Ended(Outcome::Cancelled))]);
        assert_eq!(Job::CHAIN.tolerant().evaluate(cancelled).ledger.get(1), Letter::Ended(Outcome::Cancelled));
    }

    #[test]
    fn only_what_waits_for_something_open_was_surely_not_dispatched() {
        let open = Ledger::default();
        let may = |ledger, order| Job::CHAIN.may_have_been_dispatched(&ledger, order);
        assert_eq!((may(open, 0), may(open, 1)), (true, false));
        let ended = ledger(&[(0, Letter::Ended(Outcome::Succeeded))]);
        assert_eq!((may(ended, 0), may(ended, 1)), (false, true));
    }
}
