//! The endpoint: connections in, and each request to its service.
//!
//! ```text
//!   accept (loopback, TCP_NODELAY) → Host is loopback? → which service, operation, key, caller?
//!        ├── Runtime API, /_embedded  ────────────────────────────────▶ served directly
//!        └── gate (faults, record) → signature → service ─▶ response
//! ```

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::Body;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    capture::Capture,
    codebuild::CodeBuild,
    control, dates,
    dynamodb::{self, DynamoDb},
    errors::{ApiError, respond},
    gate::{Gate, Portion},
    http_api,
    lambda::{Lambda, SYNC_PAYLOAD_LIMIT, api::Target, launch::RUNTIME_PATH, process::Running, queue::Queue},
    peer::Peer,
    record::{CLIENT, Call},
    s3,
    secrets::Secrets,
    service::Service,
    sessions::{Session, Sessions},
    signature,
    ssm::Ssm,
    step_functions::StepFunctions,
    sts,
    tasks::Tasks,
    timeline::Timeline,
};

/// What every service answers with.
pub(crate) type Response = http::Response<Body>;

/// Largest body of a call that AWS has not got: a fault script.
const CONTROL_LIMIT: usize = 1024 * 1024;

/// Room for the envelope around a payload.
const ENVELOPE: usize = 64 * 1024;

/// The connection is to be cut without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fault script cut the connection")
    }
}

impl std::error::Error for Cut {}

/// All services.
pub(crate) struct Services {
    pub(crate) capture: Capture,
    pub(crate) timeline: Timeline,
    pub(crate) gate: Arc<Gate>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) s3: s3::Http,
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) queue: Queue,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) codebuild: Arc<CodeBuild>,
    pub(crate) step_functions: Arc<StepFunctions>,
    pub(crate) ssm: Ssm,
    pub(crate) secrets: Secrets,
    /// The calls that are being served.
    pub(crate) calls: TaskTracker,
}

