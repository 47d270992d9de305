//! What is stored, what is on its way, and who is at work: one state of the world.
//!
//! States that differ only in names are one: nonces and request ids are renumbered and everything on its way is sorted
//! ([`State::canonical`]).

use crate::{
    faults::Budgets,
    holder::Pass,
    invariants::Witness,
    job::Job,
    ledger::{Ledger, Outcome},
    orders::{MAX_ORDERS, Order, Orders},
    submission::{Submitter, SubmitterId},
    worker::{Invoke, LostWorker, Worker},
};

/// A draw that names an invocation, for comparing only. `0` is any draw that nothing stored names.
pub type Nonce = u8;

/// A request id of a worker's invocation, one of its order's. All deliveries of one invoke share it.
pub type Request = u8;

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// There is no item.
    Absent,
    /// Being submitted: nothing may run yet.
    Submitting(SubmitterId),
    /// Nobody works on it.
    Idle,
    /// Somebody holds the lease.
    Active,
    /// Every order has ended and `done` is written.
    Completed,
}

/// The run item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// Where the run stands.
    pub status: Status,
    /// Who holds the lease; `None` is the absent attribute.
    pub owner: Option<Nonce>,
    /// Whether `lease_until` is still to come.
    pub is_live: bool,
    /// Wake-ups since the last commit; `0` is the absent attribute.
    pub news: u8,
    /// The letters.
    pub ledger: Ledger,
}

/// `tmp/claims/<run>/<order>.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// A worker has the order: `by` is the request that it runs for.
    Worker {
        /// Its request.
        by: Request,
    },
    /// The engine ended it.
    Engine(Outcome),
}

/// The objects in S3 that the protocol turns on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// `plan.json`: without it no pass can work.
    pub plan: bool,
    /// Results.
    pub results: [Option<Outcome>; MAX_ORDERS],
    /// Claims.
    pub claims: [Option<Claim>; MAX_ORDERS],
    /// Requests to stop.
    pub stops: Orders,
    /// `cancel.json` of the whole run.
    pub cancel: bool,
    /// `done`, with the letters it was made from.
    pub done: Option<Ledger>,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// `…/0000/…`: look at everything.
    Wake,
    /// The result of one order.
    Result(Order),
}

/// An S3 notification on its way to the orchestrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// What it is about.
    pub about: About,
    /// The request id of its invocation, where something looks at that.
    pub request: Nonce,
}

/// The watchdog of an order, an execution in Step Functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Watchdog {
    /// There is none.
    #[default]
    None,
    /// It waits.
    Waiting,
    /// Its function has seen the engine's claim and is about to write the result that this names.
    Ending(Outcome),
}

/// The run's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick {
    /// Whether its execution was started.
    pub is_started: bool,
    /// How often it woke a run in which nothing else could happen, since something was lost.
    pub used: u8,
}

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The run item.
    pub item: Item,
    /// The objects.
    pub store: Store,
    /// Whether the job's deadline is past.
    pub is_late: bool,
    /// Notifications on their way.
    pub events: Vec<Event>,
    /// Orchestrators at work.
    pub passes: Vec<Pass>,
    /// Invokes of workers on their way.
    pub invokes: Vec<Invoke>,
    /// Workers at work.
    pub workers: Vec<Worker>,
    /// News of workers that are gone, on its way or being handled.
    pub lost: Vec<LostWorker>,
    /// The orders' watchdogs.
    pub watchdogs: [Watchdog; MAX_ORDERS],
    /// The run's tick.
    pub tick: Tick,
    /// Submissions at work.
    pub submitters: Vec<Submitter>,
    /// Faults that may still happen.
    pub budgets: Budgets,
    /// What the invariants need to remember.
    pub witness: Witness,
}

impl State {
    /// A run that was accepted a moment ago: its first message is on its way.
    pub fn accepted(budgets: Budgets) -> Self {
        let wake = Event { about: About::Wake, request: 1 };
        Self {
            item: Item { status: Status::Idle, owner: None, is_live: false, news: 0, ledger: Ledger::default() },
            store: Store { plan: true, ..Store::default() },
            is_late: false,
            events: vec![wake],
            passes: Vec::new(),
            invokes: Vec::new(),
            workers: Vec::new(),
            lost: Vec::new(),
            watchdogs: [Watchdog::None; MAX_ORDERS],
            tick: Tick { is_started: true, used: 0 },
            submitters: Vec::new(),
            budgets,
            witness: Witness::default(),
        }
    }

    /// A job whose first submission has just begun.
    pub fn submitted(budgets: Budgets) -> Self {
        let mut state = Self::accepted(budgets);
        state.item.status = Status::Absent;
        state.store.plan = false;
        state.events.clear();
        state.tick.is_started = false;
        state.submitters.push(Submitter::new(1));
        state
    }

    /// Whether somebody holds a lease that has not run out.
    pub fn is_leased(&self) -> bool {
        self.item.owner.is_some() && self.item.is_live
    }

