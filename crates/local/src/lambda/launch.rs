//! Starts environments: the process, its variables, its credentials.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, PoisonError, RwLock},
};

use common::{
    env as variables,
    stack::{Function, Stack},
};
use tokio::process::Command;
use tokio_util::task::TaskTracker;

use crate::{
    ACCOUNT, arn, child, ids,
    lambda::{FunctionSpec, environment::Environment, process::Running},
    options::FunctionLogs,
    orphans,
    sessions::Sessions,
    timeline::Timeline,
};

/// First path element of the Runtime API; what follows is the environment's id.
pub(crate) const RUNTIME_PATH: &str = "/_runtime/";

/// What all environments have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) port: u16,
    pub(crate) binary: PathBuf,
    pub(crate) timeline: Timeline,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) function_env: Vec<(String, String)>,
    pub(crate) logs: FunctionLogs,
    /// Folder of the log files.
    pub(crate) log_dir: PathBuf,
    /// Folder of the scratch folders.
    pub(crate) scratch_dir: PathBuf,
    /// All watchers of processes, to be awaited at the end.
    pub(crate) watchers: TaskTracker,
    pub(crate) registry: Arc<RwLock<Registry>>,
}

/// The environments whose process is there, by id; `closed` when no more may start.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) environments: HashMap<String, Arc<Environment>>,
    pub(crate) closed: bool,
}

impl Launcher {
    /// The environment with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Environment>> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).environments.get(id).cloned()
    }

    /// The process that has this socket open.
    pub(crate) fn owner_of(&self, inode: u64) -> Option<Arc<Running>> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let running = registry.environments.values().map(|environment| &environment.running);
        running.into_iter().find(|running| running.has_socket(inode)).cloned()
    }

    /// Starts a process for the function.
    pub(crate) fn launch(&self, spec: &FunctionSpec) -> io::Result<Arc<Environment>> {
        let id = ids::token();
        let running = Arc::new(Running::new(spec.role.name()));
        let scratch = self.scratch_dir.join(&id);
        fs::create_dir_all(&scratch)?;
        let log = self.log_dir.join(format!("{}.log", spec.name));
        let output = || child::output(self.logs, &log);
        let mut command = Command::new(&self.binary);
        command
            .arg("function")
            .arg(spec.role.name())
            .env_clear()
            .envs(self.variables(spec, &id, &running, &scratch))
            .current_dir(&scratch)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .process_group(0)
            .kill_on_drop(true);
        // Held while the process starts, so that a shutdown sees every process or prevents it.
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        if registry.closed {
            fs::remove_dir_all(&scratch)?;
            return Err(io::Error::other("the embedded AWS is shutting down"));
        }
        let child = orphans::spawn(&mut command)?;
        let known = Arc::clone(&self.registry);
        let forget = move |id: &str| {
            known.write().unwrap_or_else(PoisonError::into_inner).environments.remove(id);
        };
        let (environment, watcher) =
            Environment::watch(id.clone(), running, self.timeline.clone(), child, scratch, forget);
        registry.environments.insert(id, Arc::clone(&environment));
        drop(registry);
        self.watchers.spawn(watcher);
        Ok(environment)
    }

    /// The environment variables of a function: those of Lambda, those of the engine, and hardly any of ours.
    fn variables(
        &self,
        spec: &FunctionSpec,
        id: &str,
        running: &Arc<Running>,
        scratch: &std::path::Path,
    ) -> Vec<(OsString, OsString)> {
        let session = self.sessions.open(Arc::clone(running));
        let stack = Stack::embedded();
        let text = |value: &str| value.to_owned();
        let own = [
            // Lambda gives host and port alone; with a path `lambda_runtime` needs the scheme as well.
            ("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{}{RUNTIME_PATH}{id}", self.port)),
            ("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", text("$LATEST")),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", text("on-demand")),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", format!("[$LATEST]{id}")),
            ("HOME", text("/tmp")),
            ("LANG", text("en_US.UTF-8")),
            ("TZ", text(":UTC")),
            ("_HANDLER", spec.role.name().to_owned()),
            (variables::ORDERS_TABLE.name, stack.orders_table()),
            (variables::ORDER_EVENTS_TABLE.name, stack.order_events_table()),
            (variables::LOCKS_TABLE.name, stack.locks_table()),
            (variables::INTERNAL_BUCKET.name, stack.internal_bucket()),
            (variables::DONE_BUCKET.name, stack.done_bucket()),
            (variables::ACCOUNT_ID.name, text(ACCOUNT)),
            (variables::WORKER_LAMBDA.name, stack.function(Function::Worker)),
            (variables::CODEBUILD_PROJECT.name, stack.codebuild_project()),
            (variables::WATCHDOG_SFN.name, arn("states", &format!("stateMachine:{}", stack.state_machine()))),
            (variables::SSM_DOCUMENT.name, stack.ssm_document()),
            (variables::LOCAL_SOURCES.name, text("1")),
        ];
        let mut all = child::access(self.port, &session, self.timeline.clock());
        all.extend(own.into_iter().map(|(name, value)| (name.into(), value.into())));
        // On AWS the project of the builds sets it, and no function.
        let settings = self.function_env.iter().filter(|(name, _)| name != variables::COMMAND_USER.name);
        all.extend(settings.map(|(name, value)| (name.into(), value.into())));
        all.push(("TMPDIR".into(), scratch.into()));
        let task_root = self.binary.parent().unwrap_or(std::path::Path::new("/"));
        all.push(("LAMBDA_TASK_ROOT".into(), task_root.into()));
        all.extend(child::inherited());
        all
    }
}
