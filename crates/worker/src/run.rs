//! Runs the commands of one order, one after the other, and stops them in time.
//!
//! Each command is `sh -c` as the leader of a process group of its own. Both its output streams are one pipe, so that
//! lines keep their order. When the shell ends, what is left of its group is killed: a background process could hold
//! the pipe open for ever. So the end of a command is never the end of its pipe.
//!
//! Stopping, whether by the deadline or on request, is SIGINT to the group, then a grace time in which programs put
//! things in order (Terraform gives up its state lock), then SIGKILL. The grace is for the group and not just for
//! the shell: a shell without a terminal dies at once, while its child still tidies up.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use common::{
    clock::{Clock, Timestamp},
    status::Outcome,
};
use nix::sys::signal::Signal;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{group::Group, user::CommandUser};

/// How long output is still read after all of a command's group was killed, in machine time. What had been written is
/// in the pipe already; longer waits are only for processes that left the group, which are not waited for.
const DRAIN: Duration = Duration::from_millis(250);

/// How often a stopped group is looked at, in machine time: SIGINT is usually obeyed within a few of these.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes read from the pipe at once: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// What to run, and for how long.
#[derive(Debug)]
pub struct Order<'a> {
    /// Shell commands; the first that fails ends the order.
    pub commands: &'a [String],
    /// Where they run.
    pub dir: &'a Path,
    /// All of their environment: nothing is inherited.
    pub env: &'a BTreeMap<String, SecretString>,
    /// When they are stopped, all together.
    pub deadline: Timestamp,
    /// What to say of an order that is stopped at the deadline, such as `its timeout of 60 s is over`.
    pub deadline_reason: &'a str,
    /// Between SIGINT and SIGKILL, in engine time.
    pub stop_grace: Duration,
    /// Whom they run as, if not this process's own user.
    pub user: Option<&'a CommandUser>,
    /// The time that `deadline` and `stop_grace` are in.
    pub clock: Clock,
}

/// Why commands are stopped before they end by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled {
        /// In the words of whoever asked.
        reason: String,
    },
    /// The time is over.
    TimedOut {
        /// Which time.
        reason: String,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub status: Outcome,
    /// Of the last command that ran, 128 and the signal's number if one ended it; none when no command was started.
    pub exit_code: Option<i32>,
    /// Position of the command that failed or was stopped.
    pub failed_command: Option<usize>,
    /// Why it was stopped.
    pub reason: Option<String>,
    /// When the first command was started.
    pub started_at: Timestamp,
    /// When the last one had ended.
    pub finished_at: Timestamp,
    /// The commands that were started, in their order.
    pub commands: Vec<Ran>,
}

/// One command that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// When.
    pub started_at: Timestamp,
    /// When it had ended, with all of its group.
    pub finished_at: Timestamp,
    /// As in [`Finished`].
    pub exit_code: Option<i32>,
}

/// The machine, not the command, failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A shell could not be started.
    #[error("failed to start command {}: {source}", index + 1)]
    Start {
        /// Position of the command.
        index: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A command that was started can't be followed any more; it was killed.
    #[error("failed to follow command {}: {source}", index + 1)]
    Follow {
        /// Position of the command.
        index: usize,
        /// What the system said.
        source: io::Error,
    },
}

/// Runs the commands; `output` gets their bytes as they come, and `stop` may end them early.
///
/// No member of their process groups is alive afterwards, nor when the future is dropped. Processes that left their
/// group are the business of [`crate::leftovers`].
pub async fn run(
    order: &Order<'_>,
    mut output: impl FnMut(&[u8]),
    stop: watch::Receiver<Option<Stop>>,
) -> Result<Finished, RunError> {
    let mut stop = Stopper { stop, order };
    let started_at = order.clock.now();
    let mut exit_code = None;
    let mut commands = Vec::new();
    for (index, command) in order.commands.iter().enumerate() {
        let ended = if let Some(stop) = stop.already() {
            Ended { exit_code, stop: Some(stop) }
        } else {
            let started_at = order.clock.now();
            let ended = run_one(order, index, command, &mut output, &mut stop).await?;
            commands.push(Ran { started_at, finished_at: order.clock.now(), exit_code: ended.exit_code });
            ended
        };
        exit_code = ended.exit_code;
        let (status, reason) = match ended.stop {
            Some(Stop::Cancelled { reason }) => (Outcome::Cancelled, Some(reason)),
            Some(Stop::TimedOut { reason }) => (Outcome::TimedOut, Some(reason)),
            None if exit_code == Some(0) => continue,
            None => (Outcome::Failed, None),
        };
        let (failed_command, finished_at) = (Some(index), order.clock.now());
        return Ok(Finished { status, exit_code, failed_command, reason, started_at, finished_at, commands });
    }
    Ok(Finished {
        status: Outcome::Succeeded,
        exit_code,
        failed_command: None,
        reason: None,
        started_at,
        finished_at: order.clock.now(),
        commands,
    })
}