/// Accepts connections until it is told to stop.
pub(crate) async fn serve(listener: TcpListener, services: Arc<Services>, stop: CancellationToken) {
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: there may be some when others have ended.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        let (services, stop) = (Arc::clone(&services), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, peer, services) => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, services: Arc<Services>) {
    // Without it small answers wait 20 to 30 ms for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone already");
        return;
    }
    let stream = services.capture.of(stream);
    let peer = Arc::new(Peer::at(peer));
    let service = service_fn(move |request| {
        let (services, peer) = (Arc::clone(&services), Arc::clone(&peer));
        async move {
            // A process that waits for its next event and dies must not be given one: this call ends with its connection.
            if request.uri().path().starts_with(RUNTIME_PATH) {
                return services.runtime(request).await;
            }
            // Every other call is carried out to its end, even when its caller is gone, as on AWS.
            let calls = services.calls.clone();
            calls.spawn(services.handle(request, peer)).await.unwrap_or_else(|error| {
                tracing::error!(%error, "a call broke off");
                Err(Cut)
            })
        }
    });
    // Without a limit on the time between requests: clients keep their connections, and all of them are ours.
    let served = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Services {
    async fn runtime(&self, request: Request<Incoming>) -> Result<Response, Cut> {
        let (parts, body) = request.into_parts();
        if !is_loopback(&parts) {
            return Ok(forbidden());
        }
        Ok(match collect(body, SYNC_PAYLOAD_LIMIT + ENVELOPE).await {
            Some(body) => self.lambda.launcher.runtime_api(&parts, body).await,
            None => {
                respond(StatusCode::PAYLOAD_TOO_LARGE, "application/json", r#"{"errorType":"RequestEntityTooLarge"}"#)
            }
        })
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Arc<Peer>) -> Result<Response, Cut> {
        let (parts, body) = request.into_parts();
        if !is_loopback(&parts) {
            return Ok(forbidden());
        }
        let path = parts.uri.path();
        if path.starts_with(control::PATH) {
            return Ok(control::call(&self, &parts, collect(body, CONTROL_LIMIT).await).await);
        }
        let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(role) = http_api::route(path) {
            return self.api(role, &parts, body).await;
        }
        if let Some((service, operation)) = target.as_deref().and_then(Service::of_target) {
            return self.json(service, operation, &parts, body).await;
        }
        if target.is_some() {
            // A service that is not here at all; its SDK reads this shape, whichever it is.
            let error = ApiError::unknown_operation(Service::CodeBuild, target.as_deref().unwrap_or_default());
            return Ok(error.respond(Service::CodeBuild));
        }
        if is_lambda(path) {
            return self.lambda(&parts, body).await;
        }
        let is = |kind: &str| {
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(kind.as_bytes()))
        };
        if parts.method == Method::POST && path == "/" && is("application/x-www-form-urlencoded") {
            return self.sts(&parts, body).await;
        }
        let session = s3::access_key(&parts.headers, &parts.uri).and_then(|key| self.sessions.get(&key));
        if is("application/json") && s3::access_key(&parts.headers, &parts.uri).is_none() {
            // Nobody sends S3 unsigned JSON: this is meant for the HTTP API.
            return Ok(ApiError::unknown_operation(Service::Api, path).respond(Service::Api));
        }
        self.s3(parts, body, session, peer).await
    }

    async fn api(&self, role: common::stack::Function, parts: &Parts, body: Incoming) -> Result<Response, Cut> {
        let operation = format!("{} {}", parts.method, parts.uri.path());
        let call = call_of(Service::Api, &operation, parts.uri.path(), None);
        let body = collect(body, http_api::BODY_LIMIT).await;
        self.gate
            .pass(&call, None, |_| async {
                let Some(body) = body else { return http_api::too_large() };
                let session = self.session(parts);
                // Unsigned is allowed; a signature that is there is held to what it says.
                let is_signed = parts.headers.contains_key(header::AUTHORIZATION);
                let checked = signature::verify(Service::Api, parts, &body, session.as_deref(), dates::machine_now());
                match checked {
                    Err(error) if is_signed => error.respond(Service::Api),
                    _ => http_api::call(&self.lambda, role, parts, &body).await,
                }
            })
            .await
    }

    /// A service of the JSON protocols.
    async fn json(&self, service: Service, operation: &str, parts: &Parts, body: Incoming) -> Result<Response, Cut> {
        let Some(body) = collect(body, dynamodb::BODY_LIMIT).await else {
            let error =
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "the request is too large");
            return Ok(error.respond(service));
        };
        let session = self.session(parts);
        let request = serde_json::from_slice::<Value>(&body);
        let key = request.as_ref().map(|request| key_of(service, request)).unwrap_or_default();
        let call = Call { bytes: body.len() as u64, ..call_of(service, operation, &key, session.as_deref()) };
        let perform = async |portion| {
            if let Err(error) = signature::verify(service, parts, &body, session.as_deref(), dates::machine_now()) {
                return error.respond(service);
            }
            let request = match request {
                Ok(request) => request,
                Err(error) => return ApiError::serialization(error.to_string()).respond(service),
            };
            let answer = match service {
                Service::DynamoDb if portion == Portion::Part => {
                    return self.dynamodb.call_partly(operation, &request).await;
                }
                Service::DynamoDb => return self.dynamodb.call(operation, body.clone()).await,
                Service::CodeBuild => self.codebuild.call(operation, &request),
                Service::StepFunctions => self.step_functions.call(operation, &request),
                Service::Ssm => self.ssm.call(operation, &request).await,
                Service::SecretsManager => self.secrets.call(operation, &request),
                _ => Err(ApiError::unknown_operation(service, operation)),
            };
            match answer {
                Ok(answer) => {
                    let protocol = match service {
                        Service::StepFunctions => "application/x-amz-json-1.0",
                        _ => "application/x-amz-json-1.1",
                    };
                    respond(StatusCode::OK, protocol, answer.to_string())
                }
                Err(error) => error.respond(service),
            }
        };
        self.gate.pass(&call, session.as_deref(), perform).await
    }

    async fn lambda(&self, parts: &Parts, body: Incoming) -> Result<Response, Cut> {
        let target = Target::of(&parts.method, parts.uri.path());
        let session = self.session(parts);
        let call = call_of(Service::Lambda, target.operation, &target.function, session.as_deref());
        let parent = call.parent.clone();
        let Some(body) = collect(body, SYNC_PAYLOAD_LIMIT + ENVELOPE).await else {
            let message = format!("the payload is over {SYNC_PAYLOAD_LIMIT} bytes");
            let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", message);
            return Ok(error.respond(Service::Lambda));
        };
        let perform = async |_| {
            let now = dates::machine_now();
            match signature::verify(Service::Lambda, parts, &body, session.as_deref(), now) {
                Ok(()) => self.lambda.api(&self.queue, &target, parts, body.clone(), parent).await,
                Err(error) => error.respond(Service::Lambda),
            }
        };
        self.gate.pass(&call, session.as_deref(), perform).await
    }

    async fn sts(&self, parts: &Parts, body: Incoming) -> Result<Response, Cut> {
        let body = collect(body, ENVELOPE).await.unwrap_or_default();
        let action = sts::action(&body).unwrap_or_default();
        let session = self.session(parts);
        let call = call_of(Service::Sts, &action, "", session.as_deref());
        let perform = async |_| {
            let now = dates::machine_now();
            match signature::verify(Service::Sts, parts, &body, session.as_deref(), now) {
                Ok(()) => sts::call(&action, session.as_deref()),
                Err(error) => error.respond(Service::Sts),
            }
        };
        self.gate.pass(&call, session.as_deref(), perform).await
    }

    /// Whose process is at the other end of a connection.
    async fn find_owner(&self, peer: Arc<Peer>) -> Option<Arc<Running>> {
        let (lambda, tasks) = (Arc::clone(&self.lambda), Arc::clone(&self.tasks));
        let find = move || {
            let owner = |socket| lambda.launcher.owner_of(socket).or_else(|| tasks.owner_of(socket));
            peer.find(lambda.launcher.port, owner)
        };
        tokio::task::spawn_blocking(find).await.ok().flatten()
    }

    async fn s3(
        &self,
        parts: Parts,
        body: Incoming,
        session: Option<Arc<Session>>,
        peer: Arc<Peer>,
    ) -> Result<Response, Cut> {
        let (operation, key) = s3::operation(&parts.method, &parts.uri, &parts.headers);
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = length.unwrap_or_default();
        let call = if s3::is_presigned(&parts.headers, &parts.uri) {
            let caller = match peer.known() {
                Some(caller) => Some(caller),
                None => self.find_owner(peer).await,
            };
            let signer = session.as_ref().map(|session| session.role());
            Call { signer, bytes, ..call_by(Service::S3, operation, &key, caller) }
        } else {
            Call { bytes, ..call_of(Service::S3, operation, &key, session.as_deref()) }
        };
        let parent = call.parent.clone();
        let owner = session.clone();
        let perform = async |_| {
            if let Err(error) = s3::check_token(&parts.headers, &parts.uri, session.as_deref()) {
                return error.respond(Service::S3);
            }
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(s3::Caller { parent });
            self.s3.call(request).await
        };
        self.gate.pass(&call, owner.as_deref(), perform).await
    }

    /// The session whose key signed the request's header; whether it may is seen later.
    fn session(&self, parts: &Parts) -> Option<Arc<Session>> {
        self.sessions.get(signature::Authorization::of(parts)?.access_key)
    }
}

