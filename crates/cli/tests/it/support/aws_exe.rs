//! The binary as a person calls it: arguments in, exit code and output out.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_aws-exe");

/// What one call gave.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exit code and both outputs in one text, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("exit {}\n── stdout\n{}── stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A call with these arguments, in this folder, and with nothing of the engine's in its environment.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder).env("TMPDIR", folder).env_remove("AWS_EXE_SYS_JOB_JSON");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Calls and waits.
pub(crate) async fn call(mut command: Command) -> Said {
    tokio::task::spawn_blocking(move || Said::of(command.output().unwrap())).await.unwrap()
}

/// Processes that have this folder in their environment, by their command lines: those that were started with it as
/// their folder for temporary files, and their children.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let marker = folder.to_str().unwrap().as_bytes();
    let has_marker = |environment: Vec<u8>| environment.windows(marker.len()).any(|window| window == marker);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Processes end while we look, and others' are not ours to read.
        if std::fs::read(entry.path().join("environ")).is_ok_and(has_marker) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}
