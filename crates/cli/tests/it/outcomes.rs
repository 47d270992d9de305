//! How orders and jobs end when nothing goes wrong with the engine.

use crate::support::{Failed, Stack, StartLog, Succeeded, expect, expect::expect_success, job};

#[tokio::test]
async fn a_job_of_one_order_succeeds() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["echo hello", "echo world >&2"])).await;
    let ended = expect_success(&run).await;
    let result = run.result_of("a").await;
    assert_eq!(result["log"], "hello\nworld\n");
    assert_eq!((&result["exit_code"], &result["log_truncated"]), (&0.into(), &false.into()));
    assert!(result.get("failed_command").is_none() && result.get("reason").is_none(), "{result:#}");
    assert!(ended.rows[0].get("failure_reason").is_none());
    assert_eq!(ended.events.len(), 4);
}

#[tokio::test]
async fn the_first_command_that_fails_ends_its_order() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let cmds = [starts.note("first"), "echo no; exit 7".to_owned(), starts.note("third")];
    let run = stack.submit(&job().order("a").cmds(cmds)).await;
    let ended = expect(&run, Failed, [("a", Failed)]).await;
    let result = run.result_of("a").await;
    assert_eq!((&result["exit_code"], &result["failed_command"]), (&7.into(), &1.into()));
    assert_eq!(result["reason"], "command 2 of 3 exited with 7");
    assert_eq!(ended.rows[0]["failure_reason"], "command 2 of 3 exited with 7");
    assert_eq!(ended.events[2]["message"], "command 2 of 3 exited with 7");
    starts.each_once(["first"]);
}

#[tokio::test]
async fn a_signal_is_told_apart_from_an_exit() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["kill -SEGV $$"])).await;
    expect(&run, Failed, [("a", Failed)]).await;
    let result = run.result_of("a").await;
    assert_eq!(
        (&result["exit_code"], &result["reason"]),
        (&139.into(), &"command 1 of 1 was ended by signal 11".into())
    );
}

#[tokio::test]
async fn a_failure_cascades_through_everything_that_must_succeed() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let start = || [starts.start()];
    let job = job()
        .order("a")
        .cmds([starts.start(), "false".to_owned()])
        .order("b")
        .after(["a"])
        .cmds(start())
        .order("c")
        .after(["b"])
        .cmds(start())
        .order("other")
        .cmds(start());
    let run = stack.submit(&job).await;
    let ended = expect(&run, Failed, [("a", Failed), ("b", Failed), ("c", Failed), ("other", Succeeded)]).await;
    starts.each_once(["a", "other"]);
    assert_eq!(ended.rows[1]["failure_reason"], "`a` did not succeed");
    assert_eq!(ended.rows[2]["failure_reason"], "`b` did not succeed");
    for name in ["b", "c"] {
        let kinds: Vec<_> = run.events_of(name).await.into_iter().map(|event| event["event_type"].clone()).collect();
        assert_eq!(kinds, ["dependency_failed"]);
        let result = run.result(&run.number(name)).await.unwrap();
        assert_eq!(
            (&result["status"], &result["skipped"], &result["writer"]),
            (&"failed".into(), &true.into(), &"engine".into())
        );
    }
}

#[tokio::test]
async fn what_need_not_succeed_is_tolerated_and_runs_after_a_failure() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("lint")
        .tolerated()
        .cmds([starts.start(), "exit 1".to_owned()])
        .order("build")
        .cmds([starts.start()])
        .order("cleanup")
        .tolerated()
        .after(["lint", "build"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    expect(&run, Succeeded, [("lint", Failed), ("build", Succeeded), ("cleanup", Succeeded)]).await;
    starts.each_once(["lint", "build", "cleanup"]);
    assert_eq!(starts.lines().last().unwrap(), "cleanup");
}

#[tokio::test]
async fn an_order_that_must_succeed_does_not_run_after_a_tolerated_failure() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job().order("lint").tolerated().cmds(["exit 1"]).order("release").after(["lint"]).cmds([starts.start()]);
    let run = stack.submit(&job).await;
    expect(&run, Failed, [("lint", Failed), ("release", Failed)]).await;
    starts.each_once([]);
}

#[tokio::test]
async fn a_diamond_runs_in_the_order_of_its_dependencies() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let start = || [starts.start()];
    // Written the wrong way round, and waited for by number, queue id and name.
    let job = job()
        .order("end")
        .after(["left", "third"])
        .cmds(start())
        .order("left")
        .after(["0004"])
        .cmds(start())
        .order("right")
        .its("queue_id", "third")
        .after(["begin"])
        .cmds(start())
        .order("begin")
        .cmds(start());
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    starts.each_once(["begin", "left", "right", "end"]);
    let lines = starts.lines();
    assert_eq!((lines[0].as_str(), lines[3].as_str()), ("begin", "end"));
}
