//! A pass: one orchestrator at work on the run, from the lease to the commit.
//!
//! ```text
//!  Acquire ─▶ Judge ─▶ Look ─▶ EndOrder… ─▶ Evaluate ─▶ StartWatchdog ─▶ StartTarget ─▶ … ─▶ Commit ─▶ home
//!   │    ▲      ▲                                  │         ▲    Checkpoint    │                ▲  │
//!   ▼    │      │                                  │         └──────────────────┘                │  │
//!  Deposit      │                                  └─ all ended ─▶ Checkpoint ─▶ PutDone ────────┘  │
//!               └─────────────────────────── news came in meanwhile ◀───────────────────────────────┘
//!
//!  near the end of its time: GiveUp ─▶ Wake ─▶ home       after an error: GiveUp ─▶ Lambda delivers the event again
//! ```
//!
//! Each step is one call to AWS and has two halves: what AWS does is in `calls`, what the pass makes of the answer here. A lost reply is the first without the second.

use crate::{
    flaws::Flaw,
    ledger::{Ledger, Letter, Outcome},
    orders::{Order, Orders},
    protocol::Protocol,
    state::{About, Claim, Event, Nonce, State, Status},
};

/// Where a pass is: the call that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Takes the lease and counts the wake-up.
    Acquire,
    /// Counts the wake-up for the holder.
    Deposit,
    /// Reads the clock: is the job's deadline past?
    Judge,
    /// Reads the results: the event's, or all.
    Look,
    /// Ends the lowest order of those to end.
    EndOrder(EndStep),
    /// Finds what may start, if the deadline is not past.
    Evaluate,
    /// Starts the watchdog of the lowest order that may start.
    StartWatchdog,
    /// Starts its target.
    StartTarget,
    /// Saves the letters in the middle of the work.
    Checkpoint,
    /// Writes `done`.
    PutDone,
    /// Saves the letters and gives the lease back.
    Commit,
    /// Gives the lease back in the middle of the work.
    GiveUp(Because),
    /// Rewrites `…/0000/result.json`, so that another goes on.
    Wake,
}

/// The calls of `end_order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndStep {
    /// The PUT of the engine's claim.
    Claim,
    /// The request to stop, to the worker that holds it.
    Stop,
    /// The PUT of the result.
    Result(Outcome),
}

/// Why a pass gives up its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Because {
    /// The end of its time is near.
    OutOfTime,
    /// A call failed.
    Error,
}

/// A pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pass {
    /// Where it is.
    pub step: Step,
    /// What woke it.
    pub event: Event,
    /// What it takes the lease as.
    pub nonce: Nonce,
    /// Whether it was the last to take the lease, whatever the item says. Only the invariants look at it.
    pub holds: bool,
    /// The count of news that it knows.
    pub news: u8,
    /// Whether it looks at everything.
    pub is_wide: bool,
    /// Whether it found the deadline past.
    pub is_late: bool,
    /// The ledger in memory: only steps that were performed to their end.
    pub ledger: Ledger,
    /// Orders to end through their claims, and how.
    pub to_end: Orders,
    /// How they end.
    pub ending: Outcome,
    /// Orders to start.
    pub to_start: Orders,
    /// Orders that it started before it took the lease (a flaw).
    pub early: Orders,
}

/// What becomes of a pass.
pub(crate) enum Then {
    /// It goes on.
    On,
    /// It went home: its event is taken care of.
    Home,
    /// It ended with an error: Lambda delivers the event again.
    Failed,
}

impl Pass {
    /// An invocation of the orchestrator begins.
    pub(crate) fn new(event: Event) -> Self {
        Self {
            step: Step::Acquire,
            event,
            nonce: 0,
            holds: false,
            news: 0,
            is_wide: true,
            is_late: false,
            ledger: Ledger::default(),
            to_end: Orders::NONE,
            ending: Outcome::Skipped,
            to_start: Orders::NONE,
            early: Orders::NONE,
        }
    }

    /// Gives up its lease before it goes home.
    pub(crate) fn hands_over(&mut self, because: Because) {
        self.step = Step::GiveUp(because);
        self.to_end = Orders::NONE;
        self.to_start = Orders::NONE;
        self.ending = Outcome::Skipped;
        self.is_wide = true;
        self.is_late = false;
    }

