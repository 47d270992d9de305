//! Processes that services run besides the functions: the container of a build, a command on an instance. Functions have
//! their own in [`crate::lambda::environment`], because they serve one event after the other.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use tokio::{process::Command, sync::oneshot};
use tokio_util::task::TaskTracker;

use crate::{
    lambda::process::{Running, end_processes, inside, kill_group, owners},
    orphans,
};

/// The processes that are there.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    registry: RwLock<Registry>,
    watchers: TaskTracker,
}

/// By id; `closed` when no more may start.
#[derive(Debug, Default)]
struct Registry {
    running: HashMap<String, Arc<Running>>,
    closed: bool,
}

/// How a process ended, once everything that it left is gone as well.
pub(crate) type Ended = oneshot::Receiver<io::Result<ExitStatus>>;

impl Tasks {
    /// Starts a process as the leader of a group of its own, known as `running` under `id`. When it ends, all that works
    /// inside `folder` is killed. [`Running::kill`] ends it early.
    pub(crate) fn start(
        self: &Arc<Self>,
        id: &str,
        running: &Arc<Running>,
        mut command: Command,
        folder: PathBuf,
    ) -> io::Result<Ended> {
        command.process_group(0).kill_on_drop(true);
        // Held while the process starts, so that a shutdown sees every process or prevents it.
        let mut registry = self.registry();
        if registry.closed {
            return Err(io::Error::other("the embedded AWS is shutting down"));
        }
        let mut child = orphans::spawn(&mut command)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        running.set_pid(pid);
        registry.running.insert(id.to_owned(), Arc::clone(running));
        drop(registry);
        let (tell, ended) = oneshot::channel();
        let (tasks, id, running) = (Arc::clone(self), id.to_owned(), Arc::clone(running));
        self.watchers.spawn(async move {
            let status = child.wait().await;
            running.set_pid(0);
            if pid > 0 {
                kill_group(pid);
                orphans::forget(pid);
            }
            end_processes(&inside(&folder)).await;
            orphans::end().await;
            tasks.registry().running.remove(&id);
            // Nobody may wait for it any more.
            drop(tell.send(status));
        });
        Ok(ended)
    }

    /// The process that has this socket open, itself or through one that it has started: a build's worker runs under a
    /// shell.
    pub(crate) fn owner_of(&self, inode: u64) -> Option<Arc<Running>> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let running = || registry.running.values();
        let itself = running().find(|running| running.has_socket(inode));
        let found = itself.or_else(|| {
            let family = if registry.running.is_empty() { Vec::new() } else { owners(inode) };
            running().find(|running| family.iter().any(|pid| running.is_process(*pid)))
        });
        found.cloned()
    }

    /// Kills all processes and starts no more.
    pub(crate) fn kill_all(&self) {
        let mut registry = self.registry();
        registry.closed = true;
        for running in registry.running.values() {
            running.kill();
        }
    }

    /// Ends all processes: asked kindly, then killed. Nothing starts afterwards.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        let running: Vec<_> = {
            let mut registry = self.registry();
            registry.closed = true;
            registry.running.values().cloned().collect()
        };
        let families: Vec<_> = running.iter().flat_map(|running| running.terminate()).collect();
        self.watchers.close();
        if tokio::time::timeout(grace, self.watchers.wait()).await.is_err() {
            for running in &running {
                running.kill();
            }
        }
        end_processes(&families).await;
        self.watchers.wait().await;
    }

    fn registry(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }
}
