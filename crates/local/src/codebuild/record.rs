//! What is known of a build: its request, its phases, how it ended. Pure, and as it is saved.
//!
//! ```text
//!   SUBMITTED → QUEUED → PROVISIONING → DOWNLOAD_SOURCE → INSTALL → PRE_BUILD → BUILD → POST_BUILD → UPLOAD_ARTIFACTS
//!                 │                                          └─ failed ┴─┐                                  │
//!                 └─ stopped, timed out ─▶ COMPLETED ◀── FINALIZING ◀────┴──────────────────────────────────┘
//! ```
//!
//! After a `BUILD` that failed, `POST_BUILD` still comes. What is stopped, times out or faults goes on to `FINALIZING`.

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// State of a build or of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Not over; queued builds are in progress as well.
    InProgress,
    /// All commands ended with 0.
    Succeeded,
    /// A command did not.
    Failed,
    /// The service could not do its part.
    Fault,
    /// It took too long, in the queue or running.
    TimedOut,
    /// `StopBuild`.
    Stopped,
}

/// Phases, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PhaseKind {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

/// Why a phase ended as it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) status_code: String,
    pub(crate) message: String,
}

impl Context {
    pub(crate) fn new(status_code: &str, message: impl Into<String>) -> Self {
        Self { status_code: status_code.to_owned(), message: message.into() }
    }

    /// A command that did not end with 0; `how` is such as `exit status 3`.
    pub(crate) fn of_command(command: &str, how: &str) -> Self {
        let message = format!("Error while executing command: {}. Reason: {how}", command.trim_end());
        Self::new("COMMAND_EXECUTION_ERROR", message)
    }
}

/// A phase that has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) kind: PhaseKind,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: Option<Status>,
    pub(crate) contexts: Vec<Context>,
}

/// A plain-text variable of a build's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The request under an idempotency token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    pub(crate) request: Value,
}

/// A build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) project: String,
    /// What follows the project's name in the id.
    pub(crate) uuid: String,
    /// Counts the builds of the project from 1.
    pub(crate) number: u64,
    pub(crate) token: Option<Token>,
    pub(crate) buildspec: String,
    /// The project's variables and the request's over them.
    pub(crate) variables: Vec<Variable>,
    pub(crate) timeout_minutes: u64,
    pub(crate) queued_timeout_minutes: u64,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: Status,
    pub(crate) phases: Vec<Phase>,
    /// Whether the event of its end was accepted.
    pub(crate) told: bool,
}

impl Record {
    /// The id, `<project>:<uuid>`.
    pub(crate) fn id(&self) -> String {
        format!("{}:{}", self.project, self.uuid)
    }

    /// The ARN.
    pub(crate) fn arn(&self) -> String {
        crate::arn("codebuild", &format!("build/{}", self.id()))
    }

    /// The phase that it is in.
    pub(crate) fn current_phase(&self) -> PhaseKind {
        self.phases.last().map_or(PhaseKind::Submitted, |phase| phase.kind)
    }

    /// Whether no process of it has ever been started.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.current_phase(), PhaseKind::Submitted | PhaseKind::Queued)
    }

    /// Goes on to a phase. The one before has succeeded, unless it was closed otherwise.
    pub(crate) fn enter(&mut self, kind: PhaseKind, now: Timestamp) {
        self.close(Status::Succeeded, None, now);
        self.phases.push(Phase { kind, started: now, ended: None, status: None, contexts: Vec::new() });
    }

    /// Ends the phase that it is in, unless that has ended.
    pub(crate) fn close(&mut self, status: Status, context: Option<Context>, now: Timestamp) {
        if let Some(phase) = self.phases.last_mut().filter(|phase| phase.ended.is_none()) {
            phase.ended = Some(now);
            phase.status = Some(status);
            phase.contexts.extend(context);
        }
    }

    /// Ends the build.
    pub(crate) fn complete(&mut self, status: Status, now: Timestamp) {
        if !self.is_queued() {
            self.enter(PhaseKind::Finalizing, now);
        }
        self.enter(PhaseKind::Completed, now);
        self.status = status;
        self.ended = Some(now);
    }
}
