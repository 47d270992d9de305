//! Lambda's queue of asynchronous events.
//!
//! An event is accepted once it is stored. It waits for a free environment, is tried again after the function failed
//! (one minute later, then two), and is given up after six hours. Every try has the same request id. With a data
//! folder each event is a file until it is done, so a restart delivers it again.
//!
//! Of an event that is given up, the function's on-failure destination gets a record, as an event of its own. That is
//! accepted before the event's file goes: a restart between the two repeats the event, and loses neither.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    files,
    gate::Gate,
    ids,
    lambda::{
        ASYNC_PAYLOAD_LIMIT, Invocation, Lambda, Pool,
        destination::{self, Failed, GivenUp},
    },
    record::{Call, DELIVER},
    service::Service,
    timeline::{AtWork, Timeline},
};

/// How long Lambda keeps an event.
const MAX_AGE: Duration = Duration::from_hours(6);

/// An accepted event.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    function: String,
    request_id: String,
    payload_b64: String,
    /// What it is about, for fault scripts: the object's key, or the function's name.
    key: String,
    parent: Option<String>,
    accepted_at: Timestamp,
    /// Not to be tried before.
    due_at: Timestamp,
    /// Failed tries so far.
    failures: u32,
    /// Past the gate: neither dropped nor doubled any more.
    arrived: bool,
}

/// The queue of all functions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    lambda: Arc<Lambda>,
    gate: Arc<Gate>,
    timeline: Timeline,
    dir: Option<PathBuf>,
    stop: CancellationToken,
    deliveries: TaskTracker,
}

impl Queue {
    /// A queue that keeps its events in `dir`, if there is one.
    pub(crate) fn new(lambda: Arc<Lambda>, gate: Arc<Gate>, timeline: Timeline, dir: Option<PathBuf>) -> Self {
        Self { lambda, gate, timeline, dir, stop: CancellationToken::new(), deliveries: TaskTracker::new() }
    }

