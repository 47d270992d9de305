//! The embedded AWS: one HTTP endpoint on the loopback that speaks enough of each service for the engine's SDK calls to
//! work, and runs the engine's functions as processes of its one binary. It ends where AWS does: it knows nothing of
//! jobs and orders.
//!
//! ```text
//!   SDK, CLI, curl ──▶ server ──▶ gate (faults, record) ──▶ signature ──▶ dynamodb        (dynoxide)
//!                                                                         s3              (s3s) ──ObjectCreated─┐
//!                                                                         lambda ◀──queue◀──────────────────────┘
//!                                                                         step_functions ──Task──▶ lambda, s3
//!                                                                         codebuild ──▶ processes
//!                                                                           └──state──▶ events ──▶ queue
//!                                                                         ssm ──▶ processes of instances
//!                                                                           └──status─▶ events ──▶ queue
//!                                                                         secrets, sts
//!   POST /init, /ssm ─────────▶ http_api ──▶ lambda ──▶ processes `<binary> function <name>`
//!                                                           │ next, response
//!                                                           └──▶ /_runtime/<environment>/…
//! ```
//!
//! Account 000000000000, region us-east-1, credentials `test`/`test`.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use common::{
    clock::Clock,
    stack::{Function, Stack},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    capture::Capture,
    codebuild::{CodeBuild, container::Host, project::Project},
    dynamodb::DynamoDb,
    events::Bus,
    faults::Faults,
    gate::Gate,
    lambda::{Lambda, launch::Launcher, queue::Queue},
    record::Recorder,
    s3::{multipart::Uploads, notify::Notifier, objects::Objects, store::Store},
    secrets::Secrets,
    server::Services,
    sessions::Sessions,
    ssm::{
        Ssm,
        parameters::Parameters,
        run_command::{RunCommand, Surroundings, instances::Instances},
    },
    step_functions::{StepFunctions, interpreter::Asked},
    tasks::Tasks,
    timeline::Timeline,
};

mod capture;
mod child;
mod codebuild;
mod control;
mod dates;
mod dynamodb;
mod errors;
mod event_pattern;
mod events;
pub mod faults;
mod files;
mod gate;
mod http_api;
mod ids;
mod lambda;
mod options;
pub mod orphans;
mod peer;
pub mod record;
mod s3;
mod secrets;
mod server;
pub mod service;
mod sessions;
mod signature;
mod ssm;
mod step_functions;
mod sts;
mod tasks;
mod timeline;
pub mod trace;

pub use options::{FunctionLogs, Options, PutError, StartError};
pub use record::CallCount;
pub use sessions::{CLIENT_ACCESS_KEY, CLIENT_SECRET_KEY};

/// The one account.
pub const ACCOUNT: &str = "000000000000";
/// The one region.
pub const REGION: &str = "us-east-1";

/// The state machine that Terraform deploys as well.
const WATCHDOG: &str = include_str!("../../../infra/02-deploy/watchdog.asl.json");
/// How long processes have to end by themselves after SIGTERM.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// `arn:aws:<service>:us-east-1:000000000000:<resource>`; IAM's have no region.
fn arn(service: &str, resource: &str) -> String {
    let region = if service == "iam" { "" } else { REGION };
    format!("arn:aws:{service}:{region}:{ACCOUNT}:{resource}")
}

/// A running embedded AWS.
///
/// End it with [`EmbeddedAws::shutdown`]. When it is only dropped, its processes are killed and its connections cut,
/// without waiting for either.
pub struct EmbeddedAws {
    port: u16,
    services: Arc<Services>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    folder: Folder,
}

/// Where files are. Dropped last: the lock, or the temporary folder, goes with it.
struct Folder {
    path: PathBuf,
    durable: bool,
    temporary: Option<tempfile::TempDir>,
    lock: Option<File>,
}

