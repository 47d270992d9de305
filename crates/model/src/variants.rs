//! What is explored: the protocol with several jobs and faults, and each broken variant with what it must break.

use crate::{faults::Budgets, flaws::Flaw, invariants::Invariant, job::Job, protocol::Protocol};

/// A name and what it stands for.
pub type Named = (&'static str, Protocol);

const NONE: Budgets = Budgets {
    crashes: 0,
    worker_crashes: 0,
    duplicates: 0,
    drops: 0,
    zombies: 0,
    lost_replies: 0,
    errors: 0,
    throttles: 0,
    timeouts: 0,
    hand_overs: 0,
    early_ticks: 0,
    deadlines: 0,
    cancels: 0,
    resubmissions: 0,
};

/// The protocol as it should be, in less than a minute.
pub fn correct() -> Vec<Named> {
    let chain = |budgets| Protocol::new(Job::CHAIN, budgets);
    let mut all = vec![
        ("diamond, nothing fails", Protocol::new(Job::DIAMOND, NONE)),
        (
            "one order: crashes, drop, lost reply, error, timeout",
            Protocol::new(
                Job::ONE,
                Budgets { crashes: 2, worker_crashes: 1, drops: 1, lost_replies: 1, errors: 1, timeouts: 1, ..NONE },
            ),
        ),
        (
            "one order: crashes, duplicate, zombie, lost reply, timeout",
            Protocol::new(
                Job::ONE,
                Budgets {
                    crashes: 1,
                    worker_crashes: 1,
                    duplicates: 1,
                    zombies: 1,
                    lost_replies: 1,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ),
        (
            "chain: crash, duplicate, zombie, lost reply",
            chain(Budgets { crashes: 1, duplicates: 1, zombies: 1, lost_replies: 1, ..NONE }),
        ),
        (
            "chain: crash, drop, zombie, lost reply",
            chain(Budgets { crashes: 1, drops: 1, zombies: 1, lost_replies: 1, ..NONE }),
        ),
        (
            "chain: duplicate, zombie, lost reply, error",
            chain(Budgets { duplicates: 1, zombies: 1, lost_replies: 1, errors: 1, ..NONE }),
        ),
        (
            "chain: crash, lost reply, error, throttle",
            chain(Budgets { crashes: 1, lost_replies: 1, errors: 1, throttles: 1, ..NONE }),
        ),
        (
            "chain: crashes of workers too, duplicate, drop, timeout",
            chain(Budgets { crashes: 1, worker_crashes: 1, duplicates: 1, drops: 1, timeouts: 1, ..NONE }),
        ),
        (
            "chain: deadline, zombie, crash, early tick",
            chain(Budgets { deadlines: 1, zombies: 1, crashes: 1, early_ticks: 1, ..NONE }),
        ),
        (
            "chain: cancellation, zombie, timeout, early tick",
            chain(Budgets { cancels: 1, zombies: 1, timeouts: 1, early_ticks: 1, ..NONE }),
        ),
        (
            "tolerant chain: deadline, cancellation, crash, timeout",
            Protocol::new(Job::CHAIN.tolerant(), Budgets { deadlines: 1, cancels: 1, crashes: 1, timeouts: 1, ..NONE }),
        ),
        (
            "tolerant chain: deadline, cancellation, zombie, timeout",
            Protocol::new(Job::CHAIN.tolerant(), Budgets { deadlines: 1, cancels: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "chain of three, the last tolerant: cancellation, zombie, crash of a worker",
            Protocol::new(Job::CHAIN_TO_TOLERANT, Budgets { cancels: 1, zombies: 1, worker_crashes: 1, ..NONE }),
        ),
        (
            "chain: deadline, cancellation, zombie, timeout",
            chain(Budgets { deadlines: 1, cancels: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "chain: deadline, zombie, crash of a worker, early tick",
            chain(Budgets { deadlines: 1, zombies: 1, worker_crashes: 1, early_ticks: 1, ..NONE }),
        ),
        (
            "chain: cancellation, crash, zombie, timeout",
            chain(Budgets { cancels: 1, crashes: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "chain and one more: deadline, zombie, timeout",
            Protocol::new(Job::CHAIN_AND_ONE, Budgets { deadlines: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "fan-in: crash, zombie, hand-over",
            Protocol::new(Job::FAN_IN, Budgets { crashes: 1, zombies: 1, hand_overs: 1, ..NONE }),
        ),
        ("diamond: crash, zombie", Protocol::new(Job::DIAMOND, Budgets { crashes: 1, zombies: 1, ..NONE })),
        ("submission: crash, lost reply, zombie, early tick", submission()),
    ];
    all.extend(reruns());
    all
}

/// Runs of which orders count from the beginning.
fn reruns() -> Vec<Named> {
    vec![
        (
            "rerun of a chain of three, the first counts: crash, duplicate, drop, timeout",
            Protocol::new(
                Job::CHAIN_TO_TOLERANT.counting(0b1),
                Budgets { crashes: 1, duplicates: 1, drops: 1, timeouts: 1, ..NONE },
            ),
        ),
        (
            "rerun of a diamond, a side runs again: crash, zombie, cancellation",
            Protocol::new(Job::DIAMOND.counting(0b11), Budgets { crashes: 1, zombies: 1, cancels: 1, ..NONE }),
        ),
        (
            "rerun of a chain in which all counts: crashes, zombie, lost reply, deadline, cancellation",
            Protocol::new(
                Job::CHAIN.counting(0b11),
                Budgets { crashes: 2, zombies: 1, lost_replies: 1, deadlines: 1, cancels: 1, ..NONE },
            ),
        ),
        ("submission of a rerun: crash, lost reply, early tick", {
            let budgets = Budgets { crashes: 1, resubmissions: 1, lost_replies: 1, early_ticks: 1, ..NONE };
            Protocol::new(Job::CHAIN.counting(0b1), budgets).from_submission()
        }),
    ]
}

/// The protocol as it should be, some minutes and gigabytes of it.
pub fn larger() -> Vec<Named> {
    vec![
        (
            "one order: every fault",
            Protocol::new(
                Job::ONE,
                Budgets {
                    crashes: 1,
                    worker_crashes: 1,
                    duplicates: 1,
                    drops: 1,
                    zombies: 1,
                    lost_replies: 1,
                    errors: 1,
                    timeouts: 1,
                    ..NONE
                },
            ),
        ),
        (
            "chain: crashes of workers too, duplicate, drop, zombie, lost reply",
            Protocol::new(
                Job::CHAIN,
                Budgets { crashes: 1, worker_crashes: 1, duplicates: 1, drops: 1, zombies: 1, lost_replies: 1, ..NONE },
            ),
        ),
        (
            "chain and one more: deadline, zombie, early tick",
            Protocol::new(Job::CHAIN_AND_ONE, Budgets { deadlines: 1, zombies: 1, early_ticks: 1, ..NONE }),
        ),
        (
            "chain: deadline, crash, zombie, timeout, early tick",
            Protocol::new(
                Job::CHAIN,
                Budgets { deadlines: 1, crashes: 1, zombies: 1, timeouts: 1, early_ticks: 1, ..NONE },
            ),
        ),
        (
            "tolerant chain: cancellation, crash, zombie, timeout, early tick",
            Protocol::new(
                Job::CHAIN.tolerant(),
                Budgets { cancels: 1, crashes: 1, zombies: 1, timeouts: 1, early_ticks: 1, ..NONE },
            ),
        ),
        (
            "chain: deadline, cancellation, crash, zombie, timeout",
            Protocol::new(
                Job::CHAIN,
                Budgets { deadlines: 1, cancels: 1, crashes: 1, zombies: 1, timeouts: 1, ..NONE },
            ),
        ),
        (
            "fan-in: cancellation, crash, zombie, timeout",
            Protocol::new(Job::FAN_IN, Budgets { cancels: 1, crashes: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "chain of three, the last tolerant: deadline, cancellation, zombie, crash of a worker",
            Protocol::new(
                Job::CHAIN_TO_TOLERANT,
                Budgets { deadlines: 1, cancels: 1, zombies: 1, worker_crashes: 1, ..NONE },
            ),
        ),
        (
            "fan-in, three passes: crash, zombie, duplicate",
            Protocol::new(Job::FAN_IN, Budgets { crashes: 1, zombies: 1, duplicates: 1, ..NONE }).passes(3),
        ),
        (
            "diamond: crash, zombie, lost reply, hand-over",
            Protocol::new(Job::DIAMOND, Budgets { crashes: 1, zombies: 1, lost_replies: 1, hand_overs: 1, ..NONE }),
        ),
    ]
}

fn submission() -> Protocol {
    let budgets = Budgets { crashes: 1, resubmissions: 1, lost_replies: 1, zombies: 1, early_ticks: 1, ..NONE };
    Protocol::new(Job::ONE, budgets).from_submission()
}

/// What the exploration of a broken variant must find.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What is left out or done in another order, as one line.
    pub name: &'static str,
    /// The variant.
    pub protocol: Protocol,
    /// What it breaks.
    pub breaks: Invariant,
}

impl Flaw {
    /// A job and the faults with which this flaw must show, and where.
    pub fn variant(self) -> Variant {
        let (name, job, budgets, breaks) = self.setting();
        let protocol = Protocol::new(job, budgets);
        let protocol = match self {
            Self::FlipBeforePlan | Self::TickAfterFlip | Self::LettersAfterFlip => protocol.from_submission(),
            _ => protocol,
        };
        Variant { name, protocol: protocol.with(self), breaks }
    }

    fn setting(self) -> (&'static str, Job, Budgets, Invariant) {
        let cancellation = Budgets { cancels: 1, zombies: 1, timeouts: 1, early_ticks: 1, ..NONE };
        let crash = Budgets { crashes: 1, ..NONE };
        let duplicate = Budgets { duplicates: 1, ..NONE };
        match self {
            Self::CommitWithoutNews => ("commit without the news", Job::PAIR, NONE, Invariant::HeardIsLooked),
            Self::CommitNotForOwner => (
                "commit without `owner = :me`",
                Job::ONE,
                Budgets { zombies: 1, early_ticks: 1, ..NONE },
                Invariant::OnlyTheHolderWrites,
            ),
            Self::DepositWithTheDead => ("a deposit into a lease that ran out", Job::ONE, crash, Invariant::NeverStuck),
            Self::TakeOverWithoutNews => (
                "taking over counts no news",
                Job::CHAIN,
                Budgets { crashes: 1, duplicates: 1, zombies: 1, lost_replies: 1, ..NONE },
                Invariant::HeardIsLooked,
            ),
            Self::WakeNotForOwner => (
                "a wake-up that does not know its own lease",
                Job::ONE,
                Budgets { lost_replies: 1, ..NONE },
                Invariant::NoTickNeeded,
            ),
            Self::AlwaysNarrow => ("a look at one order whatever the news", Job::PAIR, crash, Invariant::HeardIsLooked),
            Self::CheckpointClearsNews => ("checkpoint removes the news", Job::PAIR, NONE, Invariant::HeardIsLooked),
            Self::GiveUpClearsNews => {
                ("giving up removes the news", Job::PAIR, Budgets { hand_overs: 1, ..NONE }, Invariant::HeardIsLooked)
            }
            Self::RequestIdAsNonce => ("the request id as nonce", Job::ONE, duplicate, Invariant::OnlyTheHolderWrites),
            Self::DispatchBeforeLease => {
                ("dispatch before the lease", Job::CHAIN_AND_ONE, NONE, Invariant::DispatchedOnce)
            }
            Self::WatchdogAfterTarget => {
                ("watchdog started after its target", Job::ONE, NONE, Invariant::WatchedFromTheStart)
            }
            Self::NoTick => ("no tick", Job::ONE, crash, Invariant::NeverStuck),
            Self::TickStopsAtDone => ("the tick stops at `done`", Job::ONE, crash, Invariant::NeverStuck),
            Self::NoWorkerClaim => ("no claim of the worker", Job::ONE, duplicate, Invariant::StartsOnce),
            Self::ClaimAfterFirstCommand => {
                ("claim after the first command", Job::ONE, duplicate, Invariant::StartsOnce)
            }
            Self::ConflictTakenAsMine => {
                ("412 on a claim taken as one's own", Job::ONE, duplicate, Invariant::StartsOnce)
            }
            Self::EndWithoutClaim => (
                "the engine ends an order without its claim",
                Job::ONE,
                Budgets { timeouts: 1, ..NONE },
                Invariant::NoLateStart,
            ),
            Self::LostWithoutComparing => (
                "a lost worker's claim is not compared",
                Job::ONE,
                Budgets { worker_crashes: 1, lost_replies: 1, ..NONE },
                Invariant::LostIsGone,
            ),
            Self::ResultOverwritten => (
                "results without `If-None-Match`",
                Job::ONE,
                Budgets { timeouts: 2, ..NONE },
                Invariant::FirstResultStands,
            ),
            Self::DoneOverwritten => ("`done` without `If-None-Match`", Job::ONE, crash, Invariant::DoneWhenOver),
            Self::DoneBeforeLastResult => ("`done` before the last result", Job::ONE, NONE, Invariant::DoneWhenOver),
            Self::WaitingUnclaimed => {
                ("a waiting order is stopped in the ledger alone", Job::CHAIN, cancellation, Invariant::DoneWhenOver)
            }
            Self::CascadeUnclaimed => {
                ("what a dependency decided, without a claim", Job::CHAIN, cancellation, Invariant::DoneWhenOver)
            }
            Self::ClaimsForStopsAlone => (
                "claims for stops alone: a zombie at the cancellation",
                Job::CHAIN,
                cancellation,
                Invariant::DoneWhenOver,
            ),
            Self::FlipBeforePlan => ("the flip before the plan", Job::ONE, NONE, Invariant::AcceptedIsDurable),
            Self::TickAfterFlip => ("the tick after the flip", Job::ONE, crash, Invariant::NeverStuck),
            Self::LettersAfterFlip => (
                "what counts is written after the flip",
                Job::CHAIN.counting(0b1),
                Budgets { early_ticks: 1, ..NONE },
                Invariant::NoLateStart,
            ),
        }
    }
}

/// The protocol as it was built first, and one crash, between `done` and the commit.
pub fn first_built_with_a_crash() -> Variant {
    let budgets = Budgets { deadlines: 1, crashes: 1, worker_crashes: 1, ..NONE };
    let name = "as first built: a crash between `done` and commit";
    Variant { name, protocol: first_built(budgets), breaks: Invariant::DoneWhenOver }
}

/// The protocol as it was built first, and a zombie at the job's deadline.
pub fn first_built_with_a_zombie() -> Variant {
    let budgets = Budgets { deadlines: 1, zombies: 1, early_ticks: 1, ..NONE };
    let name = "as first built: a zombie at the deadline";
    Variant { name, protocol: first_built(budgets), breaks: Invariant::NoLateStart }
}

fn first_built(budgets: Budgets) -> Protocol {
    Protocol::new(Job::CHAIN, budgets).stops_first().with(Flaw::WaitingUnclaimed).with(Flaw::CascadeUnclaimed)
}

/// What a dependency decided, without a claim, and behind it an order that runs all the same.
pub fn cascade_unclaimed_and_one_behind() -> Variant {
    let budgets = Budgets { worker_crashes: 1, ..NONE };
    let name = "what a dependency decided, without a claim, and an order behind it";
    let protocol = Protocol::new(Job::CHAIN_TO_TOLERANT, budgets).with(Flaw::CascadeUnclaimed);
    Variant { name, protocol, breaks: Invariant::DependenciesFirst }
}

/// The protocol as it was mended first, and a zombie at the job's deadline.
pub fn claims_for_stops_alone_with_a_late_zombie() -> Variant {
    let budgets = Budgets { deadlines: 1, zombies: 1, worker_crashes: 1, early_ticks: 1, ..NONE };
    let name = "claims for stops alone: a zombie at the deadline";
    let protocol = Protocol::new(Job::CHAIN, budgets).with(Flaw::ClaimsForStopsAlone);
    Variant { name, protocol, breaks: Invariant::DoneWhenOver }
}

/// The protocol with another order of things, which must hold as well: cancellation and deadline before what a
/// dependency decided.
pub fn stops_first() -> Vec<Named> {
    let stops_first = |job, budgets| Protocol::new(job, budgets).stops_first();
    vec![
        (
            "stops first, chain: deadline, cancellation, zombie, timeout",
            stops_first(Job::CHAIN, Budgets { deadlines: 1, cancels: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "stops first, tolerant chain: deadline, cancellation, zombie, timeout",
            stops_first(Job::CHAIN.tolerant(), Budgets { deadlines: 1, cancels: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
        (
            "stops first, chain: cancellation, crash, zombie, timeout",
            stops_first(Job::CHAIN, Budgets { cancels: 1, crashes: 1, zombies: 1, timeouts: 1, ..NONE }),
        ),
    ]
}
