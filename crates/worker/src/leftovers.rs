//! Ends what commands left running, however they detached it.
//!
//! A process that forks twice or starts its own session leaves its process group, and its parent ends, so that it
//! belongs to nobody. On Linux a process can adopt such orphans ([`adopt_orphans`]); then everything that any command
//! ever started is a descendant of the worker and stands in `/proc`, and [`kill_leftovers`] finds it.

use std::io;

/// Why something may still run.
#[derive(Debug, thiserror::Error)]
pub enum LeftoversError {
    /// The list of processes can't be read.
    #[error("failed to list processes: {0}")]
    List(#[from] io::Error),
    /// Processes that do not end, or that start new ones faster than they are killed. The worker should exit.
    #[error("{0} processes that commands started cannot be ended")]
    Alive(usize),
}

/// Makes orphans among the descendants of this process its children. Called once, before anything is started.
pub fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Kills every descendant of this process until there is none, and returns how many there were.
///
/// The caller has no child that it still waits for: those would be killed and reaped here. Elsewhere than on Linux
/// nothing is found.
pub async fn kill_leftovers() -> Result<usize, LeftoversError> {
    #[cfg(target_os = "linux")]
    return linux::kill_leftovers().await;
    #[cfg(not(target_os = "linux"))]
    Ok(0)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::{BTreeSet, HashMap},
        fs, io,
        time::Duration,
    };

    use nix::{
        errno::Errno,
        sys::{
            signal::{Signal, kill},
            wait::{Id, WaitPidFlag, waitid, waitpid},
        },
        unistd::Pid,
    };

    use super::LeftoversError;

    /// Rounds of killing. A killed process is gone after one or two; hundreds are for those that fork all the while.
    const ROUNDS: u32 = 1_000;

    /// Between two rounds, for the kernel to end what was killed.
    const PAUSE: Duration = Duration::from_millis(5);

    pub(super) async fn kill_leftovers() -> Result<usize, LeftoversError> {
        let mut seen = BTreeSet::new();
        let mut alive = Vec::new();
        for _ in 0..ROUNDS {
            if has_no_child() {
                return Ok(seen.len());
            }
            alive = descendants(Pid::this())?;
            if alive.is_empty() {
                return Ok(seen.len());
            }
            seen.extend(alive.iter().copied());
            // Stopped first, all of them: else a parent has time to fork while its children are killed.
            for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
                for pid in &alive {
                    if let Err(error) = kill(*pid, signal) {
                        // Already gone, or not ours to kill: the next round tells.
                        tracing::debug!(%pid, %error, "a leftover was not signalled");
                    }
                }
            }
            for pid in &alive {
                // Only children can be waited for; others become children when their parents end.
                if let Err(error) = waitpid(*pid, Some(WaitPidFlag::WNOHANG)) {
                    tracing::trace!(%pid, %error, "not a child");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(LeftoversError::Alive(alive.len()))
    }

    /// Whether this process surely has no child, and so no descendant: whoever's parent ended became its child, or that of an
    /// adopter below it, in the same step in which the parent did.
    ///
    /// The kernel goes through the children of all threads under one lock, so none is missed while it moves from one to
    /// another (`man 2 waitid`: `ECHILD` is the answer where there is nothing to wait for).
    fn has_no_child() -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
        waitid(Id::All, look) == Err(Errno::ECHILD)
    }

    /// All processes below `ancestor`, dead ones that nobody has waited for included.
    fn descendants(ancestor: Pid) -> io::Result<Vec<Pid>> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Unreadable: it ended since.
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            if let Some(parent) = parent(&stat) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let (mut found, mut next) = (Vec::new(), vec![ancestor.as_raw()]);
        while let Some(pid) = next.pop() {
            for child in children.remove(&pid).unwrap_or_default() {
                found.push(Pid::from_raw(child));
                next.push(child);
            }
        }
        Ok(found)
    }

    /// The parent's id from `/proc/<pid>/stat`: second after the name, which stands in brackets and may hold any.
    fn parent(stat: &str) -> Option<i32> {
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_with_brackets_does_not_confuse() {
            assert_eq!(parent("17 (a) b) S 1 (x) S 42 17 17 0"), Some(42));
            assert_eq!(parent("17 (sh) S 3 17 17 0 -1"), Some(3));
            assert_eq!(parent(""), None);
        }
    }
}
