//! What AWS does on each call of a pass: the conditional writes of the run item (as `common::run_item` has them), and the
//! objects and executions that it makes.

use crate::{
    flaws::Flaw,
    holder::{EndStep, Pass, Step},
    invariants::Invariant,
    ledger::Ledger,
    orders::Order,
    protocol::Protocol,
    state::{About, Claim, State, Status, Watchdog},
    worker::{Invoke, put_claim},
};

impl Protocol {
    /// Performs the call that a pass is about to make. Gives whether its condition held.
    pub(crate) fn perform(&self, state: &mut State, pass: &mut Pass) -> bool {
        let is_owner = state.item.owner.is_some_and(|owner| owner == pass.nonce);
        match pass.step {
            Step::Wake => return self.wake(state, pass, is_owner),
            Step::TakeOver => return self.take_over(state, pass, is_owner),
            Step::Checkpoint => {
                if !is_owner {
                    return false;
                }
                Self::save(state, pass);
                if self.has(Flaw::CheckpointClearsNews) {
                    state.item.news = 0;
                }
            }
            Step::Commit => return self.commit(state, pass, is_owner),
            Step::GiveUp(_) => {
                if !is_owner {
                    return false;
                }
                Self::save(state, pass);
                release(state, Status::Idle);
                if self.has(Flaw::GiveUpClearsNews) {
                    state.item.news = 0;
                }
            }
            Step::WakeNext => state.notify(About::Wake),
            Step::EndOrder(EndStep::Claim) => {
                if !self.has(Flaw::EndWithoutClaim) {
                    put_claim(state, pass.ended_next(), Claim::Engine(pass.ending()));
                }
            }
            Step::EndOrder(EndStep::Stop) => state.store.stops.add(pass.ended_next()),
            Step::EndOrder(EndStep::Result(outcome)) => self.put_result(state, pass.ended_next(), outcome),
            Step::StartWatchdog => start_watchdog(state, pass.started_next()),
            Step::StartTarget => start_target(state, pass.started_next()),
            Step::PutDone => self.put_done(state, pass.ledger),
            Step::Look | Step::Judge | Step::Evaluate => {}
        }
        true
    }

    fn wake(&self, state: &mut State, pass: &mut Pass, is_owner: bool) -> bool {
        if !matches!(state.item.status, Status::Idle | Status::Active) {
            return false;
        }
        state.item.news += 1;
        if state.item.owner.is_none() {
            self.take(state, pass);
            return true;
        }
        state.item.status = Status::Active;
        is_owner && !self.has(Flaw::WakeNotForOwner)
    }

    fn take_over(&self, state: &mut State, pass: &mut Pass, is_owner: bool) -> bool {
        let may_be_taken = matches!(state.item.status, Status::Idle | Status::Active);
        if !may_be_taken || state.is_leased() && !is_owner {
            return false;
        }
        if self.has(Flaw::TakeOverWithoutNews) {
            state.item.news = state.item.news.max(1);
        } else {
            state.item.news += 1;
        }
        self.take(state, pass);
        true
    }

    fn take(&self, state: &mut State, pass: &mut Pass) {
        let is_owner = state.item.owner.is_some_and(|owner| owner == pass.nonce);
        if !is_owner && !self.requests_matter() {
            // A fresh draw: the canonical state knows no other than 1.
            pass.nonce = 2;
        }
        state.item.owner = Some(pass.nonce);
        state.item.is_live = true;
        state.item.status = Status::Active;
        state.passes.iter_mut().for_each(|other| other.holds = false);
        pass.holds = true;
    }

    fn commit(&self, state: &mut State, pass: &Pass, is_owner: bool) -> bool {
        let is_owner = is_owner || self.has(Flaw::CommitNotForOwner) && state.item.status == Status::Active;
        let knows_all = state.item.news > 0 && state.item.news == pass.news || self.has(Flaw::CommitWithoutNews);
        if !is_owner || !knows_all {
            return false;
        }
        Self::save(state, pass);
        let status = if self.job.is_over(&pass.ledger) { Status::Completed } else { Status::Idle };
        release(state, status);
        state.item.news = 0;
        true
    }

    /// `SET orders`.
    fn save(state: &mut State, pass: &Pass) {
        if !pass.holds {
            state.witness.breaks(Invariant::OnlyTheHolderWrites);
        }
        if !state.item.ledger.is_before(&pass.ledger) {
            state.witness.breaks(Invariant::OnlyForward);
        }
        state.item.ledger = pass.ledger;
        state.witness.heard.forget(pass.ledger.ended());
    }

    fn put_done(&self, state: &mut State, ledger: Ledger) {
        if state.store.done.is_none() {
            state.store.done = Some(ledger);
        } else if self.has(Flaw::DoneOverwritten) {
            state.store.done = Some(ledger);
            state.witness.breaks(Invariant::DoneWhenOver);
        }
    }
}

/// `REMOVE orchestrator_id, lease_until`.
fn release(state: &mut State, status: Status) {
    state.item.status = status;
    state.item.owner = None;
    state.item.is_live = false;
    state.passes.iter_mut().for_each(|pass| pass.holds = false);
}

/// `StartExecution`; "already exists" is success.
fn start_watchdog(state: &mut State, order: Order) {
    if state.watchdogs[order] == Watchdog::None {
        state.watchdogs[order] = Watchdog::Waiting;
    }
}

/// `Invoke`, `StartBuild` or `SendCommand`: each time a request of its own.
fn start_target(state: &mut State, order: Order) {
    let request = state.fresh_request(order);
    state.invokes.push(Invoke { order, request });
    state.witness.dispatched(order);
}
