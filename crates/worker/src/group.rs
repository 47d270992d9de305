//! A command and everything it starts, as far as it stays in its process group.

use std::io;

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::process::Child;

/// The process group that a child leads. Killed when dropped, so that giving up a future ends what it started.
#[derive(Debug)]
pub(crate) struct Group {
    id: Pid,
    ended: bool,
}

impl Group {
    /// The group of a child that was started as the leader of a new one.
    pub(crate) fn of(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self { id: Pid::from_raw(id), ended: false })
    }

    /// Sends a signal to all members; none left is fine.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match killpg(self.id, signal) {
            // macOS says EPERM when all that is left are zombies.
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a member is left, after the leader was waited for. Adopted members that ended are reaped on the way.
    pub(crate) fn is_alive(&self) -> bool {
        let members = Pid::from_raw(-self.id.as_raw());
        while let Ok(status) = waitpid(members, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        killpg(self.id, None).is_ok()
    }

    /// Kills all members for good. From then on the number may belong to a stranger's group and is not used again.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.ended = true;
        self.signal(Signal::SIGKILL)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.kill()
        {
            tracing::warn!(group = %self.id, %error, "a process group could not be killed");
        }
    }
}
