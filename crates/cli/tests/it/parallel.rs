//! How many orders run at once, and jobs with many orders.

use crate::support::{Stack, StartLog, expect::expect_success, job, job::Job};

/// Orders that write `+` when they begin and `-` before they end.
fn crowd(starts: &StartLog, orders: usize) -> Job {
    (0..orders).fold(job(), |job, number| {
        job.order(&format!("o{number}")).cmds([starts.note("+"), "sleep 0.1".to_owned(), starts.note("-")])
    })
}

/// Most orders between their `+` and their `-` at one time.
fn most_at_once(starts: &StartLog) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for line in starts.lines() {
        now = if line == "+" { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    most
}

#[tokio::test]
async fn max_parallel_is_never_exceeded_and_is_used() {
    let stack = Stack::start().concurrency(8).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&crowd(&starts, 8).with("max_parallel", 3)).await;
    expect_success(&run).await;
    let most = most_at_once(&starts);
    assert!((2..=3).contains(&most), "{most} at once");
    assert_eq!(starts.counts()["+"], 8);
}

#[tokio::test]
async fn the_deployments_limit_holds_for_jobs_that_name_none() {
    let stack = Stack::start().concurrency(8).variable("AWS_EXE_SYS_MAX_PARALLEL", "lambda=1").await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&crowd(&starts, 4)).await;
    expect_success(&run).await;
    assert_eq!(most_at_once(&starts), 1);
}

#[tokio::test]
async fn orders_beyond_lambdas_concurrency_wait_for_their_turn() {
    let stack = Stack::start().concurrency(2).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&crowd(&starts, 6)).await;
    expect_success(&run).await;
    assert!(most_at_once(&starts) <= 2);
}

#[tokio::test]
async fn a_wide_and_a_deep_job_run_through() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let names: Vec<String> = (0..30).map(|number| format!("w{number}")).collect();
    let wide = names.iter().fold(job().order("begin").cmds([starts.start()]), |job, name| {
        job.order(name).after(["begin"]).cmds([starts.start()])
    });
    let wide = wide.order("end").after(names.iter().map(String::as_str)).cmds([starts.start()]);
    let first = stack.submit(&wide).await;
    // A chain: on AWS a loop of that length is ended unless it is allowed.
    let chain = (1..25).fold(job().order("c0").cmds([starts.start()]), |job, number| {
        job.order(&format!("c{number}")).after([format!("c{}", number - 1).as_str()]).cmds([starts.start()])
    });
    let second = stack.submit(&chain).await;
    expect_success(&first).await;
    expect_success(&second).await;
    starts.each_once(wide.names().iter().chain(&chain.names()).map(String::as_str));
    let chained: Vec<String> = starts.lines().into_iter().filter(|line| chain.names().contains(line)).collect();
    assert_eq!(chained, chain.names());
    assert_eq!(stack.count("orchestrator", "Invoke").await, 32 + 25, "one dispatch an order");
}
