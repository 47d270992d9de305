//! The run item, `lock:<run_id>`: lease, news and ledger in one item, the only state that decisions are made from.
//!
//! ```text
//!             reserve              flip              wake, take over            complete
//!   (none) ───────────▶ submitting ─────▶ idle ◀──────────────────▶ active ───────────▶ completed
//!                                               commit, give up
//! ```
//!
//! **Lease.** One orchestrator at a time works on a run. Whoever *wakes* it counts its wake-up in `news` and takes the lease
//! if nobody has it, both in one write. If somebody else has it, the wake-up is *deposited*: the holder finds at its commit
//! that `news` has grown and goes round again. Each transition is one conditional `UpdateItem`:
//!
//! - a wake-up counts and takes at once: between the two a holder could go, and leave it with nobody;
//! - whoever finds a lease that ran out takes it over, since nobody would look at a deposit there;
//! - both succeed for the owner itself, or a lost reply would make the retry wait for its own lease;
//! - commit compares `news`, or a wake-up deposited a moment before would be wiped out;
//! - checkpoint touches `orders` alone.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use serde::{Deserialize, Serialize};

use crate::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    ids::{RunId, TraceId},
    keys,
    plan::SCHEMA_VERSION,
};

/// How long an orchestrator's lease lasts: longer than its function's timeout of 50 s, so that a holder never outlives it.
pub const LEASE: Duration = Duration::from_secs(60);

/// How long a submission's lease lasts: longer than its function's timeout of 300 s.
pub const SUBMIT_LEASE: Duration = Duration::from_secs(360);

/// Run items are kept for a week after the deadline.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Being submitted: nothing may run yet.
    Submitting,
    /// Nobody works on it.
    Idle,
    /// Somebody holds the lease.
    Active,
    /// Every order has ended and `done` is written.
    Completed,
}

/// The run item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunItem {
    /// `lock:<run_id>`.
    pub pk: String,
    /// The run.
    pub run_id: RunId,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its flow.
    pub flow_id: String,
    /// Where it stands.
    pub status: RunStatus,
    /// The letters of all orders.
    pub orders: String,
    /// When every order is timed out, epoch ms.
    pub deadline: u64,
    /// Key of the plan in the internal bucket.
    pub plan_key: String,
    /// Draw of the submission that made it.
    pub submit_id: String,
    /// Draw that goes into the digests of the run's orders, which stand in its plan. Whoever reads the bucket alone cannot
    /// try out what `env_vars` they are of; a later run, which compares its orders with these, finds it here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest_key: String,
    /// Digest of the job, by which the same job under the same id is known.
    pub job_digest: String,
    /// The answer that the submission gives, for those that ask again.
    pub answer: String,
    /// Version of this item.
    pub schema_version: u32,
    /// Epoch seconds when DynamoDB may drop it.
    pub ttl: u64,
    /// Who holds the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator_id: Option<String>,
    /// Since when, epoch ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquired_at: Option<u64>,
    /// Until when, epoch ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<u64>,
    /// Wake-ups since the last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<u64>,
}

impl RunItem {
    /// A new item in `submitting`.
    pub fn submitting(new: NewRun<'_>, now: Timestamp) -> Self {
        Self {
            pk: keys::run_item(new.run_id),
            run_id: new.run_id.clone(),
            trace_id: new.trace_id.clone(),
            flow_id: new.flow_id.to_owned(),
            status: RunStatus::Submitting,
            orders: crate::ledger::Ledger::queued(new.orders).letters(),
            deadline: new.deadline.millis(),
            plan_key: keys::plan(new.run_id),
            submit_id: new.submit_id.to_owned(),
            digest_key: new.digest_key.to_owned(),
            job_digest: new.job_digest.to_owned(),
            answer: new.answer.to_owned(),
            schema_version: SCHEMA_VERSION,
            ttl: new.deadline.plus(KEPT).secs(),
            orchestrator_id: None,
            acquired_at: None,
            lease_until: Some(now.plus(SUBMIT_LEASE).millis()),
            news: None,
        }
    }

    /// The deadline.
    pub fn deadline(&self) -> Timestamp {
        Timestamp::from_millis(self.deadline)
    }

    /// Whether this submission passed its commit point: the job is accepted.
    pub fn is_submitted_by(&self, submit_id: &str) -> bool {
        self.submit_id == submit_id && self.status != RunStatus::Submitting
    }

    /// Whether somebody holds a lease that has not run out.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.orchestrator_id.is_some() && self.lease_until.is_some_and(|until| until >= now.millis())
    }
}

