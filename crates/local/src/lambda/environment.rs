//! One warm execution environment: a process of the binary, its credentials, its scratch folder, and the one
//! invocation it has at a time.
//!
//! ```text
//!   pool ──invoke──▶ inbox ──GET next──▶ process ──POST response──▶ outcome ──▶ pool
//!                      │                    │
//!                      └── not yet taken?   └── exits or runs late ──▶ killed, replaced
//!                          may be given to another environment
//! ```

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use common::clock::Timestamp;
use tokio::{
    process::Child,
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
};

use crate::{
    child, dates,
    lambda::{
        FunctionError, Invocation,
        process::{Running, end_processes, inside, kill_group},
    },
    orphans,
    timeline::Timeline,
};

/// How long a new process may take until it asks for its first event, in machine time. Lambda allows 10 s; a busy
/// two-core machine that starts many at once needs more.
const INIT_LIMIT: Duration = Duration::from_mins(1);

/// An event on its way to a process.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) invocation: Invocation,
    /// Machine time at which the process is killed.
    pub(crate) deadline: Timestamp,
}

/// What the invoker and the Runtime API share about the event that the environment has.
#[derive(Debug)]
struct InFlight {
    request_id: String,
    outcome: oneshot::Sender<Result<Bytes, FunctionError>>,
}

/// The event was not taken by the process, so another environment may have it.
#[derive(Debug)]
pub(crate) struct NotTaken(pub(crate) FunctionError);

/// An environment.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) running: Arc<Running>,
    timeline: Timeline,
    inbox: mpsc::Sender<Waiting>,
    outbox: AsyncMutex<mpsc::Receiver<Waiting>>,
    in_flight: Mutex<Option<InFlight>>,
    init_error: Mutex<Option<FunctionError>>,
    exit: watch::Receiver<Option<String>>,
}

#[derive(Debug)]
struct Waiting {
    invocation: Invocation,
    limit: Duration,
    taken: oneshot::Sender<()>,
}

impl Environment {
    /// Looks after a process that was just started; `forget` runs when it has ended.
    pub(crate) fn watch(
        id: String,
        running: Arc<Running>,
        timeline: Timeline,
        mut child: Child,
        scratch: PathBuf,
        forget: impl FnOnce(&str) + Send + 'static,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (inbox, outbox) = mpsc::channel(1);
        let (exited, exit) = watch::channel(None);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        running.set_pid(pid);
        let environment = Arc::new(Self {
            running: Arc::clone(&running),
            timeline,
            inbox,
            outbox: AsyncMutex::new(outbox),
            in_flight: Mutex::default(),
            init_error: Mutex::default(),
            exit,
        });
        let supervise = async move {
            let status = child.wait().await;
            running.set_pid(0);
            if pid > 0 {
                kill_group(pid);
                orphans::forget(pid);
            }
            end_processes(&inside(&scratch)).await;
            orphans::end().await;
            forget(&id);
            if let Err(error) = tokio::fs::remove_dir_all(&scratch).await {
                tracing::warn!(%error, scratch = %scratch.display(), "an environment's folder could not be removed");
            }
            exited.send_replace(Some(child::describe(status)));
        };
        (environment, supervise)
    }

    /// Whether the process is there for another event.
    pub(crate) fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Has the process handle one event; kills it when it takes longer than `limit` of engine time.
    pub(crate) async fn invoke(
        &self,
        invocation: Invocation,
        limit: Duration,
    ) -> Result<Result<Bytes, FunctionError>, NotTaken> {
        let request_id = invocation.request_id.clone();
        let (outcome, mut answered) = oneshot::channel();
        let (taken, mut was_taken) = oneshot::channel();
        *self.in_flight() = Some(InFlight { request_id: request_id.clone(), outcome });
        self.running.set_request(Some(request_id.clone()));
        // Room for one, and there is never more than one: only a closed inbox could refuse it.
        if self.inbox.try_send(Waiting { invocation, limit, taken }).is_err() {
            return Err(NotTaken(self.exit_error(&request_id)));
        }
        tokio::select! {
            biased;
            _ = &mut was_taken => {}
            () = self.gone() => {
                self.clear();
                return Err(NotTaken(self.exit_error(&request_id)));
            }
            () = tokio::time::sleep(INIT_LIMIT) => {
                self.end().await;
                let message = format!("Error: Runtime did not start within {} seconds", INIT_LIMIT.as_secs());
                return Err(NotTaken(FunctionError::new("Runtime.InitError", &request_id, &message)));
            }
        }
        let result = tokio::select! {
            biased;
            Ok(result) = &mut answered => result,
            () = self.gone() => Err(self.exit_error(&request_id)),
            () = self.timeline.sleep(limit) => {
                self.end().await;
                // The answer may have come while the process was being killed; Lambda does not take it any more.
                let at = dates::iso8601(self.timeline.now());
                let message = format!("{at} {request_id} Task timed out after {}.00 seconds", limit.as_secs());
                Err(FunctionError::raw("Sandbox.Timedout", &message))
            }
        };
        self.clear();
        Ok(result)
    }

    /// The next event, for the process that asks for it.
    pub(crate) async fn next(&self) -> Option<Handed> {
        loop {
            let Waiting { invocation, limit, taken } = self.outbox.lock().await.recv().await?;
            // An invoker that has given up wants nobody to begin.
            if taken.send(()).is_ok() {
                let deadline = dates::machine_now().plus(self.timeline.clock().machine(limit));
                return Some(Handed { invocation, deadline });
            }
        }
    }

    /// The answer to the event with this request id; `false` when the environment does not have it any more.
    pub(crate) fn answer(&self, request_id: &str, result: Result<Bytes, FunctionError>) -> bool {
        let mut in_flight = self.in_flight();
        let Some(InFlight { outcome, .. }) = in_flight.take_if(|current| current.request_id == request_id) else {
            return false;
        };
        outcome.send(result).is_ok()
    }

    /// What the process says about its failed start.
    pub(crate) fn init_failed(&self, error: FunctionError) {
        *self.init_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Kills the process and waits until it is gone.
    pub(crate) async fn end(&self) {
        self.running.kill();
        self.gone().await;
    }

    /// Waits until the process is gone.
    pub(crate) async fn gone(&self) {
        let mut exit = self.exit.clone();
        // An error means that its watcher is gone, and the watcher ends after the process.
        drop(exit.wait_for(Option::is_some).await);
    }

    fn clear(&self) {
        self.in_flight().take();
        self.running.set_request(None);
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, Option<InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exit_error(&self, request_id: &str) -> FunctionError {
        let reported = self.init_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        reported.unwrap_or_else(|| {
            let how = self.exit.borrow().clone().unwrap_or_else(|| "unknown".to_owned());
            FunctionError::new("Runtime.ExitError", request_id, &format!("Error: Runtime exited with error: {how}"))
        })
    }
}
