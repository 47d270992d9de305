//! Rows of the table `order_events`: what happened to a run and its orders, in order of time.
//!
//! The key of an event is derived from stored times, never from "now", so a repeated pass writes the same event again
//! and not a second one.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    aws::{Aws, AwsError, Class},
    clock::Timestamp,
    dynamo::{self, Item},
    ids::{OrderName, OrderNum, RunId, TraceId},
    keys,
    outcome::OrderResult,
    status::Outcome,
};

/// What the engine itself reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The run began.
    JobStarted,
    /// An order was handed to its target.
    Dispatched,
    /// An order's commands ended.
    Completed,
    /// An order does not run because of a dependency.
    DependencyFailed,
    /// An order's or the job's time ran out.
    TimedOut,
    /// An order was cancelled.
    Cancelled,
    /// The run ended.
    JobCompleted,
}

impl Kind {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobStarted => "job_started",
            Self::Dispatched => "dispatched",
            Self::Completed => "completed",
            Self::DependencyFailed => "dependency_failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::JobCompleted => "job_completed",
        }
    }

    /// What the end of an order is reported as.
    const fn of(result: &OrderResult) -> Self {
        match result.status {
            Outcome::Failed if result.skipped => Self::DependencyFailed,
            Outcome::Succeeded | Outcome::Failed => Self::Completed,
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// An event.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    trace_id: TraceId,
    sk: String,
    order_name: String,
    epoch: Timestamp,
    leg: String,
    #[serde(rename = "event_type")]
    kind: String,
    status: String,
    run_id: RunId,
    flow_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_num: Option<OrderNum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_endpt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    ttl: u64,
    #[serde(skip)]
    data: Option<Map<String, Value>>,
}

impl Event {
    /// With a sentence about it.
    #[must_use]
    pub fn message(mut self, message: Option<String>) -> Self {
        self.message = message;
        self
    }

    /// With where it runs.
    #[must_use]
    pub fn execution_url(mut self, url: &str) -> Self {
        self.execution_url = Some(url.to_owned());
        self
    }

    /// With the counts of the job and where `done` is.
    #[must_use]
    pub fn summary(mut self, summary: Value, done_endpt: &str) -> Self {
        self.summary = Some(summary);
        self.done_endpt = Some(done_endpt.to_owned());
        self
    }

    /// With more about it, under `data`.
    #[must_use]
    pub fn data(mut self, data: Map<String, Value>) -> Self {
        self.data = Some(data).filter(|data| !data.is_empty());
        self
    }

    fn into_item(self) -> Result<Item, AwsError> {
        let data = self.data.clone();
        let mut item: Item =
            serde_dynamo::to_item(self).map_err(|error| AwsError::refused("write an event", error.to_string()))?;
        if let Some(data) = data {
            item.insert("data".to_owned(), dynamo::attribute(&Value::Object(data)));
        }
        Ok(item)
    }
}

/// Makes the events of one run.
#[derive(Clone, Copy, Debug)]
pub struct Recorder<'a> {
    /// The run.
    pub run_id: &'a RunId,
    /// Its trace.
    pub trace_id: &'a TraceId,
    /// Its flow.
    pub flow_id: &'a str,
    /// Seconds that events are kept.
    pub kept_secs: u64,
}

