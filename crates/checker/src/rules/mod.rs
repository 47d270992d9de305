//! The rules. Each file holds one kind of thing against all that it must agree with.

mod done;
mod events;
mod item;
mod outcomes;
mod results;
mod reused;
mod rows;
mod shares;
mod starts;
mod times;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{evidence::Evidence, job, view::View};

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Number of the invariant, as in ARCHITECTURE §10.
    pub row: u8,
    /// What is wrong, in a sentence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.row, self.what)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Violation>);

impl Found {
    /// Something is wrong.
    pub(crate) fn add(&mut self, row: u8, what: impl Into<String>) {
        self.0.push(Violation { row, what: what.into() });
    }

    /// Something is wrong if it does not hold.
    pub(crate) fn hold(&mut self, holds: bool, row: u8, what: impl FnOnce() -> String) {
        if !holds {
            self.add(row, what());
        }
    }

    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.0
    }
}

/// Everything that is wrong about a run that is over; `job` is the job as it was submitted. Holds for every completed run,
/// whatever faults there were.
pub fn check(job: &Value, evidence: &Evidence) -> Vec<Violation> {
    let mut found = Found::default();
    match job::read(job) {
        Ok(job) => {
            let view = View::new(&job, evidence);
            item::check(&view, &mut found);
            rows::check(&view, &mut found);
            results::check(&view, &mut found);
            reused::check(&view, &mut found);
            shares::check(&view, &mut found);
            outcomes::check(&view, &mut found);
            events::check(&view, &mut found);
            done::check(&view, &mut found);
            starts::check(&view, &mut found);
            times::check(&view, &mut found);
        }
        Err(why) => found.add(16, format!("a job was accepted that is none: {why}")),
    }
    found.into_violations()
}
