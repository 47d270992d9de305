//! What an on-failure destination gets: the record of an asynchronous event that is given up. Pure.

use bytes::Bytes;
use common::clock::Timestamp;
use serde_json::{Value, json};

use crate::{dates, lambda::FunctionError};

/// Why an event is given up.
#[derive(Clone, Debug)]
pub(crate) enum GivenUp {
    /// The function failed once more, as often as it is tried.
    RetriesExhausted(FunctionError),
    /// It has waited longer than Lambda keeps events.
    EventAgeExceeded,
}

/// The event that is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) function_arn: &'a str,
    pub(crate) payload: &'a [u8],
    /// How often the function had it.
    pub(crate) tries: u32,
}

/// The record, as Lambda writes it.
pub(crate) fn record(failed: &Failed<'_>, why: &GivenUp, now: Timestamp) -> Bytes {
    let mut record = json!({
        "version": "1.0",
        "timestamp": dates::iso8601(now),
        "requestContext": {
            "requestId": failed.request_id,
            "functionArn": format!("{}:$LATEST", failed.function_arn),
            "condition": match why {
                GivenUp::RetriesExhausted(_) => "RetriesExhausted",
                GivenUp::EventAgeExceeded => "EventAgeExceeded",
            },
            "approximateInvokeCount": failed.tries,
        },
        "requestPayload": document(failed.payload),
    });
    // There is nothing to say of an answer when there was none.
    if let GivenUp::RetriesExhausted(error) = why {
        // The status is that of the invoke, which went well, whatever became of the function.
        record["responseContext"] = json!({
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        });
        record["responsePayload"] = document(&error.body);
    }
    record.to_string().into()
}

/// A payload as JSON; as text when it is none.
fn document(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(payload: &[u8], why: &GivenUp) -> Value {
        let failed = Failed { request_id: "r-1", function_arn: "arn:f", payload, tries: 1 };
        serde_json::from_slice(&record(&failed, why, Timestamp::from_millis(1_795_228_101_123))).unwrap()
    }

    #[test]
    fn a_failure_comes_with_event_and_error() {
        let error = FunctionError::raw("Runtime.ExitError", "signal: killed");
        let expected = json!({
            "version": "1.0",
            "timestamp": "2026-11-21T02:28:21.123Z",
            "requestContext": {
                "requestId": "r-1",
                "functionArn": "arn:f:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"run_id": "r"},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"},
        });
        assert_eq!(record_of(br#"{"run_id": "r"}"#, &GivenUp::RetriesExhausted(error)), expected);
    }

    #[test]
    fn an_event_that_was_too_old_had_no_answer() {
        let record = record_of(b"{ no JSON", &GivenUp::EventAgeExceeded);
        assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
        assert_eq!(record["requestPayload"], "{ no JSON");
        assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none());
    }
}