    /// Takes up the events that an earlier process left.
    pub(crate) fn resume(&self) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut left: Vec<(PathBuf, Event)> = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let event = serde_json::from_slice(&fs::read(&path)?)?;
                left.push((path, event));
            }
        }
        left.sort_by_key(|(_, event)| event.accepted_at);
        for (path, event) in left {
            match self.lambda.find(&event.function) {
                Some(pool) => self.start(Arc::clone(pool), event, Some(path)),
                None => {
                    tracing::warn!(function = event.function, "an event for an unknown function was left in the queue");
                }
            }
        }
        Ok(())
    }

    /// Stores the event and delivers it in the background.
    pub(crate) async fn accept(&self, pool: &Arc<Pool>, invocation: Invocation, key: &str) -> io::Result<()> {
        let now = self.timeline.now();
        let event = Event {
            function: pool.spec.name.clone(),
            request_id: invocation.request_id,
            payload_b64: STANDARD.encode(&invocation.payload),
            key: key.to_owned(),
            parent: invocation.parent,
            accepted_at: now,
            due_at: now,
            failures: 0,
            arrived: false,
        };
        let path = self.dir.as_ref().map(|dir| dir.join(format!("{}.json", ids::token())));
        store(path.as_deref(), &event).await?;
        self.start(Arc::clone(pool), event, path);
        Ok(())
    }

    /// Stops delivering; what is not done stays stored. To be called before processes are ended.
    pub(crate) fn close(&self) {
        self.stop.cancel();
    }

    /// Waits until nothing is delivered any more.
    pub(crate) async fn shutdown(&self) {
        self.close();
        self.deliveries.close();
        self.deliveries.wait().await;
    }

    fn start(&self, pool: Arc<Pool>, event: Event, path: Option<PathBuf>) {
        let (queue, at_work) = (self.clone(), self.timeline.at_work());
        self.deliveries.spawn(async move {
            let stop = queue.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                result = queue.deliver(&pool, event, path, &at_work) => {
                    if let Err(error) = result {
                        tracing::error!(%error, function = pool.spec.name, "an event's file could not be written");
                    }
                }
            }
        });
    }

    async fn deliver(
        &self,
        pool: &Arc<Pool>,
        mut event: Event,
        path: Option<PathBuf>,
        at_work: &AtWork,
    ) -> io::Result<()> {
        if !event.arrived {
            let call = Call {
                function: pool.spec.role.name().to_owned(),
                service: Service::Lambda,
                operation: DELIVER.to_owned(),
                key: event.key.clone(),
                signer: None,
                parent: event.parent.clone(),
                starts: Some(event.request_id.clone()),
                bytes: 0,
                running: None,
            };
            let arrivals = self.gate.deliver(&call, at_work).await;
            event.arrived = true;
            let Some((first, others)) = arrivals.split_first() else { return done(path.as_deref()).await };
            let now = self.timeline.now();
            for after in others {
                let copy = Event { due_at: now.plus(*after), ..event.clone() };
                let path = path.as_ref().map(|path| path.with_file_name(format!("{}.json", ids::token())));
                store(path.as_deref(), &copy).await?;
                self.start(Arc::clone(pool), copy, path);
            }
            event.due_at = now.plus(*first);
        }
        loop {
            at_work.sleep(self.timeline.now().until(event.due_at)).await;
            let Ok(permit) = pool.enter().await else { return Ok(()) };
            if event.accepted_at.until(self.timeline.now()) > MAX_AGE {
                tracing::warn!(function = event.function, "an event was given up after six hours");
                self.give_up(pool, &event, &GivenUp::EventAgeExceeded).await?;
                break;
            }
            let invocation = Invocation {
                request_id: event.request_id.clone(),
                payload: event.payload()?,
                arn: pool.spec.arn.clone(),
                parent: event.parent.clone(),
            };
            let Err(error) = self.lambda.run(pool, invocation, permit).await else { break };
            if self.stop.is_cancelled() {
                // It ended because its process was told to; the next start tries again.
                return Ok(());
            }
            event.failures += 1;
            tracing::warn!(
                function = event.function,
                kind = error.kind,
                message = error.message,
                "an async event failed"
            );
            if event.failures > pool.spec.retries {
                self.give_up(pool, &event, &GivenUp::RetriesExhausted(error)).await?;
                break;
            }
            event.due_at = self.timeline.now().plus(Duration::from_secs(60 * u64::from(event.failures)));
            store(path.as_deref(), &event).await?;
        }
        done(path.as_deref()).await
    }

    /// Sends the record of an event that failed for good to the function's destination, if it has one.
    async fn give_up(&self, pool: &Pool, event: &Event, why: &GivenUp) -> io::Result<()> {
        let Some(destination) = pool.spec.on_failure.and_then(|role| self.lambda.of(role)) else { return Ok(()) };
        let failed = Failed {
            request_id: &event.request_id,
            function_arn: &pool.spec.arn,
            payload: &event.payload()?,
            tries: event.failures,
        };
        let record = destination::record(&failed, why, self.timeline.now());
        if record.len() > ASYNC_PAYLOAD_LIMIT {
            // As on AWS, where only a metric tells of it.
            tracing::warn!(function = event.function, "the record of a failed event is too large for its destination");
            return Ok(());
        }
        let invocation = destination.invocation(record, Some(event.request_id.clone()));
        self.accept(destination, invocation, &format!("on-failure {}", event.function)).await
    }
}

impl Event {
    fn payload(&self) -> io::Result<Bytes> {
        STANDARD.decode(&self.payload_b64).map(Bytes::from).map_err(io::Error::other)
    }
}

async fn store(path: Option<&Path>, event: &Event) -> io::Result<()> {
    match path {
        Some(path) => files::replace(path, serde_json::to_vec(event)?).await,
        None => Ok(()),
    }
}

async fn done(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) => tokio::fs::remove_file(path).await,
        None => Ok(()),
    }
}
