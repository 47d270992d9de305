//! `/_embedded/…`: what AWS has not got. Counters of calls, the fault script, the end of sessions, and waiting for
//! engine time to pass or for nothing to be left to do.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header, request::Parts};
use serde::Deserialize;
use serde_json::json;

use crate::{
    errors::respond,
    faults::Script,
    server::{Response, Services},
};

/// Where all of them are.
pub(crate) const PATH: &str = "/_embedded/";

/// Body of `POST /_embedded/sessions/end`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndSessions {
    /// Role of the functions concerned; all by default.
    function: Option<String>,
}

/// Body of `POST /_embedded/pass`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pass {
    /// Milliseconds of engine time that pass until the answer.
    ms: u64,
}

/// Serves one call.
pub(crate) async fn call(services: &Services, request: &Parts, body: Option<Bytes>) -> Response {
    let path = request.uri.path().strip_prefix(PATH).unwrap_or_default();
    if (&request.method, path) == (&Method::GET, "calls") {
        return answer(StatusCode::OK, &json!({"calls": services.gate.recorder.counts()}));
    }
    if (&request.method, path) == (&Method::GET, "ready") {
        return answer(StatusCode::OK, &json!({"status": "ready"}));
    }
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if request.method == Method::POST && !kind.starts_with("application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    let Some(body) = body else { return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large") };
    match (&request.method, path) {
        (&Method::POST, "faults") => match serde_json::from_slice::<Script>(&body) {
            Ok(script) => {
                services.gate.faults.replace(script);
                answer(StatusCode::OK, &json!({"status": "ok"}))
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::POST, "settle") => {
            if services.timeline.settled().await {
                answer(StatusCode::OK, &json!({"at": services.timeline.now()}))
            } else {
                refuse(StatusCode::CONFLICT, "nobody counts who is at work: start it with `--skip-idle`")
            }
        }
        (&Method::POST, "pass") => match serde_json::from_slice::<Pass>(&body) {
            Ok(Pass { ms }) => {
                services.timeline.sleep(Duration::from_millis(ms)).await;
                answer(StatusCode::OK, &json!({"at": services.timeline.now()}))
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (&Method::POST, "sessions/end") => match serde_json::from_slice::<EndSessions>(&body) {
            Ok(wanted) => {
                let ended = services.sessions.end(wanted.function.as_deref());
                answer(StatusCode::OK, &json!({"ended": ended}))
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        _ => refuse(StatusCode::NOT_FOUND, "there is no such call"),
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    respond(status, "application/json", body.to_string())
}

fn refuse(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({"message": message}))
}
