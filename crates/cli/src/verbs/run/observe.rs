//! Observing a run from outside: its rows, its results' logs and `done`, read as any client could.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use common::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    ids::{OrderNum, RunId},
    keys,
    objects::Objects,
    outcome::{MAX_BYTES, OrderResult},
    stack::Stack,
    status::{Outcome, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exit::Failure;

/// The view is redrawn at most ten times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// An order as its row has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OrderState {
    pub(crate) order_num: OrderNum,
    pub(crate) order_name: String,
    pub(crate) status: Status,
    pub(crate) timeout: u64,
    pub(crate) dispatched_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) failure_reason: Option<String>,
}

/// `done`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) status: Outcome,
    pub(crate) summary: Map<String, Value>,
}

/// The run as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) orders: Vec<OrderState>,
    /// Last line of the log, by order, for those that ended.
    pub(crate) last_lines: BTreeMap<OrderNum, String>,
    pub(crate) done: Option<Done>,
}

/// An order that did not succeed, with its log.
#[derive(Clone, Debug)]
pub(crate) struct FailedOrder {
    pub(crate) state: OrderState,
    pub(crate) result: Option<OrderResult>,
}

/// Reads a run again and again.
pub(crate) struct Observer<'a> {
    aws: &'a Aws,
    stack: Stack,
    run_id: RunId,
    last_lines: BTreeMap<OrderNum, String>,
    first: bool,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(aws: &'a Aws, stack: Stack, run_id: RunId) -> Self {
        Self { aws, stack, run_id, last_lines: BTreeMap::new(), first: true }
    }

    pub(crate) fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The run a moment later.
    pub(crate) async fn next(&mut self) -> Result<Update, Failure> {
        if !std::mem::take(&mut self.first) {
            tokio::time::sleep(PAUSE).await;
        }
        // In this order: when `done` is there, the rows are final.
        let done = self.done().await.map_err(told)?;
        let orders = self.rows().await?;
        for order in orders.iter().filter(|order| order.status.outcome().is_some()) {
            if !self.last_lines.contains_key(&order.order_num) {
                let result = self.result(order.order_num).await.map_err(told)?;
                let line = result.and_then(|result| last_line(&result.log)).unwrap_or_default();
                self.last_lines.insert(order.order_num, line);
            }
        }
        Ok(Update { orders, last_lines: self.last_lines.clone(), done })
    }

    /// The orders that did not succeed, with their results.
    pub(crate) async fn failed(&self, update: &Update) -> Result<Vec<FailedOrder>, Failure> {
        let mut failed = Vec::new();
        for state in update.orders.iter().filter(|order| order.status != Status::Ended(Outcome::Succeeded)) {
            failed
                .push(FailedOrder { state: state.clone(), result: self.result(state.order_num).await.map_err(told)? });
        }
        Ok(failed)
    }

    async fn done(&self) -> Result<Option<Done>, AwsError> {
        let bucket = self.stack.done_bucket();
        let key = keys::done(&self.run_id);
        let Some(object) = Objects::new(self.aws, &bucket).get(&key, MAX_BYTES).await? else { return Ok(None) };
        serde_json::from_slice(&object.body)
            .map(Some)
            .map_err(|error| AwsError::refused(format!("read `{key}`"), error.to_string()))
    }

    async fn result(&self, order: OrderNum) -> Result<Option<OrderResult>, AwsError> {
        let bucket = self.stack.internal_bucket();
        let object = Objects::new(self.aws, &bucket).get(&keys::result(&self.run_id, order), MAX_BYTES).await?;
        Ok(object.map(|object| OrderResult::read(&object.body, object.written_at)))
    }

    async fn rows(&self) -> Result<Vec<OrderState>, Failure> {
        let mut pages = self
            .aws
            .dynamodb()
            .query()
            .table_name(self.stack.orders_table())
            .index_name("run_id-order_num-index")
            .key_condition_expression("run_id = :run")
            .expression_attribute_values(":run", AttributeValue::S(self.run_id.to_string()))
            .projection_expression("order_num, order_name, #status, #timeout, dispatched_at, ended_at, failure_reason")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#timeout", "timeout")
            .into_paginator()
            .items()
            .send();
        let mut rows = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| told(AwsError::of("read the rows of the run", error)))?;
            rows.extend(state(&item));
        }
        Ok(rows)
    }
}

fn told(error: AwsError) -> Failure {
    Failure::machine(error.to_string())
}

fn state(item: &std::collections::HashMap<String, AttributeValue>) -> Option<OrderState> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let time = |name: &str| text(name)?.parse().ok();
    Some(OrderState {
        order_num: text("order_num")?.parse().ok()?,
        order_name: text("order_name")?.clone(),
        status: Status::from_word(text("status")?)?,
        timeout: item.get("timeout")?.as_n().ok()?.parse().ok()?,
        dispatched_at: time("dispatched_at"),
        ended_at: time("ended_at"),
        failure_reason: text("failure_reason").cloned(),
    })
}

/// The last line that is not empty, without control characters.
fn last_line(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).collect())
}
