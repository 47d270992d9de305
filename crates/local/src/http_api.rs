//! API Gateway's HTTP API with its two routes, `/init` and `/ssm`, in payload format 2.0.
//!
//! Unlike AWS's it may be called unsigned. So that no web page can submit a job it takes JSON alone, which a page can
//! only send after asking, and nobody answers that question with yes.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use common::stack::Function;
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    ACCOUNT, dates,
    errors::{ApiError, respond},
    ids,
    lambda::{Lambda, SYNC_PAYLOAD_LIMIT},
    server::Response,
    service::Service,
};

/// Largest body, as on AWS.
pub(crate) const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// Longest time the API waits for a function. In machine time: it bounds work, not a wait.
const INTEGRATION_LIMIT: Duration = Duration::from_secs(30);

/// The function behind a path.
pub(crate) fn route(path: &str) -> Option<Function> {
    match path {
        "/init" => Some(Function::InitJob),
        "/ssm" => Some(Function::SsmConfig),
        _ => None,
    }
}

/// Whether a body of this type may reach a function.
pub(crate) fn accepts(request: &Parts) -> bool {
    let declared = request.headers.get(header::CONTENT_TYPE);
    let Some(declared) = declared else { return !matches!(request.method, Method::POST | Method::PUT | Method::PATCH) };
    let kind = declared.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Serves one request for a route.
pub(crate) async fn call(lambda: &Lambda, role: Function, request: &Parts, body: &Bytes) -> Response {
    if !accepts(request) {
        let error = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "Unsupported Media Type");
        return error.respond(Service::Api);
    }
    let payload = Bytes::from(event(request, body).to_string());
    if payload.len() > SYNC_PAYLOAD_LIMIT {
        // API Gateway takes it, Lambda does not.
        return too_large();
    }
    let unavailable = || {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "Service Unavailable")
            .respond(Service::Api)
    };
    let Some(pool) = lambda.of(role) else { return unavailable() };
    let invoked = async {
        let permit = pool.enter().await.ok()?;
        Some(lambda.run(pool, pool.invocation(payload, None), permit).await)
    };
    match tokio::time::timeout(INTEGRATION_LIMIT, invoked).await {
        Err(_) | Ok(None) => unavailable(),
        Ok(Some(Ok(answer))) => proxy(&answer),
        Ok(Some(Err(error))) => {
            tracing::warn!(kind = error.kind, message = error.message, function = role.name(), "a request failed");
            ApiError::internal(Service::Api, "Internal Server Error").respond(Service::Api)
        }
    }
}

/// A body over the limit.
pub(crate) fn too_large() -> Response {
    let message = "Request Entity Too Large";
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message).respond(Service::Api)
}

/// The request as payload format 2.0 has it.
fn event(request: &Parts, body: &Bytes) -> Value {
    let path = request.uri.path();
    let route = format!("{} {path}", request.method);
    let now = dates::machine_now();
    let mut headers: Map<String, Value> = Map::new();
    for name in request.headers.keys() {
        let values: Vec<_> = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        headers.insert(name.as_str().to_owned(), values.join(",").into());
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let (text, encoded) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(body), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": request.uri.query().unwrap_or_default(),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "embedded",
            "domainName": header("host"),
            "domainPrefix": "embedded",
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": header("user-agent"),
            },
            "requestId": ids::request_id(),
            "routeKey": route,
            "stage": "$default",
            "time": dates::iso8601(now),
            "timeEpoch": now.millis(),
        },
        "headers": headers,
        "isBase64Encoded": encoded,
    });
    if !body.is_empty() {
        event["body"] = text.into();
    }
    event
}

/// A function's answer as an HTTP response: a proxy response, or any JSON, which is then the body.
fn proxy(answer: &Bytes) -> Response {
    let internal = || ApiError::internal(Service::Api, "Internal Server Error").respond(Service::Api);
    let Ok(document) = serde_json::from_slice::<Value>(answer) else { return internal() };
    let Some(status) = document.get("statusCode") else {
        return respond(StatusCode::OK, "application/json", answer.clone());
    };
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok()).and_then(|code| u16::try_from(code).ok());
    let Some(status) = status.and_then(|code| StatusCode::from_u16(code).ok()) else { return internal() };
    let text = document.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = if document.get("isBase64Encoded").and_then(Value::as_bool) == Some(true) {
        match STANDARD.decode(text) {
            Ok(body) => Bytes::from(body),
            Err(_) => return internal(),
        }
    } else {
        Bytes::from(text.to_owned())
    };
    let mut response = respond(status, "application/json", body);
    for (name, value) in document.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, kind: Option<&str>) -> Parts {
        let mut builder = http::Request::builder().method(method).uri("/init");
        if let Some(kind) = kind {
            builder = builder.header("content-type", kind);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_json_reaches_a_function() {
        assert!(accepts(&request("POST", Some("application/json; charset=utf-8"))));
        assert!(!accepts(&request("POST", Some("text/plain"))));
        assert!(!accepts(&request("POST", None)));
        assert!(accepts(&request("GET", None)));
    }

    #[test]
    fn answers_become_responses() {
        let made = proxy(&Bytes::from(r#"{"statusCode":405,"headers":{"Allow":"POST"},"body":"{}"}"#));
        assert_eq!((made.status().as_u16(), &made.headers()["allow"]), (405, &HeaderValue::from_static("POST")));
        assert_eq!(proxy(&Bytes::from(r#"{"ok":1}"#)).status().as_u16(), 200);
        assert_eq!(proxy(&Bytes::from("no json")).status().as_u16(), 500);
    }
}
