//! What stands for a status wherever a person sees one.

use common::status::{Outcome, Status};

/// The sign of a status.
pub(crate) fn sign(status: Status) -> char {
    match status {
        Status::Queued => '·',
        Status::Running => '▸',
        Status::Ended(Outcome::Succeeded) => '✓',
        Status::Ended(Outcome::Failed) => '✗',
        Status::Ended(Outcome::TimedOut) => '⧖',
        Status::Ended(Outcome::Cancelled) => '⊘',
    }
}
