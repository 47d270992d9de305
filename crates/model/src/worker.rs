//! Workers: invoked, claim, run, report; or are lost, of which news comes.
//!
//! The claim is where an order *starts* here. Between it and the first command lie milliseconds in which nothing is asked
//! of anybody.

use crate::{
    flaws::Flaw,
    invariants::Invariant,
    ledger::Outcome,
    orders::Order,
    protocol::Protocol,
    state::{About, Claim, Request, State, Watchdog},
};

/// An asynchronous invoke of the worker (or a build, or a command) on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Invoke {
    /// The order.
    pub order: Order,
    /// Its request id, which its duplicates share.
    pub request: Request,
}

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerStep {
    /// The answer to its claim was lost: it reads the claim that stands and compares nonces.
    Compare {
        /// Whether its own stands.
        mine: bool,
    },
    /// Commands run, and it has not claimed yet (a flaw).
    RunUnclaimed,
    /// Commands run.
    Run,
}

/// A worker at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    /// The order.
    pub order: Order,
    /// The request that it runs for.
    pub request: Request,
    /// Where it is.
    pub step: WorkerStep,
}

/// News of a worker that is gone, for `watchdog_check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LostWorker {
    /// The order.
    pub order: Order,
    /// The request that ended.
    pub request: Request,
    /// The order is the engine's to end, with this outcome; the result is to be written.
    pub ending: Option<Outcome>,
}

impl Protocol {
    /// A worker begins with an invoke. It PUTs its claim with `If-None-Match`; if another's stands it is gone.
    pub(crate) fn claim(&self, state: &mut State, invoke: Invoke, is_answered: bool) {
        let Invoke { order, request } = invoke;
        take(&mut state.invokes, &invoke);
        let mut worker = Worker { order, request, step: WorkerStep::Run };
        if self.has(Flaw::ClaimAfterFirstCommand) {
            self.begin(state, order);
            run(state, order);
            worker.step = WorkerStep::RunUnclaimed;
            state.workers.push(worker);
            return;
        }
        let mine = put_claim(state, order, Claim::Worker { by: request });
        if mine {
            self.begin(state, order);
        }
        if !is_answered {
            worker.step = WorkerStep::Compare { mine };
            state.workers.push(worker);
        } else if mine || self.takes_any_claim_as_its_own() {
            run(state, order);
            state.workers.push(worker);
        }
    }

    /// What a worker does next: it compares, claims late (a flaw), or reports.
    pub(crate) fn work_on(&self, state: &mut State, worker: Worker) {
        let Worker { order, request, step } = worker;
        take(&mut state.workers, &worker);
        match step {
            WorkerStep::Compare { mine } => {
                if mine || self.takes_any_claim_as_its_own() {
                    run(state, order);
                    state.workers.push(Worker { step: WorkerStep::Run, ..worker });
                }
            }
            WorkerStep::RunUnclaimed => {
                if put_claim(state, order, Claim::Worker { by: request }) {
                    state.workers.push(Worker { step: WorkerStep::Run, ..worker });
                }
            }
            WorkerStep::Run => self.put_result(state, order, Outcome::Succeeded),
        }
    }

    fn takes_any_claim_as_its_own(&self) -> bool {
        self.has(Flaw::NoWorkerClaim) || self.has(Flaw::ConflictTakenAsMine)
    }

    /// From here on a worker is free to run the order: its claim has landed.
    fn begin(&self, state: &mut State, order: Order) {
        let has_ended = state.item.ledger.get(order).outcome().is_some() || state.store.results[order].is_some();
        if has_ended || state.store.done.is_some() {
            state.witness.breaks(Invariant::NoLateStart);
        }
        let is_over = |dependency: Order| state.store.results[dependency].is_some() || self.job.counted.has(dependency);
        if !self.job.dependencies[order].iter().all(is_over) {
            state.witness.breaks(Invariant::DependenciesFirst);
        }
        if state.watchdogs[order] == Watchdog::None {
            state.witness.breaks(Invariant::WatchedFromTheStart);
        }
    }

    /// A worker is killed: news of it goes out.
    pub(crate) fn lose(state: &mut State, order: Order, request: Request) {
        state.lost.push(LostWorker { order, request, ending: None });
    }

    /// `Claims::lost`: the news of a lost worker ends its order, if the claim names that very one or nobody. Two calls: the
    /// claim, then the result.
    pub(crate) fn end_lost(&self, state: &mut State, news: LostWorker) {
        let LostWorker { order, request, ending } = news;
        take(&mut state.lost, &news);
        if let Some(outcome) = ending {
            self.put_result(state, order, outcome);
            return;
        }
        if state.store.results[order].is_some() {
            return;
        }
        put_claim(state, order, Claim::Engine(Outcome::Lost));
        let ending = match state.store.claims[order] {
            Some(Claim::Engine(outcome)) => outcome,
            Some(Claim::Worker { by }) if by == request || self.has(Flaw::LostWithoutComparing) => {
                // Another delivery of the same request may be the one that runs: it stops.
                state.store.stops.add(order);
                if by != request {
                    state.witness.breaks(Invariant::LostIsGone);
                }
                Outcome::Lost
            }
            _ => return,
        };
        state.lost.push(LostWorker { ending: Some(ending), ..news });
    }

    /// The PUT of a result with `If-None-Match`; S3 tells of it when it landed.
    pub(crate) fn put_result(&self, state: &mut State, order: Order, outcome: Outcome) {
        let stands = &mut state.store.results[order];
        if stands.is_some() && !self.has(Flaw::ResultOverwritten) {
            return;
        }
        let is_another = stands.is_some_and(|stands| stands != outcome);
        *stands = Some(outcome);
        if is_another {
            state.witness.breaks(Invariant::FirstResultStands);
        }
        state.notify(About::Result(order));
    }
}

/// Commands of an order run.
fn run(state: &mut State, order: Order) {
    let starts = &mut state.witness.starts[order];
    *starts = (*starts + 1).min(2);
}

/// The PUT of a claim with `If-None-Match`. Gives whether it landed.
pub(crate) fn put_claim(state: &mut State, order: Order, claim: Claim) -> bool {
    let stands = &mut state.store.claims[order];
    let is_free = stands.is_none();
    stands.get_or_insert(claim);
    is_free
}

/// Takes one of these away.
pub(crate) fn take<T: PartialEq>(from: &mut Vec<T>, one: &T) {
    if let Some(index) = from.iter().position(|other| other == one) {
        from.remove(index);
    }
}
