//! What ends without being started, or while it runs: because of a dependency, a cancellation, or the job's deadline.
//!
//! ```text
//!  Results: what follows from the results found ─▶ Stops: cancellation, deadline ─▶ Graph: what follows from those
//! ```
//!
//! What follows from results is the same for every pass, so it comes first, and ends in the ledger alone unless a stop is
//! in force. Whoever decides for other orders must have looked at everything; the clock by which the deadline is judged
//! is read before that look, the clock that tells whether a stop is in force after it.

use crate::{
    flaws::Flaw,
    holder::{EndStep, Pass, Step, Then},
    ledger::{Ledger, Letter, Outcome},
    orders::Orders,
    protocol::Protocol,
    state::{Claim, State},
};

/// What a pass ends orders for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// What follows from the results that it found.
    Results,
    /// The cancellation and the job's deadline.
    Stops,
    /// What follows from those.
    Graph,
}

/// What a pass knows of its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round {
    /// Whether it looks at everything.
    pub is_wide: bool,
    /// Whether it found the deadline past.
    pub is_late: bool,
    /// Whether it saw that the run is cancelled.
    pub is_cancelled: bool,
    /// How far it has come.
    pub phase: Phase,
}

impl Round {
    /// Nothing of it is used any more.
    pub(crate) const OVER: Self = Self { is_wide: true, is_late: false, is_cancelled: false, phase: Phase::Results };
}

impl Protocol {
    /// What follows from results alone comes first, and once more after the stops.
    pub(crate) fn settle(&self, state: &State, pass: &mut Pass) -> Then {
        if self.cascaded(pass).is_empty() {
            return self.go_on_from(state, pass);
        }
        if self.knows_deadline() { pass.goes_to(Step::Cascade) } else { self.cascade(state, pass) }
    }

    /// Orders that end because of a dependency.
    fn cascaded(&self, pass: &Pass) -> Orders {
        let ended = self.job.evaluate(pass.ledger).ledger.ended();
        ended.iter().filter(|order| pass.ledger.get(*order).outcome().is_none()).collect()
    }

    /// Ends what ends because of a dependency. That is the same for every pass and needs no claim; but while a stop is in
    /// force another pass may have claimed the order for that.
    pub(crate) fn cascade(&self, state: &State, pass: &mut Pass) -> Then {
        if !pass.round.is_wide && !self.has(Flaw::CascadeOnNarrowLook) {
            // A look at one order alone does not know whether the run is cancelled.
            pass.round.is_wide = true;
            return self.begin_round(pass);
        }
        let settled = self.job.evaluate(pass.ledger).ledger;
        let is_stopped = pass.round.is_cancelled || state.is_late;
        let is_claimed = is_stopped && !self.has(Flaw::CascadeUnclaimed) || self.claims_cascades;
        if !is_claimed {
            pass.ledger = settled;
            return self.go_on_from(state, pass);
        }
        for order in self.cascaded(pass).iter() {
            pass.is_to_end(order, settled.get(order).outcome().unwrap_or(Outcome::Skipped));
        }
        pass.goes_to(Step::EndOrder(EndStep::Claim))
    }

    /// Goes on when everything of a phase has ended, or was asked to stop.
    fn go_on_from(&self, state: &State, pass: &mut Pass) -> Then {
        match pass.round.phase {
            Phase::Results => self.judge(state, pass),
            Phase::Stops => {
                pass.round.phase = Phase::Graph;
                self.settle(state, pass)
            }
            Phase::Graph => self.seek(state, pass),
        }
    }

    /// Reads the clock, if it was not read before the look.
    pub(crate) fn judge(&self, state: &State, pass: &mut Pass) -> Then {
        let judges_now = self.has(Flaw::DeadlineAfterLook) && self.knows_deadline();
        if judges_now { pass.goes_to(Step::Judge) } else { self.stop(state, pass) }
    }

    /// Cancels, or times out at the job's deadline, everything that has not ended, through its claim.
    pub(crate) fn stop(&self, state: &State, pass: &mut Pass) -> Then {
        pass.round.phase = Phase::Stops;
        // A look at one order alone does not know what became of the others since the ledger was saved.
        let is_over = pass.round.is_late && (pass.round.is_wide || self.has(Flaw::DeadlineOnNarrowLook));
        if !pass.round.is_cancelled && !is_over {
            return self.go_on_from(state, pass);
        }
        let outcome = if pass.round.is_cancelled { Outcome::Cancelled } else { Outcome::TimedOut };
        let before = pass.ledger;
        for order in self.job.all().iter().filter(|order| before.get(*order).outcome().is_none()) {
            let is_open = self.job.may_have_been_dispatched(&before, order);
            if !is_open && self.has(Flaw::WaitingUnclaimed) {
                pass.ledger.set(order, Letter::Ended(outcome));
            } else if pass.round.is_wide || before.get(order) != Letter::Running {
                pass.is_to_end(order, outcome);
            }
        }
        if pass.to_end.is_empty() { self.go_on_from(state, pass) } else { pass.goes_to(Step::EndOrder(EndStep::Claim)) }
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
        if !pass.to_end.is_empty() {
            return pass.goes_to(Step::EndOrder(EndStep::Claim));
        }
        pass.endings = Ledger::default();
        self.go_on_from(state, pass)
    }
}
