//! The binary as a person calls it: arguments in, exit code and output out.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Stack, canary, job::Job, wait};

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
    fn of(code: Option<i32>, [stdout, stderr]: [Vec<u8>; 2]) -> Self {
        canary::assert_none([
            ("standard output".to_owned(), stdout.clone()),
            ("standard error".to_owned(), stderr.clone()),
        ]);
        let [stdout, stderr] = [stdout, stderr].map(|output| String::from_utf8(output).unwrap());
        Self { code: code.unwrap_or(-1), stdout, stderr }
    }

    /// Exit code and both outputs in one text, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        format!("exit {}\n── stdout\n{}── stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A call with these arguments, in this folder, and with nothing of the engine's in its environment.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .current_dir(folder)
        .env("TMPDIR", folder)
        .env_remove("AWS_EXE_SYS_JOB_JSON")
        .env_remove("AWS_ENDPOINT_URL");
    if arguments.first() == Some(&"run") {
        // The secrets of every order, from where they stand on no command line.
        let parameter = format!("{}=env:SECRETS_OF_THE_TEST", canary::PARAMETER);
        command.args(["--parameter", &parameter]).env("SECRETS_OF_THE_TEST", canary::document());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Stack {
    /// Writes a job as `job.json` into the folder in which verbs are called.
    pub(crate) fn job_file(&self, job: &Job) {
        fs::write(self.path("job.json"), job.document().to_string()).unwrap();
    }

    /// A call of a verb that speaks to this stack.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.marker(), arguments);
        command.env("AWS_ENDPOINT_URL", self.endpoint());
        command
    }

    /// Calls a verb that speaks to this stack, and waits.
    pub(crate) async fn call(&self, arguments: &[&str]) -> Said {
        call(self.verb(arguments)).await
    }
}

/// A call that is watched while it runs.
pub(crate) struct Speaking {
    child: Child,
    /// Standard output and standard error.
    heard: [Heard; 2],
}

/// What came so far.
struct Heard {
    text: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
}

impl Speaking {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, heard: [Heard::from(stdout), Heard::from(stderr)] }
    }

    /// Sends it a signal, as a terminal does to the processes in its foreground.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until it has written exactly this to standard output.
    pub(crate) async fn until_stdout(&self, text: &str) {
        let came = wait::within_limit(async || (self.text(0) == text).then_some(())).await;
        assert!(came.is_some(), "waited in vain for the output {text:?}, not {:?} and\n{}", self.text(0), self.text(1));
    }

    /// Waits until standard error has this part.
    pub(crate) async fn until_stderr(&self, part: &str) {
        wait::until(&format!("{part:?} on standard error"), async || self.text(1).contains(part).then_some(())).await;
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Said {
        let status = wait::until("a call to end", async || self.child.try_wait().unwrap()).await;
        let outputs = self.heard.map(|heard| {
            heard.listening.join().unwrap();
            std::mem::take(&mut *heard.text.lock().unwrap())
        });
        Said::of(status.code(), outputs)
    }

    fn text(&self, output: usize) -> String {
        String::from_utf8_lossy(&self.heard[output].text.lock().unwrap()).into_owned()
    }
}

impl Heard {
    fn from(mut output: impl Read + Send + 'static) -> Self {
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let heard = Arc::clone(&text);
        let listening = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                heard.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Self { text, listening }
    }
}

/// Calls and waits.
pub(crate) async fn call(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Said::of(output.status.code(), [output.stdout, output.stderr])
}

/// Processes that have this folder in their environment or their command line, by the latter: those that were started with
/// it as their folder for temporary files, and their children, unless these hide it.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let marker = folder.to_str().unwrap().as_bytes();
    let has_marker = |environment: Vec<u8>| environment.windows(marker.len()).any(|window| window == marker);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Processes end while we look, and others' are not ours to read.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if has_marker(line.clone()) || std::fs::read(entry.path().join("environ")).is_ok_and(has_marker) {
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}
