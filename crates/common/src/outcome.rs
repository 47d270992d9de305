//! `result.json`: how an order ended, as its worker, the engine or anybody with its callback URL reports it.
//!
//! `{"status": …, "log": …}` is enough. What a foreign writer got wrong fails that order and nothing else.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    json,
    status::Outcome,
    text::sentence,
    worker_event::{self, WorkerEvent},
};

/// Largest result that is read: 256 KiB of log, 100 events of 64 KiB, and room for JSON's escapes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most events of a result: a hundred of each of ten instances. Whoever records it writes a row for each.
pub const MAX_EVENTS: usize = 1_000;
/// Most values of all events' data together: what a hundred full events have.
pub const MAX_EVENT_VALUES: usize = 100 * worker_event::MAX_VALUES;
/// Most values of a result: those, and at most six that each event has beside its data. It bounds the memory it takes.
const MAX_VALUES: usize = MAX_EVENT_VALUES + 6 * MAX_EVENTS + 100;
/// Characters of the reason that are kept.
const MAX_REASON: usize = 4_096;

/// Type of the error with which a worker on Lambda ends when it could not deliver its result. The message is the result
/// as JSON, without log and events.
pub const UNDELIVERED: &str = "Undelivered";

/// How an order ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderResult {
    /// The outcome.
    pub status: Outcome,
    /// Head and tail of the commands' output, masked.
    #[serde(default)]
    pub log: String,
    /// Version of this format; 1 from the engine's own writers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// Why, in a sentence, when the order did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Exit code of the last command that ended; 128 and the signal's number when a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Index (from 0) of the command that failed or was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_command: Option<usize>,
    /// When the worker began; from the engine, which gave up a worker, when that claimed the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the order ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Who wrote this, as in the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// Whether the engine ended the order because of a dependency; nothing of it was started.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub skipped: bool,
    /// Whether `log` is not the whole output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_truncated: Option<bool>,
    /// Key of the whole log in the internal bucket, if it was put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_location: Option<String>,
    /// What the commands reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<WorkerEvent>,
}

impl OrderResult {
    /// A result of the engine's own.
    pub fn of_engine(status: Outcome, reason: &str, at: Timestamp) -> Self {
        Self {
            status,
            log: String::new(),
            schema_version: Some(1),
            reason: Some(reason.to_owned()),
            exit_code: None,
            failed_command: None,
            started_at: None,
            finished_at: Some(at),
            writer: Some("engine".to_owned()),
            skipped: false,
            log_truncated: None,
            log_location: None,
            events: Vec::new(),
        }
    }

    /// Reads a result. `at` is when its object was written, for writers that give no `finished_at`; so a repeated reading
    /// gives the same event again.
    pub fn read(bytes: &[u8], at: Timestamp) -> Self {
        match Self::parse(bytes) {
            Ok(mut result) => {
                result.finished_at.get_or_insert(at);
                result
            }
            Err(problem) => Self::of_engine(Outcome::Failed, &format!("its result.json cannot be read: {problem}"), at),
        }
    }

    /// Reads what anybody may have written: whoever holds the callback URL, which all commands of the order do.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // Readers cut it there.
        if bytes.len() >= MAX_BYTES {
            return Err(format!("must have fewer than {MAX_BYTES} bytes"));
        }
        let mut result: Self = json::read(bytes, MAX_VALUES)?;
        if result.events.len() > MAX_EVENTS {
            return Err(format!("events: must be at most {MAX_EVENTS}, not {}", result.events.len()));
        }
        for (index, event) in result.events.iter().enumerate() {
            event.check().map_err(|problem| format!("events[{index}].{problem}"))?;
        }
        for text in [&mut result.reason, &mut result.writer].into_iter().flatten() {
            *text = sentence(text, MAX_REASON);
        }
        Ok(result)
    }

    /// The result without what makes it large, for ways that take little.
    #[must_use]
    pub fn bare(&self) -> Self {
        let log_truncated = Some(!self.log.is_empty());
        Self { log: String::new(), events: Vec::new(), log_truncated, ..self.clone() }
    }

    /// The bytes of `result.json`.
    ///
    /// # Errors
    /// Never for values of this type; the signature is `serde_json`'s.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn status_and_log_are_enough() {
        let result = OrderResult::read(br#"{"status":"succeeded","log":"hi"}"#, AT);
        assert_eq!((result.status, result.log.as_str(), result.finished_at), (Outcome::Succeeded, "hi", Some(AT)));
    }

    #[test]
    fn numbers_of_events_stay_what_they_are() {
        let event = r#"{"event_type":"e","status":"s","epoch":1,"data":{"a":2.9999999999999995e+45,"b":0.1,"c":-7}}"#;
        let text = format!(r#"{{"status":"succeeded","events":[{event}]}}"#);
        let once = OrderResult::read(text.as_bytes(), AT).to_bytes().unwrap();
        assert!(String::from_utf8_lossy(&once).contains("2.9999999999999995e+45"));
        assert_eq!(OrderResult::read(&once, AT).to_bytes().unwrap(), once);
    }

    #[test]
    fn what_cannot_be_read_fails_the_order() {
        for bytes in [&b""[..], b"{}", b"[]", br#"{"status":"running","log":""}"#, b"\xff\xfe"] {
            let result = OrderResult::read(bytes, AT);
            assert_eq!(result.status, Outcome::Failed);
            assert!(result.reason.unwrap().contains("result.json"));
        }
    }
}
