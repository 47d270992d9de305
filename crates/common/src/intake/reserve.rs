//! Reserving the run id: from here on nobody else submits under it, and still nothing can run.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{answer::NotAccepted, validate::Entry};
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

/// Digest by which the same job is known again, whatever the order of its fields.
pub fn digest(document: &Value, entry: Entry) -> String {
    let mut hash = Sha256::new();
    hash.update([match entry {
        Entry::Init => b'i',
        Entry::Ssm => b's',
    }]);
    feed(&mut hash, document);
    hex::encode(hash.finalize())
}

/// Feeds a value with its fields in order of name; each part is preceded by its kind and length, so that two different
/// values never feed the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            hash.update(format!("o{}:", fields.len()));
            for (name, value) in fields {
                hash.update(format!("k{}:{name}", name.len()));
                feed(hash, value);
            }
        }
        Value::Array(items) => {
            hash.update(format!("a{}:", items.len()));
            for item in items {
                feed(hash, item);
            }
        }
        leaf => {
            let text = leaf.to_string();
            hash.update(format!("v{}:{text}", text.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_job_has_the_same_digest() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":["x"]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{ "b":["x"], "a":1 }"#).unwrap();
        assert_eq!(digest(&a, Entry::Init), digest(&b, Entry::Init));
        assert_ne!(digest(&a, Entry::Init), digest(&a, Entry::Ssm));
        assert_ne!(digest(&json!({"a": "1"}), Entry::Init), digest(&json!({"a": 1}), Entry::Init));
        assert_ne!(digest(&json!(["ab"]), Entry::Init), digest(&json!(["a", "b"]), Entry::Init));
    }
}
