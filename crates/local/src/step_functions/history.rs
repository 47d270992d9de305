//! What an execution has gone through: numbered events under AWS's names.

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dates;

/// Most events of one execution, as on AWS; the last of them says that it failed.
pub(crate) const LIMIT: usize = 25_000;

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Name and content of its details, if it has any.
    pub(crate) details: Option<(String, Value)>,
}

impl Event {
    pub(crate) fn new(at: Timestamp, kind: &str, details: Option<(&str, Value)>) -> Self {
        Self { at, kind: kind.to_owned(), details: details.map(|(name, value)| (name.to_owned(), value)) }
    }

    /// As `GetExecutionHistory` writes it; `id` counts from 1.
    pub(crate) fn describe(&self, id: usize) -> Value {
        let mut event = Map::from_iter([
            ("timestamp".to_owned(), json!(dates::epoch_seconds(self.at))),
            ("type".to_owned(), json!(self.kind)),
            ("id".to_owned(), json!(id)),
            ("previousEventId".to_owned(), json!(id - 1)),
        ]);
        if let Some((name, details)) = &self.details {
            event.insert(name.clone(), details.clone());
        }
        Value::Object(event)
    }
}