    /// The order that it is about to end.
    pub(crate) fn ended_next(&self) -> Order {
        self.to_end.lowest().unwrap_or_default()
    }

    /// The order that it is about to start.
    pub(crate) fn started_next(&self) -> Order {
        self.to_start.lowest().unwrap_or_default()
    }

    fn goes_to(&mut self, step: Step) -> Then {
        self.step = step;
        Then::On
    }
}

impl Protocol {
    /// Goes on after the call of its step was answered.
    pub(crate) fn proceed(&self, state: &State, pass: &mut Pass, applied: bool) -> Then {
        match pass.step {
            Step::Acquire if applied && !state.store.plan => {
                pass.hands_over(Because::Error);
                Then::On
            }
            Step::Acquire if applied => {
                pass.news = state.item.news;
                pass.ledger = state.item.ledger;
                for order in pass.early.iter().filter(|order| state.item.ledger.get(*order) == Letter::Queued) {
                    pass.ledger.set(order, Letter::Running);
                }
                pass.early = Orders::NONE;
                let is_alone = pass.news == 1 || self.has(Flaw::AlwaysNarrow);
                pass.is_wide = !is_alone || pass.event.about == About::Wake;
                self.begin_round(pass)
            }
            Step::Acquire if matches!(state.item.status, Status::Idle | Status::Active) => pass.goes_to(Step::Deposit),
            Step::Deposit if applied => Then::Home,
            Step::Deposit => pass.goes_to(Step::Acquire),
            Step::Judge => {
                pass.is_late = state.is_late;
                if self.has(Flaw::DeadlineAfterLook) { self.stop(state, pass) } else { pass.goes_to(Step::Look) }
            }
            Step::Look => {
                self.look(state, pass);
                if !self.has(Flaw::StopBeforeCascade) {
                    // An order that ends because of a dependency does so whatever the clock or a cancellation says.
                    pass.ledger = self.job.evaluate(pass.ledger).ledger;
                }
                let judges_now = self.has(Flaw::DeadlineAfterLook) && self.knows_deadline();
                if judges_now { pass.goes_to(Step::Judge) } else { self.stop(state, pass) }
            }
            Step::EndOrder(step) => self.go_on_ending(state, pass, step),
            Step::Evaluate => self.evaluate(state, pass),
            Step::StartWatchdog if self.has(Flaw::WatchdogAfterTarget) => self.dispatched(pass),
            Step::StartWatchdog => pass.goes_to(Step::StartTarget),
            Step::StartTarget if self.has(Flaw::WatchdogAfterTarget) => pass.goes_to(Step::StartWatchdog),
            Step::StartTarget => self.dispatched(pass),
            Step::Checkpoint if applied && pass.to_start.is_empty() => pass.goes_to(Step::PutDone),
            Step::Checkpoint if applied => self.go_on_starting(pass),
            Step::Checkpoint => {
                pass.hands_over(Because::Error);
                Then::On
            }
            Step::PutDone => pass.goes_to(Step::Commit),
            Step::Commit if !applied && state.item.owner == Some(pass.nonce) => {
                // Others came meanwhile: look at everything, still holding the lease.
                pass.news = state.item.news;
                pass.is_wide = true;
                self.begin_round(pass)
            }
            // No run, not submitted yet, or completed; done, or not ours any more.
            Step::Acquire | Step::Commit | Step::Wake => Then::Home,
            Step::GiveUp(Because::OutOfTime) => pass.goes_to(Step::Wake),
            Step::GiveUp(Because::Error) => Then::Failed,
        }
    }

    /// What a pass starts before it has a lease (a flaw): what the ledger and its own event tell.
    pub(crate) fn start_without_lease(&self, state: &State, pass: &mut Pass) {
        pass.ledger = state.item.ledger;
        if let About::Result(order) = pass.event.about
            && let Some(outcome) = state.store.results[order]
        {
            pass.ledger.set(order, Letter::Ended(outcome));
        }
        pass.to_start = self.job.evaluate(pass.ledger).ready;
        pass.early = pass.to_start;
        if !pass.to_start.is_empty() {
            self.go_on_starting(pass);
        }
    }

    fn begin_round(&self, pass: &mut Pass) -> Then {
        let judges_first = self.knows_deadline() && !self.has(Flaw::DeadlineAfterLook);
        pass.goes_to(if judges_first { Step::Judge } else { Step::Look })
    }

