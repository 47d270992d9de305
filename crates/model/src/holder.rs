//! A pass: one orchestrator at work on the run, from the lease to the commit.
//!
//! ```text
//!  Wake ─▶ Look ─▶ ends ─▶ Evaluate ─▶ StartWatchdog ─▶ StartTarget ─▶ … ─▶ Commit ─▶ home
//!   │ │     ▲ ▲                │             ▲    Checkpoint    │             ▲  │ │
//!   │ ▼     │ │                │             └──────────────────┘             │  │ └─ news, and all ended: again
//!   │ TakeOver│                └─ all ended ─▶ PutDone ───────────────────────┘  │
//!   ▼         └─────────────── news came in meanwhile ◀──────────────────────────┘
//!  home: the lease is somebody else's
//!
//!  ends: dependencies: EndOrder… ─▶ cancellation: EndOrder… ─▶ Judge ─▶ deadline: EndOrder… ─▶ dependencies: EndOrder…
//!  near the end of its time: GiveUp ─▶ WakeNext ─▶ home       after an error: GiveUp ─▶ Lambda delivers the event again
//! ```
//!
//! Each step is one call to AWS and has two halves: what AWS does is in `calls`, what the pass makes of the answer here. A
//! lost reply is the first without the second. The clock counts as a call: time passes before and after it.

use crate::{
    flaws::Flaw,
    ledger::{Ledger, Letter, Outcome},
    orders::{Order, Orders},
    protocol::Protocol,
    state::{About, Event, Nonce, State, Status},
    stops::Round,
};

/// Where a pass is: the call that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Counts the wake-up, and takes the lease if nobody has it.
    Wake,
    /// Takes the lease from an owner whose time is over.
    TakeOver,
    /// Reads the results: the event's, or all.
    Look,
    /// Ends the lowest order of those to end.
    EndOrder(EndStep),
    /// Reads the clock: is the job's deadline past?
    Judge,
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
    WakeNext,
}

impl Step {
    /// Whether nothing is changed by it.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Look | Self::Judge | Self::Evaluate)
    }
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
    /// What it knows of this round.
    pub round: Round,
    /// The ledger in memory: only steps that were performed to their end.
    pub ledger: Ledger,
    /// Orders to end through their claims, and how.
    pub to_end: Orders,
    /// How they end.
    pub endings: Ledger,
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
            step: Step::Wake,
            event,
            nonce: 0,
            holds: false,
            news: 0,
            round: Round::OVER,
            ledger: Ledger::default(),
            to_end: Orders::NONE,
            endings: Ledger::default(),
            to_start: Orders::NONE,
            early: Orders::NONE,
        }
    }

    /// Gives up its lease before it goes home.
    pub(crate) fn hands_over(&mut self, because: Because) {
        self.step = Step::GiveUp(because);
        self.to_end = Orders::NONE;
        self.endings = Ledger::default();
        self.to_start = Orders::NONE;
        self.round = Round::OVER;
    }

    /// How the order that it is about to end is to end.
    pub(crate) fn ending(&self) -> Outcome {
        self.endings.get(self.ended_next()).outcome().unwrap_or(Outcome::Skipped)
    }

    /// Is to end an order so.
    pub(crate) fn is_to_end(&mut self, order: Order, outcome: Outcome) {
        self.to_end.add(order);
        self.endings.set(order, Letter::Ended(outcome));
    }

    /// The order that it is about to end.
    pub(crate) fn ended_next(&self) -> Order {
        self.to_end.lowest().unwrap_or_default()
    }

    /// The order that it is about to start.
    pub(crate) fn started_next(&self) -> Order {
        self.to_start.lowest().unwrap_or_default()
    }

    pub(crate) fn goes_to(&mut self, step: Step) -> Then {
        self.step = step;
        Then::On
    }
}