impl Recorder<'_> {
    /// An event of the engine about the job.
    pub fn of_job(&self, kind: Kind, status: &str, at: Timestamp) -> Event {
        self.event(OrderName::JOB, None, kind.as_str(), status, at)
    }

    /// An event of the engine about an order.
    pub fn of_order(&self, order: OrderNum, name: &OrderName, kind: Kind, status: &str, at: Timestamp) -> Event {
        self.event(name.as_str(), Some(order), kind.as_str(), status, at)
    }

    /// Everything that a result tells: what its commands reported and, last, its end. Times of commands are theirs to
    /// choose (a file can be touched), so they are held between the start and the end of the order; two that would
    /// share a microsecond are moved apart. `end` is when the order ended, as its row has it.
    pub fn of_result(&self, order: OrderNum, name: &OrderName, result: &OrderResult, end: Timestamp) -> Vec<Event> {
        let start = result.started_at.filter(|start| *start <= end).unwrap_or(end);
        let mut taken = BTreeSet::new();
        let mut free = |mut at: Timestamp| {
            while !taken.insert(at) {
                at = Timestamp::from_micros(at.micros() + 1);
            }
            at
        };
        let mut events = Vec::with_capacity(result.events.len() + 1);
        for reported in &result.events {
            let at = free(reported.epoch.clamp(start, end));
            let mut event = self.event(name.as_str(), Some(order), &reported.event_type, &reported.status, at);
            event.data = Some(reported.data.clone());
            events.push(event);
        }
        let last = events.iter().map(|event| event.epoch).max().map_or(end, |last| last.max(end));
        let ending = self.of_order(order, name, Kind::of(result), result.status.as_str(), free(last));
        events.push(ending.message(result.reason.clone()));
        events
    }

    fn event(
        &self,
        order_name: &str,
        order_num: Option<OrderNum>,
        event_type: &str,
        status: &str,
        at: Timestamp,
    ) -> Event {
        Event {
            trace_id: self.trace_id.clone(),
            sk: keys::event(order_name, at),
            order_name: order_name.to_owned(),
            epoch: at,
            leg: self.trace_id.leg(at),
            kind: event_type.to_owned(),
            status: status.to_owned(),
            run_id: self.run_id.clone(),
            flow_id: self.flow_id.to_owned(),
            order_num,
            execution_url: None,
            summary: None,
            done_endpt: None,
            message: None,
            ttl: at.secs() + self.kept_secs,
            data: None,
        }
    }
}

/// Writes events. One that DynamoDB will never take is logged and left out, so that it cannot hold up the run.
pub async fn write(aws: &Aws, table: &str, events: &[Event]) -> Result<(), AwsError> {
    if events.is_empty() {
        return Ok(());
    }
    let items: Vec<Item> = events.iter().cloned().map(Event::into_item).collect::<Result<_, _>>()?;
    match dynamo::put_all(aws, table, items.clone()).await {
        Err(error) if error.class == Class::Refused => {}
        other => return other,
    }
    for item in items {
        match dynamo::put_all(aws, table, vec![item]).await {
            Err(error) if error.class == Class::Refused => tracing::error!(%error, "an event is left out"),
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_event::WorkerEvent;

    #[test]
    fn events_of_a_result_never_share_a_key_and_end_with_its_end() {
        let (run, trace): (RunId, TraceId) = ("r".parse().unwrap(), "0a1b2c3d".parse().unwrap());
        let recorder = Recorder { run_id: &run, trace_id: &trace, flow_id: "me:0a1b2c3d-exec", kept_secs: 10 };
        let end = Timestamp::from_secs(1_700_000_010);
        let mut result = OrderResult::of_engine(Outcome::Succeeded, "", end);
        result.started_at = Some(Timestamp::from_secs(1_700_000_000));
        for secs in [0, 1_700_000_005, 1_700_000_005, 4_000_000_000] {
            result.events.push(WorkerEvent {
                event_type: "plan".to_owned(),
                status: "info".to_owned(),
                epoch: Timestamp::from_secs(secs),
                data: Map::new(),
            });
        }
        let events = recorder.of_result(OrderNum::of_index(0), &"a".parse().unwrap(), &result, end);
        let keys: Vec<_> = events.iter().map(|event| event.sk.as_str()).collect();
        assert_eq!(
            keys,
            [
                "a:1700000000.000000",
                "a:1700000005.000000",
                "a:1700000005.000001",
                "a:1700000010.000000",
                "a:1700000010.000001"
            ]
        );
        assert_eq!(events[4].kind, "completed");
        let again = recorder.of_result(OrderNum::of_index(0), &"a".parse().unwrap(), &result, end);
        assert!(again.iter().zip(&events).all(|(a, b)| a.sk == b.sk));
    }
}
