//! A run as outsiders see it: the rows of its orders and `done`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    ids::{OrderNum, RunId},
    keys,
    objects::Objects,
    outcome::MAX_BYTES,
    stack::Stack,
    status::{Outcome, Status},
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exit::Failure;

/// An order as its row has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OrderState {
    pub(crate) order_num: OrderNum,
    pub(crate) order_name: String,
    pub(crate) queue_id: String,
    pub(crate) execution_target: Target,
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

/// A call that failed, as a verb ends with it.
pub(crate) fn told(error: AwsError) -> Failure {
    Failure::machine(error.to_string())
}

/// The rows of a run, in order of number.
pub(crate) async fn rows(aws: &Aws, stack: &Stack, run: &RunId) -> Result<Vec<OrderState>, Failure> {
    let request = aws.dynamodb().query().table_name(stack.orders_table()).index_name("run_id-order_num-index");
    let mut pages = request
        .key_condition_expression("run_id = :run")
        .expression_attribute_values(":run", AttributeValue::S(run.to_string()))
        .projection_expression(
            "order_num, order_name, queue_id, execution_target, #status, #timeout, dispatched_at, ended_at, \
             failure_reason",
        )
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

fn state(item: &HashMap<String, AttributeValue>) -> Option<OrderState> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let time = |name: &str| text(name)?.parse().ok();
    Some(OrderState {
        order_num: text("order_num")?.parse().ok()?,
        order_name: text("order_name")?.clone(),
        queue_id: text("queue_id")?.clone(),
        execution_target: Target::from_word(text("execution_target")?)?,
        status: Status::from_word(text("status")?)?,
        timeout: item.get("timeout")?.as_n().ok()?.parse().ok()?,
        dispatched_at: time("dispatched_at"),
        ended_at: time("ended_at"),
        failure_reason: text("failure_reason").cloned(),
    })
}

/// `done` of a run, if it is there.
pub(crate) async fn done(aws: &Aws, stack: &Stack, run: &RunId) -> Result<Option<Done>, Failure> {
    let (bucket, key) = (stack.done_bucket(), keys::done(run));
    let Some(object) = Objects::new(aws, &bucket).get(&key, MAX_BYTES).await.map_err(told)? else { return Ok(None) };
    let read = serde_json::from_slice(&object.body);
    read.map(Some).map_err(|error| told(AwsError::refused(format!("read `{key}`"), error.to_string())))
}
