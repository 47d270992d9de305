//! The AWS clients, built when they are first used: one costs some 20 million instructions, and no role needs all.

use std::{sync::OnceLock, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};

use crate::clock::Clock;

/// Attempts of one call, the first included. With the SDK's backoff that rides out some seconds of throttling.
const ATTEMPTS: u32 = 5;
/// The same for a worker: some six minutes. The SDK's budget of 500 tokens, 5 an attempt, allows it.
const WORKER_ATTEMPTS: u32 = 40;
/// The SDK's own pauses between tries: a random part of the first, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Clients of one set of credentials.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    codebuild: OnceLock<aws_sdk_codebuild::Client>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    secrets: OnceLock<aws_sdk_secretsmanager::Client>,
    sfn: OnceLock<aws_sdk_sfn::Client>,
    ssm: OnceLock<aws_sdk_ssm::Client>,
}

/// How long a call is tried that AWS does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Some seconds: somebody else comes and does the same again.
    Replaceable,
    /// Minutes: what a worker has begun nobody else does, and throttling must not fail its order.
    Worker,
}

impl Aws {
    /// Credentials, region and endpoint from where every AWS tool takes them; `AWS_ENDPOINT_URL` points all of them at
    /// the embedded AWS.
    ///
    /// Pauses between tries pass in the engine's time, so that a sped-up run does not wait for them.
    pub async fn load(clock: Clock, patience: Patience) -> Self {
        let attempts = match patience {
            Patience::Replaceable => ATTEMPTS,
            Patience::Worker => WORKER_ATTEMPTS,
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            // Longer than any single answer that the engine waits for, far shorter than an invocation.
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(attempts)
            .with_initial_backoff(clock.machine(FIRST_PAUSE))
            .with_max_backoff(clock.machine(LONGEST_PAUSE));
        let config =
            aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).timeout_config(timeouts).load().await;
        Self::of(config)
    }

    /// Clients of a given endpoint with given credentials, whatever the environment says.
    pub fn with_credentials(endpoint: &str, region: &str, key: &str, secret: &str) -> Self {
        use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
        let credentials = Credentials::new(key, secret, None, None, "given");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(aws_config::Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .build();
        Self::of(config)
    }

    /// Clients of this configuration.
    pub fn of(config: SdkConfig) -> Self {
        Self {
            config,
            codebuild: OnceLock::new(),
            dynamodb: OnceLock::new(),
            lambda: OnceLock::new(),
            s3: OnceLock::new(),
            secrets: OnceLock::new(),
            sfn: OnceLock::new(),
            ssm: OnceLock::new(),
        }
    }

    /// The configuration, for what is no client.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// CodeBuild.
    pub fn codebuild(&self) -> &aws_sdk_codebuild::Client {
        self.codebuild.get_or_init(|| aws_sdk_codebuild::Client::new(&self.config))
    }

    /// DynamoDB.
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.dynamodb.get_or_init(|| aws_sdk_dynamodb::Client::new(&self.config))
    }

    /// Lambda.
    pub fn lambda(&self) -> &aws_sdk_lambda::Client {
        self.lambda.get_or_init(|| aws_sdk_lambda::Client::new(&self.config))
    }

    /// S3. Checksums only where S3 demands one: a presigned URL with one would bind its user to a body.
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.config)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                // An endpoint of one's own has no host name per bucket.
                .force_path_style(self.config.endpoint_url().is_some())
                // Bundles and code may be large and the line slow; the stalled-stream guard ends what hangs.
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(Duration::from_secs(3))
                        .read_timeout(Duration::from_secs(30))
                        .build(),
                )
                .build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    /// Secrets Manager.
    pub fn secrets(&self) -> &aws_sdk_secretsmanager::Client {
        self.secrets.get_or_init(|| aws_sdk_secretsmanager::Client::new(&self.config))
    }

    /// Step Functions.
    pub fn sfn(&self) -> &aws_sdk_sfn::Client {
        self.sfn.get_or_init(|| aws_sdk_sfn::Client::new(&self.config))
    }

    /// Systems Manager.
    pub fn ssm(&self) -> &aws_sdk_ssm::Client {
        self.ssm.get_or_init(|| aws_sdk_ssm::Client::new(&self.config))
    }
}

/// A call to AWS that failed after the SDK's own retries, named by what the caller can do next.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}: {message}")]
pub struct AwsError {
    /// What was attempted, as "put the result of `run`/`0001`".
    pub action: String,
    /// AWS's error code, if it answered with one.
    pub code: Option<String>,
    /// What AWS or the transport said.
    pub message: String,
    /// Whether trying again later can help.
    pub class: Class,
}

/// What a failed call means for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Refused only for now, and certainly not applied.
    Throttled,
    /// It may have been applied or not.
    Unclear,
    /// Refused for good: the same call will be refused again.
    Refused,
}

impl AwsError {
    /// From an SDK's error.
    pub fn of<E, R>(action: impl Into<String>, error: aws_smithy_runtime_api::client::result::SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
        aws_smithy_runtime_api::client::result::SdkError<E, R>: StatusOf,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let status = error.status();
        let class = classify(code.as_deref(), status);
        let message = match error.as_service_error() {
            Some(service) => {
                let text = service.meta().message().unwrap_or("no message");
                format!("{}: {text}", code.as_deref().unwrap_or("error"))
            }
            None => DisplayErrorContext(&error).to_string(),
        };
        Self { action: action.into(), code, message, class }
    }

    /// An error found on this side, which the same call will meet again.
    pub fn refused(action: impl Into<String>, message: impl Into<String>) -> Self {
        Self { action: action.into(), code: None, message: message.into(), class: Class::Refused }
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// The HTTP status of an answer, if there was one.
pub trait StatusOf {
    /// The status.
    fn status(&self) -> Option<u16>;
}

impl<E> StatusOf
    for aws_smithy_runtime_api::client::result::SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>
{
    fn status(&self) -> Option<u16> {
        self.raw_response().map(|response| response.status().as_u16())
    }
}

/// AWS's codes for "not now". A service's general 4xx is for good, a 5xx or no answer at all is unclear.
fn classify(code: Option<&str>, status: Option<u16>) -> Class {
    const THROTTLES: [&str; 14] = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "EC2ThrottledException",
        "ExecutionLimitExceeded",
        "AccountLimitExceededException",
        "TooManyUpdates",
    ];
    match (code, status) {
        (Some(code), _) if THROTTLES.contains(&code) => Class::Throttled,
        (_, Some(429)) => Class::Throttled,
        // Credentials that ran out in the middle are replaced by the next invocation's.
        (Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "RequestTimeTooSkewed"), _) => {
            Class::Unclear
        }
        (_, Some(400..=499)) => Class::Refused,
        _ => Class::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_no_is_a_refusal() {
        assert_eq!(classify(Some("ThrottlingException"), Some(400)), Class::Throttled);
        assert_eq!(classify(Some("AccessDeniedException"), Some(400)), Class::Refused);
        assert_eq!(classify(Some("ResourceNotFoundException"), Some(404)), Class::Refused);
        assert_eq!(classify(Some("InternalServerError"), Some(500)), Class::Unclear);
        assert_eq!(classify(None, None), Class::Unclear);
        assert_eq!(classify(Some("ExpiredToken"), Some(400)), Class::Unclear);
    }
}