/// How one command ended.
struct Ended {
    exit_code: Option<i32>,
    /// Why it was stopped; a command that ends by itself first was not.
    stop: Option<Stop>,
}

async fn run_one(
    order: &Order<'_>,
    index: usize,
    command: &str,
    output: &mut impl FnMut(&[u8]),
    stop: &mut Stopper<'_>,
) -> Result<Ended, RunError> {
    let (mut child, mut group, pipe) = start(order, command).map_err(|source| RunError::Start { index, source })?;
    let follow = |source| RunError::Follow { index, source };
    let mut pipe = Pipe { receiver: Some(pipe), buffer: vec![0; CHUNK] };

    let mut stopped = None;
    let grace = sleep(Duration::ZERO);
    tokio::pin!(grace);
    let status = loop {
        tokio::select! {
            read = pipe.read(output) => read.map_err(follow)?,
            status = child.wait() => break status.map_err(follow)?,
            reason = stop.asked(), if stopped.is_none() => {
                stopped = Some(reason);
                group.signal(Signal::SIGINT).map_err(follow)?;
                grace.as_mut().reset(Instant::now() + order.clock.machine(order.stop_grace));
            }
            () = &mut grace, if stopped.is_some() && !grace.is_elapsed() => {
                group.signal(Signal::SIGKILL).map_err(follow)?;
            }
        }
    };
    if stopped.is_some() {
        let until = grace.deadline();
        while group.is_alive() && Instant::now() < until {
            let next = until.min(Instant::now() + LOOK);
            tokio::select! {
                read = pipe.read(output) => read.map_err(follow)?,
                () = sleep_until(next) => {}
            }
        }
    }
    group.kill().map_err(follow)?;
    let drained = timeout(DRAIN, async {
        while pipe.receiver.is_some() {
            pipe.read(output).await?;
        }
        Ok(())
    });
    // Late is fine: then somebody outside the group holds the pipe.
    drained.await.unwrap_or(Ok(())).map_err(follow)?;
    // Reaps members that were adopted, so that no zombies gather.
    group.is_alive();
    Ok(Ended { exit_code: Some(code(status)), stop: stopped })
}

fn start(order: &Order<'_>, command: &str) -> io::Result<(Child, Group, Receiver)> {
    let (reader, writer) = io::pipe()?;
    // The command and with it this process' write ends go at the end of this function.
    let mut shell = Command::new("/bin/sh");
    if let Some((uid, gid)) = order.user.map(CommandUser::ids) {
        // As root's child it loses root's other groups as well.
        shell.uid(uid).gid(gid);
    }
    let child = shell
        .arg("-c")
        .arg(command)
        .current_dir(order.dir)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value.expose_secret())))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group::of(&child)?;
    Ok((child, group, Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

/// What a shell would say of a command that ended like this.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// The reading end of a command's output; none once it is closed.
struct Pipe {
    receiver: Option<Receiver>,
    buffer: Vec<u8>,
}

impl Pipe {
    /// Waits for the next bytes and hands them on. After the end it waits for ever, as suits a `select!`.
    async fn read(&mut self, output: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        match receiver.read(&mut self.buffer).await? {
            0 => self.receiver = None,
            read => output(&self.buffer[..read]),
        }
        Ok(())
    }
}

/// Knows whether it is time to stop.
struct Stopper<'a> {
    stop: watch::Receiver<Option<Stop>>,
    order: &'a Order<'a>,
}

impl Stopper<'_> {
    fn already(&self) -> Option<Stop> {
        let asked = self.stop.borrow().clone();
        asked.or_else(|| (self.order.clock.now() >= self.order.deadline).then(|| self.late()))
    }

    /// Waits until it is time.
    async fn asked(&mut self) -> Stop {
        let asked = async {
            match self.stop.wait_for(Option::is_some).await {
                Ok(stop) => stop.clone(),
                // Whoever could ask is gone.
                Err(_) => None,
            }
        };
        let left = self.order.clock.now().until(self.order.deadline);
        tokio::select! {
            Some(stop) = asked => stop,
            () = self.order.clock.sleep(left) => self.late(),
        }
    }

    fn late(&self) -> Stop {
        Stop::TimedOut { reason: self.order.deadline_reason.to_owned() }
    }
}

#[cfg(test)]
mod tests;