impl Protocol {
    /// Goes on after the call of its step was answered.
    pub(crate) fn proceed(&self, state: &State, pass: &mut Pass, applied: bool) -> Then {
        match pass.step {
            Step::Wake | Step::TakeOver if applied && !state.store.plan => {
                pass.hands_over(Because::Error);
                Then::On
            }
            Step::Wake | Step::TakeOver if applied => {
                pass.news = state.item.news;
                pass.ledger = state.item.ledger;
                for order in pass.early.iter().filter(|order| state.item.ledger.get(*order) == Letter::Queued) {
                    pass.ledger.set(order, Letter::Running);
                }
                pass.early = Orders::NONE;
                let is_alone = pass.news == 1 || self.has(Flaw::AlwaysNarrow);
                pass.round.is_wide = !is_alone || pass.event.about == About::Wake;
                pass.goes_to(Step::Look)
            }
            // The holder will find the news.
            Step::Wake if state.is_leased() || self.has(Flaw::DepositWithTheDead) => Then::Home,
            Step::Wake if matches!(state.item.status, Status::Idle | Status::Active) => pass.goes_to(Step::TakeOver),
            Step::TakeOver => pass.goes_to(Step::Wake),
            Step::Look => {
                self.look(state, pass);
                if self.stops_first { self.go_on_from(state, pass) } else { self.cascade(state, pass) }
            }
            Step::EndOrder(step) => self.go_on_ending(state, pass, step),
            Step::Judge if state.is_late => self.stop(state, pass, Outcome::TimedOut),
            Step::Judge => self.go_on_from(state, pass),
            Step::Evaluate => self.evaluate(state, pass),
            Step::StartWatchdog if self.has(Flaw::WatchdogAfterTarget) => self.dispatched(pass),
            Step::StartWatchdog => pass.goes_to(Step::StartTarget),
            Step::StartTarget if self.has(Flaw::WatchdogAfterTarget) => pass.goes_to(Step::StartWatchdog),
            Step::StartTarget => self.dispatched(pass),
            Step::Checkpoint if applied => self.go_on_starting(pass),
            Step::Checkpoint => {
                pass.hands_over(Because::Error);
                Then::On
            }
            Step::PutDone => pass.goes_to(Step::Commit),
            Step::Commit if !applied && state.item.owner == Some(pass.nonce) => {
                // Others came meanwhile: look at everything, still holding the lease. Where all has ended, nothing that they
                // say can change it.
                pass.news = state.item.news;
                let next = if self.job.is_over(&pass.ledger) { Step::Commit } else { Step::Look };
                pass.goes_to(next)
            }
            // No run, not submitted yet, or completed; done, or not ours any more.
            Step::Wake | Step::Commit | Step::WakeNext => Then::Home,
            Step::GiveUp(Because::OutOfTime) => pass.goes_to(Step::WakeNext),
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

    /// Takes over the results that stand.
    fn look(&self, state: &State, pass: &mut Pass) {
        let looked_at = match pass.event.about {
            About::Result(order) if !pass.round.is_wide => Orders::from_iter([order]),
            _ => self.job.all(),
        };
        for order in looked_at.iter() {
            if let (None, Some(outcome)) = (pass.ledger.get(order).outcome(), state.store.results[order]) {
                pass.ledger.set(order, Letter::Ended(outcome));
            }
        }
        pass.round.is_cancelled = pass.round.is_wide && state.store.cancel;
    }

    /// On to the graph.
    pub(crate) fn seek(&self, state: &State, pass: &mut Pass) -> Then {
        pass.round = Round::OVER;
        if self.knows_deadline() { pass.goes_to(Step::Evaluate) } else { self.evaluate(state, pass) }
    }

    fn evaluate(&self, state: &State, pass: &mut Pass) -> Then {
        let ready = self.job.evaluate(pass.ledger).ready;
        pass.to_start = if state.is_late { Orders::NONE } else { ready };
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
            Step::Wake
        } else if self.job.is_over(&pass.ledger) || last_is_missing {
            Step::PutDone
        } else {
            Step::Commit
        };
        pass.goes_to(next)
    }
}