    /// Whether whoever holds the lease, the orchestrator's or the submission's, is still at work.
    pub fn holder_lives(&self) -> bool {
        match self.item.status {
            Status::Submitting(id) => self.submitters.iter().any(|submitter| submitter.id == id),
            _ => self.item.owner.is_some_and(|owner| self.passes.iter().any(|pass| pass.nonce == owner)),
        }
    }

    /// Something was lost that only a tick makes good.
    pub fn may_need_tick(&mut self) {
        self.witness.may_need_tick = true;
        self.tick.used = 0;
    }

    /// Sends a notification. Each has a request id of its own, which its duplicates share.
    pub fn notify(&mut self, about: About) {
        let used = |id: &Nonce| {
            self.events.iter().any(|event| event.request == *id)
                || self.passes.iter().any(|pass| pass.nonce == *id || pass.event.request == *id)
                || self.item.owner == Some(*id)
        };
        let request = (1..Nonce::MAX).find(|id| !used(id)).unwrap_or_default();
        self.events.push(Event { about, request });
    }

    /// A request id that none of the order's invokes has.
    pub fn fresh_request(&self, order: Order) -> Request {
        (1..Request::MAX).find(|id| !self.requests(order).any(|used| used == *id)).unwrap_or_default()
    }

    /// The request ids of an order that anything still names, the claim's first.
    fn requests(&self, order: Order) -> impl Iterator<Item = Request> {
        let claimed = self.store.claims[order].and_then(|claim| match claim {
            Claim::Worker { by } => Some(by),
            Claim::Engine(_) => None,
        });
        let workers = self.workers.iter().filter(move |worker| worker.order == order).map(|worker| worker.request);
        let invokes = self.invokes.iter().filter(move |invoke| invoke.order == order).map(|invoke| invoke.request);
        let lost = self.lost.iter().filter(move |lost| lost.order == order).map(|lost| lost.request);
        claimed.into_iter().chain(workers).chain(invokes).chain(lost)
    }

    /// The same state with its names drawn anew, so that states which differ only in them are one. `requests_matter`:
    /// whether anything compares the request ids of notifications.
    #[must_use]
    pub fn canonical(mut self, job: &Job, requests_matter: bool) -> Self {
        if !requests_matter {
            let owner = self.item.owner;
            for pass in &mut self.passes {
                pass.nonce = Nonce::from(Some(pass.nonce) == owner);
                pass.event.request = 0;
            }
            self.events.iter_mut().for_each(|event| event.request = 0);
            self.item.owner = owner.map(|_| 1);
        }
        for order in job.all().iter() {
            self.settle(order);
            self.rename_requests(order);
        }
        self.events.sort_unstable();
        self.passes.sort_unstable();
        self.invokes.sort_unstable();
        self.workers.sort_unstable();
        self.lost.sort_unstable();
        self
    }

    /// What can change nothing any more once a result stands.
    fn settle(&mut self, order: Order) {
        if self.store.results[order].is_none() {
            return;
        }
        self.store.stops.remove(order);
        self.lost.retain(|lost| lost.order != order);
        if let Watchdog::Ending(_) = self.watchdogs[order] {
            self.watchdogs[order] = Watchdog::Waiting;
        }
    }

    fn rename_requests(&mut self, order: Order) {
        let mut names = [0; 16];
        let mut next = 0;
        for request in self.requests(order) {
            if names[usize::from(request)] == 0 {
                next += 1;
                names[usize::from(request)] = next;
            }
        }
        let rename = |request: &mut Request| *request = names[usize::from(*request)];
        if let Some(Claim::Worker { by }) = &mut self.store.claims[order] {
            rename(by);
        }
        self.workers.iter_mut().filter(|worker| worker.order == order).for_each(|worker| rename(&mut worker.request));
        self.invokes.iter_mut().filter(|invoke| invoke.order == order).for_each(|invoke| rename(&mut invoke.request));
        self.lost.iter_mut().filter(|lost| lost.order == order).for_each(|lost| rename(&mut lost.request));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{holder::Step, worker::WorkerStep};

    #[test]
    fn states_that_differ_in_names_alone_are_one() {
        let named = |owner: Nonce, first: Request, second: Request| {
            let mut state = State::accepted(Budgets::default());
            let event = Event { about: About::Wake, request: owner };
            let mut pass = Pass::new(event);
            pass.step = Step::Look;
            pass.nonce = owner;
            state.item.owner = Some(owner);
            state.passes.push(pass);
            state.store.claims[0] = Some(Claim::Worker { by: first });
            state.workers.push(Worker { order: 0, request: first, step: WorkerStep::Run });
            state.invokes.push(Invoke { order: 0, request: second });
            state
        };
        let canonical = |state: State| state.canonical(&Job::ONE, false);
        assert_eq!(canonical(named(3, 1, 2)), canonical(named(2, 5, 4)));
        assert_ne!(canonical(named(3, 1, 2)), canonical(named(3, 1, 1)), "duplicates share their request");
    }
}
