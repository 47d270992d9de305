//! What takes too long is stopped: an order by its own timeout or before it ever started, a run by the job's.

use crate::support::{
    Failed, Stack, StartLog, Succeeded, TimedOut, expect,
    faults::{at, delivery_to},
    job, wait,
};

/// A shell loop that ends by a signal alone.
const FOREVER: &str = "while :; do sleep 0.02; done";

#[tokio::test]
async fn a_command_gets_sigint_and_time_to_tidy_up() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let trap =
        format!("trap '{}; exit 1' INT; {}; {FOREVER}", starts.note("tidied").replace('\'', ""), starts.note("began"));
    let job = job().order("a").timeout(2).cmds([trap, starts.note("next command")]).order("b").after(["a"]);
    let run = stack.submit(&job).await;
    let ended = expect(&run, TimedOut, [("a", TimedOut), ("b", Failed)]).await;
    starts.each_once(["began", "tidied"]);
    let result = run.result_of("a").await;
    assert_eq!(result["reason"], "command 1 of 2 was stopped: its timeout of 2 s is over");
    assert_eq!((&result["exit_code"], &result["failed_command"]), (&1.into(), &0.into()));
    assert_eq!(ended.rows[0]["failure_reason"], result["reason"]);
    let kinds: Vec<_> = run.events_of("a").await.into_iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(kinds, ["dispatched", "timed_out"]);
}

#[tokio::test]
async fn a_command_that_ignores_sigint_is_killed_after_its_grace() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let stubborn = format!("trap '' INT; {}; {FOREVER}", starts.start());
    let run = stack.submit(&job().order("a").timeout(1).stop_grace(1).cmds([stubborn])).await;
    expect(&run, TimedOut, [("a", TimedOut)]).await;
    starts.each_once(["a"]);
    let result = run.result_of("a").await;
    assert_eq!(result["exit_code"], 137);
    let seconds = |field: &str| result[field].as_str().unwrap().parse::<f64>().unwrap();
    let claimed = run.claim("0001").await.unwrap()["at"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(seconds("finished_at") >= claimed + 2.0, "not before its timeout and its grace: {result:#}");
}

#[tokio::test]
async fn the_timeout_is_for_all_commands_together() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let run = stack
        .submit(&job().order("a").timeout(1).stop_grace(0).cmds([
            starts.note("1"),
            "sleep 60".to_owned(),
            starts.note("3"),
        ]))
        .await;
    expect(&run, TimedOut, [("a", TimedOut)]).await;
    starts.each_once(["1"]);
    assert_eq!(run.result_of("a").await["failed_command"], 1);
}

#[tokio::test]
async fn a_tolerated_timeout_leaves_the_job_successful() {
    let stack = Stack::start().await;
    let job =
        job().order("a").tolerated().timeout(1).stop_grace(0).cmds(["sleep 60"]).order("b").tolerated().after(["a"]);
    let run = stack.submit(&job).await;
    expect(&run, Succeeded, [("a", TimedOut), ("b", Succeeded)]).await;
}

#[tokio::test]
async fn the_jobs_timeout_ends_what_runs_and_what_never_started() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job()
        .with("job_timeout", 3)
        .with("max_parallel", 2)
        .order("quick")
        .cmds([starts.start()])
        .order("slow")
        .stop_grace(1)
        .cmds([starts.start(), "sleep 600".to_owned()])
        .order("after")
        .tolerated()
        .after(["slow"])
        .cmds([starts.start()])
        .order("deep")
        .after(["after"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    let ended =
        expect(&run, TimedOut, [("quick", Succeeded), ("slow", TimedOut), ("after", TimedOut), ("deep", TimedOut)])
            .await;
    starts.each_once(["quick", "slow"]);
    assert_eq!(ended.rows[2]["failure_reason"], "the job's time of 3 s is over");
    let done_key = format!("{}/done", run.id);
    assert!(stack.object("exe-sys-done", &done_key).await.is_some());
}

#[tokio::test]
async fn the_jobs_timeout_holds_even_if_no_message_ever_arrives() {
    // The first message is lost; the tick comes at the deadline, before its minute is over.
    let stack = Stack::start().speed(10).faults([delivery_to("orchestrator").then("drop")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().with("job_timeout", 20).order("a").cmds([starts.start()])).await;
    expect(&run, TimedOut, [("a", TimedOut)]).await;
    starts.each_once([]);
}

#[tokio::test]
async fn an_order_that_no_worker_takes_is_ended_by_its_watchdog_and_never_starts() {
    // The worker's event comes long after the order was given up: nothing may start then.
    let stack = Stack::start().speed(20).faults([delivery_to("worker").delayed(90_000)]).await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("a")
        .its("start_timeout", 20)
        .cmds([starts.start()])
        .order("b")
        .tolerated()
        .after(["a"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    let ended = expect(&run, TimedOut, [("a", TimedOut), ("b", Succeeded)]).await;
    assert_eq!(ended.rows[0]["failure_reason"], "no worker started it within its start_timeout of 20 s");
    let result = run.result_of("a").await;
    // `b` wrote one claim; the late worker's is the second, and is refused.
    wait::until("the late worker to be turned away", async || {
        (stack.count("worker", "PutObject").await >= 2).then_some(())
    })
    .await;
    starts.each_once(["b"]);
    assert_eq!(run.result_of("a").await, result);
    assert_eq!(run.claim("0001").await.unwrap()["by"], "engine");
}

#[tokio::test]
async fn a_worker_that_dies_with_its_order_is_noticed_even_if_nobody_tells_of_it() {
    let killed = at("s3", "GetObject").by("worker").about("stop.json").then("kill_before");
    let untold = delivery_to("watchdog_check").then("drop");
    let stack = Stack::start().speed(20).faults([killed, untold]).await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").timeout(30).stop_grace(0).cmds([starts.start(), "sleep 600".to_owned()]);
    let run = stack.submit(&job).await;
    let ended = expect(&run, TimedOut, [("a", TimedOut)]).await;
    starts.each_once(["a"]);
    let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
    assert_eq!(reason, "it ran longer than its timeout of 30 s; its worker did not report within the time to stop");
}
