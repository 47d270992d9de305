//! A function's process: what it is doing, and how it is ended together with everything it has started.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::peer;

/// One environment's process as the rest of the embedded AWS sees it.
#[derive(Debug)]
pub(crate) struct Running {
    /// The function's role name, e.g. `orchestrator`.
    pub(crate) function: &'static str,
    /// Leader of the process group; 0 before it starts and after it has ended.
    pid: AtomicI32,
    /// The invocation it is in.
    request: Mutex<Option<String>>,
    expired: AtomicBool,
}

impl Running {
    pub(crate) fn new(function: &'static str) -> Self {
        Self { function, pid: AtomicI32::new(0), request: Mutex::default(), expired: AtomicBool::new(false) }
    }

    /// The process that was started, or 0 when it has ended.
    pub(crate) fn set_pid(&self, pid: i32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// Its credentials are good no more.
    pub(crate) fn expire(&self) {
        self.expired.store(true, Ordering::SeqCst);
    }

    /// Whether its credentials are good no more, so that it is of no use for another invocation.
    pub(crate) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::SeqCst)
    }

    /// The invocation that the process is in from now on.
    pub(crate) fn set_request(&self, request: Option<String>) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = request;
    }

    /// Request id of the invocation that the process is in.
    pub(crate) fn request(&self) -> Option<String> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the process has this socket open.
    pub(crate) fn has_socket(&self, inode: u64) -> bool {
        self.pid().is_some_and(|pid| peer::has_socket(pid.as_raw(), inode))
    }

    /// Whether this is the process with this number.
    pub(crate) fn is_process(&self, pid: i32) -> bool {
        self.pid().is_some_and(|own| own.as_raw() == pid)
    }

    /// Asks the process group to end; the answer is who else is to be gone by then.
    pub(crate) fn terminate(&self) -> Vec<Process> {
        let Some(pid) = self.pid() else { return Vec::new() };
        let family = descendants(pid.as_raw());
        tolerate(killpg(pid, Signal::SIGTERM));
        family
    }

    /// Ends the process, its group and all its descendants, at once.
    ///
    /// Descendants are looked up because commands run in groups of their own; Lambda would end the whole sandbox.
    pub(crate) fn kill(&self) {
        let Some(pid) = self.pid() else { return };
        // Stopped, so that it starts nothing new while its descendants are counted.
        tolerate(killpg(pid, Signal::SIGSTOP));
        let descendants = descendants(pid.as_raw());
        tolerate(killpg(pid, Signal::SIGKILL));
        kill_processes(&descendants);
    }

    fn pid(&self) -> Option<Pid> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid > 0).map(Pid::from_raw)
    }
}

/// Kills what is left of a group whose leader has ended.
pub(crate) fn kill_group(pid: i32) {
    tolerate(killpg(Pid::from_raw(pid), Signal::SIGKILL));
}

/// A process that has ended in the meantime is no failure.
fn tolerate(result: nix::Result<()>) {
    match result {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(%error, "a function's process could not be signalled"),
    }
}

/// A process, told from a later one with its number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    started: u64,
    ended: bool,
}

impl Process {
    /// Its number.
    pub(crate) fn pid(self) -> i32 {
        self.pid
    }

    /// Reads a line of `/proc/<pid>/stat`. The command's name, in parentheses, may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (before, after) = stat.rsplit_once(')')?;
        let pid = before.split_whitespace().next()?.parse().ok()?;
        let mut fields = after.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // The 22nd field of the line; three of those behind the name are read.
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { pid, parent, group, started, ended })
    }

    fn find(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether it still runs. One that has ended and waits for its parent to notice does not.
    fn is_running(self) -> bool {
        let now = Self::find(self.pid);
        now.is_some_and(|now| now.started == self.started && !now.ended)
    }
}

/// Kills those that are still there, and waits until they are gone.
pub(crate) async fn end_processes(processes: &[Process]) {
    kill_processes(processes);
    // They are no children of this process, so the system tells nobody here when they end. A signal that cannot be
    // caught takes effect as soon as they are scheduled; what the kernel itself holds up is not waited for any longer.
    for _ in 0..400 {
        if !processes.iter().any(|process| process.is_running()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tracing::warn!(?processes, "processes of a function do not end");
}

/// Kills those that are still there.
fn kill_processes(processes: &[Process]) {
    for process in processes {
        if process.is_running() {
            tolerate(kill(Pid::from_raw(process.pid), Signal::SIGKILL));
        }
    }
}

/// Every process that works inside a folder: what a dead environment has left running there.
pub(crate) fn inside(folder: &Path) -> Vec<Process> {
    // Processes of others cannot be looked into, and are none of ours.
    let works_there = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    pids().filter(works_there).filter_map(Process::find).collect()
}

/// The process that has this socket open, and its parents up to the first of all; whichever there are.
pub(crate) fn owners(inode: u64) -> Vec<i32> {
    let holder = pids().find(|pid| peer::has_socket(*pid, inode));
    std::iter::successors(holder, |pid| Process::find(*pid).map(|process| process.parent).filter(|pid| *pid > 0))
        .collect()
}

/// The children of a process.
pub(crate) fn children_of(parent: i32) -> Vec<Process> {
    pids().filter_map(Process::find).filter(|process| process.parent == parent).collect()
}

/// All processes under `root` that `/proc` knows; none on systems without it.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    // A process may end while it is read.
    for process in pids().filter_map(Process::find) {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        next.extend(below.iter().map(|process| process.pid));
        found.extend(below);
    }
    found
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_behind_any_name() {
        let line = "12 (a) b (c) S 7 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";
        assert_eq!(
            Process::parse(line),
            Some(Process { pid: 12, parent: 7, group: 12, started: 987_654, ended: false })
        );
        assert_eq!(Process::parse("nonsense"), None);
    }
}
