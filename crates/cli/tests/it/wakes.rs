//! Wake-ups that come while a pass is at work. None is lost: where nothing is lost on the way, a run needs no tick, which
//! would find a minute later what the lease should have seen to.

use common::status::Outcome::Cancelled;
use serde_json::Value;

use crate::support::{
    Stack, StartLog,
    expect::{expect, expect_success, nobody_ticked},
    faults::{Fault, at, delivery_to},
    job,
    lease::{end_lease, set_lease},
    run::Run,
    stack::LOCKS,
};

/// The nth update of the run item by an orchestrator, counted over all of them.
fn update(nth: u64) -> Fault {
    at("dynamodb", "UpdateItem").by("orchestrator").about("/lock:").nth(nth)
}

/// A command that waits until the test opens its gate.
fn held(stack: &Stack, gate: &str) -> String {
    format!("until [ -e '{}' ]; do sleep 0.02; done", stack.path(gate).display())
}

fn open(stack: &Stack, gate: &str) {
    std::fs::write(stack.path(gate), "").unwrap();
}

/// Waits until so many updates of the run item were refused.
async fn until_refused(run: &Run<'_>, many: usize) {
    let refused = |call: &&Value| {
        call["function"] == "orchestrator"
            && call["key"].as_str().unwrap().starts_with(LOCKS)
            && call["outcome"]["code"] == "ConditionalCheckFailedException"
    };
    run.until("updates of the run item to be refused", async || {
        (run.stack.recorded().iter().filter(refused).count() >= many).then_some(())
    })
    .await;
}

/// Waits until nobody works on the run; gives what news is left.
async fn until_idle(run: &Run<'_>) -> Option<u64> {
    run.until("the pass to end", async || run.item().await.filter(|item| item["status"] == "idle")).await["news"]
        .as_u64()
}

#[tokio::test]
async fn a_run_in_which_nothing_fails_needs_no_tick() {
    let stack = Stack::start().record().await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").cmds(starts.commands()).order("b").after(["a"]).cmds(starts.commands());
    let run = stack.submit(&job.order("c").after(["b"]).cmds(starts.commands())).await;
    expect_success(&run).await;
    starts.each_once(["a", "b", "c"]);
    nobody_ticked(&stack);
}

#[tokio::test]
async fn the_first_message_comes_when_the_run_can_begin() {
    // Long enough for a message that was sent before to be looked at, and left alone.
    let slow = at("dynamodb", "UpdateItem").by("init_job").about("/lock:").delayed(1_500);
    let stack = Stack::start().faults([slow]).record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds(starts.commands())).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    nobody_ticked(&stack);
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_still_its_owners() {
    let stack = Stack::start().faults([update(1).then("error_after")]).record().await;
    let run = stack.submit(&job().order("a")).await;
    expect_success(&run).await;
    nobody_ticked(&stack);
}

#[tokio::test]
async fn news_during_a_pass_over_one_result_is_looked_at_by_that_pass() {
    // The first pass takes the lease and commits; the commit of the next one, over the result of `a`, is slow.
    let stack = Stack::start().faults([update(4).delayed(5_000)]).record().await;
    let job = job().order("a").cmds([held(&stack, "a")]).order("b").cmds([held(&stack, "b")]);
    let run = stack.submit(&job.order("end").after(["a", "b"])).await;
    run.until_row("b", "running").await;
    assert_eq!(until_idle(&run).await, None);
    open(&stack, "a");
    run.until_row("a", "succeeded").await;
    open(&stack, "b");
    // The commit finds news.
    until_refused(&run, 1).await;
    expect_success(&run).await;
    nobody_ticked(&stack);
}

#[tokio::test]
async fn news_that_a_failed_pass_leaves_is_looked_at_by_the_next_one() {
    // The second pass looks at everything, slowly, finds the result of `b`, and may not read it.
    let slow = at("s3", "ListObjectsV2").by("orchestrator").nth(2).delayed(5_000);
    let denied = at("s3", "GetObject").by("orchestrator").about("/0002/result.json").refused("AccessDenied");
    let stack = Stack::start().faults([slow, denied]).record().await;
    let job = job().order("a").cmds([held(&stack, "a")]).order("b").cmds([held(&stack, "b")]);
    let run = stack.submit(&job.order("end").after(["a", "b"])).await;
    run.until_row("b", "running").await;
    assert_eq!(until_idle(&run).await, None);
    run.wake().await;
    run.until("the pass to begin", async || run.item().await.filter(|item| item["status"] == "active")).await;
    open(&stack, "b");
    run.until("the wake-up to be left", async || run.item().await.filter(|item| item["news"] == 2)).await;
    assert_eq!(
        until_idle(&run).await,
        Some(2),
        "the wake-up of the pass that failed, and the one that was left with it"
    );
    open(&stack, "a");
    expect_success(&run).await;
    nobody_ticked(&stack);
}

#[tokio::test]
async fn a_request_that_comes_while_a_large_job_is_dispatched_is_heard() {
    const MANY: usize = 201;
    // Lease, a checkpoint after 200 orders, and the commit, which is slow.
    let stack = Stack::start().concurrency(2).faults([update(3).delayed(6_000)]).record().await;
    let names: Vec<String> = (0..MANY).map(|number| format!("o{number}")).collect();
    let cmd = held(&stack, "never");
    let job = names.iter().fold(job(), |job, name| job.order(name).stop_grace(0).cmds([cmd.clone()]));
    let run = stack.submit(&job).await;
    let last = names.last().unwrap();
    run.until("the last dispatch to be told", async || (!run.events_of(last).await.is_empty()).then_some(())).await;
    run.cancel("0000").await;
    expect(&run, Cancelled, names.iter().map(|name| (name.as_str(), Cancelled))).await;
    nobody_ticked(&stack);
}

#[tokio::test]
async fn a_lease_that_is_given_back_while_it_is_taken_over_is_taken() {
    let late = update(2).delayed(5_000);
    let stack = Stack::start().faults([delivery_to("orchestrator").then("drop"), late]).record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    set_lease(&run, "idle", 1_000).await;
    run.wake().await;
    run.until("the wake-up to be counted", async || run.item().await.filter(|item| item["news"] == 4)).await;
    end_lease(&run).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    nobody_ticked(&stack);
}
