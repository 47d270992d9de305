//! The services behind the one port, and what differs between them on the wire.

use serde::{Serialize, Serializer};

/// An AWS service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// API Gateway's HTTP API: `POST /init` and `POST /ssm`.
    Api,
    /// CodeBuild: builds of the worker's project.
    CodeBuild,
    /// DynamoDB.
    DynamoDb,
    /// Lambda.
    Lambda,
    /// S3.
    S3,
    /// Secrets Manager.
    SecretsManager,
    /// Systems Manager: Parameter Store and Run Command.
    Ssm,
    /// Step Functions.
    StepFunctions,
    /// Security Token Service.
    Sts,
}

impl Service {
    /// The service's name in credential scopes, records and fault scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "execute-api",
            Self::CodeBuild => "codebuild",
            Self::DynamoDb => "dynamodb",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
            Self::StepFunctions => "states",
            Self::Sts => "sts",
        }
    }

    /// Service and operation of an `X-Amz-Target` header.
    pub(crate) fn of_target(target: &str) -> Option<(Self, &str)> {
        let (prefix, operation) = target.split_once('.')?;
        let service = match prefix {
            "AWSStepFunctions" => Self::StepFunctions,
            "AmazonSSM" => Self::Ssm,
            "CodeBuild_20161006" => Self::CodeBuild,
            "DynamoDB_20120810" => Self::DynamoDb,
            "secretsmanager" => Self::SecretsManager,
            _ => return None,
        };
        Some((service, operation))
    }

    /// What the service calls a failure of its own, which SDKs retry.
    pub(crate) const fn internal_error(self) -> &'static str {
        match self {
            Self::DynamoDb | Self::Ssm => "InternalServerError",
            Self::Lambda => "ServiceException",
            Self::S3 => "InternalError",
            Self::SecretsManager => "InternalServiceError",
            Self::Api | Self::CodeBuild | Self::StepFunctions | Self::Sts => "InternalFailure",
        }
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
