//! What must hold in every state, numbered as in the table of `docs/ARCHITECTURE.md`, section 10.
//!
//! Some can be read off a state. Others are about the moment at which something happens: then whoever does it leaves a
//! mark in the [`Witness`], which the engine's side never reads.

use stateright::{Model, Property};

use crate::{
    ledger::Ledger,
    orders::{MAX_ORDERS, Order, Orders},
    protocol::Protocol,
    state::{State, Status},
};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Row 1. An order's commands start at most once.
    StartsOnce,
    /// Row 2. Nothing of an order starts after it has a result, after the ledger says that it ended, or after `done`.
    NoLateStart,
    /// Row 3. An order starts only after durable results of all its dependencies, but for those that count from the
    /// beginning.
    DependenciesFirst,
    /// Row 4. A result that stands is never another later.
    FirstResultStands,
    /// Row 4. The ledger agrees with the results: how an order ended there is what its result says.
    LedgerAgrees,
    /// Row 4. What ended in the ledger or in `done` has a result, or counted from the beginning.
    EndedHasResult,
    /// Row 4. An order ends as lost only when the very invocation that claimed it is gone.
    LostIsGone,
    /// Row 5. `done` is written once, when every order has ended, and says of each how it ended.
    DoneWhenOver,
    /// Row 6. An accepted run is never stuck: while it is not completed something can still happen, and when nothing can,
    /// one tick after the last loss makes it go on to its end.
    NeverStuck,
    /// Row 7. What was accepted is durable: once the item has left `submitting`, plan and tick are there.
    AcceptedIsDurable,
    /// Row 8. Only whoever took the lease last changes the ledger.
    OnlyTheHolderWrites,
    /// Row 9. While nobody works on the run and no news is counted, the ledger holds every result of which a notification
    /// was taken care of.
    HeardIsLooked,
    /// Row 9. As long as no process died, no notification was dropped and nothing was put off, the run needs no tick.
    NoTickNeeded,
    /// Row 13. When nothing fails, each order is dispatched once.
    DispatchedOnce,
    /// Row 14. When an order starts, its watchdog is there.
    WatchedFromTheStart,
    /// Row 15. Letters only move forward.
    OnlyForward,
}

/// What the invariants need to remember. Nothing but them reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    /// How often each order started; two stands for more.
    pub starts: [u8; MAX_ORDERS],
    /// How often each order was dispatched while nothing had failed; two stands for more.
    pub dispatches: [u8; MAX_ORDERS],
    /// Orders of whose result a notification was taken care of, and that the ledger does not have as ended.
    pub heard: Heard,
    /// Whether something failed.
    pub has_failed: bool,
    /// Whether something happened after which the run may need its tick.
    pub may_need_tick: bool,
    /// Invariants that were broken at the moment of some action, as bits.
    broken: u16,
}

/// A set of orders that only the witness fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard(Orders);

impl Heard {
    /// A notification of the order's result was taken care of.
    pub fn of(&mut self, order: Order) {
        self.0.add(order);
    }

    /// The ledger has these now.
    pub fn forget(&mut self, orders: Orders) {
        orders.iter().for_each(|order| self.0.remove(order));
    }
}

impl Witness {
    /// Notes that an invariant was broken.
    pub fn breaks(&mut self, invariant: Invariant) {
        self.broken |= 1 << invariant as u16;
    }

    /// Notes that an order was dispatched.
    pub fn dispatched(&mut self, order: Order) {
        if !self.has_failed {
            self.dispatches[order] = (self.dispatches[order] + 1).min(2);
        }
    }

    /// Notes a failure. From then on a repeated dispatch is as it should be.
    pub fn fails(&mut self) {
        self.has_failed = true;
        self.dispatches = [0; MAX_ORDERS];
    }
}