impl Folder {
    fn open(data: Option<PathBuf>) -> Result<Self, StartError> {
        let Some(path) = data else {
            let temporary = tempfile::Builder::new()
                .prefix("embedded-aws-")
                .tempdir()
                .map_err(StartError::files(std::env::temp_dir()))?;
            // As the system names it when asked where a process works.
            let path = temporary.path().canonicalize().map_err(StartError::files(temporary.path()))?;
            return Ok(Self { path, durable: false, temporary: Some(temporary), lock: None });
        };
        files::private_dir(&path).map_err(StartError::files(&path))?;
        // Functions have other working folders.
        let path = path.canonicalize().map_err(StartError::files(&path))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(StartError::files(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, durable: true, temporary: None, lock: Some(lock) }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StartError::InUse(path)),
            Err(std::fs::TryLockError::Error(source)) => Err(StartError::Files { path: lock_path, source }),
        }
    }

    /// A private folder under it.
    fn sub(&self, name: &str) -> Result<PathBuf, StartError> {
        let path = self.path.join(name);
        files::private_dir(&path).map_err(StartError::files(&path))?;
        Ok(path)
    }

    /// Systems Manager with what it has kept.
    fn open_ssm(&self, surroundings: Surroundings) -> Result<Ssm, StartError> {
        let folder = self.durable_sub("ssm")?;
        let file = folder.as_ref().map(|folder| folder.join("parameters.json"));
        let parameters = Parameters::open(surroundings.timeline.clock(), file.clone());
        let parameters = parameters.map_err(StartError::files(file.unwrap_or_default()))?;
        let run_command = RunCommand::open(surroundings, folder.clone());
        let run_command = run_command.map_err(StartError::files(folder.unwrap_or_default()))?;
        Ok(Ssm { parameters, run_command })
    }

    /// The clock, with what it has skipped.
    fn clock(&self, clock: Clock, skip_idle: bool) -> Result<Clock, StartError> {
        let file = self.path.join("skipped");
        if skip_idle { clock.with_skips(&file).map_err(StartError::files(&file)) } else { Ok(clock) }
    }

    /// DynamoDB with the stack's tables.
    fn open_dynamodb(&self, stack: &Stack, counts_units: bool) -> Result<DynamoDb, StartError> {
        let database = self.durable_sub("dynamodb")?.map(|dir| dir.join("tables.sqlite"));
        let dynamodb = DynamoDb::open(database.as_deref(), counts_units).map_err(|error| StartError::Damaged {
            path: database.clone().unwrap_or_default(),
            reason: error.to_string(),
        })?;
        dynamodb.create_tables(stack).map_err(|error| StartError::Stack(error.to_string()))?;
        Ok(dynamodb)
    }

    /// Step Functions with the stack's state machine.
    fn open_states(
        &self,
        lambda: &Arc<Lambda>,
        store: &Arc<Store>,
        gate: &Arc<Gate>,
        timeline: &Timeline,
    ) -> Result<Arc<StepFunctions>, StartError> {
        let stack = Stack::embedded();
        let dir = self.durable_sub("states")?;
        let asked = Asked { lambda: Arc::clone(lambda), store: Arc::clone(store), gate: Arc::clone(gate) };
        let opened = StepFunctions::open(asked, timeline.clone(), dir.clone());
        let opened = opened.map_err(StartError::files(dir.unwrap_or_default()))?;
        let check = arn("lambda", &format!("function:{}", stack.function(Function::WatchdogCheck)));
        let definition = WATCHDOG.replace("${watchdog_check_arn}", &check).replace("${partition}", "aws");
        opened.deploy(&stack.state_machine(), &definition).map_err(|error| StartError::Stack(error.message))?;
        Ok(opened)
    }

    /// A private folder under it, if what is in it is to survive.
    fn durable_sub(&self, name: &str) -> Result<Option<PathBuf>, StartError> {
        self.durable.then(|| self.sub(name)).transpose()
    }
}

