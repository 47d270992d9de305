//! What can happen next.

use crate::{
    holder::Step,
    orders::Order,
    state::{About, Event},
    submission::Submitter,
    worker::{Invoke, LostWorker, Worker},
};

/// Which pass: its place among those at work, and what woke it.
pub type Who = (usize, About);

/// What can happen next. The first group is the engine and its surroundings at work, the second what may happen at any
/// time, the third faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// An orchestrator is invoked with a notification.
    Deliver(Event),
    /// A pass makes its next call and is answered.
    Pass(Who, Step),
    /// The lease of a holder that is gone runs out.
    LeaseEnds,
    /// A worker begins: it claims.
    Claim(Invoke),
    /// A worker does what comes next.
    Work(Worker),
    /// News of a lost worker is handled.
    Lost(LostWorker),
    /// An order's watchdog finds that nobody will end it, or goes on ending it.
    TimeOut(Order),
    /// A submission makes its next call and is answered.
    Submit(Submitter),
    /// The tick wakes a run in which nothing else can happen.
    Tick,

    /// An order's watchdog finds it late while something of it is still there.
    TimeOutEarly(Order),
    /// A pass comes to the end of its time.
    RunOutOfTime(Who, Step),
    /// The tick wakes the run while something else can happen.
    TickEarly,
    /// The job's deadline passes, and the tick comes.
    Deadline,
    /// Somebody cancels the run.
    Cancel,
    /// The client submits the job again.
    SubmitAgain,

    /// A pass is killed; Lambda delivers its event again.
    CrashPass(Who, Step),
    /// A submission is killed.
    CrashSubmission(Submitter),
    /// The watchdog's function is killed between claim and result.
    CrashWatchdog(Order),
    /// The function that ends a lost worker's order is killed between claim and result, and is invoked again.
    CrashLost(LostWorker),
    /// A worker is killed.
    CrashWorker(Worker),
    /// A worker is killed before it claims.
    CrashInvoke(Invoke),
    /// A notification is delivered twice.
    DuplicateEvent(Event),
    /// An invoke is delivered twice.
    DuplicateInvoke(Invoke),
    /// News of a lost worker is delivered twice.
    DuplicateLost(LostWorker),
    /// A notification is never delivered.
    DropEvent(Event),
    /// News of a lost worker is never delivered.
    DropLost(LostWorker),
    /// The lease runs out although its holder is at work.
    Zombie,
    /// A pass's call is applied and its answer lost; it makes the call again.
    LoseReply(Who, Step),
    /// The same of a submission.
    LoseReplyToSubmission(Submitter),
    /// The answer to a worker's claim is lost; it reads and compares.
    LoseReplyToClaim(Invoke),
    /// A pass's call fails for good.
    Fail(Who, Step),
    /// The start of a target is throttled.
    Throttle(Who),
}
