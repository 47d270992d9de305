//! Lambda: functions as pools of warm environments.
//!
//! ```text
//!   api.rs          what clients call: Invoke and a few Gets
//!   queue.rs        accepted async events, their retries, their files
//!   destination.rs  the record of an event that failed for good
//!   mod.rs          pools: concurrency limits, reuse of environments
//!   environment.rs  one process with one event at a time
//!   launch.rs       starting it
//!   process.rs      signalling it
//!   runtime_api.rs  what the process calls
//! ```

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use common::stack::{Function, Stack};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::{arn, ids};
use environment::{Environment, NotTaken};
use launch::Launcher;

pub(crate) mod api;
pub(crate) mod destination;
pub(crate) mod environment;
pub(crate) mod launch;
pub(crate) mod process;
pub(crate) mod queue;
pub(crate) mod runtime_api;

/// Largest answer of a function, and largest event of a synchronous invoke (6 MB, as on AWS).
pub(crate) const SYNC_PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;
/// Largest event of an asynchronous invoke (1 MB, as on AWS).
pub(crate) const ASYNC_PAYLOAD_LIMIT: usize = 1024 * 1024;

/// A deployed function.
#[derive(Clone, Debug)]
pub(crate) struct FunctionSpec {
    pub(crate) role: Function,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u32,
    /// Most environments at once.
    pub(crate) concurrency: usize,
    /// How often an async event is tried again after the function failed.
    pub(crate) retries: u32,
    /// The function that gets a record of an async event that failed for good.
    pub(crate) on_failure: Option<Function>,
}

impl FunctionSpec {
    fn of(role: Function, worker_concurrency: usize) -> Self {
        let name = Stack::embedded().function(role);
        Self {
            role,
            arn: arn("lambda", &format!("function:{name}")),
            timeout: Duration::from_secs(role.timeout_secs()),
            memory_mb: 1024,
            // Few, because all of them share one machine; events beyond the limit wait.
            concurrency: match role {
                Function::Worker => worker_concurrency.max(1),
                Function::InitJob | Function::SsmConfig | Function::Orchestrator => 4,
                Function::WatchdogCheck => 8,
            },
            // The worker is deployed with `maximum_retry_attempts = 0`: what it ran is not run again.
            retries: if role == Function::Worker { 0 } else { 2 },
            // What a worker that died left is seen to at once, and not only at its order's timeout.
            on_failure: (role == Function::Worker).then_some(Function::WatchdogCheck),
            name,
        }
    }
}

/// One event for a function.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) arn: String,
    /// Request id of the invocation that caused this one; travels in the trace header.
    pub(crate) parent: Option<String>,
}

/// How a function failed, as its invoker gets it.
#[derive(Clone, Debug)]
pub(crate) struct FunctionError {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// The JSON document.
    pub(crate) body: Bytes,
}

impl FunctionError {
    /// An error of the platform about an invocation.
    fn new(kind: &str, request_id: &str, message: &str) -> Self {
        Self::raw(kind, &format!("RequestId: {request_id} {message}"))
    }

    /// An error with exactly this message.
    fn raw(kind: &str, message: &str) -> Self {
        let body = serde_json::json!({"errorType": kind, "errorMessage": message}).to_string();
        Self { kind: kind.to_owned(), message: message.to_owned(), body: body.into() }
    }

    /// What the process reported about itself.
    fn reported(body: Bytes, header: Option<&str>) -> Self {
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        Self {
            kind: text("errorType").or_else(|| header.map(str::to_owned)).unwrap_or_else(|| "Unhandled".to_owned()),
            message: text("errorMessage").unwrap_or_default(),
            body,
        }
    }
}

/// The concurrency limit of the function is reached.
#[derive(Debug)]
pub(crate) struct Throttled;

/// A function with its environments.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) spec: FunctionSpec,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<Environment>>>,
    launcher: Arc<Launcher>,
}

impl Pool {
    /// An event for this function.
    pub(crate) fn invocation(&self, payload: Bytes, parent: Option<String>) -> Invocation {
        Invocation { request_id: ids::request_id(), payload, arn: self.spec.arn.clone(), parent }
    }