impl EmbeddedAws {
    /// Starts one: opens what is stored, makes what the stack lacks, goes on with what was under way, listens.
    ///
    /// # Errors
    ///
    /// The port or the data folder is in use, or what is stored cannot be used.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let folder = Folder::open(options.data)?;
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .await
            .map_err(|source| StartError::Listen { port: options.port, source })?;
        let port = listener.local_addr().map_err(|source| StartError::Listen { port: options.port, source })?.port();
        let clock = folder.clock(options.clock, options.skip_idle)?;
        let timeline = Timeline::new(clock);
        let stack = Stack::embedded();
        let sessions = Arc::new(Sessions::new());
        let dynamodb = folder.open_dynamodb(&stack, options.record.is_some())?;
        let record = options.record.unwrap_or_default();
        let recorder = Recorder::new(clock, Some(record.as_path()).filter(|path| !path.as_os_str().is_empty()))
            .map_err(StartError::files(&record))?;
        let kept = options.capture.clone().unwrap_or_default();
        let capture = Capture::new(options.capture).map_err(StartError::files(kept))?;
        let gate = Arc::new(Gate::new(recorder, Faults::new(options.faults), timeline.clone(), dynamodb.clone()));

        let tasks = Arc::new(Tasks::default());
        let host = Host {
            port,
            binary: options.binary.clone(),
            timeline: timeline.clone(),
            sessions: Arc::clone(&sessions),
            tasks: Arc::clone(&tasks),
            function_env: options.function_env.clone(),
            logs: options.function_logs,
            log_dir: folder.sub("codebuild")?,
            scratch_dir: folder.sub("codebuild/tmp")?,
        };
        let project = Project::of_stack(&options.function_env, clock.now()).map_err(StartError::Stack)?;
        let instances = Instances::open(options.instances.as_deref(), &folder.path.join("instances"))?;
        let binary = options.binary.clone();
        let engine_env = options.function_env.iter().filter(|(name, _)| name == "RUST_LOG").cloned().collect();

        let lambda = Arc::new(Lambda::new(
            Launcher {
                port,
                binary: options.binary,
                timeline: timeline.clone(),
                sessions: Arc::clone(&sessions),
                function_env: options.function_env,
                logs: options.function_logs,
                log_dir: folder.sub("lambda")?,
                scratch_dir: folder.sub("lambda/tmp")?,
                watchers: TaskTracker::new(),
                registry: Arc::default(),
            },
            options.worker_concurrency,
        ));
        let queue =
            Queue::new(Arc::clone(&lambda), Arc::clone(&gate), timeline.clone(), folder.durable_sub("lambda/queue")?);
        let s3_dir = folder.sub("s3")?;
        let store = Store::open(s3_dir.clone(), folder.durable, clock).map_err(StartError::files(&s3_dir))?;
        for bucket in [stack.internal_bucket(), stack.done_bucket()] {
            store.create_bucket(&bucket).map_err(StartError::files(s3_dir.join(&bucket)))?;
        }
        let bus =
            Bus::new(lambda.of(Function::WatchdogCheck).cloned(), queue.clone(), clock).map_err(StartError::Stack)?;
        let builds_dir = folder.durable_sub("codebuild/builds")?;
        let codebuild = CodeBuild::open(project, host, bus.clone(), options.concurrent_builds, builds_dir.clone())
            .map_err(StartError::files(builds_dir.unwrap_or_default()))?;
        let notifier = Notifier::new(lambda.of(Function::Orchestrator).cloned(), queue.clone());
        let store = Arc::new(store);
        let objects = Objects { store: Arc::clone(&store), notifier, uploads: Uploads::default() };
        let surroundings = Surroundings {
            timeline: timeline.clone(),
            bus,
            tasks: Arc::clone(&tasks),
            store: Arc::clone(&store),
            binary,
            instances,
            engine_env,
        };
        let ssm = folder.open_ssm(surroundings)?;
        let secrets_file = folder.durable_sub("secretsmanager")?.map(|dir| dir.join("secrets.json"));
        let secrets =
            Secrets::open(clock, secrets_file.clone()).map_err(StartError::files(secrets_file.unwrap_or_default()))?;
        let step_functions = folder.open_states(&lambda, &store, &gate, &timeline)?;

