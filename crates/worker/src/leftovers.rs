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
        ffi::OsString,
        fs, io,
        time::Duration,
    };

    use nix::{
        sys::{
            signal::{Signal, kill},
            wait::{WaitPidFlag, waitpid},
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

    /// Whether this process surely has no child, and so no descendant: the kernel's own lists of its threads' children, which
    /// are there to be read since Linux 4.2 where `CONFIG_PROC_CHILDREN` is set (`man 5 proc_pid_task`, `children`).
    ///
    /// Such a list may leave out a child while others end, but never all of them, and an orphan only moves to one thread's
    /// list while the parent that it had, ended and not waited for, still stands in another's.
    fn has_no_child() -> bool {
        have_no_child(threads, |thread| fs::read(format!("/proc/self/task/{thread}/children")))
    }

    /// The ids of this process's threads.
    fn threads() -> io::Result<BTreeSet<OsString>> {
        fs::read_dir("/proc/self/task")?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Whether none of these threads has a child, and all of them stayed while they were looked at: the children of a thread
    /// that ends move to another one, which may have been looked at before.
    fn have_no_child(
        threads: impl Fn() -> io::Result<BTreeSet<OsString>>,
        children: impl Fn(&str) -> io::Result<Vec<u8>>,
    ) -> bool {
        let Ok(before) = threads() else { return false };
        let is_childless = |thread: &OsString| {
            thread.to_str().is_some_and(|thread| children(thread).is_ok_and(|children| children.is_empty()))
        };
        before.iter().all(is_childless) && threads().is_ok_and(|after| before.is_subset(&after))
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
        use std::cell::RefCell;

        use super::*;

        /// Looks at threads whose children are these while it happens that, once `reads` lists were read, `then` takes place.
        fn look(lists: &[(&str, &str)], reads: usize, then: fn(&mut HashMap<String, String>)) -> bool {
            let lists = lists.iter().map(|(thread, children)| ((*thread).to_owned(), (*children).to_owned()));
            let state = RefCell::new((0, lists.collect::<HashMap<_, _>>()));
            have_no_child(
                || Ok(state.borrow().1.keys().map(OsString::from).collect()),
                |thread| {
                    let (read, lists) = &mut *state.borrow_mut();
                    let found = lists.get(thread).cloned().ok_or(io::ErrorKind::NotFound)?;
                    *read += 1;
                    if *read == reads {
                        then(lists);
                    }
                    Ok(found.into_bytes())
                },
            )
        }

        fn nothing(_: &mut HashMap<String, String>) {}

        #[test]
        fn a_child_of_any_thread_is_seen() {
            assert!(look(&[("1", ""), ("2", "")], 0, nothing));
            assert!(!look(&[("1", ""), ("2", "17 ")], 0, nothing));
        }

        #[test]
        fn a_child_that_moves_from_a_thread_that_ends_is_not_missed() {
            // The list of the first was read when the second ends, before its own is read.
            assert!(!look(&[("1", ""), ("2", "17 ")], 1, |lists| {
                lists.remove("2");
                lists.insert("1".to_owned(), "17 ".to_owned());
            }));
            // The third got a child and ended after all lists were read; it moved to the second.
            assert!(!look(&[("1", ""), ("2", ""), ("3", "")], 3, |lists| {
                lists.remove("3");
                lists.insert("2".to_owned(), "17 ".to_owned());
            }));
            // One that begins meanwhile takes nobody's children.
            assert!(look(&[("1", "")], 1, |lists| drop(lists.insert("2".to_owned(), String::new()))));
        }

        #[test]
        fn a_name_with_brackets_does_not_confuse() {
            assert_eq!(parent("17 (a) b) S 1 (x) S 42 17 17 0"), Some(42));
            assert_eq!(parent("17 (sh) S 3 17 17 0 -1"), Some(3));
            assert_eq!(parent(""), None);
        }
    }
}
