//! Holders of a lease that do not exist, and reservations that ran out: the run item written by hand.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    run::Run,
    stack::{LOCKS, Stack},
};

/// Leaves a run that is in this status to a holder that does not exist.
pub(crate) async fn set_lease(run: &Run<'_>, status: &str, lease_until_ms: u64) {
    let request = run
        .stack
        .aws
        .dynamodb()
        .update_item()
        .table_name(LOCKS)
        .key("pk", AttributeValue::S(format!("lock:{}", run.id)));
    let request = request
        .update_expression("SET orchestrator_id = :dead, acquired_at = :long_ago, lease_until = :until, #status = :active, news = :news")
        .condition_expression("#status = :status")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":dead", AttributeValue::S("dead".to_owned()))
        .expression_attribute_values(":long_ago", AttributeValue::N("1".to_owned()))
        .expression_attribute_values(":until", AttributeValue::N(lease_until_ms.to_string()))
        .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
        .expression_attribute_values(":status", AttributeValue::S(status.to_owned()))
        .expression_attribute_values(":news", AttributeValue::N("3".to_owned()));
    request.send().await.unwrap();
}

/// As a commit leaves the item of a run that goes on.
pub(crate) async fn end_lease(run: &Run<'_>) {
    let key = AttributeValue::S(format!("lock:{}", run.id));
    let request = run.stack.aws.dynamodb().update_item().table_name(LOCKS).key("pk", key);
    let request = request
        .update_expression("SET #status = :idle REMOVE orchestrator_id, acquired_at, lease_until, news")
        .condition_expression("attribute_exists(orchestrator_id)")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":idle", AttributeValue::S("idle".to_owned()));
    request.send().await.unwrap();
}

/// The lease of a submission that is under way has run out.
pub(crate) async fn expire_reservation(stack: &Stack, run_id: &str) {
    let key = AttributeValue::S(format!("lock:{run_id}"));
    let request = stack.aws.dynamodb().update_item().table_name(LOCKS).key("pk", key);
    let request = request
        .update_expression("SET lease_until = :long_ago")
        .condition_expression("#status = :submitting")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":submitting", AttributeValue::S("submitting".to_owned()))
        .expression_attribute_values(":long_ago", AttributeValue::N("1".to_owned()));
    request.send().await.unwrap();
}