/// What a new run item is made from.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The run.
    pub run_id: &'a RunId,
    /// Its trace.
    pub trace_id: &'a TraceId,
    /// Its flow.
    pub flow_id: &'a str,
    /// How many orders it has.
    pub orders: usize,
    /// When they are all timed out.
    pub deadline: Timestamp,
    /// Draw of this submission.
    pub submit_id: &'a str,
    /// Draw for the digests of its orders.
    pub digest_key: &'a str,
    /// Digest of the job.
    pub job_digest: &'a str,
    /// The answer to give.
    pub answer: &'a str,
}

/// What came of a conditional write.
#[derive(Debug)]
pub enum Written {
    /// It was applied; the item as it is now, where it was asked for.
    Yes(Option<Box<RunItem>>),
    /// The condition did not hold; the item as it stands, if there is one.
    No(Option<Box<RunItem>>),
}

/// The table of run items.
#[derive(Clone, Copy, Debug)]
pub struct RunItems<'a> {
    aws: &'a Aws,
    table: &'a str,
}

impl<'a> RunItems<'a> {
    /// The items of a table.
    pub fn new(aws: &'a Aws, table: &'a str) -> Self {
        Self { aws, table }
    }

    /// The item as it stands, read consistently.
    pub async fn get(&self, run: &RunId) -> Result<Option<RunItem>, AwsError> {
        let request = self.aws.dynamodb().get_item().table_name(self.table).key("pk", s(&keys::run_item(run)));
        let answer = request
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| AwsError::of(format!("read the run item of `{run}`"), error))?;
        answer.item.map(|item| parse(run, item)).transpose()
    }

    /// Creates the item, or takes over one that the same job left behind in an expired `submitting`.
    pub async fn reserve(&self, item: &RunItem, now: Timestamp) -> Result<Written, AwsError> {
        let action = || format!("reserve the run item of `{}`", item.run_id);
        let fields = serde_dynamo::to_item(item).map_err(|error| AwsError::refused(action(), error.to_string()))?;
        let request = self
            .aws
            .dynamodb()
            .put_item()
            .table_name(self.table)
            .set_item(Some(fields))
            .condition_expression(
                "attribute_not_exists(pk) OR (#status = :submitting AND lease_until < :now AND job_digest = :digest)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":submitting", s("submitting"))
            .expression_attribute_values(":now", n(now.millis()))
            .expression_attribute_values(":digest", s(&item.job_digest))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(Written::Yes(None)),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                use aws_sdk_dynamodb::operation::put_item::PutItemError;
                let old = match error.into_err() {
                    PutItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                };
                old.map(|old| parse(&item.run_id, old)).transpose().map(|old| Written::No(old.map(Box::new)))
            }
            Err(error) => Err(AwsError::of(action(), error)),
        }
    }

    /// The commit point of a submission: from `submitting` to `idle`, if it is still this submission's. With it comes the
    /// ledger that the run begins with: nobody looks at it before, and nobody may look at it without.
    pub async fn flip(&self, run: &RunId, submit_id: &str, letters: &str) -> Result<Written, AwsError> {
        let request = self
            .update(run)
            .update_expression("SET #status = :idle, orders = :letters REMOVE lease_until")
            .condition_expression("submit_id = :me AND #status = :submitting")
            .expression_attribute_values(":idle", s("idle"))
            .expression_attribute_values(":letters", s(letters))
            .expression_attribute_values(":submitting", s("submitting"))
            .expression_attribute_values(":me", s(submit_id));
        self.send(run, "flip", request).await
    }

    /// Takes the item away from a submission that failed, which goes on as `successor`: a flip of the submission's that
    /// is still under way, or a takeover by the next one, comes too late. What it put in place can be removed then.
    pub async fn fence(&self, run: &RunId, submit_id: &str, successor: &str) -> Result<Written, AwsError> {
        let request = self
            .update(run)
            .update_expression("SET submit_id = :successor")
            .condition_expression("submit_id = :me AND #status = :submitting")
            .expression_attribute_values(":successor", s(successor))
            .expression_attribute_values(":submitting", s("submitting"))
            .expression_attribute_values(":me", s(submit_id));
        self.send(run, "take back", request).await
    }

    /// Drops an item that never got beyond `submitting`, so that a refused job leaves nothing.
    pub async fn abandon(&self, run: &RunId, submit_id: &str) -> Result<(), AwsError> {
        let request = self
            .aws
            .dynamodb()
            .delete_item()
            .table_name(self.table)
            .key("pk", s(&keys::run_item(run)))
            .condition_expression("submit_id = :me AND #status = :submitting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":submitting", s("submitting"))
            .expression_attribute_values(":me", s(submit_id));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(AwsError::of(format!("drop the run item of `{run}`"), error)),
        }
    }

    /// Counts this wake-up, and takes the lease if nobody has it. The item tells whose it is now.
    pub async fn wake(&self, run: &RunId, me: &str, now: Timestamp) -> Result<Written, AwsError> {
        let request = lease(self.update(run), me, now)
            .update_expression(
                "SET orchestrator_id = if_not_exists(orchestrator_id, :me), acquired_at = if_not_exists(acquired_at, :now), \
                 lease_until = if_not_exists(lease_until, :until), #status = :active ADD news :one",
            )
            .condition_expression("#status IN (:idle, :active)");
        self.send(run, "wake", request).await
    }

    /// Takes the lease from an owner whose time is over, and counts the wake-up once more: the owner may be another one by
    /// now than the one with whom it was counted, and what that one came for must be looked at as well.
    pub async fn take_over(&self, run: &RunId, me: &str, now: Timestamp) -> Result<Written, AwsError> {
        let request = lease(self.update(run), me, now)
            .update_expression(
                "SET orchestrator_id = :me, acquired_at = :now, lease_until = :until, #status = :active ADD news :one",
            )
            .condition_expression(
                "#status IN (:idle, :active) AND (attribute_not_exists(orchestrator_id) OR lease_until < :now OR orchestrator_id = :me)",
            );
        self.send(run, "take over", request).await
    }

    /// Saves the letters in the middle of a long pass, nothing else.
    pub async fn checkpoint(&self, run: &RunId, me: &str, letters: &str) -> Result<Written, AwsError> {
        let request = self
            .aws
            .dynamodb()
            .update_item()
            .table_name(self.table)
            .key("pk", s(&keys::run_item(run)))
            .update_expression("SET orders = :letters")
            .condition_expression("orchestrator_id = :me")
            .expression_attribute_values(":letters", s(letters))
            .expression_attribute_values(":me", s(me))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        self.send(run, "checkpoint", request).await
    }

    /// Ends a pass: saves the letters and gives the lease back, if nothing new came in. `status` is `idle`, or
    /// `completed` when every order has ended and `done` is written.
    pub async fn commit(
        &self,
        run: &RunId,
        me: &str,
        news: u64,
        letters: &str,
        completed: bool,
    ) -> Result<Written, AwsError> {
        let request = self
            .update(run)
            .update_expression(
                "SET orders = :letters, #status = :status REMOVE orchestrator_id, acquired_at, lease_until, news",
            )
            .condition_expression("orchestrator_id = :me AND news = :news")
            .expression_attribute_values(":letters", s(letters))
            .expression_attribute_values(":status", s(if completed { "completed" } else { "idle" }))
            .expression_attribute_values(":me", s(me))
            .expression_attribute_values(":news", n(news));
        self.send(run, "commit", request).await
    }

    /// Gives the lease back in the middle of the work. `news` stays, so whoever comes next looks at everything.
    pub async fn give_up(&self, run: &RunId, me: &str, letters: &str) -> Result<Written, AwsError> {
        let request = self
            .update(run)
            .update_expression(
                "SET orders = :letters, #status = :idle REMOVE orchestrator_id, acquired_at, lease_until",
            )
            .condition_expression("orchestrator_id = :me")
            .expression_attribute_values(":letters", s(letters))
            .expression_attribute_values(":idle", s("idle"))
            .expression_attribute_values(":me", s(me));
        self.send(run, "give up", request).await
    }

    fn update(&self, run: &RunId) -> UpdateItemFluentBuilder {
        self.aws
            .dynamodb()
            .update_item()
            .table_name(self.table)
            .key("pk", s(&keys::run_item(run)))
            .expression_attribute_names("#status", "status")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn send(&self, run: &RunId, verb: &str, request: UpdateItemFluentBuilder) -> Result<Written, AwsError> {
        match request.send().await {
            Ok(answer) => {
                // `ALL_NEW` gives the whole item; without it there is none.
                let item = answer.attributes.filter(|fields| fields.contains_key("pk"));
                item.map(|item| parse(run, item)).transpose().map(|item| Written::Yes(item.map(Box::new)))
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let old = match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => failed.item,
                    _ => None,
                };
                old.map(|old| parse(run, old)).transpose().map(|old| Written::No(old.map(Box::new)))
            }
            Err(error) => Err(AwsError::of(format!("{verb} the run item of `{run}`"), error)),
        }
    }
}

/// The values of a lease that begins now.
fn lease(request: UpdateItemFluentBuilder, me: &str, now: Timestamp) -> UpdateItemFluentBuilder {
    request
        .expression_attribute_values(":me", s(me))
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":until", n(now.plus(LEASE).millis()))
        .expression_attribute_values(":active", s("active"))
        .expression_attribute_values(":idle", s("idle"))
        .expression_attribute_values(":one", n(1))
        .return_values(ReturnValue::AllNew)
}

fn parse(run: &RunId, item: HashMap<String, AttributeValue>) -> Result<RunItem, AwsError> {
    serde_dynamo::from_item(item)
        .map_err(|error| AwsError::refused(format!("read the run item of `{run}`"), error.to_string()))
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
