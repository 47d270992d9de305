//! One run of `git`: its environment, its output, and its end whatever happens.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{self, Write},
    ops::ControlFlow,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    process::Stdio,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::GitError;
use crate::env::{self, Environment};

/// Settings that hold for every run; none of them is secret.
const SETTINGS: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // A redirect could lead to a host that is not allowed, with the token.
    "http.followRedirects=false",
];

/// Bytes of output kept: far more than a commit id or a useful message.
const KEPT: usize = 16 << 10;

/// How one way of access runs `git`: what it may speak, and what it proves itself with.
pub(super) struct Git {
    /// Home of these runs, with key, known hosts and configuration; gone when this is dropped.
    home: TempDir,
    protocol: &'static str,
    variables: Vec<(String, SecretString)>,
    /// Texts that are never shown.
    secrets: Vec<SecretString>,
}

/// Takes a part of an output, and says whether there may be more.
pub(super) type Reader<'r> = dyn FnMut(&[u8]) -> ControlFlow<()> + Send + 'r;

/// What a run of `git` that ended said.
pub(super) struct Ended {
    pub(super) success: bool,
    /// The end of its output, if nobody else read that.
    pub(super) stdout: String,
    /// The end of stderr, in lower case, to find causes in.
    pub(super) stderr: String,
    /// The end of stderr for people.
    pub(super) said: String,
}

impl Git {
    fn new(protocol: &'static str) -> Result<Self, GitError> {
        let private = fs::Permissions::from_mode(0o700);
        let home = tempfile::Builder::new().prefix("git-").permissions(private).tempdir();
        let home = home.map_err(GitError::io("make a folder for git"))?;
        Ok(Self { home, protocol, variables: Vec::new(), secrets: Vec::new() })
    }

    /// Over https, with a token for exactly this URL.
    pub(super) fn https(url: &str, token: Option<&SecretString>) -> Result<Self, GitError> {
        let mut git = Self::new("https")?;
        if let Some(token) = token {
            let token = SecretString::from(token.expose_secret().trim());
            let login = BASE64_STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
            let login = SecretString::from(login);
            let header = format!("Authorization: Basic {}", login.expose_secret());
            git.variables = vec![
                ("GIT_CONFIG_COUNT".to_owned(), "1".into()),
                ("GIT_CONFIG_KEY_0".to_owned(), format!("http.{url}.extraHeader").into()),
                ("GIT_CONFIG_VALUE_0".to_owned(), header.into()),
            ];
            git.secrets = vec![token, login];
        }
        Ok(git)
    }

    /// Over ssh, with this key and no other. The host's key is taken as it comes, once per fetch.
    pub(super) fn ssh(key: &SecretString) -> Result<Self, GitError> {
        let mut git = Self::new("ssh")?;
        let path = git.home.path().join("key");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.as_mut().map_or_else(
            |error| Err(io::Error::from(error.kind())),
            // OpenSSH refuses a key whose last line does not end.
            |file| writeln!(file, "{}", key.expose_secret().trim()),
        );
        written.map_err(GitError::io("keep the SSH key for git"))?;
        let quoted = |name: &str| format!("'{}'", git.home.path().join(name).to_string_lossy().replace('\'', r"'\''"));
        let command = format!(
            "ssh -F /dev/null -i {} -o UserKnownHostsFile={} -o BatchMode=yes -o IdentitiesOnly=yes \
             -o IdentityAgent=none -o StrictHostKeyChecking=accept-new -o ConnectTimeout=20",
            quoted("key"),
            quoted("known_hosts")
        );
        git.variables = vec![
            ("GIT_SSH_COMMAND".to_owned(), command.into()),
            ("GIT_SSH_VARIANT".to_owned(), "ssh".to_owned().into()),
        ];
        git.secrets = vec![key.clone()];
        Ok(git)
    }

    /// From a folder of this machine, whoever owns it.
    pub(super) fn local() -> Result<Self, GitError> {
        let mut git = Self::new("file")?;
        // Not by `-c`: git hides that from the process which it starts in the other repository.
        let config = git.home.path().join("config");
        fs::write(&config, "[safe]\n\tdirectory = *\n").map_err(GitError::io("configure git"))?;
        let config = config.to_string_lossy().into_owned();
        git.variables = vec![("GIT_CONFIG_GLOBAL".to_owned(), config.into())];
        Ok(git)
    }

    /// The same over another protocol, to a server of a test.
    #[cfg(test)]
    pub(super) fn speaking(mut self, protocol: &'static str) -> Self {
        self.protocol = protocol;
        self
    }

    /// Where its files are.
    #[cfg(test)]
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `git` in a folder until it ends. Dropping the future kills it and everything it started.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Ended, GitError> {
        let mut tail = Tail::default();
        let ended = self.run_reading(folder, arguments, &mut |part| tail.add(part)).await?;
        Ok(Ended { stdout: tail.text().trim().to_owned(), ..ended })
    }

    /// The same, with its output going to `stdout` as it comes. When that breaks, `git` finds nobody to write to, and ends.
    pub(super) async fn run_reading<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
        stdout: &mut Reader<'_>,
    ) -> Result<Ended, GitError> {
        let environment = Environment::of_process();
        let mut command = Command::new("git");
        command
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("LC_ALL", "C")
            .envs(env::HTTPS_SETTINGS.iter().filter_map(|name| Some((name, environment.get(name)?))))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", self.protocol)
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value.expose_secret())))
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if folder.is_dir() => GitError::GitMissing,
            _ => GitError::Io { doing: "start git", source: error },
        })?;
        let _group = Group::of(&child);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut errors = Tail::default();
        let mut to_errors = |part: &[u8]| errors.add(part);
        let (status, out, err) = tokio::join!(child.wait(), drain(out, stdout), drain(err, &mut to_errors));
        out.and(err).map_err(GitError::io("read what git says"))?;
        let (status, stderr) = (status.map_err(GitError::io("wait for git"))?, errors.text());
        Ok(Ended {
            success: status.success(),
            stdout: String::new(),
            said: self.said(&stderr),
            stderr: stderr.to_lowercase(),
        })
    }

    /// The last lines of a message on one line, without secrets and control characters.
    fn said(&self, stderr: &str) -> String {
        let mut text = stderr.to_owned();
        for secret in &self.secrets {
            let lines = secret.expose_secret().lines().map(str::trim).filter(|line| line.len() >= 4);
            for hidden in std::iter::once(secret.expose_secret()).chain(lines).filter(|hidden| !hidden.is_empty()) {
                text = text.replace(hidden, "***");
            }
        }
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let line = lines.join("; ");
        // Enough for git's cause and its hint.
        let skipped = line.chars().count().saturating_sub(400);
        line.chars().skip(skipped).flat_map(char::escape_debug).collect()
    }
}

/// A process group that is killed when this goes: on success it is empty by then, or holds what `git` left behind.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = killpg(group, Signal::SIGKILL)
            && error != nix::errno::Errno::ESRCH
        {
            tracing::warn!(%group, %error, "git could not be killed");
        }
    }
}

/// Gives what comes out of a pipe to its reader, until one of them ends.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, reader: &mut Reader<'_>) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 4 << 10];
    loop {
        let read = pipe.read(&mut buffer).await?;
        if read == 0 || reader(&buffer[..read]).is_break() {
            return Ok(());
        }
    }
}

/// The end of an output.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn add(&mut self, part: &[u8]) -> ControlFlow<()> {
        self.0.extend_from_slice(part);
        if self.0.len() > 2 * KEPT {
            self.0.drain(..self.0.len() - KEPT);
        }
        ControlFlow::Continue(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}
