//! Workers that are gone: their orders end at once and not at their timeout, and what the worker could still tell is told.

use common::clock::Clock;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{
    Cancelled, Failed, Stack, StartLog, Succeeded, expect,
    expect::expect_success,
    faults::{at, delivery_to},
    job, wait,
};

const TARGETS: [&str; 3] = ["lambda", "codebuild", "ssm"];

/// Waits until a command has written the number of its worker's process.
async fn worker(starts: &StartLog) -> Pid {
    let pid =
        wait::until("the worker's number", async || starts.lines().first().and_then(|line| line.parse().ok())).await;
    Pid::from_raw(pid)
}

#[tokio::test]
async fn a_killed_worker_ends_its_order_at_once() {
    for target in TARGETS {
        let stack = Stack::start().await;
        let starts = StartLog::of(&stack);
        // An hour: whoever waits for the timeout waits longer than this test.
        let job =
            job().order("a").on(target).cmds([starts.note("$PPID"), "sleep 3600".to_owned()]).order("b").after(["a"]);
        let run = stack.submit(&job).await;
        let worker = worker(&starts).await;
        let killed = Clock::REAL.now();
        kill(worker, Signal::SIGKILL).unwrap();
        let ended = expect(&run, Failed, [("a", Failed), ("b", Failed)]).await;
        println!("{target}: a killed worker's run was over after {:?}", killed.until(Clock::REAL.now()));
        let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
        let told = match target {
            "lambda" => "its Lambda invocation failed",
            "codebuild" => "its build failed",
            _ => "its command ended as Failed",
        };
        assert!(reason.contains(told), "{target}: {reason}");
    }
}

#[tokio::test]
async fn a_worker_that_is_lost_had_its_order_also_if_nobody_wrote_down_the_dispatch() {
    for target in TARGETS {
        let (service, operation) = match target {
            "lambda" => ("lambda", "Invoke"),
            "codebuild" => ("codebuild", "StartBuild"),
            _ => ("ssm", "SendCommand"),
        };
        let stack = Stack::start().speed(20).faults([at(service, operation).by("orchestrator").then("kill_after")]);
        let stack = stack.await;
        let starts = StartLog::of(&stack);
        let job = job().order("a").on(target).timeout(600).cmds([starts.note("$PPID"), "sleep 3600".to_owned()]);
        let run = stack.submit(&job).await;
        kill(worker(&starts).await, Signal::SIGKILL).unwrap();
        let ended = expect(&run, Failed, [("a", Failed)]).await;
        let row = &ended.rows[0];
        assert!(row["dispatched_at"].is_number() || row["dispatched_at"].is_string(), "{target}: {row}");
        let told: Vec<&str> = ended.events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
        assert!(told.contains(&"dispatched"), "{target}: {told:?}");
    }
}

#[tokio::test]
async fn an_invocation_that_never_claims_ends_its_order_at_once() {
    // The function dies before its first call could be answered.
    let stack = Stack::start().faults([at("s3", "GetObject").by("worker").then("kill_before")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    expect(&run, Failed, [("a", Failed)]).await;
    starts.each_once([]);
    assert_eq!(run.claim("0001").await.unwrap()["by"], "engine");
}

#[tokio::test]
async fn a_result_that_cannot_be_delivered_is_told_by_the_way_the_worker_ends() {
    for (target, function) in [("lambda", "worker"), ("codebuild", "codebuild"), ("ssm", "instance")] {
        // All attempts by both ways: the signed URL and the role.
        let refused = at("s3", "PutObject").by(function).about("result.json").times(40).refused("AccessDenied");
        let stack = Stack::start().faults([refused]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").on(target).cmds([starts.start()])).await;
        let ended = expect(&run, Succeeded, [("a", Succeeded)]).await;
        starts.each_once(["a"]);
        drop(ended);
        let result = run.result_of("a").await;
        let text = result.to_string();
        assert!(text.contains("could not deliver") || target == "ssm", "{target}: {result:#}");
    }
}

#[tokio::test]
async fn what_a_worker_reports_stands_although_it_is_being_given_up() {
    // Two deliveries share a request id. One dies when it is about to claim, so whoever is told takes the other for gone.
    let dies = at("s3", "PutObject").by("worker").about("/tmp/claims/").nth(2).then("kill_before");
    let slow = at("s3", "PutObject").by("watchdog_check").about(".stop.json").delayed(5_000);
    let stack = Stack::start().faults([delivery_to("worker").then("duplicate"), dies, slow]).await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", starts.start(), gate.display());
    let run = stack.submit(&job().order("a").cmds([held])).await;
    wait::until("somebody to see that there is no result", async || {
        (stack.count("watchdog_check", "HeadObject").await >= 1).then_some(())
    })
    .await;
    std::fs::write(gate, "").unwrap();
    wait::until("the worker to be given up", async || stack.function_logs().contains("a worker is gone").then_some(()))
        .await;
    expect_success(&run).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn a_second_delivery_that_is_turned_away_changes_nothing() {
    let stack = Stack::start().speed(10).faults([delivery_to("worker").then("duplicate")]).await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", starts.start(), gate.display());
    let run = stack.submit(&job().order("a").cmds([held])).await;
    starts.until("a").await;
    wait::until("the second worker to be turned away", async || {
        (stack.count("worker", "PutObject").await >= 2).then_some(())
    })
    .await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn the_end_of_a_worker_that_has_not_the_order_changes_nothing() {
    // The order is dispatched twice, because the first answer is lost. The second worker dies when it is about to claim.
    let lost = at("lambda", "Invoke").by("orchestrator").then("cut_after");
    let dies = at("s3", "PutObject").by("worker").about("/tmp/claims/").nth(2).then("kill_before");
    let stack = Stack::start().faults([lost, dies]).await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", starts.start(), gate.display());
    let run = stack.submit(&job().order("a").cmds([held])).await;
    wait::until("the end of the second worker to be judged", async || {
        let is_judged = stack.function_logs().contains("another worker has this order");
        (is_judged || run.result("0001").await.is_some()).then_some(())
    })
    .await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn a_worker_that_does_not_stop_is_stopped_by_its_target_afterwards() {
    for (target, operation) in [("codebuild", "StopBuild"), ("ssm", "CancelCommand")] {
        let stack = Stack::start().speed(20).record().await;
        let starts = StartLog::of(&stack);
        // The worker is frozen, so that it sees no request and reports nothing.
        let frozen = format!("{}; kill -STOP $PPID; sleep 3600", starts.start());
        let run = stack.submit(&job().order("a").on(target).stop_grace(1).cmds([frozen])).await;
        starts.until("a").await;
        run.cancel("0001").await;
        let ended = expect(&run, Failed, [("a", Cancelled)]).await;
        starts.each_once(["a"]);
        let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
        assert!(reason.ends_with("its worker did not report within the time to stop"), "{target}: {reason}");
        let calls = stack.recorded();
        let place = |wanted: &str, key: &str| {
            let is_one = |call: &serde_json::Value| {
                call["operation"] == wanted && call["key"].as_str().is_some_and(|found| found.contains(key))
            };
            calls.iter().position(is_one).unwrap_or_else(|| panic!("{target}: no `{wanted}` of `{key}`"))
        };
        assert!(place("PutObject", "stop.json") < place(operation, ""), "{target}: it was asked first");
    }
}
