//! What runs a worker, as its claim names it: a Lambda request, a build, or a command on an instance. And the target's own
//! way to stop it, which is used only after the worker was asked to stop and had its time.

use std::{fmt, str::FromStr};

use crate::{
    aws::{Aws, AwsError},
    ids::InstanceId,
};

/// Who a worker claims as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executor {
    /// `lambda:<request id>`.
    Lambda(String),
    /// `codebuild:<build id>`; build ids hold a colon themselves, `<project>:<uuid>`.
    Codebuild(String),
    /// `ssm:<command id>:<instance>`.
    Ssm(String, InstanceId),
}

impl Executor {
    /// Stops it by force. That it has ended already is success.
    pub async fn stop(&self, aws: &Aws) -> Result<(), AwsError> {
        match self {
            // Lambda has no way to stop one invocation; its own timeout is above every order's.
            Self::Lambda(_) => Ok(()),
            Self::Codebuild(build) => {
                let request = aws.codebuild().stop_build().id(build);
                request.send().await.map(drop).map_err(|error| AwsError::of(format!("stop the build `{build}`"), error))
            }
            Self::Ssm(command, instance) => {
                let request = aws.ssm().cancel_command().command_id(command).instance_ids(instance.as_str());
                let action = || format!("cancel the command `{command}` on `{instance}`");
                request.send().await.map(drop).map_err(|error| AwsError::of(action(), error))
            }
        }
    }
}

impl fmt::Display for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lambda(request) => write!(f, "lambda:{request}"),
            Self::Codebuild(build) => write!(f, "codebuild:{build}"),
            Self::Ssm(command, instance) => write!(f, "ssm:{command}:{instance}"),
        }
    }
}

/// A claim's `by` that names no worker of ours.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` names no executor")]
pub struct UnknownExecutor(String);

impl FromStr for Executor {
    type Err = UnknownExecutor;

    fn from_str(text: &str) -> Result<Self, UnknownExecutor> {
        let unknown = || UnknownExecutor(text.to_owned());
        match text.split_once(':').ok_or_else(unknown)? {
            ("lambda", request) => Ok(Self::Lambda(request.to_owned())),
            ("codebuild", build) => Ok(Self::Codebuild(build.to_owned())),
            ("ssm", rest) => {
                let (command, instance) = rest.split_once(':').ok_or_else(unknown)?;
                Ok(Self::Ssm(command.to_owned(), instance.parse().map_err(|_| unknown())?))
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_round_trip() {
        for text in ["lambda:4f0e", "codebuild:exe-sys-worker:9b1c", "ssm:0b3d:i-0123456789abcdef0"] {
            assert_eq!(text.parse::<Executor>().unwrap().to_string(), text);
        }
        for text in ["engine", "ssm:0b3d", "ssm:0b3d:web", "ec2:i-1"] {
            assert!(text.parse::<Executor>().is_err(), "{text}");
        }
    }
}