impl Invariant {
    /// Row and short form, as a report names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartsOnce => "1 an order starts at most once",
            Self::NoLateStart => "2 nothing starts after its end",
            Self::DependenciesFirst => "3 dependencies have results first",
            Self::FirstResultStands => "4 the first result stands",
            Self::LedgerAgrees => "4 the ledger agrees with the results",
            Self::EndedHasResult => "4 what ended has a result",
            Self::LostIsGone => "4 only a worker that is gone is lost",
            Self::DoneWhenOver => "5 done is written once, when all ended",
            Self::NeverStuck => "6 never stuck before completed",
            Self::AcceptedIsDurable => "7 what was accepted is durable",
            Self::OnlyTheHolderWrites => "8 only the holder writes the ledger",
            Self::HeardIsLooked => "9 what was heard is in the ledger",
            Self::NoTickNeeded => "9 no tick is needed without a loss",
            Self::DispatchedOnce => "13 one dispatch when nothing fails",
            Self::WatchedFromTheStart => "14 the watchdog is there first",
            Self::OnlyForward => "15 letters only move forward",
        }
    }

    /// Whether it holds.
    pub fn holds(self, protocol: &Protocol, state: &State) -> bool {
        match self {
            Self::StartsOnce => state.witness.starts.iter().all(|starts| *starts <= 1),
            Self::LedgerAgrees => agrees(protocol, state, state.item.ledger),
            Self::EndedHasResult => {
                let counts = |order| protocol.job.counted.has(order);
                let has_results = |ledger: Ledger| {
                    ledger.ended().iter().all(|order| counts(order) || state.store.results[order].is_some())
                };
                has_results(state.item.ledger) && state.store.done.is_none_or(has_results)
            }
            Self::DoneWhenOver => {
                let is_true = |done: Ledger| protocol.job.is_over(&done) && agrees(protocol, state, done);
                state.store.done.is_none_or(is_true) && !state.witness.has_broken(self)
            }
            Self::NeverStuck => {
                is_settled(state) || protocol.goes_on_by_itself(state) || protocol.tick_is_due(state, &[])
            }
            Self::AcceptedIsDurable => {
                let is_accepted = !matches!(state.item.status, Status::Absent | Status::Submitting(_));
                !is_accepted || state.store.plan && state.tick.is_started
            }
            Self::HeardIsLooked => {
                let is_at_rest = state.item.status == Status::Idle && state.item.news == 0;
                !is_at_rest || state.witness.heard == Heard::default()
            }
            Self::NoTickNeeded => is_settled(state) || state.witness.may_need_tick || protocol.goes_on_by_itself(state),
            Self::DispatchedOnce => state.witness.dispatches.iter().all(|dispatches| *dispatches <= 1),
            Self::NoLateStart
            | Self::DependenciesFirst
            | Self::FirstResultStands
            | Self::LostIsGone
            | Self::OnlyTheHolderWrites
            | Self::WatchedFromTheStart
            | Self::OnlyForward => !state.witness.has_broken(self),
        }
    }
}

impl Witness {
    fn has_broken(&self, invariant: Invariant) -> bool {
        self.broken & (1 << invariant as u16) != 0
    }
}

/// Whether there is nothing to be done: the run is completed, or was never accepted.
fn is_settled(state: &State) -> bool {
    matches!(state.item.status, Status::Absent | Status::Submitting(_) | Status::Completed)
}

/// Whether letters and results that both tell how an order ended tell the same.
fn agrees(protocol: &Protocol, state: &State, letters: Ledger) -> bool {
    protocol.job.all().iter().all(|order| match (letters.get(order).outcome(), state.store.results[order]) {
        (Some(told), Some(result)) => told == result,
        _ => true,
    })
}

/// All of them, as the checker takes them, and that a run is completed at all.
pub(crate) fn properties() -> Vec<Property<Protocol>> {
    macro_rules! always {
        ($($invariant:ident),*) => {
            vec![
                $(Property::always(Invariant::$invariant.name(), |protocol: &Protocol, state| {
                    Invariant::$invariant.holds(protocol, state)
                }),)*
                Property::sometimes(COMPLETED, |_, state: &<Protocol as Model>::State| {
                    state.item.status == Status::Completed
                }),
            ]
        };
    }
    always![
        StartsOnce,
        NoLateStart,
        DependenciesFirst,
        FirstResultStands,
        LedgerAgrees,
        EndedHasResult,
        LostIsGone,
        DoneWhenOver,
        NeverStuck,
        AcceptedIsDurable,
        OnlyTheHolderWrites,
        HeardIsLooked,
        NoTickNeeded,
        DispatchedOnce,
        WatchedFromTheStart,
        OnlyForward
    ]
}

/// What must happen somewhere, or the exploration shows nothing.
pub const COMPLETED: &str = "the run is completed";
