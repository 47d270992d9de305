//! Dispatches that are refused for good, or only for now.

use crate::support::{Failed, Stack, StartLog, Succeeded, expect, expect::expect_success, faults::at, job};

#[tokio::test]
async fn a_refused_dispatch_ends_its_order_at_once_with_the_reason() {
    let refused = at("lambda", "Invoke").by("orchestrator").refused("AccessDeniedException");
    let stack = Stack::start().faults([refused]).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("a")
        .cmds([starts.start()])
        .order("b")
        .after(["a"])
        .cmds([starts.start()])
        .order("always")
        .tolerated()
        .after(["b"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    let ended = expect(&run, Failed, [("a", Failed), ("b", Failed), ("always", Succeeded)]).await;
    starts.each_once(["always"]);
    let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
    assert!(
        reason.starts_with("it could not be started: failed to invoke the worker: AccessDeniedException"),
        "{reason}"
    );
    assert_eq!(run.claim("0001").await.unwrap()["by"], "engine");
}

#[tokio::test]
async fn a_watchdog_that_is_refused_starts_nothing() {
    let refused = at("states", "StartExecution").by("orchestrator").refused("AccessDeniedException");
    let stack = Stack::start().faults([refused]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    let ended = expect(&run, Failed, [("a", Failed)]).await;
    starts.each_once([]);
    let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
    assert!(reason.contains("start the watchdog") && reason.contains("AccessDeniedException"), "{reason}");
}

#[tokio::test]
async fn a_throttled_dispatch_only_waits() {
    // All of the SDK's own attempts are throttled, so it is the tick that tries again.
    let throttled = at("lambda", "Invoke").by("orchestrator").times(6).refused("TooManyRequestsException");
    let stack = Stack::start().speed(5).faults([throttled]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    assert!(stack.count("orchestrator", "Invoke").await > 6);
}

#[tokio::test]
async fn a_dispatch_that_nobody_answers_only_waits() {
    // Whether it was made is not known, after all of the SDK's own attempts; so it is made again, and runs once.
    for cut in ["cut_before", "cut_after"] {
        let cut = at("lambda", "Invoke").by("orchestrator").times(6).then(cut);
        let stack = Stack::start().speed(5).faults([cut]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
        expect_success(&run).await;
        starts.each_once(["a"]);
    }
}

#[tokio::test]
async fn storms_of_throttling_only_delay() {
    let storm = |service, operation, code| at(service, operation).nth(1).times(2).refused(code);
    let stack = Stack::start()
        .faults([
            storm("dynamodb", "UpdateItem", "ThrottlingException").by("orchestrator"),
            storm("dynamodb", "BatchWriteItem", "ProvisionedThroughputExceededException"),
            storm("s3", "PutObject", "SlowDown"),
            storm("s3", "GetObject", "SlowDown").by("worker"),
            storm("states", "StartExecution", "ThrottlingException"),
            storm("ssm", "PutParameter", "ThrottlingException"),
            storm("ssm", "GetParameter", "ThrottlingException"),
        ])
        .await;
    let starts = StartLog::of(&stack);
    let run =
        stack.submit(&job().order("a").cmds([starts.start()]).order("b").after(["a"]).cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(["a", "b"]);
}
