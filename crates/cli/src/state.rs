//! A run as outsiders see it: the rows of its orders and `done`.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use common::{
    aws::AwsError,
    clock::Timestamp,
    ids::{OrderNum, RunId},
    keys,
    outcome::MAX_BYTES,
    status::{Outcome, Status},
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{code::Code, engine::Engine, failure::Failure};

/// An order as its row has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OrderState {
    pub(crate) order_num: OrderNum,
    pub(crate) order_name: String,
    pub(crate) queue_id: String,
    pub(crate) execution_target: Target,
    pub(crate) dependencies: Vec<String>,
    pub(crate) must_succeed: bool,
    pub(crate) status: Status,
    pub(crate) timeout: u64,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) dispatched_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) failure_reason: Option<String>,
    /// Where its target shows it.
    pub(crate) execution_url: Option<String>,
    /// The run in which it ran, when its success there counts here.
    pub(crate) reused_from: Option<String>,
}

impl OrderState {
    /// Seconds from dispatch to end.
    pub(crate) fn elapsed(&self) -> Option<f64> {
        Some(self.dispatched_at?.until(self.ended_at?).as_secs_f64())
    }
}

/// The orders that ended without having been started: something that they need did not succeed. They have no log.
pub(crate) fn never_started<'o>(orders: impl IntoIterator<Item = &'o OrderState> + Clone) -> BTreeSet<OrderNum> {
    let failed = |order: &&OrderState| order.status.outcome().is_some_and(|outcome| outcome != Outcome::Succeeded);
    let blocking = orders.clone().into_iter().filter(|order| failed(order) && order.must_succeed);
    let blocking: HashSet<&str> = blocking.map(|order| order.order_name.as_str()).collect();
    let is_blocked = |order: &&OrderState| order.dependencies.iter().any(|name| blocking.contains(name.as_str()));
    orders.into_iter().filter(|order| failed(order) && is_blocked(order)).map(|order| order.order_num).collect()
}

/// What is said of so many neighbours that did not start for one reason.
pub(crate) fn together(first: &OrderState, last: &OrderState, count: usize) -> String {
    let reason = first.failure_reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let status = first.status.as_str().replace('_', " ");
    let names = format!("{} … {}", first.order_name, last.order_name);
    format!("{count} orders {status}{reason} ({names})")
}

/// `done`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) status: Outcome,
    pub(crate) summary: Map<String, Value>,
}

/// The rows of a run, in order of number. They are found through an index, which may be late.
pub(crate) async fn rows(engine: &Engine, run: &RunId) -> Result<Vec<OrderState>, Failure> {
    let request =
        engine.aws.dynamodb().query().table_name(&engine.names.orders_table).index_name("run_id-order_num-index");
    let mut pages = request
        .key_condition_expression("run_id = :run")
        .expression_attribute_values(":run", AttributeValue::S(run.to_string()))
        .projection_expression(
            "order_num, order_name, queue_id, execution_target, dependencies, must_succeed, #status, #timeout, \
             created_at, dispatched_at, ended_at, failure_reason, execution_url, reused_from",
        )
        .expression_attribute_names("#status", "status")
        .expression_attribute_names("#timeout", "timeout")
        .into_paginator()
        .items()
        .send();
    let mut rows = Vec::new();
    while let Some(item) = pages.next().await {
        let item = item.map_err(|error| AwsError::of("read the rows of the run", error))?;
        rows.extend(state(&item));
    }
    Ok(rows)
}

fn state(item: &HashMap<String, AttributeValue>) -> Option<OrderState> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let time = |name: &str| text(name)?.parse().ok();
    let names = |name: &str| {
        let list = item.get(name)?.as_l().ok()?;
        Some(list.iter().filter_map(|value| value.as_s().ok().cloned()).collect())
    };
    Some(OrderState {
        order_num: text("order_num")?.parse().ok()?,
        order_name: text("order_name")?.clone(),
        queue_id: text("queue_id")?.clone(),
        execution_target: Target::from_word(text("execution_target")?)?,
        dependencies: names("dependencies").unwrap_or_default(),
        must_succeed: item.get("must_succeed").and_then(|value| value.as_bool().ok().copied()).unwrap_or(true),
        status: Status::from_word(text("status")?)?,
        timeout: item.get("timeout")?.as_n().ok()?.parse().ok()?,
        created_at: time("created_at"),
        dispatched_at: time("dispatched_at"),
        ended_at: time("ended_at"),
        failure_reason: text("failure_reason").cloned(),
        execution_url: text("execution_url").cloned(),
        reused_from: text("reused_from").cloned(),
    })
}

/// `done` of a run, if it is there.
pub(crate) async fn done(engine: &Engine, run: &RunId) -> Result<Option<Done>, Failure> {
    let key = keys::done(run);
    let Some(object) = engine.done_objects().get(&key, MAX_BYTES).await? else { return Ok(None) };
    let read = serde_json::from_slice(&object.body);
    read.map(Some).map_err(|error| {
        Failure::new(Code::AwsFailed, format!("failed to read `s3://{}/{key}`: {error}", engine.names.done_bucket))
    })
}
