//! How an order's watchdog ends it: `watchdog_check`'s look, and `Claims::end` behind it.
//!
//! ```text
//!  claim free      → claim it as the engine's → write the result
//!  claim engine's  → write the result that it names
//!  claim worker's  → ask it to stop → once its grace is over, write the result
//! ```
//!
//! Claim and result are two calls: the function can be killed between them, and the machine looks again.

use crate::{
    flaws::Flaw,
    ledger::Outcome,
    orders::Order,
    protocol::Protocol,
    state::{Claim, State, Watchdog},
    worker::put_claim,
};

impl Protocol {
    /// Whether the order's watchdog has something to look after.
    pub(crate) fn is_watched(state: &State, order: Order) -> bool {
        state.watchdogs[order] != Watchdog::None && state.store.results[order].is_none()
    }

    /// Whether time alone shows that nobody will end the order: nothing of it is on its way, nobody is at work.
    pub(crate) fn is_surely_late(state: &State, order: Order) -> bool {
        state.passes.is_empty()
            && state.events.is_empty()
            && !state.workers.iter().any(|worker| worker.order == order)
            && !state.invokes.iter().any(|invoke| invoke.order == order)
            && !state.lost.iter().any(|lost| lost.order == order)
    }

    /// The watchdog finds the order late, or goes on ending it.
    pub(crate) fn time_out(&self, state: &mut State, order: Order) {
        if let Watchdog::Ending(outcome) = state.watchdogs[order] {
            self.put_result(state, order, outcome);
            state.watchdogs[order] = Watchdog::Waiting;
            return;
        }
        if self.has(Flaw::EndWithoutClaim) && state.store.claims[order].is_none() {
            state.watchdogs[order] = Watchdog::Ending(Outcome::TimedOut);
            return;
        }
        put_claim(state, order, Claim::Engine(Outcome::TimedOut));
        match state.store.claims[order] {
            Some(Claim::Engine(outcome)) => state.watchdogs[order] = Watchdog::Ending(outcome),
            _ if !state.store.stops.has(order) => state.store.stops.add(order),
            // The grace is over, and the target's own stop was used.
            _ => self.put_result(state, order, Outcome::TimedOut),
        }
    }
}
