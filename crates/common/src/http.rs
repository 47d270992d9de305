//! Plain HTTP requests, for what is no SDK call: presigned URLs, a submission to the embedded AWS, and hosts of
//! repositories. They use the SDK's own TLS and proxy settings. Redirections are answers like any other: nobody follows
//! them.

use std::{
    error::Error,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
};
pub use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Sends requests.
#[derive(Clone, Debug)]
pub struct Http {
    connector: SharedHttpConnector,
}

/// A client that is built when it is first needed and then kept, with its connections. Clones share it.
#[derive(Clone, Debug)]
pub struct LazyHttp {
    read_timeout: Duration,
    http: Arc<OnceLock<Http>>,
}

impl LazyHttp {
    /// One whose requests wait so long for an answer.
    pub fn new(read_timeout: Duration) -> Self {
        Self { read_timeout, http: Arc::default() }
    }

    /// The client.
    pub fn get(&self) -> Result<&Http, HttpError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Http::new(self.read_timeout)?;
        Ok(self.http.get_or_init(|| http))
    }
}

/// A request that got no answer. The URL is not in it: a signed one is a secret.
#[derive(Debug, thiserror::Error)]
#[error("failed to send a request: {0}")]
pub struct HttpError(String);

impl HttpError {
    /// What failed on this side.
    pub fn of(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
}

impl Http {
    /// A client whose requests wait so long for an answer.
    pub fn new(read_timeout: Duration) -> Result<Self, HttpError> {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(5)).read_timeout(read_timeout).build();
        let sleep = aws_smithy_async::rt::sleep::default_async_sleep();
        let connector =
            default_connector(&settings, sleep).ok_or_else(|| HttpError("no TLS is built in".to_owned()))?;
        Ok(Self { connector })
    }

    /// Sends one request.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let length = body.len() as u64;
        self.call(method, url, headers, SdkBody::from(body), length).await?.whole(MAX_ANSWER_BYTES).await
    }

    /// Sends one request whose answer has at most `limit` bytes; gives the answer with its headers.
    pub async fn exchange(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        limit: usize,
    ) -> Result<(Answer, Headers), HttpError> {
        let length = body.len() as u64;
        let streaming = self.call(method, url, headers, SdkBody::from(body), length).await?;
        let headers = streaming.headers.clone();
        Ok((streaming.whole(limit).await?, headers))
    }

    /// GETs a body of at most `limit` bytes.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Answer, HttpError> {
        self.call("GET", url, &[], SdkBody::empty(), 0).await?.whole(limit).await
    }

    /// GETs a body of any size, handed to `take` piece by piece. The status is the answer's; of an error nothing is taken.
    pub async fn download(
        &self,
        url: &str,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u16, HttpError> {
        let Streaming { status, mut body, .. } = self.call("GET", url, &[], SdkBody::empty(), 0).await?;
        if status != 200 {
            return Ok(status);
        }
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(wrong)?.into_data() {
                take(&piece).map_err(wrong)?;
            }
        }
        Ok(status)
    }

    /// PUTs a file as it is now; what is appended meanwhile is not sent. It is never whole in memory.
    pub async fn upload(&self, url: &str, path: &Path) -> Result<Answer, HttpError> {
        let length = tokio::fs::metadata(path).await.map_err(wrong)?.len();
        let body = ByteStream::read_from().path(path).length(Length::Exact(length)).build().await.map_err(wrong)?;
        self.call("PUT", url, &[], body.into_inner(), length).await?.whole(MAX_ANSWER_BYTES).await
    }

    async fn call(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: SdkBody,
        length: u64,
    ) -> Result<Streaming, HttpError> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-length", length).body(body).map_err(wrong)?;
        let request = HttpRequest::try_from(request).map_err(wrong)?;
        let answer = self.connector.call(request).await.map_err(|error| unanswered(&error))?;
        Ok(Streaming { status: answer.status().as_u16(), headers: answer.headers().clone(), body: answer.into_body() })
    }
}

/// An answer whose body is still to come.
struct Streaming {
    status: u16,
    headers: Headers,
    body: SdkBody,
}

impl Streaming {
    async fn whole(self, limit: usize) -> Result<Answer, HttpError> {
        let body = Limited::new(self.body, limit).collect().await.map_err(wrong)?;
        Ok(Answer { status: self.status, body: body.to_bytes() })
    }
}

fn wrong(error: impl std::fmt::Display) -> HttpError {
    HttpError(error.to_string())
}

/// With what is behind it: the first says no more than that there was an error of input or output.
fn unanswered(error: &dyn Error) -> HttpError {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(behind) = cause {
        told = format!("{told}: {behind}");
        cause = behind.source();
    }
    HttpError(told)
}
