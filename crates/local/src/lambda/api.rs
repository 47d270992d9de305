//! What clients call on Lambda: `Invoke`, and enough Gets for them to see what is there.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    errors::{ApiError, respond},
    lambda::{ASYNC_PAYLOAD_LIMIT, FunctionSpec, Lambda, SYNC_PAYLOAD_LIMIT, queue::Queue},
    server::Response,
    service::Service,
};

/// An operation with the function it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) operation: &'static str,
    pub(crate) function: String,
}

impl Target {
    /// Which operation a path means.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let mut parts = path.split('/').skip(1);
        let unknown = Self { operation: "Unknown", function: String::new() };
        if parts.next() != Some("functions") {
            return unknown;
        }
        let function = percent_decode_str(parts.next().unwrap_or_default()).decode_utf8_lossy().into_owned();
        let operation = match (method, function.is_empty(), parts.next(), parts.next()) {
            (&Method::GET, true, None, None) => "ListFunctions",
            (&Method::GET, false, None, None) => "GetFunction",
            (&Method::GET, false, Some("configuration"), None) => "GetFunctionConfiguration",
            (&Method::POST, false, Some("invocations"), None) => "Invoke",
            _ => return unknown,
        };
        Self { operation, function }
    }
}

impl Lambda {
    /// Serves one call whose signature is good.
    pub(crate) async fn api(
        &self,
        queue: &Queue,
        target: &Target,
        request: &Parts,
        body: Bytes,
        parent: Option<String>,
    ) -> Response {
        let result = match target.operation {
            "ListFunctions" => {
                let functions: Vec<_> = self.functions().map(|pool| describe(&pool.spec)).collect();
                Ok(ok(&json!({"Functions": functions})))
            }
            "GetFunction" => self.spec(&target.function).map(|spec| {
                ok(&json!({"Configuration": describe(spec), "Code": {"RepositoryType": "embedded"}, "Tags": {}}))
            }),
            "GetFunctionConfiguration" => self.spec(&target.function).map(|spec| ok(&describe(spec))),
            "Invoke" => self.invoke(queue, &target.function, request, body, parent).await,
            _ => Err(ApiError::unknown_operation(Service::Lambda, request.uri.path())),
        };
        result.unwrap_or_else(|error| error.respond(Service::Lambda))
    }

    fn spec(&self, function: &str) -> Result<&FunctionSpec, ApiError> {
        self.find(function).map(|pool| &pool.spec).ok_or_else(|| not_found(function))
    }

    async fn invoke(
        &self,
        queue: &Queue,
        function: &str,
        request: &Parts,
        body: Bytes,
        parent: Option<String>,
    ) -> Result<Response, ApiError> {
        let pool = self.find(function).ok_or_else(|| not_found(function))?;
        let kind = request.headers.get("x-amz-invocation-type").map_or(Ok("RequestResponse"), |kind| kind.to_str());
        // Without a payload the function gets an empty event, as from the SDKs' `{}`.
        let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
        let (limit, kind) = match kind {
            Ok("Event") => (ASYNC_PAYLOAD_LIMIT, "Event"),
            Ok("RequestResponse") => (SYNC_PAYLOAD_LIMIT, "RequestResponse"),
            Ok("DryRun") => (SYNC_PAYLOAD_LIMIT, "DryRun"),
            _ => return Err(ApiError::client("InvalidParameterValueException", "unknown X-Amz-Invocation-Type")),
        };
        if body.len() > limit {
            let message = format!(
                "{} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
                body.len()
            );
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", message));
        }
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
            let message = format!("Could not parse request body into json: {error}");
            return Err(ApiError::client("InvalidRequestContentException", message));
        }
        match kind {
            "DryRun" => Ok(respond(StatusCode::NO_CONTENT, "application/json", "")),
            "Event" => {
                let invocation = pool.invocation(body, parent);
                let request_id = invocation.request_id.clone();
                queue.accept(pool, invocation, &pool.spec.name).await.map_err(|error| {
                    ApiError::internal(Service::Lambda, format!("the event could not be stored: {error}"))
                })?;
                Ok(with_request_id(respond(StatusCode::ACCEPTED, "application/json", ""), &request_id))
            }
            _ => {
                let permit = pool.try_enter().map_err(|_| {
                    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.")
                })?;
                let invocation = pool.invocation(body, parent);
                let request_id = invocation.request_id.clone();
                let mut response = match self.run(pool, invocation, permit).await {
                    Ok(payload) => respond(StatusCode::OK, "application/json", payload),
                    Err(error) => {
                        let mut response = respond(StatusCode::OK, "application/json", error.body);
                        response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
                        response
                    }
                };
                response.headers_mut().insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
                Ok(with_request_id(response, &request_id))
            }
        }
    }
}

fn not_found(function: &str) -> ApiError {
    let message = format!("Function not found: {function}");
    ApiError::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
}

fn ok(body: &Value) -> Response {
    respond(StatusCode::OK, "application/json", body.to_string())
}

/// On Lambda the id of the request is the id of the invocation.
fn with_request_id(mut response: Response, request_id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

fn describe(spec: &FunctionSpec) -> Value {
    json!({
        "FunctionName": spec.name,
        "FunctionArn": spec.arn,
        "Role": crate::arn("iam", &format!("role/{}", spec.name)),
        "Runtime": "provided.al2023",
        "Handler": spec.role.name(),
        "Timeout": spec.timeout.as_secs(),
        "MemorySize": spec.memory_mb,
        "Version": "$LATEST",
        "PackageType": "Image",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_from_paths() {
        let operation = |method, path| Target::of(&method, path).operation;
        assert_eq!(operation(Method::GET, "/2015-03-31/functions/"), "ListFunctions");
        assert_eq!(operation(Method::POST, "/2015-03-31/functions/f/invocations"), "Invoke");
        assert_eq!(operation(Method::DELETE, "/2015-03-31/functions/f"), "Unknown");
        assert_eq!(operation(Method::GET, "/2015-03-31/event-source-mappings/"), "Unknown");
        let arn = Target::of(
            &Method::GET,
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
        );
        assert_eq!(arn.function, "arn:aws:lambda:us-east-1:000000000000:function:f");
    }
}
