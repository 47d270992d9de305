//! A command and its invocations, one an instance: where they stand, and their files.
//!
//! ```text
//!   Pending ──▶ InProgress ──▶ Success, Failed, ExecutionTimedOut, Cancelled
//!      └──────▶ DeliveryTimedOut, Terminated, Cancelled
//! ```
//!
//! Several may want to end an invocation at once: its process, its time, a cancellation. The first one does; whoever
//! changes a status tells of it. With a data folder a command is a folder: `command.json`, written once, and
//! `<instance>.json`, replaced at each change.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    files,
    ssm::run_command::{content::Script, rate::Rate},
};

/// Where an invocation stands, or one of its steps; in AWS's words the `StatusDetails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Pending,
    InProgress,
    Success,
    Failed,
    ExecutionTimedOut,
    DeliveryTimedOut,
    Cancelled,
    /// Never sent, because too many others failed.
    Terminated,
}

impl Status {
    /// AWS's `Status`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::ExecutionTimedOut | Self::DeliveryTimedOut => "TimedOut",
            Self::Cancelled | Self::Terminated => "Cancelled",
        }
    }

    /// AWS's `StatusDetails`.
    pub(crate) const fn details(self) -> &'static str {
        match self {
            Self::ExecutionTimedOut => "ExecutionTimedOut",
            Self::DeliveryTimedOut => "DeliveryTimedOut",
            Self::Terminated => "Terminated",
            _ => self.name(),
        }
    }

    /// Whether nothing follows.
    pub(crate) const fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }

    /// Whether it counts towards `MaxErrors`.
    pub(crate) const fn is_error(self) -> bool {
        matches!(self, Self::Failed | Self::ExecutionTimedOut)
    }
}

/// What was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) document_version: String,
    pub(crate) comment: String,
    pub(crate) parameters: BTreeMap<String, Vec<String>>,
    /// As they were given; none when targets were.
    pub(crate) instance_ids: Vec<String>,
    /// As they were given.
    pub(crate) targets: Value,
    pub(crate) max_concurrency: Rate,
    pub(crate) max_errors: Rate,
    /// How long an invocation may wait to start.
    pub(crate) timeout_secs: u64,
    pub(crate) requested: Timestamp,
    pub(crate) scripts: Vec<Script>,
    /// All instances that it goes to, in the order in which they are sent it.
    pub(crate) goes_to: Vec<String>,
}

/// A step of an invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) status: Status,
    /// -1 before it has ended.
    pub(crate) response_code: i32,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How an invocation stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// When its turn came; it may have had to wait for others.
    pub(crate) sent: Option<Timestamp>,
    pub(crate) steps: Vec<Step>,
}

/// A command on one instance.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) instance: String,
    state: Mutex<State>,
    file: Option<PathBuf>,
    /// Ends what runs.
    pub(crate) cancel: CancellationToken,
}

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) request: Request,
    pub(crate) invocations: Vec<Arc<Invocation>>,
}

impl Command {
    /// A new command, saved in its folder below `dir`.
    pub(crate) fn create(request: Request, dir: Option<&Path>) -> io::Result<Self> {
        let folder = dir.map(|dir| dir.join(&request.id));
        let mut invocations = Vec::new();
        if let Some(folder) = &folder {
            files::private_dir(folder)?;
        }
        for instance in &request.goes_to {
            let step = |script: &Script| Step {
                name: script.name.clone(),
                status: Status::Pending,
                response_code: -1,
                started: None,
                ended: None,
                stdout: String::new(),
                stderr: String::new(),
            };
            let state =
                State { status: Status::Pending, sent: None, steps: request.scripts.iter().map(step).collect() };
            let file = folder.as_ref().map(|folder| folder.join(format!("{instance}.json")));
            save(file.as_deref(), &state)?;
            invocations.push(Arc::new(Invocation::of(instance, state, file)));
        }
        // Last: a folder without it is a command that nobody was told of.
        save(folder.map(|folder| folder.join("command.json")).as_deref(), &request)?;
        Ok(Self { request, invocations })
    }

    /// The command that is saved in a folder; `None` when it was never accepted.
    pub(crate) fn load(folder: &Path) -> io::Result<Option<Self>> {
        let saved = match fs::read(folder.join("command.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            saved => saved?,
        };
        let request: Request = serde_json::from_slice(&saved)?;
        let load = |instance: &String| {
            let file = folder.join(format!("{instance}.json"));
            let state = serde_json::from_slice(&fs::read(&file)?)?;
            Ok(Arc::new(Invocation::of(instance, state, Some(file))))
        };
        let invocations = request.goes_to.iter().map(load).collect::<io::Result<_>>()?;
        Ok(Some(Self { request, invocations }))
    }

    /// The invocation on an instance.
    pub(crate) fn on(&self, instance: &str) -> Option<&Arc<Invocation>> {
        self.invocations.iter().find(|invocation| invocation.instance == instance)
    }

    /// Most invocations at once.
    pub(crate) fn concurrency(&self) -> usize {
        self.request.max_concurrency.of(self.invocations.len()).max(1)
    }

    /// Whether so many have failed that no more are to be sent.
    pub(crate) fn has_failed(&self) -> bool {
        let errors = self.invocations.iter().filter(|invocation| invocation.status().is_error()).count();
        errors > self.request.max_errors.of(self.invocations.len())
    }
}

impl Invocation {
    fn of(instance: &str, state: State, file: Option<PathBuf>) -> Self {
        Self { instance: instance.to_owned(), state: Mutex::new(state), file, cancel: CancellationToken::new() }
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> Status {
        self.lock().status
    }

    /// Its turn has come, unless it is over; says since when it has been its turn.
    pub(crate) fn send(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.lock();
        if state.status.is_over() {
            return None;
        }
        let sent = *state.sent.get_or_insert(now);
        self.write(&state);
        Some(sent)
    }

    /// It begins to run, unless it is over.
    pub(crate) fn begin(&self) -> bool {
        self.change(Status::InProgress, |current| current == Status::Pending)
    }

    /// It is over, unless it was; steps that did not come to an end of their own share its end.
    pub(crate) fn end(&self, status: Status) -> bool {
        self.change(status, |current| !current.is_over())
    }

    /// It never began and is over.
    pub(crate) fn end_unbegun(&self, status: Status) -> bool {
        self.change(status, |current| current == Status::Pending)
    }

    fn change(&self, status: Status, may: impl FnOnce(Status) -> bool) -> bool {
        let mut state = self.lock();
        if !may(state.status) {
            return false;
        }
        state.status = status;
        if status.is_over() {
            for step in state.steps.iter_mut().filter(|step| !step.status.is_over()) {
                step.status = status;
            }
        }
        self.write(&state);
        true
    }

    /// Notes how a step stands, as long as the invocation is not over.
    pub(crate) fn note(&self, index: usize, step: Step) {
        let mut state = self.lock();
        if state.status.is_over() {
            return;
        }
        if let Some(place) = state.steps.get_mut(index) {
            *place = step;
        }
        self.write(&state);
    }

    fn write(&self, state: &State) {
        if let Err(error) = save(self.file.as_deref(), state) {
            tracing::error!(%error, instance = self.instance, "an invocation could not be saved");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn save(file: Option<&Path>, content: &impl Serialize) -> io::Result<()> {
    match file {
        Some(file) => files::replace_now(file, &serde_json::to_vec(content)?),
        None => Ok(()),
    }
}
