//! The lease: one orchestrator at a time works on a run, nothing that comes meanwhile is lost, and a dead holder is
//! succeeded.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::support::{
    Stack, StartLog,
    expect::expect_success,
    faults::{at, delivery_to},
    job,
    run::Run,
    stack::LOCKS,
};

#[tokio::test]
async fn a_callback_while_the_lease_is_held_is_not_lost() {
    // The pass that dispatches is slow; the results of what it dispatched come while it holds the lease.
    let slow = at("dynamodb", "BatchWriteItem").by("orchestrator").nth(2).delayed(1_500);
    let stack = Stack::start().concurrency(6).faults([slow]).record().await;
    let starts = StartLog::of(&stack);
    let names = ["p", "q", "r", "s", "t", "u"];
    let job = names.iter().fold(job(), |job, name| job.order(name).cmds([starts.start()]));
    let run = stack.submit(&job.order("end").after(names).cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(names.into_iter().chain(["end"]));
    let refused = |call: &serde_json::Value| {
        call["function"] == "orchestrator" && call["outcome"]["code"] == "ConditionalCheckFailedException"
    };
    let refused = stack.recorded().iter().filter(|call| refused(call)).count();
    assert!(refused > 0, "the test is void unless somebody found the lease taken");
    nobody_ticked(&stack);
}

/// Where nothing is lost, no tick is needed: it would make good what the lease has to see to.
#[track_caller]
fn nobody_ticked(stack: &Stack) {
    let is_tick = |call: &&serde_json::Value| {
        call["function"] == "watchdog_check" && call["key"].as_str().unwrap().ends_with("/0000/result.json")
    };
    assert_eq!(stack.recorded().iter().find(is_tick), None, "the tick had to come to the rescue");
}

/// Leaves a run that is in this status to a holder that does not exist.
async fn set_lease(run: &Run<'_>, status: &str, lease_until_ms: u64) {
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

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_by_the_next_message() {
    let stack = Stack::start().faults([delivery_to("orchestrator").then("drop")]).await;
    let starts = StartLog::of(&stack);
    let run =
        stack.submit(&job().order("a").cmds([starts.start()]).order("b").after(["a"]).cmds([starts.start()])).await;
    set_lease(&run, "idle", 1_000).await;
    run.wake().await;
    expect_success(&run).await;
    starts.each_once(["a", "b"]);
}

#[tokio::test]
async fn a_dead_holders_lease_is_taken_over_by_the_tick_once_it_ran_out() {
    let stack = Stack::start().speed(20).faults([delivery_to("orchestrator").then("drop")]).await;
    let starts = StartLog::of(&stack);
    let run =
        stack.submit(&job().order("a").cmds([starts.start()]).order("b").after(["a"]).cmds([starts.start()])).await;
    // Ninety seconds of engine time from the submission, which was 3600 s before the deadline: the first tick deposits.
    let created = run.item().await.unwrap()["deadline"].as_u64().unwrap() - 3_600_000;
    set_lease(&run, "idle", created + 90_000).await;
    expect_success(&run).await;
    starts.each_once(["a", "b"]);
}

#[tokio::test]
async fn the_commit_of_a_holder_that_lost_its_lease_is_refused() {
    let slow = at("dynamodb", "UpdateItem").by("orchestrator").about("/lock:").nth(2).delayed(2_000);
    let stack = Stack::start().faults([slow]).record().await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let run = stack
        .submit(&job().order("a").cmds([starts.start(), held]).order("b").after(["a"]).cmds([starts.start()]))
        .await;
    // Everything of the first pass is done but its commit.
    starts.until("a").await;
    run.until_row("a", "running").await;
    set_lease(&run, "active", 4_000_000_000_000).await;
    let stolen = run.item().await;
    let refused = |call: &serde_json::Value| {
        let is_commit = call["function"] == "orchestrator" && call["key"].as_str().unwrap().contains("/lock:");
        is_commit && call["outcome"]["code"] == "ConditionalCheckFailedException"
    };
    run.until("the commit to be refused", async || stack.recorded().iter().any(refused).then_some(())).await;
    assert_eq!(run.item().await, stolen);
    set_lease(&run, "active", 1_000).await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    starts.each_once(["a", "b"]);
}

/// As a commit leaves the item of a run that goes on.
async fn end_lease(run: &Run<'_>) {
    let key = AttributeValue::S(format!("lock:{}", run.id));
    let request = run.stack.aws.dynamodb().update_item().table_name(LOCKS).key("pk", key);
    let request = request
        .update_expression("SET #status = :idle REMOVE orchestrator_id, acquired_at, lease_until, news")
        .condition_expression("attribute_exists(orchestrator_id)")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":idle", AttributeValue::S("idle".to_owned()));
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_deposit_that_comes_after_the_holder_has_gone_is_not_left_with_nobody() {
    let late = at("dynamodb", "UpdateItem").by("orchestrator").about("/lock:").nth(2).delayed(5_000);
    let stack = Stack::start().faults([delivery_to("orchestrator").then("drop"), late]).record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    set_lease(&run, "idle", 4_000_000_000_000).await;
    run.wake().await;
    let refused = |call: &serde_json::Value| {
        call["function"] == "orchestrator" && call["outcome"]["code"] == "ConditionalCheckFailedException"
    };
    run.until("the lease to be found taken", async || stack.recorded().iter().any(refused).then_some(())).await;
    end_lease(&run).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    nobody_ticked(&stack);
}
