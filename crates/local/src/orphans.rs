//! Processes that outlived whoever started them, however they detached themselves: a function's process that is killed by its
//! own command leaves that behind, where Lambda would end the whole sandbox.
//!
//! On Linux a process can adopt the orphans among its descendants. [`adopt`] makes this one do so; from then on every child
//! that was not started by [`spawn`] is an orphan, and [`end`] kills it with all below it. Without [`adopt`], as in a
//! program that embeds this crate and has children of its own, nothing is killed here.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, PoisonError},
};

use tokio::process::{Child, Command};

/// What was started here; nothing while orphans are not adopted.
static CHILDREN: Mutex<Option<BTreeSet<u32>>> = Mutex::new(None);

/// Makes this process adopt what its descendants leave behind. All its own children are started by [`spawn`] from now on.
/// Elsewhere than on Linux nothing is done.
pub fn adopt() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        nix::sys::prctl::set_child_subreaper(true)?;
        children().get_or_insert_default();
    }
    Ok(())
}

/// Starts a process that is not to be taken for an orphan.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    // Held while the process starts, so that nobody finds it before it is known.
    let mut children = children();
    let child = command.spawn()?;
    if let (Some(children), Some(pid)) = (children.as_mut(), child.id()) {
        children.insert(pid);
    }
    Ok(child)
}

/// A process that was started here has ended, and was waited for.
pub(crate) fn forget(pid: i32) {
    if let (Some(children), Ok(pid)) = (children().as_mut(), u32::try_from(pid)) {
        children.remove(&pid);
    }
}

fn children() -> std::sync::MutexGuard<'static, Option<BTreeSet<u32>>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all orphans, and waits until they are gone.
pub(crate) async fn end() {
    #[cfg(target_os = "linux")]
    linux::end().await;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use nix::{
        sys::{
            signal::{Signal, kill},
            wait::{WaitPidFlag, waitpid},
        },
        unistd::Pid,
    };

    use crate::lambda::process::{Process, children_of, descendants};

    /// Rounds of killing: what forks all the while takes hundreds of them.
    const ROUNDS: usize = 1_000;
    /// Between two rounds, for the kernel to end what was killed.
    const PAUSE: Duration = Duration::from_millis(5);

    pub(super) async fn end() {
        let mut orphans = Vec::new();
        for _ in 0..ROUNDS {
            orphans = find();
            if orphans.is_empty() {
                return;
            }
            let family: Vec<Process> =
                orphans.iter().flat_map(|orphan| descendants(orphan.pid())).chain(orphans.iter().copied()).collect();
            // Stopped first, all of them: else a parent has time to fork while its children are killed.
            for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
                for process in &family {
                    if let Err(error) = kill(Pid::from_raw(process.pid()), signal) {
                        tracing::trace!(?process, %error, "an orphan was not signalled");
                    }
                }
            }
            for orphan in &orphans {
                if let Err(error) = waitpid(Pid::from_raw(orphan.pid()), Some(WaitPidFlag::WNOHANG)) {
                    tracing::trace!(?orphan, %error, "an orphan was not waited for");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::warn!(?orphans, "processes that commands left behind do not end");
    }

    /// Children of this process that it did not start, dead ones that nobody has waited for included.
    fn find() -> Vec<Process> {
        let known = super::children();
        let Some(known) = known.as_ref() else { return Vec::new() };
        let is_known = |process: &Process| u32::try_from(process.pid()).is_ok_and(|pid| known.contains(&pid));
        children_of(Pid::this().as_raw()).into_iter().filter(|process| !is_known(process)).collect()
    }
}
