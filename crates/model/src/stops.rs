//! What ends without being started, or while it runs: because of a dependency, a cancellation, or the job's deadline.
//!
//! ```text
//!  Results: what follows from the results found ─▶ Cancellation ─▶ Deadline ─▶ Graph: what follows from those
//! ```
//!
//! Each of them ends an order through its claim. So the ledger has nothing as ended that has no result, and passes that
//! know more or less of each other need not come to the same end: the first claim decides.

use crate::{
    flaws::Flaw,
    holder::{EndStep, Pass, Step, Then},
    ledger::{Ledger, Letter, Outcome},
    protocol::Protocol,
    state::{Claim, State},
};

/// What a pass ends orders for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// What follows from the results that it found.
    Results,
    /// The run's cancellation.
    Cancellation,
    /// The job's deadline.
    Deadline,
    /// What follows from those.
    Graph,
}

/// What a pass knows of its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round {
    /// Whether it looks at everything.
    pub is_wide: bool,
    /// Whether it saw that the run is cancelled.
    pub is_cancelled: bool,
    /// How far it has come.
    pub phase: Phase,
}

impl Round {
    /// Nothing of it is used any more; and so another begins, if news came in meanwhile.
    pub(crate) const OVER: Self = Self { is_wide: true, is_cancelled: false, phase: Phase::Results };
}

impl Protocol {
    /// Ends what ends because of a dependency.
    pub(crate) fn cascade(&self, state: &State, pass: &mut Pass) -> Then {
        let settled = self.job.evaluate(pass.ledger).ledger;
        let is_stopped = pass.round.is_cancelled || state.is_late;
        if self.has(Flaw::CascadeUnclaimed) || self.has(Flaw::ClaimsForStopsAlone) && !is_stopped {
            pass.ledger = settled;
        }
        let before = pass.ledger;
        for order in self.job.all().iter().filter(|order| before.get(*order).outcome().is_none()) {
            if let Some(outcome) = settled.get(order).outcome() {
                pass.is_to_end(order, outcome);
            }
        }
        self.end_each(state, pass)
    }

    /// Cancels, or times out at the job's deadline, everything that has not ended.
    pub(crate) fn stop(&self, state: &State, pass: &mut Pass, outcome: Outcome) -> Then {
        let before = pass.ledger;
        for order in self.job.all().iter().filter(|order| before.get(*order).outcome().is_none()) {
            if self.has(Flaw::WaitingUnclaimed) && !self.job.may_have_been_dispatched(&before, order) {
                pass.ledger.set(order, Letter::Ended(outcome));
            } else {
                pass.is_to_end(order, outcome);
            }
        }
        self.end_each(state, pass)
    }

    /// Goes on when everything of a phase has ended, or was asked to stop.
    pub(crate) fn go_on_from(&self, state: &State, pass: &mut Pass) -> Then {
        match pass.round.phase {
            Phase::Results => {
                pass.round.phase = Phase::Cancellation;
                if pass.round.is_cancelled {
                    self.stop(state, pass, Outcome::Cancelled)
                } else {
                    self.go_on_from(state, pass)
                }
            }
            Phase::Cancellation => {
                pass.round.phase = Phase::Deadline;
                if self.knows_deadline() { pass.goes_to(Step::Judge) } else { self.go_on_from(state, pass) }
            }
            Phase::Deadline => {
                pass.round.phase = Phase::Graph;
                self.cascade(state, pass)
            }
            Phase::Graph => self.seek(state, pass),
        }
    }

    /// Ends the orders that are to end, each through its claim.
    fn end_each(&self, state: &State, pass: &mut Pass) -> Then {
        if !pass.to_end.is_empty() {
            return pass.goes_to(Step::EndOrder(EndStep::Claim));
        }
        pass.endings = Ledger::default();
        self.go_on_from(state, pass)
    }

    pub(crate) fn go_on_ending(&self, state: &State, pass: &mut Pass, step: EndStep) -> Then {
        let order = pass.ended_next();
        match (step, state.store.claims[order], state.store.results[order]) {
            (EndStep::Claim, None, None) => return pass.goes_to(Step::EndOrder(EndStep::Result(pass.ending()))),
            (EndStep::Claim, Some(Claim::Engine(outcome)), None) => {
                return pass.goes_to(Step::EndOrder(EndStep::Result(outcome)));
            }
            (EndStep::Claim, Some(Claim::Worker { .. }), None) => {
                return pass.goes_to(Step::EndOrder(EndStep::Stop));
            }
            (_, _, Some(outcome)) if step != EndStep::Stop => pass.ledger.set(order, Letter::Ended(outcome)),
            // Its worker reports, or a later look finds that it did not.
            _ => {}
        }
        pass.to_end.remove(order);
        self.end_each(state, pass)
    }
}
