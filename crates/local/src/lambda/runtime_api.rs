//! The Runtime API: what a function's process calls to get events and to answer them. Unsigned, as in Lambda.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, request::Parts};

use crate::{
    errors::respond,
    lambda::{
        FunctionError, SYNC_PAYLOAD_LIMIT,
        environment::Handed,
        launch::{Launcher, RUNTIME_PATH},
    },
    server::Response,
};

const VERSION: &str = "2018-06-01/runtime/";

impl Launcher {
    /// Serves one call under [`RUNTIME_PATH`].
    pub(crate) async fn runtime_api(&self, request: &Parts, body: Bytes) -> Response {
        let path = request.uri.path().strip_prefix(RUNTIME_PATH).unwrap_or_default();
        let Some((id, call)) = path.split_once('/') else { return refuse(StatusCode::NOT_FOUND, "NotFound") };
        let Some(environment) = self.find(id) else { return refuse(StatusCode::FORBIDDEN, "InvalidEnvironment") };
        let error_type =
            request.headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
        let call = call.strip_prefix(VERSION).unwrap_or_default();
        let parts: Vec<&str> = call.split('/').collect();
        let accepted = match (&request.method, parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => {
                return match environment.next().await {
                    Some(handed) => event(handed),
                    None => refuse(StatusCode::GONE, "EnvironmentEnded"),
                };
            }
            (&Method::POST, ["invocation", request_id, "response"]) => {
                let result = if body.len() > SYNC_PAYLOAD_LIMIT {
                    let message = format!("Error: response payload is over {SYNC_PAYLOAD_LIMIT} bytes");
                    Err(FunctionError::new("Function.ResponseSizeTooLarge", request_id, &message))
                } else {
                    Ok(body)
                };
                environment.answer(request_id, result)
            }
            (&Method::POST, ["invocation", request_id, "error"]) => {
                environment.answer(request_id, Err(FunctionError::reported(body, error_type)))
            }
            (&Method::POST, ["init", "error"]) => {
                environment.init_failed(FunctionError::reported(body, error_type));
                true
            }
            _ => return refuse(StatusCode::NOT_FOUND, "NotFound"),
        };
        if accepted {
            respond(StatusCode::ACCEPTED, "application/json", r#"{"status":"OK"}"#)
        } else {
            refuse(StatusCode::BAD_REQUEST, "InvalidRequestID")
        }
    }
}

/// An event with the headers that describe it.
fn event(handed: Handed) -> Response {
    let invocation = handed.invocation;
    let mut response = respond(StatusCode::OK, "application/json", invocation.payload);
    let parent = invocation.parent.unwrap_or_else(|| "none".to_owned());
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id.clone()),
        ("lambda-runtime-deadline-ms", handed.deadline.millis().to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.arn),
        ("lambda-runtime-trace-id", format!("Root={};Parent={parent};Sampled=0", invocation.request_id)),
    ];
    for (name, value) in headers {
        match HeaderValue::try_from(value) {
            Ok(value) => {
                response.headers_mut().insert(name, value);
            }
            Err(error) => tracing::warn!(%error, name, "an event goes without this header"),
        }
    }
    response
}

fn refuse(status: StatusCode, kind: &str) -> Response {
    let body = serde_json::json!({"errorType": kind, "errorMessage": "refused by the Runtime API"}).to_string();
    respond(status, "application/json", body)
}
