//! An event that a command reported, on its way from the worker inside `result.json` to the table of events.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Characters that an event's type or status may have: both end up in keys and columns.
pub const MAX_WORD: usize = 128;

/// Values (texts, numbers, lists, …) in an event's data: what bounds its memory and its item in DynamoDB.
pub const MAX_VALUES: usize = 4_000;

/// Bytes of an event's data as JSON. A file has 64 KiB at most, and its numbers may be written longer than they stood
/// there (`1e15` as `1000000000000000.0`).
const MAX_DATA: usize = 256 << 10;

/// What a command wrote into `$AWS_EXE_SYS_EVENTS_DIR`, or what the worker says about such a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerEvent {
    /// What happened, in the command's own words.
    pub event_type: String,
    /// How it went, by default `info`.
    pub status: String,
    /// When the file was last written.
    pub epoch: Timestamp,
    /// Everything else that stood in the file.
    #[serde(default)]
    pub data: Map<String, Value>,
}

impl WorkerEvent {
    /// Whether it is one that a worker of ours could report; else what is wrong, by its field.
    pub fn check(&self) -> Result<(), String> {
        for (field, word) in [("event_type", &self.event_type), ("status", &self.status)] {
            if !(1..=MAX_WORD).contains(&word.chars().count()) {
                return Err(format!("{field}: must have 1 to {MAX_WORD} characters"));
            }
        }
        let bytes = serde_json::to_vec(&self.data).map_err(|error| format!("data: {error}"))?.len();
        if bytes > MAX_DATA {
            return Err(format!("data: must have at most {MAX_DATA} bytes, not {bytes}"));
        }
        let values = self.values();
        if values > MAX_VALUES {
            return Err(format!("data: must have at most {MAX_VALUES} values, not {values}"));
        }
        Ok(())
    }

    /// How many values its data has, lists and objects counted as well.
    pub fn values(&self) -> usize {
        fn within(value: &Value) -> usize {
            1 + match value {
                Value::Array(items) => items.iter().map(within).sum(),
                Value::Object(fields) => fields.values().map(within).sum(),
                _ => 0,
            }
        }
        self.data.values().map(within).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_worker_reports_is_told_by_its_field() {
        let data = |data: Value| data.as_object().cloned().unwrap();
        let event = |data| WorkerEvent {
            event_type: "plan".to_owned(),
            status: "info".to_owned(),
            epoch: Timestamp::from_secs(1),
            data,
        };
        event(data(json!({"a": vec![1; MAX_VALUES - 1]}))).check().unwrap();
        for (event, told) in [
            (event(data(json!({"a": vec![1; MAX_VALUES]}))), "data: must have at most 4000 values, not 4001"),
            (event(data(json!({"a": "x".repeat(MAX_DATA)}))), "data: must have at most 262144 bytes, not 262152"),
            (
                WorkerEvent { event_type: String::new(), ..event(Map::new()) },
                "event_type: must have 1 to 128 characters",
            ),
            (WorkerEvent { status: "x".repeat(129), ..event(Map::new()) }, "status: must have 1 to 128 characters"),
        ] {
            assert_eq!(event.check().unwrap_err(), told);
        }
    }
}
