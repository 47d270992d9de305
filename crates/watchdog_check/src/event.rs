//! What the function is invoked with: by the state machine, by `EventBridge`'s rules, and as the worker's on-failure
//! destination. Read here, once; fields that are not used are not named.

use common::watchdog::Watch;
use serde::Deserialize;
use serde_json::Value;

/// An event.
#[derive(Debug)]
pub enum Event {
    /// A look or a tick.
    Watch(Box<Watch>),
    /// A build ended.
    Build(BuildState),
    /// A command ended on an instance.
    Command(CommandState),
    /// An asynchronous invocation of the worker failed.
    Invocation(Box<FailedInvocation>),
    /// An event of another kind; its name.
    Other(String),
}

/// Not an event that this function knows.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the event: {0}")]
pub struct BadEvent(#[from] serde_json::Error);

impl Event {
    /// Reads an event.
    pub fn read(event: Value) -> Result<Self, BadEvent> {
        if let Some(kind) = event.get("detail-type").and_then(Value::as_str).map(str::to_owned) {
            let detail = event.get("detail").cloned().unwrap_or_default();
            return Ok(match kind.as_str() {
                "CodeBuild Build State Change" => Self::Build(serde_json::from_value(detail)?),
                "EC2 Command Invocation Status-change Notification" => Self::Command(serde_json::from_value(detail)?),
                _ => Self::Other(kind),
            });
        }
        Ok(if event.get("requestContext").is_some() {
            Self::Invocation(Box::new(serde_json::from_value(event)?))
        } else {
            Self::Watch(Box::new(serde_json::from_value(event)?))
        })
    }
}

/// The detail of `CodeBuild Build State Change`
/// (<https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildState {
    /// `SUCCEEDED`, `FAILED`, `FAULT`, `TIMED_OUT`, `STOPPED`, or `IN_PROGRESS`.
    pub build_status: String,
    /// ARN of the build.
    pub build_id: String,
    /// The rest.
    pub additional_information: BuildInformation,
}

/// What the event tells of the build.
#[derive(Debug, Deserialize)]
pub struct BuildInformation {
    /// Its environment.
    pub environment: BuildEnvironment,
    /// Its phases.
    #[serde(default)]
    pub phases: Vec<BuildPhase>,
}

/// The environment of a build.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildEnvironment {
    /// Its variables, those of the dispatch among them.
    #[serde(default)]
    pub environment_variables: Vec<BuildVariable>,
}

/// A variable of a build.
#[derive(Debug, Deserialize)]
pub struct BuildVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A phase of a build.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildPhase {
    /// What went wrong in it, in sentences.
    #[serde(default)]
    pub phase_context: Vec<String>,
}

/// The detail of `EC2 Command Invocation Status-change Notification`
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-eventbridge-events.html>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CommandState {
    /// The command.
    pub command_id: String,
    /// The instance.
    pub instance_id: String,
    /// `Success`, `Failed`, `TimedOut`, `Cancelled`, or one that is not the end.
    pub status: String,
}

/// The record that Lambda hands to an on-failure destination
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedInvocation {
    /// Which invocation.
    pub request_context: RequestContext,
    /// What the worker was to do.
    pub request_payload: Dispatched,
    /// How it failed.
    #[serde(default)]
    pub response_payload: Option<FunctionError>,
}

/// Which invocation failed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// Its request id.
    pub request_id: String,
    /// `RetriesExhausted` or `EventAgeExceeded`.
    pub condition: String,
}

/// What of a dispatch names the order.
#[derive(Debug, Deserialize)]
pub struct Dispatched {
    /// The run.
    pub run_id: common::ids::RunId,
    /// The order.
    pub order_num: common::ids::OrderNum,
}

/// How a function failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionError {
    /// The kind of error.
    pub error_type: String,
    /// What it says.
    pub error_message: String,
}
