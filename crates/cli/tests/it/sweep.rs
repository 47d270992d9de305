//! Every call of a reference job, made to fail in every way, one at a time: the answer is lost, or the function that
//! makes the call is killed. The calls are learnt from a run without faults.

use std::collections::BTreeMap;

use common::status::Outcome;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{
    Failed, Stack, StartLog, Succeeded, TimedOut, expect,
    faults::{Fault, at},
    job,
    job::Job,
    run::Run,
    wait,
};

/// Stacks at a time: most of the time of each is a wait for the tick.
const PARALLEL: usize = 8;
/// A tick comes every 3 s of machine time.
const SPEED: u32 = 20;

/// What the record calls a fault that met its call.
const INJECTED: [&str; 4] = ["ErrorAfter", "CutAfter", "KillBefore", "KillAfter"];

/// `b` waits for `a`; short timeouts, so that a worker that died is noticed soon.
fn reference(starts: &StartLog) -> Job {
    let short = |job: Job| job.timeout(30).its("start_timeout", 200).stop_grace(0).cmds([starts.start()]);
    short(short(job().order("a")).order("b").after(["a"]))
}

/// The same with a build and an instance instead of two invocations.
fn elsewhere(starts: &StartLog) -> Job {
    let short = |job: Job| job.timeout(30).its("start_timeout", 200).stop_grace(0).cmds([starts.start()]);
    short(short(job().order("a").on("codebuild")).order("b").on("ssm").after(["a"]))
}

/// Makes a job whose commands write into this log.
type Reference = fn(&StartLog) -> Job;

/// A call of the reference job: the nth of an operation by a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    function: String,
    service: String,
    operation: String,
    nth: u64,
}

impl Site {
    /// Names the site in messages: the run is called so.
    fn named(&self, action: &str) -> String {
        format!("{}.{}.{}.{action}", self.function, self.operation, self.nth)
    }

    fn fault(&self, action: &str) -> Fault {
        at(&self.service, &self.operation).by(&self.function).nth(self.nth).then(action)
    }
}

/// The calls that a function makes for the reference job.
async fn sites(reference: Reference, function: &str) -> Vec<Site> {
    let stack = Stack::start().record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&reference(&starts)).await;
    expect::expect_success(&run).await;
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for call in stack.recorded() {
        let text = |field: &str| call[field].as_str().unwrap().to_owned();
        if text("function") == function && text("operation") != "Deliver" {
            *counts.entry((text("service"), text("operation"))).or_default() += 1;
        }
    }
    let of = |((service, operation), count): ((String, String), u64)| {
        (1..=count).map(move |nth| Site {
            function: function.to_owned(),
            service: service.clone(),
            operation: operation.clone(),
            nth,
        })
    };
    counts.into_iter().flat_map(of).collect()
}

/// Runs the reference job with one fault; gives whether it came to that call.
async fn run_with(
    reference: Reference,
    run_id: &str,
    fault: Fault,
    check: impl AsyncFnOnce(&Run<'_>, &StartLog),
) -> bool {
    let stack = Stack::start().speed(SPEED).faults([fault]).record().await;
    let starts = StartLog::of(&stack);
    let run = submit_until_accepted(&stack, run_id, &reference(&starts)).await;
    check(&run, &starts).await;
    stack.recorded().iter().any(|call| call["outcome"]["code"].as_str().is_some_and(|code| INJECTED.contains(&code)))
}

/// As a client does: the same again under the same run id until it is accepted.
async fn submit_until_accepted<'s>(stack: &'s Stack, run_id: &str, job: &Job) -> Run<'s> {
    let body = json!({"job": job.document(), "run_id": run_id, "trace_id": "0a1b2c3d"});
    let answer = wait::until("the submission to be accepted", async || {
        let answer = stack.post("/init", &body).await;
        assert!(matches!(answer.status, 200 | 409 | 500 | 503), "{} {}", answer.status, answer.text());
        (answer.status == 200).then(|| answer.json())
    });
    stack.run(answer.await, job)
}

