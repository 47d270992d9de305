//! Rows of the table `orders`: what outsiders read of an order. Projections of the run item: written on the way, only
//! ever forward, the same again when a pass is repeated. The engine never reads them.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use crate::{
    aws::{Aws, AwsError, Class},
    clock::Timestamp,
    dynamo::{self, Item},
    ids::{OrderNum, RunId},
    keys,
    order::{Job, Source},
    plan::{Plan, PlannedOrder},
    status::{Outcome, Status},
};

/// Rows are kept for a day after the job's deadline.
const KEPT: Duration = Duration::from_secs(86_400);
/// Most bytes of commands in a row: an item of 400 KB is refused, and the bundle holds them whole.
const MAX_CMDS_BYTES: usize = 64 * 1024;
/// Most bytes of names that an order waits for: an order may wait for 9,998, and a name have 128 bytes. The plan has all.
const MAX_DEPENDENCIES_BYTES: usize = 192 * 1024;

#[derive(Serialize)]
struct Row<'a> {
    pk: String,
    run_id: &'a RunId,
    order_num: OrderNum,
    trace_id: &'a str,
    flow_id: &'a str,
    order_name: &'a str,
    cmds: Vec<String>,
    queue_id: &'a str,
    s3_location: String,
    callback_url: String,
    execution_target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    git_b64: Option<String>,
    dependencies: Vec<String>,
    must_succeed: bool,
    timeout: u64,
    status: &'a str,
    created_at: Timestamp,
    last_update: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused_from: Option<&'a RunId>,
    sops_key_ssm_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssm_targets: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssm_document_name: Option<&'a str>,
    ttl: u64,
}

/// The rows of a new run. An order that counts as succeeded has ended when the run was created.
pub fn rows(job: &Job, plan: &Plan, bucket: &str) -> Result<Vec<Item>, AwsError> {
    let row = |((number, order), planned): ((OrderNum, &crate::order::Order), &PlannedOrder)| {
        let reused_from = planned.reused_from.as_ref();
        let row = Row {
            pk: keys::order_row(&plan.run_id, number),
            run_id: &plan.run_id,
            order_num: number,
            trace_id: plan.trace_id.as_str(),
            flow_id: &plan.flow_id,
            order_name: order.name.as_str(),
            cmds: shortened(&order.cmds, MAX_CMDS_BYTES, "more commands, whole in the order's bundle"),
            queue_id: &order.queue_id,
            s3_location: format!("s3://{bucket}/{}", keys::bundle(&plan.run_id, number)),
            callback_url: keys::result(&plan.run_id, number),
            execution_target: order.target.as_str(),
            git_b64: git_b64(job, order),
            dependencies: shortened(
                &order.dependencies.iter().map(|d| job.orders[usize::from(*d)].name.as_str()).collect::<Vec<_>>(),
                MAX_DEPENDENCIES_BYTES,
                "more orders",
            ),
            must_succeed: order.must_succeed,
            timeout: order.timeout,
            status: planned.initial_status().as_str(),
            created_at: plan.created_at,
            last_update: plan.created_at,
            ended_at: reused_from.map(|_| plan.created_at),
            reused_from,
            sops_key_ssm_path: &plan.sops_key_ssm_path,
            ssm_targets: order.ssm.as_ref().and_then(|ssm| serde_json::to_string(&ssm.targets).ok()),
            ssm_document_name: order.ssm.as_ref().and_then(|ssm| ssm.document.as_deref()),
            ttl: plan.deadline.plus(KEPT).secs(),
        };
        serde_dynamo::to_item(row).map_err(|error| AwsError::refused("write the rows of the orders", error.to_string()))
    };
    job.numbered().zip(&plan.orders).map(row).collect()
}

fn git_b64(job: &Job, order: &crate::order::Order) -> Option<String> {
    let Source::Git { repo, commit } = &order.source else { return None };
    let git = serde_json::json!({
        "repo": repo,
        "folder": order.folder,
        "commit": commit,
        "token_location": job.git_token.as_ref().map(ToString::to_string),
    });
    Some(BASE64_STANDARD.encode(git.to_string()))
}

/// As many of the texts as there is room for, then how many are left out.
fn shortened<T: AsRef<str>>(texts: &[T], mut room: usize, rest: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for (index, text) in texts.iter().map(AsRef::as_ref).enumerate() {
        // The three bytes are DynamoDB's overhead of a list element.
        let Some(left) = room.checked_sub(text.len() + 3) else {
            kept.push(format!("… {} {rest}", texts.len() - index));
            break;
        };
        room = left;
        kept.push(text.to_owned());
    }
    kept
}

/// How an order ended, for its row.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The outcome.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// When its worker began, if one did; stands in where the news of the dispatch was lost.
    pub started_at: Option<Timestamp>,
    /// Why, if it did not succeed.
    pub reason: Option<&'a str>,
    /// Key of the whole log.
    pub log_location: Option<&'a str>,
}

