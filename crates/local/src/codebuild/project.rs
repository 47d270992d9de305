//! The one project: what its builds do and have, unless a request says otherwise.

use common::{clock::Timestamp, env as variables, stack::Stack};
use serde_json::{Value, json};

use crate::{
    codebuild::{buildspec::Buildspec, describe, record::Variable},
    dates,
};

/// What Terraform puts into the project as well.
const BUILDSPEC: &str = include_str!("../../../../infra/02-deploy/buildspec.yml");
/// A build's timeout when the request does not say, as on AWS.
pub(crate) const TIMEOUT_MINUTES: u64 = 60;
/// A build's longest time in the queue when the request does not say, as on AWS.
pub(crate) const QUEUED_TIMEOUT_MINUTES: u64 = 480;

/// A project.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) buildspec: &'static str,
    pub(crate) variables: Vec<Variable>,
    created: Timestamp,
}

impl Project {
    /// The stack's. Its environment names the user for commands if the settings do.
    pub(crate) fn of_stack(settings: &[(String, String)], now: Timestamp) -> Result<Self, String> {
        Buildspec::parse(BUILDSPEC).map_err(|error| format!("buildspec.yml: {error}"))?;
        let user = settings.iter().filter(|(name, _)| name == variables::COMMAND_USER.name);
        let variables = user.map(|(name, value)| Variable { name: name.clone(), value: value.clone() }).collect();
        Ok(Self { name: Stack::embedded().codebuild_project(), buildspec: BUILDSPEC, variables, created: now })
    }

    /// Its ARN.
    pub(crate) fn arn(&self) -> String {
        crate::arn("codebuild", &format!("project/{}", self.name))
    }

    /// Whether a request means this project, by name or ARN.
    pub(crate) fn is(&self, reference: &str) -> bool {
        reference == self.name || reference == self.arn()
    }

    /// The object `Project` of the API.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "name": self.name,
            "arn": self.arn(),
            "source": {"type": "NO_SOURCE", "buildspec": self.buildspec, "insecureSsl": false},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "cache": {"type": "NO_CACHE"},
            "environment": describe::environment(&self.variables),
            "serviceRole": crate::arn("iam", &format!("role/{}", self.name)),
            "timeoutInMinutes": TIMEOUT_MINUTES,
            "queuedTimeoutInMinutes": QUEUED_TIMEOUT_MINUTES,
            "created": dates::epoch_seconds(self.created),
            "lastModified": dates::epoch_seconds(self.created),
        })
    }
}
