//! The lease: one orchestrator at a time works on a run, nothing that comes meanwhile is lost, and a dead holder is
//! succeeded.

use crate::support::{
    Stack, StartLog,
    expect::{expect_success, nobody_ticked},
    faults::{at, delivery_to},
    job,
    lease::set_lease,
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
    assert!(refused > 0, "the test is void unless news came to a holder");
    nobody_ticked(&stack);
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
