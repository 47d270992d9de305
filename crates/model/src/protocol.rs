//! The protocol as a model: what can happen in a state, and what it leads to.

use stateright::{Model, Property};

use crate::{
    action::{Action, Who},
    faults::Budgets,
    flaws::Flaw,
    holder::{Because, Pass, Step, Then},
    invariants,
    job::Job,
    orders::Order,
    state::{About, Event, State, Status, Watchdog},
    submission::Submitter,
    worker::take,
};

/// Orchestrators, workers, watchdogs and AWS around one run of a job.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The job.
    pub job: Job,
    /// What may go wrong, and how often.
    pub budgets: Budgets,
    /// Most orchestrators at once.
    pub passes: usize,
    /// Most ticks of a run in which nothing else can happen, after each loss. When they are used up the run must be
    /// completed.
    pub ticks: u8,
    /// Whether exploration begins with the submission, not with an accepted run.
    pub from_submission: bool,
    /// Whether cancellation and deadline come before what a dependency decided, not after it.
    pub stops_first: bool,
    /// What is wrong with this variant, as bits.
    flaws: u32,
}

impl Protocol {
    /// The protocol as it should be, running this job with these faults.
    pub fn new(job: Job, budgets: Budgets) -> Self {
        Self { job, budgets, passes: 2, ticks: 1, from_submission: false, stops_first: false, flaws: 0 }
    }

    /// With so many orchestrators at once.
    #[must_use]
    pub fn passes(self, passes: usize) -> Self {
        Self { passes, ..self }
    }

    /// From the submission on.
    #[must_use]
    pub fn from_submission(self) -> Self {
        Self { from_submission: true, ..self }
    }

    /// With cancellation and deadline before what a dependency decided.
    #[must_use]
    pub fn stops_first(self) -> Self {
        Self { stops_first: true, ..self }
    }

    /// A variant.
    #[must_use]
    pub fn with(self, flaw: Flaw) -> Self {
        Self { flaws: self.flaws | 1 << flaw as u32, ..self }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaws & (1 << flaw as u32) != 0
    }

    /// Whether request ids of notifications are compared with anything.
    pub(crate) fn requests_matter(&self) -> bool {
        self.has(Flaw::RequestIdAsNonce)
    }

    /// Whether the job's deadline can pass. If not, nobody looks at the clock, which keeps the states few.
    pub(crate) fn knows_deadline(&self) -> bool {
        self.budgets.deadlines > 0
    }

    /// Whether anything can happen but faults and the tick.
    pub(crate) fn goes_on_by_itself(&self, state: &State) -> bool {
        // Whoever is at work goes on. That is so in most states, and counting all that can happen takes long.
        if !state.passes.is_empty() || !state.workers.is_empty() || !state.invokes.is_empty() {
            return true;
        }
        let mut actions = Vec::new();
        self.progress(state, &mut actions);
        !actions.is_empty()
    }

    /// The engine and its surroundings at work, but for the tick.
    fn progress(&self, state: &State, actions: &mut Vec<Action>) {
        if state.passes.len() < self.passes {
            distinct(&state.events).for_each(|event| actions.push(Action::Deliver(event)));
        }
        actions.extend(who(state).map(|(who, pass)| Action::Pass(who, pass.step)));
        if state.item.is_live && !state.holder_lives() {
            actions.push(Action::LeaseEnds);
        }
        actions.extend(distinct(&state.invokes).map(Action::Claim));
        actions.extend(distinct(&state.workers).map(Action::Work));
        actions.extend(distinct(&state.lost).map(Action::Lost));
        actions.extend(state.submitters.iter().copied().map(Action::Submit));
        let watched = self.job.all().iter().filter(|order| Self::is_watched(state, *order));
        let due = watched.filter(|order| is_ending(state, *order) || Self::is_surely_late(state, *order));
        actions.extend(due.map(Action::TimeOut));
    }

    /// Whether the tick comes to a run in which nothing but a watchdog's time is waited for.
    pub(crate) fn tick_is_due(&self, state: &State, others: &[Action]) -> bool {
        let waits = |action: &Action| matches!(action, Action::TimeOut(order) if !is_ending(state, *order));
        others.iter().all(waits) && self.ticks(state) && state.tick.used < self.ticks
    }

    /// Whether the tick would wake the run.
    fn ticks(&self, state: &State) -> bool {
        let stops = self.has(Flaw::NoTick) || self.has(Flaw::TickStopsAtDone) && state.store.done.is_some();
        state.tick.is_started && !stops && matches!(state.item.status, Status::Idle | Status::Active)
    }

