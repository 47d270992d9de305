//! A submission, up to its commit point: the flip of the run item from `submitting` to `idle`.
//!
//! ```text
//!  Reserve ─▶ Upload ─▶ StartTick ─▶ Flip ─▶ Message ─▶ answered 200
//!     └─ another's lease is live: 409, nothing of this one is left
//! ```
//!
//! One that is killed before the flip leaves an item in `submitting`, which everybody ignores until its lease has run
//! out and the same job comes again.

use crate::{
    flaws::Flaw,
    protocol::Protocol,
    state::{About, State, Status},
};

/// Draw of a submission: the first is 1, its repeat 2.
pub type SubmitterId = u8;

/// Where a submission is: the call that it makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubmitStep {
    /// Creates the item, or takes over an expired one of the same job.
    Reserve,
    /// Writes everything that the run needs, the plan last.
    Upload,
    /// Starts the run's tick; "already exists" is success.
    StartTick,
    /// The commit point. With it comes the ledger that the run begins with.
    Flip,
    /// That ledger, in a call of its own (a flaw).
    Letters,
    /// The first message.
    Message,
}

/// A submission at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Submitter {
    /// `submit_id`.
    pub id: SubmitterId,
    /// Where it is.
    pub step: SubmitStep,
}

impl Submitter {
    /// One that begins.
    pub(crate) fn new(id: SubmitterId) -> Self {
        Self { id, step: SubmitStep::Reserve }
    }
}

impl Protocol {
    /// Performs a submission's next call; with its answer it goes on, without one it makes the call again.
    pub(crate) fn submit(&self, state: &mut State, submitter: Submitter, is_answered: bool) {
        let Submitter { id, step } = submitter;
        self.perform_submission(state, submitter);
        if !is_answered {
            return;
        }
        state.submitters.retain(|other| *other != submitter);
        let is_mine = state.item.status == Status::Submitting(id);
        let next = match step {
            // An item that is there and not this submission's: one is under way, or the job is accepted already.
            SubmitStep::Reserve if !is_mine => None,
            SubmitStep::Reserve if self.has(Flaw::FlipBeforePlan) => Some(SubmitStep::Flip),
            SubmitStep::Reserve => Some(SubmitStep::Upload),
            SubmitStep::Upload if self.has(Flaw::FlipBeforePlan) => Some(SubmitStep::Message),
            SubmitStep::Upload if self.has(Flaw::TickAfterFlip) => Some(SubmitStep::Flip),
            SubmitStep::Upload => Some(SubmitStep::StartTick),
            SubmitStep::StartTick if self.has(Flaw::TickAfterFlip) => Some(SubmitStep::Message),
            SubmitStep::StartTick => Some(SubmitStep::Flip),
            // Taken over while it worked; the client is told that the job is being submitted.
            SubmitStep::Flip if matches!(state.item.status, Status::Submitting(_)) => None,
            SubmitStep::Flip if self.has(Flaw::FlipBeforePlan) => Some(SubmitStep::Upload),
            SubmitStep::Flip if self.has(Flaw::TickAfterFlip) => Some(SubmitStep::StartTick),
            SubmitStep::Flip if self.has(Flaw::LettersAfterFlip) => Some(SubmitStep::Letters),
            SubmitStep::Flip | SubmitStep::Letters => Some(SubmitStep::Message),
            SubmitStep::Message => None,
        };
        state.submitters.extend(next.map(|step| Submitter { id, step }));
    }

    fn perform_submission(&self, state: &mut State, Submitter { id, step }: Submitter) {
        match step {
            SubmitStep::Reserve => {
                let is_free = match state.item.status {
                    Status::Absent => true,
                    Status::Submitting(_) => !state.item.is_live,
                    _ => false,
                };
                if is_free {
                    state.item.status = Status::Submitting(id);
                    state.item.is_live = true;
                }
            }
            SubmitStep::Upload => state.store.plan = true,
            SubmitStep::StartTick => state.tick.is_started = true,
            SubmitStep::Flip => {
                if state.item.status == Status::Submitting(id) {
                    state.item.status = Status::Idle;
                    state.item.is_live = false;
                    if !self.has(Flaw::LettersAfterFlip) {
                        state.item.ledger = self.job.beginning();
                    }
                }
            }
            SubmitStep::Letters => state.item.ledger = self.job.beginning(),
            SubmitStep::Message => state.notify(About::Wake),
        }
    }
}
