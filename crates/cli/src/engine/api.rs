//! The HTTP API that jobs are submitted to: one signed POST. What is done about its answers is `submission`'s.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use common::{
    clock::Clock,
    http::{Answer, Http, HttpError},
};

use crate::{code::Code, failure::Failure};

/// A little longer than the HTTP API's own limit of 30 s.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const PATIENCE: Duration = Duration::from_secs(40);

/// The route of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// `POST /init`.
    Init,
    /// `POST /ssm`.
    Ssm,
}

impl Entry {
    const fn path(self) -> &'static str {
        match self {
            Self::Init => "/init",
            Self::Ssm => "/ssm",
        }
    }
}

/// The API of one stack.
#[derive(Debug)]
pub(crate) struct Api {
    url: String,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Nothing was sent.
    NotSent(Failure),
    /// It may have been received.
    Unclear(HttpError),
}

impl Api {
    pub(crate) fn new(url: &str, region: &str, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self { url: url.to_owned(), region: region.to_owned(), credentials }
    }

    /// Sends a body to a route.
    pub(crate) async fn post(&self, entry: Entry, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        let url = format!("{}{}", self.url, entry.path());
        let headers = self.sign(&url, &body).await.map_err(NoAnswer::NotSent)?;
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("content-type", "application/json"));
        let http = Http::new(PATIENCE)
            .map_err(|error| NoAnswer::NotSent(Failure::new(Code::MachineFailed, error.to_string())))?;
        http.send("POST", &url, &headers, body).await.map_err(NoAnswer::Unclear)
    }

    /// The headers of a signature: Signature Version 4 for `execute-api`.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html>
    async fn sign(&self, url: &str, body: &[u8]) -> Result<Vec<(String, String)>, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Code::MachineFailed, format!("failed to sign the submission: {error}"))
        };
        let no_credentials = |problem: String| {
            Failure::new(Code::NoCredentials, problem)
                .hint("sign in as for the AWS CLI (`aws sso login`, `AWS_PROFILE`); `aws-exe doctor` says who you are")
        };
        let Some(provider) = &self.credentials else {
            return Err(no_credentials("no AWS credentials are configured".to_owned()));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let error = aws_smithy_types::error::display::DisplayErrorContext(&error);
            no_credentials(format!("failed to find AWS credentials: {error}"))
        })?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::REAL.now().millis()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let none: [(&str, &str); 0] = [];
        let request = SignableRequest::new("POST", url, none.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| failed(&error))?;
        let (instructions, _signature) = sign(request, &params).map_err(|error| failed(&error))?.into_parts();
        let (headers, _query) = instructions.into_parts();
        Ok(headers.into_iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect())
    }
}