/// To whoever calls under another name than the loopback's.
fn forbidden() -> Response {
    let body = json!({"message": "the Host of a request must be the loopback"}).to_string();
    respond(StatusCode::FORBIDDEN, "application/json", body)
}

/// The call as it is recorded, by whoever has the session.
fn call_of(service: Service, operation: &str, key: &str, session: Option<&Session>) -> Call {
    call_by(service, operation, key, session.and_then(|session| session.running.clone()))
}

/// The call as it is recorded, by an environment or the client.
fn call_by(service: Service, operation: &str, key: &str, running: Option<Arc<Running>>) -> Call {
    Call {
        function: running.as_ref().map_or(CLIENT, |running| running.function).to_owned(),
        service,
        operation: operation.to_owned(),
        key: key.to_owned(),
        signer: None,
        bytes: 0,
        parent: running.as_ref().and_then(|running| running.request()),
        starts: None,
        running,
    }
}

/// The whole body, unless it is larger than `limit` or breaks off.
async fn collect(body: Incoming, limit: usize) -> Option<Bytes> {
    Limited::new(body, limit).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// What a request of a JSON service is about.
fn key_of(service: Service, request: &Value) -> String {
    let first = |fields: &[&str]| {
        fields.iter().find_map(|field| request.get(field)?.as_str()).map(str::to_owned).unwrap_or_default()
    };
    match service {
        Service::CodeBuild => {
            // Of several builds or projects the first.
            let listed = ["ids", "names"].iter().find_map(|field| request.get(field)?.get(0)?.as_str());
            listed.map_or_else(|| first(&["projectName", "id"]), str::to_owned)
        }
        Service::DynamoDb => dynamodb::key_of(request),
        Service::StepFunctions => first(&["name", "executionArn", "stateMachineArn"]),
        Service::Ssm => match request.get("Names").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            None => first(&["DocumentName", "CommandId", "InstanceId", "Name", "Path"]),
        },
        Service::SecretsManager => first(&["SecretId", "Name"]),
        _ => String::new(),
    }
}

/// Whether a path is Lambda's: they begin with the date of the API's version.
fn is_lambda(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let date = parts.next().unwrap_or_default().as_bytes();
    let is_date = date.len() == 10
        && date.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    is_date && parts.next().is_some()
}

/// Whether the request was meant for this machine. A web page of another origin cannot say so, even when its name
/// was made to lead here.
fn is_loopback(parts: &Parts) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).or(parts.uri.host());
    let Some(host) = host else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(host: &str) -> Parts {
        Request::builder().uri("/").header("host", host).body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_the_loopback_is_served() {
        for host in ["127.0.0.1:4566", "localhost", "LOCALHOST:1", "[::1]:4566"] {
            assert!(is_loopback(&parts(host)), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "169.254.169.254", "0.0.0.0", "[::2]", ""] {
            assert!(!is_loopback(&parts(host)), "{host}");
        }
    }

    #[test]
    fn lambda_is_known_by_its_date() {
        assert!(is_lambda("/2015-03-31/functions/f/invocations"));
        assert!(!is_lambda("/bucket/2015-03-31"));
        assert!(!is_lambda("/2015-03-31"));
    }
}