    /// Takes over the results that stand.
    fn look(&self, state: &State, pass: &mut Pass) {
        let looked_at = match pass.event.about {
            About::Result(order) if !pass.is_wide => Orders::from_iter([order]),
            _ => self.job.all(),
        };
        for order in looked_at.iter() {
            if let (None, Some(outcome)) = (pass.ledger.get(order).outcome(), state.store.results[order]) {
                pass.ledger.set(order, Letter::Ended(outcome));
            }
        }
        if pass.is_wide && state.store.cancel {
            pass.ending = Outcome::Cancelled;
        }
    }

    /// Cancels, or times out at the job's deadline, everything that has not ended: through its claim what may have been
    /// dispatched, in the ledger alone what cannot.
    fn stop(&self, state: &State, pass: &mut Pass) -> Then {
        let is_cancelled = pass.ending == Outcome::Cancelled;
        // A look at one order alone does not know what became of the others since the ledger was saved.
        let knows_enough = pass.is_wide || self.has(Flaw::DeadlineOnNarrowLook) || self.has(Flaw::DeadlineAfterLook);
        let is_over = pass.is_late && knows_enough;
        if !is_cancelled && !is_over {
            return self.seek(state, pass);
        }
        if !is_cancelled {
            pass.ending = Outcome::TimedOut;
        }
        let before = pass.ledger;
        for order in self.job.all().iter().filter(|order| before.get(*order).outcome().is_none()) {
            if self.job.may_have_been_dispatched(&before, order) {
                let is_left = !is_cancelled && !pass.is_wide && before.get(order) == Letter::Running;
                if !is_left {
                    pass.to_end.add(order);
                }
            } else {
                pass.ledger.set(order, Letter::Ended(pass.ending));
            }
        }
        if pass.to_end.is_empty() { self.seek(state, pass) } else { pass.goes_to(Step::EndOrder(EndStep::Claim)) }
    }

    fn go_on_ending(&self, state: &State, pass: &mut Pass, step: EndStep) -> Then {
        let order = pass.ended_next();
        match (step, state.store.claims[order], state.store.results[order]) {
            (EndStep::Claim, None, None) => return pass.goes_to(Step::EndOrder(EndStep::Result(pass.ending))),
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
        if pass.to_end.is_empty() { self.seek(state, pass) } else { pass.goes_to(Step::EndOrder(EndStep::Claim)) }
    }

    /// On to the graph. What the look and the clock told is used up.
    fn seek(&self, state: &State, pass: &mut Pass) -> Then {
        pass.is_wide = true;
        pass.is_late = false;
        pass.ending = Outcome::Skipped;
        if self.knows_deadline() { pass.goes_to(Step::Evaluate) } else { self.evaluate(state, pass) }
    }

    fn evaluate(&self, state: &State, pass: &mut Pass) -> Then {
        let evaluation = self.job.evaluate(pass.ledger);
        pass.ledger = evaluation.ledger;
        pass.to_start = if state.is_late { Orders::NONE } else { evaluation.ready };
        self.go_on_starting(pass)
    }

    /// The ledger takes the step once watchdog and target are there.
    fn dispatched(&self, pass: &mut Pass) -> Then {
        let order = pass.started_next();
        pass.ledger.set(order, Letter::Running);
        pass.to_start.remove(order);
        let saves = self.job.count > 1 && !pass.to_start.is_empty() && pass.early.is_empty();
        if saves { pass.goes_to(Step::Checkpoint) } else { self.go_on_starting(pass) }
    }

    pub(crate) fn go_on_starting(&self, pass: &mut Pass) -> Then {
        let last_is_missing = self.has(Flaw::DoneBeforeLastResult)
            && !self.job.all().iter().any(|order| pass.ledger.get(order) == Letter::Queued);
        let next = if !pass.to_start.is_empty() {
            if self.has(Flaw::WatchdogAfterTarget) { Step::StartTarget } else { Step::StartWatchdog }
        } else if !pass.early.is_empty() {
            pass.ledger = Ledger::default();
            Step::Acquire
        } else if self.job.is_over(&pass.ledger) || last_is_missing {
            // Whoever comes after this pass must find the very letters that `done` is made from.
            if self.has(Flaw::DoneBeforeLetters) { Step::PutDone } else { Step::Checkpoint }
        } else {
            Step::Commit
        };
        pass.goes_to(next)
    }
}
