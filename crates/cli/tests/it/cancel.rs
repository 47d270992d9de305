//! Cancelling: a run, or one order with what depends on it, by writing an object.

use crate::support::{
    Cancelled, Failed, Stack, StartLog, Succeeded, expect,
    expect::expect_success,
    faults::{at, delivery_to},
    job, wait,
};

/// Runs until it is told to stop, and says that it was.
fn runs_until_stopped(starts: &StartLog) -> String {
    let told = starts.note("stopped $ORDER_ID");
    format!("stopped() {{ {told}; exit 1; }}; trap stopped INT; {}; while :; do sleep 0.02; done", starts.start())
}

#[tokio::test]
async fn cancelling_a_run_cancels_every_order_that_has_not_ended() {
    let stack = Stack::start().speed(20).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("quick")
        .cmds([starts.start()])
        .order("running")
        .after(["quick"])
        .cmds([runs_until_stopped(&starts)])
        .order("waiting")
        .tolerated()
        .after(["running"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    starts.until("running").await;
    run.cancel("0000").await;
    let ended = expect(&run, Cancelled, [("quick", Succeeded), ("running", Cancelled), ("waiting", Cancelled)]).await;
    starts.each_once(["quick", "running", "stopped running"]);
    assert_eq!(ended.rows[2]["failure_reason"], "the run was cancelled");
    assert_eq!(run.result_of("running").await["reason"], "command 1 of 1 was stopped: the run was cancelled");
}

#[tokio::test]
async fn cancelling_an_order_cancels_what_depends_on_it_and_nothing_else() {
    let stack = Stack::start().speed(20).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("running")
        .cmds([runs_until_stopped(&starts)])
        .order("dependent")
        .tolerated()
        .after(["running"])
        .cmds([starts.start()])
        .order("deeper")
        .after(["dependent"])
        .cmds([starts.start()])
        .order("other")
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    starts.until("running").await;
    run.cancel("0001").await;
    let orders = [("running", Cancelled), ("dependent", Cancelled), ("deeper", Cancelled), ("other", Succeeded)];
    let ended = expect(&run, Failed, orders).await;
    starts.each_once(["running", "stopped running", "other"]);
    assert_eq!(ended.rows[1]["failure_reason"], "`running` was cancelled");
}

#[tokio::test]
async fn an_order_that_waits_is_cancelled_without_a_trace_of_a_start() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", starts.start(), gate.display());
    let job = job().order("first").cmds([held]).order("second").after(["first"]).cmds([starts.start()]);
    let run = stack.submit(&job).await;
    starts.until("first").await;
    run.cancel("0002").await;
    run.until_row("second", "cancelled").await;
    std::fs::write(gate, "").unwrap();
    expect(&run, Failed, [("first", Succeeded), ("second", Cancelled)]).await;
    starts.each_once(["first"]);
    assert_eq!(run.claim("0002").await.unwrap()["by"], "engine");
}

#[tokio::test]
async fn a_dispatched_order_that_nobody_claimed_yet_never_starts_after_it_was_cancelled() {
    let stack = Stack::start().faults([delivery_to("worker").held_for_calls(120)]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    run.until_row("a", "running").await;
    run.cancel("0001").await;
    expect(&run, Failed, [("a", Cancelled)]).await;
    assert_eq!(run.claim("0001").await.unwrap()["by"], "engine");
    // Waiting makes calls itself, which let the event go in the end.
    wait::until("the worker to be turned away", async || {
        stack.keys("exe-sys-done").await;
        (stack.count("worker", "PutObject").await >= 1).then_some(())
    })
    .await;
    starts.each_once([]);
}

#[tokio::test]
async fn cancelling_what_is_over_changes_nothing() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a")).await;
    expect_success(&run).await;
    run.cancel("0000").await;
    run.cancel("0001").await;
    let again = stack.submit(&job().order("later")).await;
    expect_success(&again).await;
    expect_success(&run).await;
}

/// A pass lets `skipped` fail with what it waits for, starts `cleanup`, which runs all the same, and dies before it can
/// say any of this. Then the run is cancelled. The worker of `cleanup` stood still meanwhile, and must not begin.
#[tokio::test]
async fn what_a_pass_that_died_has_started_does_not_begin_after_the_cancellation() {
    let dies = at("lambda", "Invoke").by("orchestrator").nth(3).then("kill_after");
    let late = at("s3", "PutObject").by("worker").about("/0004.json").delayed(300_000);
    let stack = Stack::start().speed(20).skip_idle().faults([dies, late]).record().await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let fails = format!("until [ -e '{}' ]; do sleep 0.02; done; exit 1", gate.display());
    let job = job()
        .order("running")
        .cmds([runs_until_stopped(&starts)])
        .order("fails")
        .cmds([fails])
        .order("skipped")
        .after(["fails"])
        .order("cleanup")
        .after(["skipped"])
        .tolerated()
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    starts.until("running").await;
    std::fs::write(gate, "").unwrap();
    let was_killed = |call: &serde_json::Value| call["outcome"]["code"] == "KillAfter";
    run.until("the pass to die", async || stack.recorded().iter().any(was_killed).then_some(())).await;
    run.cancel("0000").await;
    run.done().await;
    stack.settle().await;
    starts.each_once(["running", "stopped running"]);
    let orders = [("running", Cancelled), ("fails", Failed), ("skipped", Failed), ("cleanup", Cancelled)];
    expect(&run, Cancelled, orders).await;
}
