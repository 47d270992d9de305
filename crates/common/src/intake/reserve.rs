//! Reserving the run id: from here on nobody else submits under it, and still nothing can run.

use serde_json::Value;

use super::answer::NotAccepted;
use crate::{
    clock::Timestamp,
    run_item::{RunItem, RunItems, RunStatus, Written},
};

/// What the reservation found.
#[derive(Debug)]
pub enum Reserved {
    /// The run is ours to submit.
    Ours,
    /// The same job was accepted under this id before; the answer it got.
    Before(Value),
}

/// Reserves the run id of `item`.
pub async fn reserve(items: RunItems<'_>, item: &RunItem, now: Timestamp) -> Result<Reserved, NotAccepted> {
    let stands = match items.reserve(item, now).await {
        Ok(Written::Yes(_)) => return Ok(Reserved::Ours),
        Ok(Written::No(stands)) => stands,
        // An unclear answer: what stands decides.
        Err(error) => match items.get(&item.run_id).await? {
            Some(stands) => Some(Box::new(stands)),
            None => return Err(error.into()),
        },
    };
    let Some(stands) = stands else { return Err(NotAccepted::BeingSubmitted(item.run_id.clone())) };
    if stands.submit_id == item.submit_id {
        Ok(Reserved::Ours)
    } else if stands.job_digest != item.job_digest {
        Err(NotAccepted::Taken(item.run_id.clone()))
    } else if stands.status == RunStatus::Submitting {
        Err(NotAccepted::BeingSubmitted(item.run_id.clone()))
    } else {
        answer_of(&stands).map(Reserved::Before)
    }
}

/// The answer that an accepted run's item holds.
pub fn answer_of(item: &RunItem) -> Result<Value, NotAccepted> {
    serde_json::from_str(&item.answer)
        .map_err(|error| NotAccepted::Machine(format!("read the answer in the run item: {error}")))
}
