//! Submitting a job, as every verb that does so does it: the sources of this machine go first, then the job, always
//! under a run id that is known beforehand, so that asking again never makes a second run.
//!
//! ```text
//!  --source DIR ─▶ source: pack, PUT sources/uploads/<sha256>.zip ─┐
//!  job ─────────────────────────────────────────────────────┴▶ payload: body, or PUT jobs/uploads/<digest>.json ─▶ send: POST
//! ```

mod payload;
mod send;
pub(crate) mod source;

use common::ids::{RunId, fresh_nonce};
use serde_json::Value;

use crate::{code::Code, engine::Entry, failure::Failure};
pub(crate) use send::send;

/// What is submitted.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) entry: Entry,
    pub(crate) run_id: RunId,
    pub(crate) job: Value,
    /// The run whose succeeded orders count.
    pub(crate) rerun_of: Option<RunId>,
    /// The order that runs again all the same, with what depends on it.
    pub(crate) rerun_from: Option<String>,
}

/// The run id that was asked for, or one that nobody has.
pub(crate) fn run_id(given: Option<&str>) -> Result<RunId, Failure> {
    match given {
        Some(text) => text.parse().map_err(|error| Failure::new(Code::OptionWrong, format!("`--run-id`: {error}"))),
        None => fresh_nonce()
            .parse()
            .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to name the run: {error}"))),
    }
}
