//! What was called: one record a call, counted in memory and, when asked for, appended to a file as a JSON line.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use common::clock::{Clock, Timestamp};
use serde::Serialize;
use tokio::sync::watch;

use crate::{lambda::process::Running, service::Service};

/// The caller that is no function.
pub const CLIENT: &str = "client";
/// Step Functions, when it invokes a function or asks S3.
pub const STATES: &str = "states";
/// The operation under which an asynchronous event is recorded, by the function that is to get it.
pub const DELIVER: &str = "Deliver";

/// A call before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Function role that calls, or [`CLIENT`]; for a delivery the function that is to get it.
    pub(crate) function: String,
    pub(crate) service: Service,
    pub(crate) operation: String,
    /// What it is about: `<table>/<key>`, `<bucket>/<key>`, parameters, a secret, an execution, a function.
    pub(crate) key: String,
    /// Function role that signed the URL, for a presigned one: AWS takes the call for its.
    pub(crate) signer: Option<&'static str>,
    /// Request id of the invocation that the caller was in.
    pub(crate) parent: Option<String>,
    /// Request id of the invocation that it starts, where that is known before.
    pub(crate) starts: Option<String>,
    /// Bytes of the request's body, where a service takes them one by one: DynamoDB, S3, and what else speaks JSON.
    pub(crate) bytes: u64,
    /// The calling environment, for faults that kill it.
    pub(crate) running: Option<Arc<Running>>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// HTTP status of the answer.
    pub status: u16,
    /// The error's name, or what a fault did to the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Capacity units that DynamoDB would bill, indexes included; where calls are recorded to a file, and for those that
    /// succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<f64>,
}

/// A call that was made.
#[derive(Debug, Serialize)]
pub struct Recorded<'a> {
    /// Counts the calls of one embedded AWS from 1.
    pub seq: u64,
    /// Engine time at which it ended.
    pub at: Timestamp,
    /// Function role that called, or `client`; for the operation `Deliver` the function that gets an async event.
    pub function: &'a str,
    /// The service.
    pub service: Service,
    /// The operation, e.g. `UpdateItem`.
    pub operation: &'a str,
    /// What it was about: `<table>/<key>` or the table alone, `<bucket>/<key>`, parameters with commas between them, a
    /// secret, an execution, a function.
    pub key: &'a str,
    /// Function role or `client` that signed the URL, for a presigned one: AWS takes the call for its.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<&'a str>,
    /// Bytes of its body, if it has any that count.
    #[serde(skip_serializing_if = "is_none")]
    pub bytes: u64,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Request id of the invocation that the caller was in; for a delivery, of the invocation that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'a str>,
    /// What it started: request id of an invocation, ARN of an execution, id of a build or command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(bytes: &u64) -> bool {
    *bytes == 0
}

/// How often a function called an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallCount {
    /// Function role or `client`.
    pub function: String,
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// Number of calls, failed ones included.
    pub count: u64,
}

type Counters = BTreeMap<(String, Service, String), u64>;

/// Takes the records.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Clock,
    counters: Mutex<Counters>,
    file: Option<Mutex<File>>,
    seq: watch::Sender<u64>,
}

impl Recorder {
    /// A recorder that appends to `path` as well, if there is one.
    pub(crate) fn new(clock: Clock, path: Option<&Path>) -> io::Result<Self> {
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path).map(Mutex::new);
        Ok(Self { clock, counters: Mutex::default(), file: path.map(open).transpose()?, seq: watch::channel(0).0 })
    }

    /// Records one call.
    pub(crate) fn record(&self, call: &Call, starts: Option<&str>, outcome: &Outcome) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        *counters.entry((call.function.clone(), call.service, call.operation.clone())).or_default() += 1;
        let mut seq = 0;
        self.seq.send_modify(|last| {
            *last += 1;
            seq = *last;
        });
        let Some(file) = &self.file else { return };
        // Taken before the counters are let go, so that the lines stand in the order of their numbers.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        drop(counters);
        let record = Recorded {
            seq,
            at: self.clock.now(),
            function: &call.function,
            service: call.service,
            operation: &call.operation,
            key: &call.key,
            signer: call.signer,
            bytes: call.bytes,
            outcome,
            parent: call.parent.as_deref(),
            starts: starts.or(call.starts.as_deref()),
        };
        let written = serde_json::to_vec(&record).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            file.write_all(&line)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a call could not be recorded");
        }
    }

    /// The counters so far.
    pub(crate) fn counts(&self) -> Vec<CallCount> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |((function, service, operation), count): (&(String, Service, String), &u64)| CallCount {
            function: function.clone(),
            service: *service,
            operation: operation.clone(),
            count: *count,
        };
        counters.iter().map(count).collect()
    }

    /// Waits until this many more calls were recorded.
    pub(crate) async fn after(&self, calls: u64) {
        let mut seq = self.seq.subscribe();
        let target = seq.borrow_and_update().saturating_add(calls);
        // The sender lives in `self`, so waiting cannot fail.
        drop(seq.wait_for(|seq| *seq >= target).await);
    }
}
