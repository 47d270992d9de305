//! An embedded AWS of one test: the real binary, `aws-exe local`, on a free port and with folders of its own.

use std::{
    fmt::Write as _,
    fs::File,
    future::{Future, IntoFuture},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use common::aws::Aws;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{aws_exe::BINARY, canary, faults, wait};

/// Tables and buckets of the embedded stack, as the contract names them.
pub(crate) const ORDERS: &str = "exe-sys-orders";
pub(crate) const EVENTS: &str = "exe-sys-order-events";
pub(crate) const LOCKS: &str = "exe-sys-locks";
pub(crate) const INTERNAL: &str = "exe-sys-internal";
pub(crate) const DONE: &str = "exe-sys-done";

/// The folder in which everything is kept that comes in on connections.
const CAPTURED: &str = "connections";

/// What an embedded AWS is started with; awaiting it starts it.
#[derive(Default)]
pub(crate) struct Builder {
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    script: Vec<Value>,
    record: bool,
    instances: Option<String>,
}

/// A running embedded AWS. Ends with the test; if the test fails, it shows what the functions logged.
pub(crate) struct Stack {
    child: Child,
    endpoint: String,
    pub(crate) aws: Aws,
    folder: TempDir,
    data: Option<PathBuf>,
    is_in_real_time: bool,
}

impl Stack {
    /// One with default settings, to be changed and awaited.
    pub(crate) fn start() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether engine time is the machine's.
    pub(crate) fn is_in_real_time(&self) -> bool {
        self.is_in_real_time
    }

    /// A file or folder of this test's own, outside of the engine's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new folder of this test's own.
    pub(crate) fn new_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// A part of the environment of every process that belongs to this stack, and of no other process.
    pub(crate) fn marker(&self) -> &Path {
        self.folder.path()
    }

    /// Everything that the functions wrote to standard output and error.
    pub(crate) fn function_logs(&self) -> String {
        self.logs("lambda")
    }

    /// Everything that builds wrote to standard output and error.
    pub(crate) fn build_logs(&self) -> String {
        self.logs("codebuild")
    }

    fn logs(&self, folder: &str) -> String {
        let roots = std::fs::read_dir(self.path("tmp")).into_iter().flatten().flatten().map(|entry| entry.path());
        let folders = roots.chain(self.data.clone()).map(|root| root.join(folder));
        let mut text = String::new();
        for file in folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten()) {
            if file.path().extension().is_some_and(|extension| extension == "log") {
                let bytes = std::fs::read(file.path()).unwrap_or_default();
                writeln!(text, "── {}\n{}", file.file_name().display(), String::from_utf8_lossy(&bytes)).unwrap();
            }
        }
        text
    }

    /// What the embedded AWS itself wrote to standard error.
    pub(crate) fn own_log(&self) -> String {
        std::fs::read_to_string(self.path("local.log")).unwrap_or_default()
    }

    /// Each recorded call; the stack must have been started with `record`.
    pub(crate) fn recorded(&self) -> Vec<Value> {
        self.recorded_from(0).0
    }

    /// Those from this byte of the record on, and where it ends.
    pub(crate) fn recorded_from(&self, byte: u64) -> (Vec<Value>, u64) {
        let mut file = File::open(self.path("calls.jsonl")).unwrap();
        file.seek(SeekFrom::Start(byte)).unwrap();
        let mut text = String::new();
        let length = file.read_to_string(&mut text).unwrap();
        let calls = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (calls, byte + u64::try_from(length).unwrap())
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> (ExitStatus, TempDir) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let status =
            wait::until("the embedded AWS to end after SIGTERM", async || self.child.try_wait().unwrap()).await;
        self.assert_no_secret_left();
        // The folder outlives the stack, so that a test can start another one on it.
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (status, folder)
    }

    /// SIGTERM, and SIGKILL if that does not do.
    fn end(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let asked = kill(self.pid(), Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(20);
        while asked.is_ok() && Instant::now() < until {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Not there any more is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Whatever left the engine's processes is searched for the secrets that every order has.
    fn assert_no_secret_left(&self) {
        let logs = [
            ("function logs".to_owned(), self.function_logs().into_bytes()),
            ("log of the embedded AWS".to_owned(), self.own_log().into_bytes()),
        ];
        canary::assert_none(self.captured().into_iter().chain(logs));
    }

    /// Each request of the engine's processes so far: which it is, and its bytes.
    pub(crate) fn captured(&self) -> Vec<(String, Vec<u8>)> {
        canary::captured(&self.path(CAPTURED))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }
}

impl Builder {
    /// Engine time passes so many times as fast.
    pub(crate) fn speed(self, factor: u32) -> Self {
        self.argument("--clock-speed", factor)
    }

    /// Time is skipped while nobody has anything to do.
    pub(crate) fn skip_idle(mut self) -> Self {
        self.arguments.push("--skip-idle".to_owned());
        self
    }

    /// Most orders at once.
    pub(crate) fn concurrency(self, orders: u16) -> Self {
        self.argument("--concurrency", orders)
    }

    /// Everything is kept in this folder.
    pub(crate) fn data(self, folder: &Path) -> Self {
        self.argument("--data", folder.display())
    }

    /// These faults from the start.
    pub(crate) fn faults(mut self, script: impl IntoIterator<Item = faults::Fault>) -> Self {
        self.script.extend(script.into_iter().map(Value::from));
        self
    }

    /// These instances, as YAML.
    pub(crate) fn instances(mut self, yaml: &str) -> Self {
        self.instances = Some(yaml.to_owned());
        self
    }

    /// Every call is recorded.
    pub(crate) fn record(mut self) -> Self {
        self.record = true;
        self
    }

    /// A variable of the process.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn argument(mut self, name: &str, value: impl ToString) -> Self {
        self.arguments.extend([name.to_owned(), value.to_string()]);
        self
    }

    async fn launch(self) -> Stack {
        let folder = tempfile::tempdir().unwrap();
        let tmp = folder.path().join("tmp");
        std::fs::create_dir(&tmp).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["local", "--port", "0"]).args(&self.arguments);
        if !self.script.is_empty() {
            let path = folder.path().join("faults.json");
            std::fs::write(&path, serde_json::to_vec(&self.script).unwrap()).unwrap();
            command.arg("--faults").arg(path);
        }
        if let Some(instances) = &self.instances {
            let path = folder.path().join("instances.yaml");
            std::fs::write(&path, instances).unwrap();
            command.arg("--instances").arg(path);
        }
        if self.record {
            command.arg("--record").arg(folder.path().join("calls.jsonl"));
        }
        command.arg("--capture").arg(folder.path().join(CAPTURED));
        let log = File::create(folder.path().join("local.log")).unwrap();
        // What the tests' own shell traces is not theirs.
        for variable in common::env::OPEN_TELEMETRY {
            command.env_remove(variable.name);
        }
        let mut child = command
            .envs(self.variables)
            .env("TMPDIR", tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).map(|_| line)
        });
        let line = line.await.unwrap().unwrap();
        let Some(endpoint) = line.strip_prefix("ready: ") else {
            let log = std::fs::read_to_string(folder.path().join("local.log")).unwrap_or_default();
            panic!("the embedded AWS did not start: `{line}`\n{log}");
        };
        let endpoint = endpoint.trim().to_owned();
        let data = self.arguments.iter().skip_while(|argument| *argument != "--data").nth(1).map(PathBuf::from);
        let has = |option: &str| self.arguments.iter().any(|argument| argument == option);
        let is_in_real_time = !has("--clock-speed") && !has("--skip-idle");
        let aws = Aws::with_credentials(&endpoint, "us-east-1", "test", "test");
        canary::put(&aws).await;
        Stack { child, endpoint, aws, folder, data, is_in_real_time }
    }
}

impl IntoFuture for Builder {
    type Output = Stack;
    type IntoFuture = Pin<Box<dyn Future<Output = Stack> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.launch())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("{}── aws-exe local\n{}", self.function_logs(), self.own_log());
        } else {
            self.assert_no_secret_left();
        }
    }
}