        let services = Arc::new(Services {
            capture,
            timeline,
            gate,
            s3: s3::Http::new(objects, Arc::clone(&sessions)),
            sessions,
            dynamodb,
            lambda,
            queue: queue.clone(),
            tasks,
            codebuild,
            step_functions,
            ssm,
            secrets,
            calls: TaskTracker::new(),
        });
        let stop = CancellationToken::new();
        let server = tokio::spawn(server::serve(listener, Arc::clone(&services), stop.clone()));
        queue.resume().map_err(StartError::files(folder.path.join("lambda/queue")))?;
        // Afterwards, so that no event of it is taken for one that was left in the queue.
        services.codebuild.resume().await;
        services.ssm.run_command.resume().await;
        Ok(Self { port, services, stop, server, folder })
    }

    /// `http://127.0.0.1:<port>`, the value for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder that holds its files; a temporary one without [`Options::data`].
    pub fn data(&self) -> &std::path::Path {
        &self.folder.path
    }

    /// Puts a `SecureString`, over one that is there.
    ///
    /// # Errors
    ///
    /// Parameter Store refuses the name or the value.
    #[expect(clippy::unused_async, reason = "so that callers need not change when it comes to wait")]
    pub async fn put_parameter(&self, name: &str, value: SecretString) -> Result<(), PutError> {
        let request = json!({
            "Name": name, "Value": value.expose_secret(), "Type": "SecureString", "Overwrite": true,
            "Tier": "Intelligent-Tiering",
        });
        self.services.ssm.parameters.call("PutParameter", &request).map(drop).map_err(put_error(name))
    }

    /// Makes a secret, or gives one that is there a new current version.
    ///
    /// # Errors
    ///
    /// Secrets Manager refuses the name or the value.
    #[expect(clippy::unused_async, reason = "so that callers need not change when it comes to wait")]
    pub async fn put_secret(&self, name: &str, value: SecretString) -> Result<(), PutError> {
        let secrets = &self.services.secrets;
        let create = json!({"Name": name, "SecretString": value.expose_secret()});
        let made = match secrets.call("CreateSecret", &create) {
            Err(error) if error.code == "ResourceExistsException" => {
                secrets.call("PutSecretValue", &json!({"SecretId": name, "SecretString": value.expose_secret()}))
            }
            made => made,
        };
        made.map(drop).map_err(put_error(name))
    }

    /// How often who has called what so far.
    pub fn calls(&self) -> Vec<CallCount> {
        self.services.gate.recorder.counts()
    }

    /// Another fault script from now on.
    pub fn set_faults(&self, script: faults::Script) {
        self.services.gate.faults.replace(script);
    }

    /// Lets the credentials of a function's environments expire, or of all functions; says how many were live.
    pub fn end_sessions(&self, function: Option<Function>) -> usize {
        self.services.sessions.end(function.map(Function::name))
    }

    /// Ends everything: processes are asked, then killed; what is to survive is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The temporary folder cannot be removed.
    pub async fn shutdown(mut self) -> Result<(), StartError> {
        let temporary = self.folder.temporary.take();
        self.services.step_functions.shutdown().await;
        // First of all, so that no process that is ended from here on counts as failed.
        self.services.queue.close();
        self.services.codebuild.close();
        self.services.ssm.run_command.stop();
        tokio::join!(
            self.services.lambda.shutdown(SHUTDOWN_GRACE),
            self.services.tasks.shutdown(SHUTDOWN_GRACE),
            self.services.codebuild.shutdown(),
            self.services.queue.shutdown()
        );
        self.services.ssm.run_command.stopped().await;
        self.stop.cancel();
        // It returns when it is told to; a panic in it would have been reported where it happened.
        drop((&mut self.server).await);
        self.services.calls.close();
        // Calls that a fault script delays are not waited for.
        drop(tokio::time::timeout(SHUTDOWN_GRACE, self.services.calls.wait()).await);
        if let Some(lock) = self.folder.lock.take() {
            lock.unlock().map_err(StartError::files(&self.folder.path))?;
        }
        match temporary {
            Some(folder) => {
                let path = folder.path().to_owned();
                folder.close().map_err(StartError::files(path))
            }
            None => Ok(()),
        }
    }
}

impl Drop for EmbeddedAws {
    fn drop(&mut self) {
        self.stop.cancel();
        self.services.queue.close();
        self.services.codebuild.close();
        self.services.ssm.run_command.stop();
        self.services.lambda.kill_all();
        self.services.tasks.kill_all();
    }
}

fn put_error(name: &str) -> impl FnOnce(errors::ApiError) -> PutError + '_ {
    move |error| PutError { name: name.to_owned(), code: error.code, message: error.message }
}
