//! `aws-exe cancel`: what it says, what becomes of the run, and its exit codes.

use crate::support::{
    Cancelled, Failed, Stack, StartLog, Succeeded, aws_exe::processes_of, expect, expect::expect_success, job,
    stack::INTERNAL,
};

/// Runs until it is told to stop, with a child, and says that it was stopped.
fn runs_until_stopped(starts: &StartLog) -> String {
    let told = starts.note("stopped $ORDER_ID");
    format!("stopped() {{ {told}; exit 1; }}; trap stopped INT; {}; while :; do sleep 0.02; done", starts.start())
}

#[tokio::test]
async fn a_run_is_cancelled_and_waited_for() {
    let stack = Stack::start().speed(20).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("quick")
        .cmds([starts.start()])
        .order("running")
        .after(["quick"])
        .cmds([runs_until_stopped(&starts)])
        .order("waiting")
        .after(["running"])
        .cmds([starts.start()]);
    let run = stack.submit_as("r", &job).await;
    starts.until("running").await;
    run.until_row("running", "running").await;
    insta::assert_snapshot!(stack.call(&["cancel", "r", "--wait"]).await.shown(), @r"
    exit 1
    ── stdout
    asked to cancel the run `r`
    1 running: the commands get SIGINT and, after `stop_grace`, SIGKILL; 1 queued: they will not start
    the run `r` has ended: cancelled
    ── stderr
    ");
    expect(&run, Cancelled, [("quick", Succeeded), ("running", Cancelled), ("waiting", Cancelled)]).await;
    starts.each_once(["quick", "running", "stopped running"]);
    let left: Vec<String> = processes_of(stack.marker())
        .into_iter()
        .filter(|line| !line.starts_with(crate::support::aws_exe::BINARY))
        .collect();
    assert_eq!(left, [] as [String; 0], "commands are left");
}

#[tokio::test]
async fn an_order_is_cancelled_with_what_depends_on_it() {
    let stack = Stack::start().speed(20).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("running")
        .cmds([runs_until_stopped(&starts)])
        .order("dependent")
        .tolerated()
        .after(["running"])
        .cmds([starts.start()])
        .order("other")
        .cmds([runs_until_stopped(&starts)])
        .order("last")
        .tolerated()
        .after(["other"])
        .cmds([starts.start()]);
    let run = stack.submit_as("r", &job).await;
    for name in ["running", "other"] {
        starts.until(name).await;
        run.until_row(name, "running").await;
    }
    insta::assert_snapshot!(stack.call(&["cancel", "r", "last"]).await.shown(), @r"
    exit 0
    ── stdout
    asked to cancel the order `last` (0004)
    it will not start; what depends on it is cancelled as well
    ── stderr
    ");
    run.until_row("last", "cancelled").await;
    insta::assert_snapshot!(stack.call(&["cancel", "r", "1", "--wait"]).await.shown(), @r"
    exit 1
    ── stdout
    asked to cancel the order `running` (0001)
    its command gets SIGINT and, after `stop_grace`, SIGKILL; what depends on it is cancelled as well
    the order `running` (0001) has ended: cancelled
    ── stderr
    ");
    run.until_row("dependent", "cancelled").await;
    assert!(run.done_now().await.is_none(), "the other order goes on");
    assert_eq!(stack.call(&["cancel", "r", "other"]).await.code, 0);
    let orders = [("running", Cancelled), ("dependent", Cancelled), ("other", Cancelled), ("last", Cancelled)];
    expect(&run, Failed, orders).await;
    starts.each_once(["running", "other", "stopped running", "stopped other"]);
}

#[tokio::test]
async fn what_has_ended_is_not_asked_for() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r", &job().order("a").order("b").tolerated().cmds(["exit 1"])).await;
    expect(&run, Succeeded, [("a", Succeeded), ("b", Failed)]).await;
    let before = stack.keys(INTERNAL).await;
    for (arguments, code, line) in [
        (&["cancel", "r"][..], 0, "the run `r` has ended already: succeeded\n"),
        (&["cancel", "r", "--wait"], 0, "the run `r` has ended already: succeeded\n"),
        (&["cancel", "r", "a"], 0, "the order `a` (0001) has ended already: succeeded\n"),
        (&["cancel", "r", "b"], 0, "the order `b` (0002) has ended already: failed\n"),
        (&["cancel", "r", "b", "--wait"], 1, "the order `b` (0002) has ended already: failed\n"),
    ] {
        let said = stack.call(arguments).await;
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (code, line, ""), "{arguments:?}");
    }
    assert_eq!(stack.keys(INTERNAL).await, before);
    let next = stack.submit(&job().order("c")).await;
    expect_success(&next).await;
}
