//! Plain HTTP requests, for what is no SDK call: the presigned PUT of a result, and a submission to the embedded AWS.
//! They use the SDK's own TLS and proxy settings.

use std::time::Duration;

use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
};
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

/// A request that got no answer. The URL is not in it: a signed one is a secret.
#[derive(Debug, thiserror::Error)]
#[error("failed to send a request: {0}")]
pub struct HttpError(String);

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
        let wrong = |error: &dyn std::fmt::Display| HttpError(error.to_string());
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.header("content-length", body.len()).body(SdkBody::from(body)).map_err(|error| wrong(&error))?;
        let request = HttpRequest::try_from(request).map_err(|error| wrong(&error))?;
        let answer = self.connector.call(request).await.map_err(|error| wrong(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| wrong(&error))?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}
