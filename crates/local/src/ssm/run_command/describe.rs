//! Commands and invocations in AWS's words, and how a command stands as a whole. Pure.

use std::time::Duration;

use common::clock::Timestamp;
use serde_json::{Value, json};

use crate::{
    dates,
    ssm::run_command::commands::{Command, Invocation, State, Status, Step},
};

/// Characters of a step's output that `ListCommandInvocations` shows, as on AWS.
const OUTPUT_LIMIT: usize = 2_500;

/// `Status` and `StatusDetails` of a whole command.
pub(super) fn standing(statuses: &[Status], max_errors: usize) -> (&'static str, &'static str) {
    let count = |wanted: &[Status]| statuses.iter().filter(|status| wanted.contains(status)).count();
    if statuses.is_empty() {
        return ("Failed", "NoInstancesInTag");
    }
    if statuses.iter().any(|status| !status.is_over()) {
        let begun = statuses.iter().any(|status| *status != Status::Pending);
        return if begun { ("InProgress", "InProgress") } else { ("Pending", "Pending") };
    }
    if count(&[Status::Success]) == statuses.len() {
        ("Success", "Success")
    } else if count(&[Status::Failed, Status::ExecutionTimedOut]) > max_errors {
        if count(&[Status::Failed]) > 0 { ("Failed", "Failed") } else { ("TimedOut", "ExecutionTimedOut") }
    } else if count(&[Status::Cancelled]) > 0 {
        ("Cancelled", "Cancelled")
    } else if count(&[Status::DeliveryTimedOut]) > max_errors {
        ("TimedOut", "DeliveryTimedOut")
    } else {
        ("Failed", "Incomplete")
    }
}

/// How a command stands.
pub(super) fn standing_of(command: &Command) -> (&'static str, &'static str) {
    let statuses: Vec<Status> = command.invocations.iter().map(|invocation| invocation.status()).collect();
    standing(&statuses, command.request.max_errors.of(statuses.len()))
}

/// As `SendCommand` and `ListCommands` write it.
pub(super) fn command_json(command: &Command) -> Value {
    let request = &command.request;
    let statuses: Vec<Status> = command.invocations.iter().map(|invocation| invocation.status()).collect();
    let (status, details) = standing(&statuses, request.max_errors.of(statuses.len()));
    let count = |counts: fn(Status) -> bool| statuses.iter().filter(|status| counts(**status)).count();
    let longest: u64 = request.scripts.iter().map(|script| script.timeout_secs).sum();
    let expires = request.requested.plus(Duration::from_secs(request.timeout_secs.saturating_add(longest)));
    json!({
        "CommandId": request.id,
        "DocumentName": request.document,
        "DocumentVersion": request.document_version,
        "Comment": request.comment,
        "ExpiresAfter": dates::epoch_seconds(expires),
        "Parameters": request.parameters,
        "InstanceIds": request.instance_ids,
        "Targets": request.targets,
        "RequestedDateTime": dates::epoch_seconds(request.requested),
        "Status": status,
        "StatusDetails": details,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "MaxConcurrency": request.max_concurrency.text(),
        "MaxErrors": request.max_errors.text(),
        "TargetCount": statuses.len(),
        "CompletedCount": count(Status::is_over),
        "ErrorCount": count(Status::is_error),
        "DeliveryTimedOutCount": count(|status| status == Status::DeliveryTimedOut),
        "ServiceRole": "",
        "TimeoutSeconds": request.timeout_secs,
    })
}

/// As `ListCommandInvocations` writes it, with the steps if `details` are wanted.
pub(super) fn invocation_json(command: &Command, invocation: &Invocation, name: &str, details: bool) -> Value {
    let (request, state) = (&command.request, invocation.state());
    let steps: Vec<Value> = state.steps.iter().filter(|_| details).map(plugin_json).collect();
    json!({
        "CommandId": request.id,
        "InstanceId": invocation.instance,
        "InstanceName": name,
        "Comment": request.comment,
        "DocumentName": request.document,
        "DocumentVersion": request.document_version,
        "RequestedDateTime": dates::epoch_seconds(request.requested),
        "Status": state.status.name(),
        "StatusDetails": state.status.details(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": steps,
        "ServiceRole": "",
    })
}

fn plugin_json(step: &Step) -> Value {
    let mut output = step.stdout.clone();
    if !step.stderr.is_empty() {
        output += "\n----------ERROR-------\n";
        output += &step.stderr;
    }
    let mut plugin = json!({
        "Name": step.name,
        "Status": step.status.name(),
        "StatusDetails": step.status.details(),
        "ResponseCode": step.response_code,
        "Output": output.chars().take(OUTPUT_LIMIT).collect::<String>(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "OutputS3Region": crate::REGION,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
    });
    for (name, at) in [("ResponseStartDateTime", step.started), ("ResponseFinishDateTime", step.ended)] {
        if let Some(at) = at {
            plugin[name] = dates::epoch_seconds(at).into();
        }
    }
    plugin
}

/// As `GetCommandInvocation` writes it: one step, or, without one, the invocation with nothing of its steps.
pub(super) fn step_json(command: &Command, instance: &str, state: &State, step: Option<&Step>) -> Value {
    let request = &command.request;
    let status = step.map_or(state.status, |step| step.status);
    let written = |at: Option<Timestamp>| at.map(dates::iso8601).unwrap_or_default();
    let (started, ended) = step.map_or((None, None), |step| (step.started, step.ended));
    let elapsed = started.zip(ended).map(|(started, ended)| format!("PT{:.3}S", started.until(ended).as_secs_f64()));
    json!({
        "CommandId": request.id,
        "InstanceId": instance,
        "Comment": request.comment,
        "DocumentName": request.document,
        "DocumentVersion": request.document_version,
        "PluginName": step.map_or("", |step| step.name.as_str()),
        "ResponseCode": step.map_or(-1, |step| step.response_code),
        "ExecutionStartDateTime": written(started),
        "ExecutionElapsedTime": elapsed.unwrap_or_default(),
        "ExecutionEndDateTime": written(ended),
        "Status": status.name(),
        "StatusDetails": status.details(),
        "StandardOutputContent": step.map_or("", |step| step.stdout.as_str()),
        "StandardOutputUrl": "",
        "StandardErrorContent": step.map_or("", |step| step.stderr.as_str()),
        "StandardErrorUrl": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stands_as_its_invocations_do() {
        use Status::{
            Cancelled, DeliveryTimedOut, ExecutionTimedOut, Failed, InProgress, Pending, Success, Terminated,
        };
        for (statuses, max_errors, expected) in [
            (&[][..], 0, "NoInstancesInTag"),
            (&[Pending, Pending], 0, "Pending"),
            (&[Success, Pending], 0, "InProgress"),
            (&[Failed, InProgress], 0, "InProgress"),
            (&[Success, Success], 0, "Success"),
            (&[Success, Failed], 0, "Failed"),
            (&[Success, Failed], 1, "Incomplete"),
            (&[Failed, Terminated], 0, "Failed"),
            (&[ExecutionTimedOut, Success], 0, "ExecutionTimedOut"),
            (&[DeliveryTimedOut, Success], 0, "DeliveryTimedOut"),
            (&[DeliveryTimedOut, Success], 1, "Incomplete"),
            (&[Cancelled, Success], 0, "Cancelled"),
        ] {
            assert_eq!(standing(statuses, max_errors).1, expected, "{statuses:?} {max_errors}");
        }
    }
}
