//! Run Command: documents whose scripts run on instances, which are folders and processes of this machine.
//!
//! ```text
//!   SendCommand ─▶ send.rs ─▶ commands.rs (accepted) ─▶ schedule.rs ─▶ execute.rs ─▶ process
//!                    │ content.rs: parameters filled in     │ rate.rs         │
//!                    │ documents.rs                         └──── tell ───────┴──▶ events ─▶ watchdog_check
//!   instances.rs     who there is            provision.rs   what an image and a deployment bring along
//!   inventory.rs     DescribeInstanceInformation
//!   list.rs          lists of commands and invocations      describe.rs  AWS's words for them
//! ```

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::clock::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    dates,
    errors::ApiError,
    events::Bus,
    lambda::process::{end_processes, inside},
    s3::store::Store,
    service::Service,
    ssm::Answer,
    tasks::Tasks,
    timeline::Timeline,
};
use commands::{Command, Invocation, Status};
use documents::Documents;
use instances::{Instances, arn_of};
use schedule::ROOM;

mod commands;
mod content;
mod describe;
mod documents;
mod execute;
pub(crate) mod instances;
mod inventory;
mod list;
mod provision;
mod rate;
mod schedule;
mod send;

/// The operations that are served here.
pub(super) const OPERATIONS: [&str; 11] = [
    "CancelCommand",
    "CreateDocument",
    "DeleteDocument",
    "DescribeDocument",
    "DescribeInstanceInformation",
    "GetCommandInvocation",
    "GetDocument",
    "ListCommandInvocations",
    "ListCommands",
    "ListDocuments",
    "SendCommand",
];

/// What Run Command needs of the rest.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) timeline: Timeline,
    pub(crate) bus: Bus,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) store: Arc<Store>,
    /// The engine's binary, which the instances run as the worker.
    pub(crate) binary: PathBuf,
    pub(crate) instances: Instances,
    /// What an instance's environment has of the engine's settings.
    pub(crate) engine_env: Vec<(String, String)>,
}

/// The embedded Run Command.
#[derive(Debug)]
pub(crate) struct RunCommand {
    timeline: Timeline,
    bus: Bus,
    tasks: Arc<Tasks>,
    store: Arc<Store>,
    binary: PathBuf,
    instances: Instances,
    engine_env: Vec<(String, String)>,
    documents: Documents,
    /// Where commands are kept.
    dir: Option<PathBuf>,
    /// All commands, in the order of their acceptance.
    commands: Mutex<Vec<Arc<Command>>>,
    opened: Timestamp,
    provisioned: OnceCell<()>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    running: TaskTracker,
}

impl RunCommand {
    /// Opens what is in `dir`.
    pub(crate) fn open(surroundings: Surroundings, dir: Option<PathBuf>) -> io::Result<Arc<Self>> {
        let Surroundings { timeline, bus, tasks, store, binary, instances, engine_env } = surroundings;
        let documents = Documents::open(timeline.clock(), dir.as_ref().map(|dir| dir.join("documents.json")))?;
        let dir = dir.map(|dir| dir.join("commands"));
        let mut commands = Vec::new();
        if let Some(dir) = &dir {
            crate::files::private_dir(dir)?;
            for entry in fs::read_dir(dir)? {
                commands.extend(Command::load(&entry?.path())?.map(Arc::new));
            }
        }
        commands.sort_by_key(|command| command.request.requested);
        Ok(Arc::new(Self {
            bus,
            tasks,
            store,
            binary,
            instances,
            engine_env,
            documents,
            dir,
            commands: Mutex::new(commands),
            opened: timeline.now(),
            timeline,
            provisioned: OnceCell::new(),
            room: Arc::new(Semaphore::new(ROOM)),
            stop: CancellationToken::new(),
            running: TaskTracker::new(),
        }))
    }

    /// Takes up what an earlier process left. What had begun there has failed: nobody saw how it ended. What had not is
    /// sent.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let commands: Vec<Arc<Command>> = self.lock().clone();
        for command in commands {
            for invocation in &command.invocations {
                if invocation.status() == Status::InProgress {
                    if let Some(instance) = self.instances.get(&invocation.instance) {
                        // It outlived a process that was killed.
                        let folder = instance.directory.join("tmp").join(&command.request.id);
                        end_processes(&inside(&folder)).await;
                        execute::remove(&folder).await;
                    }
                    self.end(&command, invocation, Status::Failed).await;
                }
            }
            if command.invocations.iter().any(|invocation| !invocation.status().is_over()) {
                self.start(command);
            }
        }
    }

    /// Serves one call.
    pub(super) async fn call(self: &Arc<Self>, operation: &str, request: &Value) -> Answer {
        match operation {
            "CreateDocument" => self.documents.create(request),
            "DeleteDocument" => self.documents.delete(request),
            "DescribeDocument" => self.documents.describe(request),
            "GetDocument" => self.documents.get(request),
            "ListDocuments" => self.documents.list(request),
            "DescribeInstanceInformation" => {
                self.provision().await?;
                self.describe_instances(request)
            }
            "SendCommand" => {
                self.provision().await?;
                self.send_command(request)
            }
            "CancelCommand" => self.cancel_command(request).await,
            "GetCommandInvocation" => self.get_invocation(request),
            "ListCommandInvocations" => self.list_invocations(request),
            "ListCommands" => self.list_commands(request),
            _ => Err(ApiError::unknown_operation(Service::Ssm, operation)),
        }
    }

    /// Sends no more, and takes no more ends down: what runs is ended by whoever shuts the processes down.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.running.close();
    }

    /// Waits until nothing runs, after [`RunCommand::stop`].
    pub(crate) async fn stopped(&self) {
        self.running.wait().await;
    }

    /// Tells the event bus that an invocation's status has changed.
    async fn tell(&self, command: &Command, invocation: &Invocation, status: Status) {
        let request = &command.request;
        let detail = json!({
            "command-id": request.id,
            "document-name": request.document,
            "instance-id": invocation.instance,
            "requested-date-time": dates::iso8601(request.requested),
            "status": status.name(),
        });
        let kind = "EC2 Command Invocation Status-change Notification";
        self.bus.emit("aws.ssm", kind, &arn_of(&invocation.instance), detail, Some(request.id.clone())).await;
    }

    /// The command with this id.
    fn find(&self, id: &str) -> Option<Arc<Command>> {
        self.lock().iter().rev().find(|command| command.request.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