    /// A place among the running invocations, if one is free now.
    pub(crate) fn try_enter(&self) -> Result<OwnedSemaphorePermit, Throttled> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Throttled)
    }

    /// A place among the running invocations, when one is free; in the order of asking.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Throttled> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Throttled)
    }

    /// Runs one invocation to its end.
    async fn run(&self, invocation: Invocation) -> Result<Bytes, FunctionError> {
        loop {
            let warm = self.warm().await;
            let was_warm = warm.is_some();
            let environment = match warm.map_or_else(|| self.launch(), Ok) {
                Ok(environment) => environment,
                Err(error) => {
                    let message = format!("Error: {} could not be started: {error}", self.launcher.binary.display());
                    return Err(FunctionError::new("Runtime.InvalidEntrypoint", &invocation.request_id, &message));
                }
            };
            match environment.invoke(invocation.clone(), self.spec.timeout).await {
                Ok(result) => {
                    if environment.running.is_expired() {
                        environment.end().await;
                    } else if environment.is_alive() {
                        self.idle().push(environment);
                    }
                    return result;
                }
                // It ended while it was idle; that concerns nobody.
                Err(NotTaken(_)) if was_warm => {}
                Err(NotTaken(error)) => return Err(error),
            }
        }
    }

    /// An environment that has been used before. Lambda replaces those whose credentials end.
    async fn warm(&self) -> Option<Arc<Environment>> {
        loop {
            let warm = self.idle().pop()?;
            if !warm.running.is_expired() {
                return Some(warm);
            }
            warm.end().await;
        }
    }

    fn launch(&self) -> io::Result<Arc<Environment>> {
        self.launcher.launch(&self.spec)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Environment>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All functions.
#[derive(Debug)]
pub(crate) struct Lambda {
    pools: BTreeMap<String, Arc<Pool>>,
    pub(crate) launcher: Arc<Launcher>,
    invocations: TaskTracker,
}

impl Lambda {
    /// The functions of the stack.
    pub(crate) fn new(launcher: Launcher, worker_concurrency: usize) -> Self {
        let launcher = Arc::new(launcher);
        let pool = |role| {
            let spec = FunctionSpec::of(role, worker_concurrency);
            let permits = Arc::new(Semaphore::new(spec.concurrency));
            let pool = Pool { permits, idle: Mutex::default(), launcher: Arc::clone(&launcher), spec };
            (pool.spec.name.clone(), Arc::new(pool))
        };
        let pools = Function::ALL.into_iter().map(pool).collect();
        Self { pools, launcher, invocations: TaskTracker::new() }
    }

    /// All functions, by name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// The function of a role.
    pub(crate) fn of(&self, role: Function) -> Option<&Arc<Pool>> {
        self.pools.get(&Stack::embedded().function(role))
    }

    /// A function by name, partial or whole ARN, each with or without a qualifier.
    pub(crate) fn find(&self, reference: &str) -> Option<&Arc<Pool>> {
        let name = reference.split_once("function:").map_or(reference, |(_, name)| name);
        self.pools.get(name.split(':').next().unwrap_or(name))
    }

    /// Runs an invocation that has its place. It goes on when the caller no longer waits, as on AWS.
    pub(crate) async fn run(
        &self,
        pool: &Arc<Pool>,
        invocation: Invocation,
        permit: OwnedSemaphorePermit,
    ) -> Result<Bytes, FunctionError> {
        let request_id = invocation.request_id.clone();
        let pool = Arc::clone(pool);
        let task = self.invocations.spawn(async move {
            let result = pool.run(invocation).await;
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| {
            Err(FunctionError::new(
                "Runtime.ExitError",
                &request_id,
                &format!("Error: the invocation broke off: {error}"),
            ))
        })
    }

    /// Kills all processes and starts no more.
    pub(crate) fn kill_all(&self) {
        let mut registry = self.launcher.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.closed = true;
        for environment in registry.environments.values() {
            environment.running.kill();
        }
    }

    /// Ends all processes: asked kindly, then killed. Nothing starts afterwards.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        for pool in self.pools.values() {
            pool.permits.close();
        }
        let environments: Vec<_> = {
            let mut registry = self.launcher.registry.write().unwrap_or_else(PoisonError::into_inner);
            registry.closed = true;
            registry.environments.values().cloned().collect()
        };
        let families: Vec<_> = environments.iter().flat_map(|environment| environment.running.terminate()).collect();
        let all_gone = async {
            for environment in &environments {
                environment.gone().await;
            }
        };
        if tokio::time::timeout(grace, all_gone).await.is_err() {
            for environment in &environments {
                environment.running.kill();
            }
        }
        process::end_processes(&families).await;
        self.launcher.watchers.close();
        self.launcher.watchers.wait().await;
        self.invocations.close();
        self.invocations.wait().await;
    }
}