    /// What may happen at any time.
    fn happenings(&self, state: &State, actions: &mut Vec<Action>) {
        let budgets = &state.budgets;
        if budgets.timeouts > 0 {
            let due = |order: &Order| {
                Self::is_watched(state, *order) && !is_ending(state, *order) && !Self::is_surely_late(state, *order)
            };
            actions.extend(self.job.all().iter().filter(due).map(Action::TimeOutEarly));
        }
        if budgets.hand_overs > 0 {
            let between = |pass: &Pass| matches!(pass.step, Step::StartWatchdog | Step::Checkpoint);
            let out = who(state).filter(|(_, pass)| between(pass));
            actions.extend(out.map(|(who, pass)| Action::RunOutOfTime(who, pass.step)));
        }
        if budgets.early_ticks > 0 && self.ticks(state) {
            actions.push(Action::TickEarly);
        }
        let is_going_on = matches!(state.item.status, Status::Idle | Status::Active);
        if budgets.deadlines > 0 && is_going_on {
            actions.push(Action::Deadline);
        }
        if budgets.cancels > 0 && is_going_on {
            actions.push(Action::Cancel);
        }
        if budgets.resubmissions > 0 {
            actions.push(Action::SubmitAgain);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state =
            if self.from_submission { State::submitted(self.budgets) } else { State::accepted(self.budgets) };
        if !self.from_submission {
            state.item.ledger = self.job.beginning();
        }
        vec![state.canonical(&self.job, self.requests_matter())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.progress(state, actions);
        if self.tick_is_due(state, actions) {
            actions.push(Action::Tick);
        }
        self.happenings(state, actions);
        Self::faults(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        Some(state.canonical(&self.job, self.requests_matter()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::properties()
    }
}

impl Protocol {
    fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Deliver(event) => self.deliver(state, event),
            Action::Pass(who, _) => self.step(state, who),
            Action::LeaseEnds => state.item.is_live = false,
            Action::Claim(invoke) => self.claim(state, invoke, true),
            Action::Work(worker) => self.work_on(state, worker),
            Action::Lost(lost) => self.end_lost(state, lost),
            Action::TimeOut(order) => self.time_out(state, order),
            Action::Submit(submitter) => self.submit(state, submitter, true),
            Action::Tick => {
                state.tick.used += 1;
                state.notify(About::Wake);
            }
            Action::TimeOutEarly(order) => {
                state.budgets.timeouts -= 1;
                self.time_out(state, order);
            }
            Action::RunOutOfTime((index, _), _) => {
                state.budgets.hand_overs -= 1;
                state.passes[index].hands_over(Because::OutOfTime);
            }
            Action::TickEarly => {
                state.budgets.early_ticks -= 1;
                state.notify(About::Wake);
            }
            Action::Deadline => {
                state.budgets.deadlines -= 1;
                state.is_late = true;
                // A pass that judged before and evaluates after leaves what is ready to the next tick.
                state.may_need_tick();
                state.notify(About::Wake);
            }
            Action::Cancel => {
                state.budgets.cancels -= 1;
                state.store.cancel = true;
                state.notify(About::Wake);
            }
            Action::SubmitAgain => {
                state.budgets.resubmissions -= 1;
                state.submitters.push(Submitter::new(2));
            }
            fault => self.fail(state, fault),
        }
    }

    fn deliver(&self, state: &mut State, event: Event) {
        take(&mut state.events, &event);
        let mut pass = Pass::new(event);
        if self.requests_matter() {
            pass.nonce = event.request;
        }
        if self.has(Flaw::DispatchBeforeLease) {
            self.start_without_lease(state, &mut pass);
        }
        state.passes.push(pass);
    }

    fn step(&self, state: &mut State, (index, _): Who) {
        let mut pass = state.passes.remove(index);
        let applied = self.perform(state, &mut pass);
        match self.proceed(state, &mut pass, applied) {
            Then::On => state.passes.push(pass),
            Then::Home => {
                if let About::Result(order) = pass.event.about
                    && state.item.ledger.get(order).outcome().is_none()
                {
                    state.witness.heard.of(order);
                }
            }
            Then::Failed => state.events.push(pass.event),
        }
    }
}

/// Passes at work, each with its place.
pub(crate) fn who(state: &State) -> impl Iterator<Item = (Who, &Pass)> {
    state.passes.iter().enumerate().map(|(index, pass)| ((index, pass.event.about), pass))
}

/// Whether the order's watchdog is about to write its result.
pub(crate) fn is_ending(state: &State, order: Order) -> bool {
    matches!(state.watchdogs[order], Watchdog::Ending(_))
}

/// Each of these once; they are sorted.
pub(crate) fn distinct<T: Copy + PartialEq>(all: &[T]) -> impl Iterator<Item = T> {
    all.iter().enumerate().filter(|(index, one)| *index == 0 || all[index - 1] != **one).map(|(_, one)| *one)
}
