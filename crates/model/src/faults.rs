//! What may go wrong, and what may happen at any moment: how often each does in one exploration.

use crate::{
    action::Action,
    holder::{Because, Step},
    orders::Order,
    protocol::{Protocol, distinct, is_ending, who},
    state::{State, Watchdog},
    worker::take,
};

/// How often each fault, and each event from outside, may still happen.
///
/// Late delivery has no budget: whatever is on its way arrives at any time, or after everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// A pass, a submission or the function that ends orders is killed between two calls.
    pub crashes: u8,
    /// A worker is killed.
    pub worker_crashes: u8,
    /// A notification, an invoke, or the news of a lost worker is delivered twice.
    pub duplicates: u8,
    /// A notification or the news of a lost worker is never delivered.
    pub drops: u8,
    /// A lease runs out although its holder is at work.
    pub zombies: u8,
    /// A call is applied and its answer is lost; the caller makes it again.
    pub lost_replies: u8,
    /// A call of a pass fails for good; the pass gives up its lease and ends with an error.
    pub errors: u8,
    /// The start of a target is throttled; the pass leaves the order for later.
    pub throttles: u8,
    /// An order's watchdog finds it late while its worker, or its invoke, is still there.
    pub timeouts: u8,
    /// A pass comes to the end of its time and hands over.
    pub hand_overs: u8,
    /// The tick wakes the run although something else can still happen.
    pub early_ticks: u8,
    /// The job's deadline passes.
    pub deadlines: u8,
    /// The run is cancelled.
    pub cancels: u8,
    /// The client submits the same job again.
    pub resubmissions: u8,
}

impl Protocol {
    /// Faults that can happen now.
    pub(crate) fn faults(state: &State, actions: &mut Vec<Action>) {
        let budgets = &state.budgets;
        if budgets.crashes > 0 {
            actions.extend(who(state).map(|(who, pass)| Action::CrashPass(who, pass.step)));
            actions.extend(state.submitters.iter().copied().map(Action::CrashSubmission));
            let ending = |order: &Order| is_ending(state, *order);
            actions.extend((0..state.watchdogs.len()).filter(ending).map(Action::CrashWatchdog));
            let lost = distinct(&state.lost).filter(|lost| lost.ending.is_some());
            actions.extend(lost.map(Action::CrashLost));
        }
        if budgets.worker_crashes > 0 {
            actions.extend(distinct(&state.workers).map(Action::CrashWorker));
            actions.extend(distinct(&state.invokes).map(Action::CrashInvoke));
        }
        if budgets.duplicates > 0 {
            actions.extend(distinct(&state.events).map(Action::DuplicateEvent));
            actions.extend(distinct(&state.invokes).map(Action::DuplicateInvoke));
            actions.extend(distinct(&state.lost).map(Action::DuplicateLost));
        }
        if budgets.drops > 0 {
            actions.extend(distinct(&state.events).map(Action::DropEvent));
            actions.extend(distinct(&state.lost).map(Action::DropLost));
        }
        if budgets.zombies > 0 && state.item.is_live && state.holder_lives() {
            actions.push(Action::Zombie);
        }
        if budgets.lost_replies > 0 {
            let calls = who(state).filter(|(_, pass)| !pass.step.only_reads());
            actions.extend(calls.map(|(who, pass)| Action::LoseReply(who, pass.step)));
            actions.extend(distinct(&state.invokes).map(Action::LoseReplyToClaim));
            actions.extend(state.submitters.iter().copied().map(Action::LoseReplyToSubmission));
        }
        if budgets.errors > 0 {
            let calls = who(state).filter(|(_, pass)| !matches!(pass.step, Step::Judge | Step::Evaluate));
            actions.extend(calls.map(|(who, pass)| Action::Fail(who, pass.step)));
        }
        if budgets.throttles > 0 {
            let starts = who(state).filter(|(_, pass)| pass.step == Step::StartTarget);
            actions.extend(starts.map(|(who, _)| Action::Throttle(who)));
        }
    }

    /// A fault happens.
    pub(crate) fn fail(&self, state: &mut State, fault: Action) {
        state.witness.fails();
        let budgets = &mut state.budgets;
        match fault {
            Action::CrashPass((index, _), _) => {
                budgets.crashes -= 1;
                state.may_need_tick();
                let pass = state.passes.remove(index);
                state.events.push(pass.event);
            }
            Action::CrashSubmission(submitter) => {
                budgets.crashes -= 1;
                state.may_need_tick();
                take(&mut state.submitters, &submitter);
            }
            Action::CrashWatchdog(order) => {
                budgets.crashes -= 1;
                state.watchdogs[order] = Watchdog::Waiting;
            }
            Action::CrashLost(lost) => {
                budgets.crashes -= 1;
                take(&mut state.lost, &lost);
                Self::lose(state, lost.order, lost.request);
            }
            Action::CrashWorker(worker) => {
                budgets.worker_crashes -= 1;
                take(&mut state.workers, &worker);
                Self::lose(state, worker.order, worker.request);
            }
            Action::CrashInvoke(invoke) => {
                budgets.worker_crashes -= 1;
                take(&mut state.invokes, &invoke);
                Self::lose(state, invoke.order, invoke.request);
            }
            Action::DuplicateEvent(event) => {
                budgets.duplicates -= 1;
                state.events.push(event);
            }
            Action::DuplicateInvoke(invoke) => {
                budgets.duplicates -= 1;
                state.invokes.push(invoke);
            }
            Action::DuplicateLost(lost) => {
                budgets.duplicates -= 1;
                state.lost.push(lost);
            }
            Action::DropEvent(event) => {
                budgets.drops -= 1;
                state.may_need_tick();
                take(&mut state.events, &event);
            }
            Action::DropLost(lost) => {
                budgets.drops -= 1;
                take(&mut state.lost, &lost);
            }
            Action::Zombie => {
                budgets.zombies -= 1;
                state.item.is_live = false;
            }
            Action::LoseReply((index, _), _) => {
                budgets.lost_replies -= 1;
                let mut pass = state.passes.remove(index);
                self.perform(state, &mut pass);
                state.passes.push(pass);
            }
            Action::LoseReplyToClaim(invoke) => {
                budgets.lost_replies -= 1;
                self.claim(state, invoke, false);
            }
            Action::LoseReplyToSubmission(submitter) => {
                budgets.lost_replies -= 1;
                self.submit(state, submitter, false);
            }
            Action::Fail((index, _), step) => {
                budgets.errors -= 1;
                Self::end_with_error(state, index, step);
            }
            Action::Throttle((index, _)) => {
                budgets.throttles -= 1;
                state.may_need_tick();
                let pass = &mut state.passes[index];
                if let Some(order) = pass.to_start.lowest() {
                    pass.to_start.remove(order);
                }
                self.go_on_starting(pass);
            }
            _ => {}
        }
    }

    /// A call failed for good. Without a lease there is nothing to give up: Lambda delivers the event again.
    fn end_with_error(state: &mut State, index: usize, step: Step) {
        match step {
            Step::Wake | Step::TakeOver | Step::GiveUp(_) | Step::WakeNext => {
                let pass = state.passes.remove(index);
                // A lease that was taken, and nobody was told: it must run out.
                if state.item.owner == Some(pass.nonce) {
                    state.may_need_tick();
                }
                state.events.push(pass.event);
            }
            _ => state.passes[index].hands_over(Because::Error),
        }
    }
}
