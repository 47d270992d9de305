//! An event that a command reported, on its way from the worker inside `result.json` to the table of events.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

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
