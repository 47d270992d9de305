//! One invocation on one instance, as the agent runs it: each step is a script in a file, run by `sh -c <file>` in a
//! process group of its own.
//!
//! ```text
//!   <instance>/document/orchestration/<command>/<step>/_script.sh, stdout, stderr     stay
//!   <instance>/tmp/<command>/                                                         working folder and TMPDIR; goes
//! ```

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use common::env as variables;
use tokio::{io::AsyncWriteExt as _, process::Command as Process};

use crate::{
    REGION, child, files,
    lambda::process::Running,
    orphans,
    ssm::run_command::{
        RunCommand,
        commands::{Command, Invocation, Status, Step},
        content::Script,
        instances::Instance,
    },
};

/// Characters of standard output that AWS shows.
const STDOUT_LIMIT: usize = 24_000;
/// Characters of standard error that AWS shows.
const STDERR_LIMIT: usize = 8_000;
/// The agent's code for a script that it killed.
const KILLED: i32 = 137;

/// How a script ended.
enum End {
    Exited(ExitStatus),
    /// It ran too long, or was cancelled.
    Killed(Status),
    /// The embedded AWS ends.
    Interrupted,
}

impl RunCommand {
    /// Runs all steps and says how the invocation ended; `None` when the embedded AWS ends before.
    pub(super) async fn run(&self, command: &Command, invocation: &Invocation, instance: &Instance) -> Option<Status> {
        let id = &command.request.id;
        let temporary = instance.directory.join("tmp").join(id);
        let mut result = Some(Status::Success);
        for (index, script) in command.request.scripts.iter().enumerate() {
            if invocation.cancel.is_cancelled() {
                result = Some(Status::Cancelled);
                break;
            }
            let mut step = Step {
                name: script.name.clone(),
                status: Status::InProgress,
                response_code: -1,
                started: Some(self.timeline.now()),
                ended: None,
                stdout: String::new(),
                stderr: String::new(),
            };
            invocation.note(index, step.clone());
            let orchestration = instance.directory.join("document/orchestration").join(id).join(&script.name);
            let end = self.script(script, command, invocation, instance, &orchestration, &temporary).await;
            step.ended = Some(self.timeline.now());
            step.stdout = head(&orchestration.join("stdout"), STDOUT_LIMIT);
            step.stderr = head(&orchestration.join("stderr"), STDERR_LIMIT);
            (step.status, step.response_code) = match end {
                Ok(End::Interrupted) => {
                    result = None;
                    break;
                }
                // Nothing can be started any more.
                Err(_) if self.stop.is_cancelled() => {
                    result = None;
                    break;
                }
                Ok(End::Killed(status)) => (status, KILLED),
                Ok(End::Exited(status)) if status.success() => (Status::Success, 0),
                // A signal that was not the agent's has no code, as in the agent.
                Ok(End::Exited(status)) => (Status::Failed, status.code().unwrap_or(-1)),
                Err(error) => {
                    step.stderr = format!("failed to run the script: {error}");
                    (Status::Failed, 1)
                }
            };
            let status = step.status;
            invocation.note(index, step);
            // The next step runs also when this one failed, but not after the end of everything's time.
            if status != Status::Success {
                result = Some(status);
            }
            if !matches!(status, Status::Success | Status::Failed) {
                break;
            }
        }
        remove(&temporary).await;
        result
    }

    async fn script(
        &self,
        script: &Script,
        command: &Command,
        invocation: &Invocation,
        instance: &Instance,
        orchestration: &Path,
        temporary: &Path,
    ) -> io::Result<End> {
        files::private_dir(orchestration)?;
        files::private_dir(temporary)?;
        // As the system names it when asked where a process works.
        let temporary = temporary.canonicalize()?;
        let path = orchestration.join("_script.sh");
        write_script(&path, &script.text).await?;
        let mut process = Process::new("sh");
        process
            .arg("-c")
            // Quoted, because a user's folder may have a blank in its name.
            .arg(format!("'{}'", path.display().to_string().replace('\'', r"'\''")))
            .env_clear()
            .envs(child::inherited())
            .envs(self.engine_env.iter().cloned())
            .env("HOME", &instance.directory)
            .env("XDG_CACHE_HOME", instance.directory.join("cache"))
            .env("TMPDIR", &temporary)
            .env("LANG", "en_US.UTF-8")
            .env("AWS_SSM_INSTANCE_ID", instance.id.as_str())
            .env("AWS_SSM_REGION_NAME", REGION)
            .env("SSM_COMMAND_ID", &command.request.id)
            .env(variables::CLOCK.name, self.timeline.clock().to_string())
            .current_dir(working_directory(script, &temporary))
            .stdin(Stdio::null())
            .stdout(File::create(orchestration.join("stdout"))?)
            .stderr(File::create(orchestration.join("stderr"))?);
        let running = Arc::new(Running::new("instance"));
        running.set_request(Some(command.request.id.clone()));
        let key = format!("{}/{}", command.request.id, instance.id);
        let mut ended = self.tasks.start(&key, &running, process, temporary)?;
        let killed = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                // Whoever stops everything ends the process as well.
                drop(ended.await);
                return Ok(End::Interrupted);
            }
            status = &mut ended => return status.map_err(io::Error::other)?.map(End::Exited),
            () = invocation.cancel.cancelled() => Status::Cancelled,
            () = self.timeline.sleep(Duration::from_secs(script.timeout_secs)) => Status::ExecutionTimedOut,
        };
        running.kill();
        // The answer counts no more: it was killed, or ended in that moment.
        drop(ended.await);
        Ok(End::Killed(killed))
    }
}

/// The folder that the document names, from the command's own one on.
fn working_directory(script: &Script, temporary: &Path) -> PathBuf {
    script.working_directory.as_ref().map_or_else(|| temporary.to_owned(), |directory| temporary.join(directory))
}

/// Writes an executable file by another process. One that this process had open for writing could not be executed while
/// any child that was started in between still has it open.
async fn write_script(path: &Path, text: &str) -> io::Result<()> {
    let mut writer = Process::new("sh");
    writer
        .args(["-c", r#"umask 077 && cat >"$1" && chmod 700 "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut writer = orphans::spawn(&mut writer)?;
    let pid = writer.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    if let Some(mut stdin) = writer.stdin.take() {
        stdin.write_all(text.as_bytes()).await?;
    }
    let status = writer.wait().await;
    orphans::forget(pid);
    let status = status?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("`{}` was not written", path.display()))) }
}

/// The first characters of a file; none when it cannot be read.
fn head(path: &Path, limit: usize) -> String {
    let mut bytes = Vec::new();
    // A character has four bytes at most.
    let most = u64::try_from(limit * 4).unwrap_or(u64::MAX);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).chars().take(limit).collect(),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a command's output could not be read");
            String::new()
        }
    }
}

/// Removes a command's own folder, if it is there.
pub(super) async fn remove(folder: &Path) {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, folder = %folder.display(), "a command's folder could not be removed");
        }
        _ => {}
    }
}