/// The table of rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    aws: &'a Aws,
    table: &'a str,
}

impl<'a> Rows<'a> {
    /// The rows of a table.
    pub fn new(aws: &'a Aws, table: &'a str) -> Self {
        Self { aws, table }
    }

    /// Writes the rows of a new run.
    pub async fn create(&self, rows: Vec<Item>) -> Result<(), AwsError> {
        dynamo::put_all(self.aws, self.table, rows).await
    }

    /// The order was handed to its target. Gives when that first was said; nothing when the order has ended in the
    /// meantime, and its row never said so.
    pub async fn dispatched(
        &self,
        run: &RunId,
        order: OrderNum,
        at: Timestamp,
        urls: [(&str, &str); 2],
    ) -> Result<Option<Timestamp>, AwsError> {
        let [execution, watchdog] = urls;
        let values = [
            (":at", text(at)),
            (":now", text(at)),
            (":running", text(Status::Running)),
            (":queued", text(Status::Queued)),
            (":execution", text(execution.1)),
            (":watchdog", text(watchdog.1)),
        ];
        let expression = format!(
            "SET dispatched_at = if_not_exists(dispatched_at, :at), last_update = :now, #status = :running, {} = :execution, {} = :watchdog",
            execution.0, watchdog.0
        );
        let stands = self.update(run, order, expression, "#status IN (:queued, :running)", values).await?;
        // A row that is not there any more says nothing against it.
        Ok(if stands.0.is_empty() { Some(at) } else { stands.at("dispatched_at") })
    }

    /// The order ended. Gives what the row then says.
    pub async fn ended(
        &self,
        run: &RunId,
        order: OrderNum,
        ending: Ending<'_>,
        now: Timestamp,
    ) -> Result<Recorded, AwsError> {
        let mut expression =
            "SET #status = :status, ended_at = if_not_exists(ended_at, :at), last_update = :now".to_owned();
        let mut values = vec![
            (":status", text(ending.outcome)),
            (":at", text(ending.at)),
            (":now", text(now)),
            (":queued", text(Status::Queued)),
            (":running", text(Status::Running)),
        ];
        for (name, placeholder, value) in
            [("failure_reason", ":reason", ending.reason), ("log_location", ":log", ending.log_location)]
        {
            if let Some(value) = value {
                expression.extend([", ", name, " = ", placeholder]);
                values.push((placeholder, text(value)));
            }
        }
        if let Some(started) = ending.started_at {
            expression.push_str(", dispatched_at = if_not_exists(dispatched_at, :started)");
            values.push((":started", text(started)));
        }
        let item = self.update(run, order, expression, "#status IN (:queued, :running, :status)", values).await?;
        Ok(Recorded {
            ended_at: item.at("ended_at").unwrap_or(ending.at),
            dispatched_at: item.at("dispatched_at").or(ending.started_at),
        })
    }

    /// One forward step. When the row has gone further or is not there any more, nothing is written.
    async fn update(
        &self,
        run: &RunId,
        order: OrderNum,
        expression: String,
        condition: &str,
        values: impl IntoIterator<Item = (&str, AttributeValue)>,
    ) -> Result<Stands, AwsError> {
        let mut request = self
            .aws
            .dynamodb()
            .update_item()
            .table_name(self.table)
            .key("pk", AttributeValue::S(keys::order_row(run, order)))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_names("#status", "status")
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (name, value) in values {
            request = request.expression_attribute_values(name, value);
        }
        let item = match request.send().await {
            Ok(answer) => answer.attributes,
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                }
            }
            Err(error) => {
                let error = AwsError::of(format!("update the row of `{}`", keys::order_row(run, order)), error);
                if error.class != Class::Refused {
                    return Err(error);
                }
                // A row that DynamoDB will never take must not hold up the run.
                tracing::error!(%error, "the row stays behind");
                None
            }
        };
        Ok(Stands(item.unwrap_or_default()))
    }
}

/// When the row says that an order ended, and that it was dispatched, if it was: the first times that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The end.
    pub ended_at: Timestamp,
    /// The dispatch.
    pub dispatched_at: Option<Timestamp>,
}

/// A row as it stands.
struct Stands(HashMap<String, AttributeValue>);

impl Stands {
    fn at(&self, attribute: &str) -> Option<Timestamp> {
        self.0.get(attribute)?.as_s().ok()?.parse().ok()
    }
}

fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let long = vec!["x".repeat(60_000); 50];
        let kept = shortened(&long, 64 * 1024, "more");
        assert_eq!((kept.len(), kept[1].as_str()), (2, "… 49 more"));
        assert_eq!(shortened(&["a", "b"], 8, "more"), ["a", "b"]);
        assert_eq!(shortened(&["a", "b"], 7, "more"), ["a", "… 1 more"]);
        let small = vec![String::new(); 100_000];
        assert!(shortened(&small, 64 * 1024, "more").len() < 30_000);
    }
}
