//! An asynchronous invocation of the worker that failed or was never delivered.

use common::{claim::Ending, executor::Executor, outcome::UNDELIVERED, status::Outcome};

use super::{Lost, Told};
use crate::event::FailedInvocation;

/// What a failed invocation means for its order.
pub(crate) fn lost(invocation: &FailedInvocation) -> Lost {
    let context = &invocation.request_context;
    let error = invocation.response_payload.as_ref();
    let (kind, message) = error.map_or(("", ""), |error| (error.error_type.as_str(), error.error_message.as_str()));
    let (outcome, reason) = match (context.condition.as_str(), kind) {
        ("EventAgeExceeded", _) => (Outcome::Failed, "its invocation waited too long in Lambda's queue".to_owned()),
        // Lambda's own word for an invocation that took longer than the function may.
        (_, "Sandbox.Timedout") => (Outcome::TimedOut, format!("its Lambda invocation timed out: {message}")),
        _ => (Outcome::Failed, format!("its Lambda invocation failed: {message}")),
    };
    Lost {
        run: invocation.request_payload.run_id.clone(),
        share: invocation.request_payload.order_num.into(),
        by: Executor::Lambda(context.request_id.clone()),
        told: (kind == UNDELIVERED).then(|| Told::Result(message.to_owned())),
        otherwise: Ending::new(outcome, reason),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Event;

    fn judged(condition: &str, response: Value) -> Lost {
        let record = json!({
            "version": "1.0",
            "timestamp": "2026-01-02T03:04:05.000Z",
            "requestContext": {"requestId": "4f0e", "functionArn": "arn", "condition": condition, "approximateInvokeCount": 1},
            "requestPayload": {"run_id": "r", "order_num": "0001", "s3_location": "s3://b/k"},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": response,
        });
        match Event::read(record).unwrap() {
            Event::Invocation(invocation) => lost(&invocation),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_failed_invocation_names_its_order_and_itself() {
        let error =
            json!({"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"});
        let lost = judged("RetriesExhausted", error);
        assert_eq!((lost.share.to_string().as_str(), lost.by.to_string().as_str()), ("0001", "lambda:4f0e"));
        assert!(lost.otherwise.reason.ends_with("signal: killed"));
        assert_eq!(judged("EventAgeExceeded", Value::Null).otherwise.outcome, Outcome::Failed);
        let late = judged("RetriesExhausted", json!({"errorType": "Sandbox.Timedout", "errorMessage": "900 s"}));
        assert_eq!(late.otherwise.outcome, Outcome::TimedOut);
    }

    #[test]
    fn a_result_that_could_not_be_delivered_travels_in_the_error() {
        let error = json!({"errorType": UNDELIVERED, "errorMessage": r#"{"status":"succeeded"}"#});
        assert_eq!(judged("RetriesExhausted", error).told, Some(Told::Result(r#"{"status":"succeeded"}"#.to_owned())));
    }
}
