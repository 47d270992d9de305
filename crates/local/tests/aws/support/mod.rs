//! An embedded AWS for a test, clients for it, and a way to talk to it below the SDKs.

use std::{path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use local::{EmbeddedAws, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The bucket that notifies.
pub(crate) const INTERNAL: &str = "exe-sys-internal";

/// An embedded AWS whose functions are the probe.
pub(crate) struct World {
    pub(crate) aws: EmbeddedAws,
    pub(crate) config: SdkConfig,
    pub(crate) folder: TempDir,
}

/// Options for the probe; its log goes to `folder`.
pub(crate) fn options(folder: &TempDir) -> Options {
    let mut options = Options::new(probe());
    options.function_env.push(("PROBE_LOG".to_owned(), folder.path().join("probe.log").display().to_string()));
    options
}

/// Starts one with the usual options, changed by `change`.
pub(crate) async fn world(change: impl FnOnce(&mut Options)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder);
    change(&mut options);
    let aws = EmbeddedAws::start(options).await.unwrap();
    let config = config(&aws.endpoint(), "test", "test").await;
    World { aws, config, folder }
}

/// SDK settings for an endpoint.
pub(crate) async fn config(endpoint: &str, key: &str, secret: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .load()
        .await
}

/// The example beside this test's executable.
fn probe() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable.parent().unwrap().parent().unwrap().join("examples/lambda_probe")
}

impl World {
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.config)
    }

    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.config)
    }

    pub(crate) fn codebuild(&self) -> aws_sdk_codebuild::Client {
        aws_sdk_codebuild::Client::new(&self.config)
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub(crate) fn states(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    pub(crate) fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.config)
    }

    /// What the probe has written so far.
    pub(crate) fn probed(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(self.folder.path().join("probe.log")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the probe has been invoked this often with events that `wanted` takes, and returns these.
    pub(crate) async fn until_probed(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        eventually(|| async {
            let found: Vec<Value> = self.probed().into_iter().filter(|record| wanted(record)).collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// The path of the file that the probe writes to.
    pub(crate) fn probe_log(&self) -> String {
        self.folder.path().join("probe.log").display().to_string()
    }

    /// Sends one request as it is written here, and returns status and body.
    pub(crate) async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let address = self.aws.endpoint().trim_start_matches("http://").to_owned();
        let length = body.len().to_string();
        let mut all = vec![("connection", "close"), ("content-length", &length)];
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            all.push(("host", &address));
        }
        let lines = all.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!("{method} {path} HTTP/1.1\r\n{}", lines.collect::<String>());
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, body.to_owned())
    }

    /// Sends a presigned request with a body.
    pub(crate) async fn presigned(
        &self,
        request: &aws_sdk_s3::presigning::PresignedRequest,
        body: &[u8],
    ) -> (u16, String) {
        let path = request.uri().strip_prefix(&self.aws.endpoint()).unwrap().to_owned();
        let headers: Vec<_> = request.headers().collect();
        self.raw(request.method(), &path, &headers, body).await
    }
}

/// Whether a process is there; one that has ended and that nobody has asked about is not.
pub(crate) fn is_running(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
}

/// Starts once more with the same data folder, as a second process would.
pub(crate) async fn restart(world: World, change: impl FnOnce(&mut Options)) -> World {
    let World { aws, folder, .. } = world;
    aws.shutdown().await.unwrap();
    let mut options = options(&folder);
    options.data = Some(folder.path().join("data"));
    change(&mut options);
    let aws = EmbeddedAws::start(options).await.unwrap();
    let config = config(&aws.endpoint(), "test", "test").await;
    World { aws, config, folder }
}

/// Asks until there is an answer. A test that waits for ever is ended after a minute, with its place.
#[track_caller]
pub(crate) fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let answered = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let answer = tokio::time::timeout(Duration::from_mins(1), answered).await;
        answer.unwrap_or_else(|_| panic!("nothing came of the wait at {place}"))
    }
}