/// Whatever happened: at most once each, and an end that every account agrees on.
async fn expect_safe(run: &Run<'_>, starts: &StartLog) {
    let done = run.done().await;
    let status = |name: &str| {
        let number = run.number(name);
        async move { run.result(&number).await.map(|result| result["status"].clone()) }
    };
    let outcome = |status: Option<Value>| match status.as_ref().and_then(Value::as_str) {
        Some("succeeded") => Succeeded,
        // With time so fast the order's watchdog may come before what is told of its worker.
        Some("timed_out") => TimedOut,
        _ => Failed,
    };
    let (a, b): (Outcome, Outcome) = (outcome(status("a").await), outcome(status("b").await));
    let job = match (a, b) {
        (Succeeded, b) => b,
        (a, b) => {
            assert_eq!(b, Failed, "`b` waits for `a`");
            a
        }
    };
    expect(run, job, [("a", a), ("b", b)]).await;
    for (name, count) in starts.counts() {
        assert_eq!(count, 1, "`{name}` was started more than once; {done}");
    }
}

async fn sweep(reference: Reference, function: &str, actions: &[&str], check: impl AsyncFn(&Run<'_>, &StartLog)) {
    let sites = sites(reference, function).await;
    assert!(!sites.is_empty(), "the reference job makes no calls");
    let faults: Vec<_> = sites.iter().flat_map(|site| actions.iter().map(move |action| (site, *action))).collect();
    let (check, total) = (&check, faults.len());
    let hits = stream::iter(faults)
        .map(|(site, action)| async move {
            run_with(reference, &site.named(action), site.fault(action), async |run, starts| check(run, starts).await)
                .await
        })
        .buffer_unordered(PARALLEL)
        .filter(|hit| std::future::ready(*hit))
        .count()
        .await;
    // How often the lease is asked for depends on what comes together, so the last of a kind may not be made.
    assert!(hits * 10 >= total * 8, "only {hits} of {total} faults met a call");
}

async fn expect_untouched(run: &Run<'_>, starts: &StartLog) {
    expect::expect_success(run).await;
    starts.each_once(["a", "b"]);
}

#[tokio::test]
async fn a_lost_answer_to_the_orchestrator_is_harmless() {
    sweep(reference, "orchestrator", &["error_after", "cut_after"], expect_untouched).await;
}

#[tokio::test]
async fn a_lost_answer_to_a_worker_is_harmless() {
    sweep(reference, "worker", &["error_after", "cut_after"], expect_untouched).await;
}

#[tokio::test]
async fn a_lost_answer_to_a_submission_is_harmless() {
    sweep(reference, "init_job", &["error_after", "cut_after"], expect_untouched).await;
}

#[tokio::test]
async fn a_killed_orchestrator_is_replaced() {
    sweep(reference, "orchestrator", &["kill_before", "kill_after"], expect_untouched).await;
}

#[tokio::test]
async fn a_killed_worker_costs_its_order_and_nothing_more() {
    sweep(reference, "worker", &["kill_before", "kill_after"], expect_safe).await;
}

#[tokio::test]
async fn a_killed_submission_leaves_nothing_that_runs_and_can_be_sent_again() {
    sweep(reference, "init_job", &["kill_before", "kill_after"], expect_untouched).await;
}

#[tokio::test]
async fn a_killed_tick_is_tried_again() {
    // The first message is lost, so that the run depends on its tick.
    let lost = || crate::support::faults::delivery_to("orchestrator").then("drop");
    for action in ["kill_before", "kill_after", "error_after"] {
        for (service, operation) in [("dynamodb", "GetItem"), ("s3", "PutObject")] {
            let fault = at(service, operation).by("watchdog_check").then(action);
            let stack = Stack::start().speed(SPEED).faults([lost(), fault]).await;
            let starts = StartLog::of(&stack);
            let run = stack.submit(&reference(&starts)).await;
            expect_untouched(&run, &starts).await;
        }
    }
}

/// Builds and instances take longer than invocations: not in the ordinary run.
#[tokio::test]
#[ignore = "takes minutes; run it with `--ignored`"]
async fn elsewhere_a_lost_answer_is_harmless() {
    for function in ["orchestrator", "codebuild", "instance", "watchdog_check"] {
        sweep(elsewhere, function, &["error_after", "cut_after"], expect_untouched).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes; run it with `--ignored`"]
async fn elsewhere_a_killed_function_is_replaced() {
    for function in ["orchestrator", "watchdog_check"] {
        sweep(elsewhere, function, &["kill_before", "kill_after"], expect_untouched).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes; run it with `--ignored`"]
async fn elsewhere_a_killed_worker_costs_its_order_and_nothing_more() {
    for function in ["codebuild", "instance"] {
        sweep(elsewhere, function, &["kill_before", "kill_after"], expect_safe).await;
    }
}
