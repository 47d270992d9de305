//! The broken variants: each leaves out one thing that the protocol does, or does it in another order.

/// What a variant does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Commit does not compare `news`.
    CommitWithoutNews,
    /// Commit does not ask for `owner = :me`.
    CommitNotForOwner,
    /// A wake-up is left with an owner whose lease has run out.
    DepositWithTheDead,
    /// Taking over counts no news, as the wake-up was counted before.
    TakeOverWithoutNews,
    /// A wake-up does not know its own lease again after a lost reply.
    WakeNotForOwner,
    /// A pass looks at its event's order alone, whatever the count of news.
    AlwaysNarrow,
    /// The checkpoint removes `news`.
    CheckpointClearsNews,
    /// Giving up removes `news`.
    GiveUpClearsNews,
    /// Owners are named by the request id, which duplicates and retries of one event share.
    RequestIdAsNonce,
    /// Orders are started before the lease is taken.
    DispatchBeforeLease,
    /// The target is started before its watchdog.
    WatchdogAfterTarget,
    /// There is no tick.
    NoTick,
    /// The tick stops when `done` is there.
    TickStopsAtDone,
    /// Workers do not claim.
    NoWorkerClaim,
    /// A worker claims after its first command.
    ClaimAfterFirstCommand,
    /// A worker that is answered 412 takes the claim as its own without comparing.
    ConflictTakenAsMine,
    /// The engine writes the result of an unclaimed order without claiming it.
    EndWithoutClaim,
    /// The news of a lost worker ends the order whoever has claimed it.
    LostWithoutComparing,
    /// Results are written without `If-None-Match`.
    ResultOverwritten,
    /// `done` is written without `If-None-Match`.
    DoneOverwritten,
    /// `done` is written when the last order is dispatched, not when it has ended.
    DoneBeforeLastResult,
    /// An order that waits is cancelled or timed out in the ledger alone, without its claim.
    WaitingUnclaimed,
    /// What ends because of a dependency ends in the ledger alone, without its claim.
    CascadeUnclaimed,
    /// The same, unless a stop is in force and the pass knows it.
    ClaimsForStopsAlone,
    /// The run item flips to `idle` before the plan is written.
    FlipBeforePlan,
    /// The tick is started after the flip.
    TickAfterFlip,
    /// The ledger that the run begins with is written after the flip.
    LettersAfterFlip,
}
