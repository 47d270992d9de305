//! A function's process: what it is doing, and how it is ended together with everything it has started.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

/// One environment's process as the rest of the embedded AWS sees it.
#[derive(Debug)]
pub(crate) struct Running {
    /// The function's role name, e.g. `orchestrator`.
    pub(crate) function: &'static str,
    /// Leader of the process group; 0 before it starts and after it has ended.
    pid: AtomicI32,
    /// The invocation it is in.
    request: Mutex<Option<String>>,
}

impl Running {
    pub(crate) fn new(function: &'static str) -> Self {
        Self { function, pid: AtomicI32::new(0), request: Mutex::default() }
    }

    /// The process that was started, or 0 when it has ended.
    pub(crate) fn set_pid(&self, pid: i32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// The invocation that the process is in from now on.
    pub(crate) fn set_request(&self, request: Option<String>) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = request;
    }

    /// Request id of the invocation that the process is in.
    pub(crate) fn request(&self) -> Option<String> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the process group to end.
    pub(crate) fn terminate(&self) {
        if let Some(pid) = self.pid() {
            tolerate(killpg(pid, Signal::SIGTERM));
        }
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
        for descendant in descendants {
            tolerate(kill(Pid::from_raw(descendant), Signal::SIGKILL));
        }
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

/// All processes under `root` that `/proc` knows; none on systems without it.
fn descendants(root: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while it is read.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_in(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        next.extend(below);
    }
    found
}

/// The parent's id in a line of `/proc/<pid>/stat`. The command's name, in parentheses, may hold anything.
fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("12 (a) b (c) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in("nonsense"), None);
    }
}
