//! Each broken variant: the checker must find the invariant that it breaks. It shows that the check can fail.

use model::{
    check::break_invariant,
    flaws::Flaw,
    variants::{self, Variant},
};

macro_rules! must_be_found {
    ($($test:ident: $flaw:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            find(Flaw::$flaw.variant());
        })*
    };
}

must_be_found! {
    commit_without_the_news: CommitWithoutNews,
    commit_by_anybody: CommitNotForOwner,
    deposit_into_a_lease_that_ran_out: DepositWithTheDead,
    taking_over_without_news: TakeOverWithoutNews,
    wake_up_that_does_not_know_its_own_lease: WakeNotForOwner,
    a_look_at_one_order_whatever_the_news: AlwaysNarrow,
    checkpoint_that_removes_the_news: CheckpointClearsNews,
    giving_up_that_removes_the_news: GiveUpClearsNews,
    request_id_as_nonce: RequestIdAsNonce,
    dispatch_before_the_lease: DispatchBeforeLease,
    watchdog_after_its_target: WatchdogAfterTarget,
    no_tick: NoTick,
    tick_that_stops_at_done: TickStopsAtDone,
    no_claim_of_the_worker: NoWorkerClaim,
    claim_after_the_first_command: ClaimAfterFirstCommand,
    conflict_taken_as_mine: ConflictTakenAsMine,
    end_without_a_claim: EndWithoutClaim,
    lost_without_comparing: LostWithoutComparing,
    result_that_overwrites: ResultOverwritten,
    done_that_overwrites: DoneOverwritten,
    done_before_the_last_result: DoneBeforeLastResult,
    waiting_order_stopped_in_the_ledger_alone: WaitingUnclaimed,
    cascade_without_a_claim: CascadeUnclaimed,
    claims_for_stops_alone: ClaimsForStopsAlone,
    flip_before_the_plan: FlipBeforePlan,
    tick_after_the_flip: TickAfterFlip,
    what_counts_written_after_the_flip: LettersAfterFlip,
}

#[test]
fn as_first_built_with_a_crash() {
    find(variants::first_built_with_a_crash());
}

#[test]
fn as_first_built_with_a_zombie() {
    find(variants::first_built_with_a_zombie());
}

#[test]
fn cascade_without_a_claim_and_one_behind_it() {
    find(variants::cascade_unclaimed_and_one_behind());
}

#[test]
fn claims_for_stops_alone_with_a_late_zombie() {
    find(variants::claims_for_stops_alone_with_a_late_zombie());
}

fn find(variant: Variant) {
    let Variant { name, protocol, breaks } = variant;
    let report = break_invariant(name, &protocol, breaks);
    println!("{report}");
    assert!(report.broken.is_some(), "{name}: `{}` was not broken: {report}", breaks.name());
}
