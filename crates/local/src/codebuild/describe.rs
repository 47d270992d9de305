//! A build as others see it: the API's object and the event's detail. Pure.

use serde_json::{Map, Value, json};

use crate::{
    codebuild::record::{Phase, Record, Status, Variable},
    dates,
};

/// The environment that all builds have in common.
pub(crate) fn environment(variables: &[Variable]) -> Value {
    let variables: Vec<Value> = variables.iter().map(variable).collect();
    json!({
        "type": "LINUX_CONTAINER",
        "image": "embedded",
        "computeType": "BUILD_GENERAL1_SMALL",
        "privilegedMode": false,
        "imagePullCredentialsType": "SERVICE_ROLE",
        "environmentVariables": variables,
    })
}

fn variable(variable: &Variable) -> Value {
    json!({"name": variable.name, "value": variable.value, "type": "PLAINTEXT"})
}

impl Record {
    /// The object `Build` of the API.
    pub(crate) fn describe(&self) -> Value {
        let phases: Vec<Value> = self.phases.iter().map(Phase::describe).collect();
        let (group, stream) = self.log();
        let mut build = json!({
            "id": self.id(),
            "arn": self.arn(),
            "buildNumber": self.number,
            "startTime": dates::epoch_seconds(self.started),
            "currentPhase": self.current_phase(),
            "buildStatus": self.status,
            "buildComplete": self.ended.is_some(),
            "projectName": self.project,
            "phases": phases,
            "source": {"type": "NO_SOURCE", "buildspec": self.buildspec, "insecureSsl": false},
            "artifacts": {"location": ""},
            "cache": {"type": "NO_CACHE"},
            "environment": environment(&self.variables),
            "serviceRole": crate::arn("iam", &format!("role/{}", self.project)),
            "logs": {
                "groupName": group,
                "streamName": stream,
                "cloudWatchLogsArn": crate::arn("logs", &format!("log-group:{group}:log-stream:{stream}")),
                "cloudWatchLogs": {"status": "ENABLED"},
            },
            "timeoutInMinutes": self.timeout_minutes,
            "queuedTimeoutInMinutes": self.queued_timeout_minutes,
            "initiator": "embedded",
        });
        if let Some(ended) = self.ended {
            build["endTime"] = dates::epoch_seconds(ended).into();
        }
        build
    }

    /// The detail of the event `CodeBuild Build State Change`.
    pub(crate) fn detail(&self) -> Value {
        let phases: Vec<Value> = self.phases.iter().map(Phase::detail).collect();
        let variables: Vec<Value> = self.variables.iter().map(variable).collect();
        let (group, stream) = self.log();
        json!({
            "version": "1",
            "build-status": self.status,
            "project-name": self.project,
            "build-id": self.arn(),
            "current-phase": self.current_phase(),
            "current-phase-context": "[]",
            "additional-information": {
                "build-complete": self.status != Status::InProgress,
                "build-number": self.number,
                "build-start-time": dates::spelled(self.started),
                "initiator": "embedded",
                "timeout-in-minutes": self.timeout_minutes,
                "queued-timeout-in-minutes": self.queued_timeout_minutes,
                "artifact": {"location": ""},
                "cache": {"type": "NO_CACHE"},
                "source": {"type": "NO_SOURCE", "buildspec": self.buildspec},
                "environment": {
                    "type": "LINUX_CONTAINER",
                    "image": "embedded",
                    "compute-type": "BUILD_GENERAL1_SMALL",
                    "privileged-mode": false,
                    "image-pull-credentials-type": "SERVICE_ROLE",
                    "environment-variables": variables,
                },
                "logs": {"group-name": group, "stream-name": stream},
                "phases": phases,
            },
        })
    }

    /// Group and stream of its log, as they are called on AWS; here it is the file `codebuild/<stream>.log`.
    fn log(&self) -> (String, &str) {
        (format!("/aws/codebuild/{}", self.project), &self.uuid)
    }
}

impl Phase {
    fn describe(&self) -> Value {
        let mut phase = Map::new();
        phase.insert("phaseType".to_owned(), json!(self.kind));
        phase.insert("startTime".to_owned(), dates::epoch_seconds(self.started).into());
        if let (Some(ended), Some(status)) = (self.ended, self.status) {
            let contexts: Vec<Value> = self
                .contexts
                .iter()
                .map(|context| json!({"statusCode": context.status_code, "message": context.message}))
                .collect();
            phase.insert("phaseStatus".to_owned(), json!(status));
            phase.insert("endTime".to_owned(), dates::epoch_seconds(ended).into());
            phase.insert("durationInSeconds".to_owned(), self.started.until(ended).as_secs().into());
            phase.insert("contexts".to_owned(), contexts.into());
        }
        phase.into()
    }

    fn detail(&self) -> Value {
        let mut phase = Map::new();
        phase.insert("phase-type".to_owned(), json!(self.kind));
        phase.insert("start-time".to_owned(), dates::spelled(self.started).into());
        if let (Some(ended), Some(status)) = (self.ended, self.status) {
            let contexts: Vec<String> =
                self.contexts.iter().map(|context| format!("{}: {}", context.status_code, context.message)).collect();
            phase.insert("phase-status".to_owned(), json!(status));
            phase.insert("end-time".to_owned(), dates::spelled(ended).into());
            phase.insert("duration-in-seconds".to_owned(), self.started.until(ended).as_secs().into());
            phase.insert("phase-context".to_owned(), contexts.into());
        }
        phase.into()
    }
}
