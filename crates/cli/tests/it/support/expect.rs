//! How a run is to end, compared with everything that is stored about it; and the checker's word on all of that.

use common::status::Outcome;
use serde_json::{Value, json};

use super::{Stack, run::Run};

/// What is stored of a run that is over.
pub(crate) struct Ended {
    pub(crate) rows: Vec<Value>,
    pub(crate) events: Vec<Value>,
}

/// Waits for the end of the run and checks that the job and exactly these orders ended so, by every account of it.
pub(crate) async fn expect<'n>(
    run: &Run<'_>,
    job: Outcome,
    orders: impl IntoIterator<Item = (&'n str, Outcome)>,
) -> Ended {
    let done = run.done().await;
    let orders: Vec<_> = orders.into_iter().collect();
    let names: Vec<&str> = orders.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, run.names, "the model names every order once, in order of number");
    let ended = checked(run).await;
    let rows: Vec<(&str, &str)> =
        ended.rows.iter().map(|row| (row["order_name"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
    let wanted: Vec<(&str, &str)> = orders.iter().map(|(name, outcome)| (*name, outcome.as_str())).collect();
    let reasons: Vec<_> = ended.rows.iter().map(|row| row["failure_reason"].as_str().unwrap_or("-")).collect();
    assert_eq!(rows, wanted, "reasons: {reasons:#?}");
    assert_eq!(done["status"], job.as_str(), "{done}");
    let count = |outcome| orders.iter().filter(|(_, ended)| *ended == outcome).count();
    let mut summary = json!({
        "succeeded": count(Outcome::Succeeded), "failed": count(Outcome::Failed), "timed_out": count(Outcome::TimedOut),
    });
    if count(Outcome::Cancelled) > 0 {
        summary["cancelled"] = count(Outcome::Cancelled).into();
    }
    assert_eq!(done["summary"], summary);
    ended
}

/// Has everything about a completed run checked, whatever became of it; gives what is stored.
async fn checked(run: &Run<'_>) -> Ended {
    let evidence = run.evidence().await;
    let found: Vec<String> = checker::check(&run.job, &evidence).iter().map(ToString::to_string).collect();
    if !found.is_empty() {
        let evidence = serde_json::to_string(&evidence).unwrap();
        panic!("run `{}`:\n{}\nthe evidence: {evidence}", run.id, found.join("\n"));
    }
    let key = checker::key_parameter("exe-sys", &run.id);
    run.until("the run's key to be deleted", async || run.stack.parameter(&key).await.is_none().then_some(())).await;
    Ended { rows: evidence.rows.into_values().collect(), events: evidence.events }
}

/// Nobody needed the tick, which makes good what was lost; the stack must have been started with `record`.
#[track_caller]
pub(crate) fn nobody_ticked(stack: &Stack) {
    let is_tick = |call: &&Value| {
        call["function"] == "watchdog_check" && call["key"].as_str().unwrap().ends_with("/0000/result.json")
    };
    assert_eq!(stack.recorded().iter().find(is_tick), None, "the tick had to come to the rescue");
}

/// All orders succeed, and with them the job.
pub(crate) async fn expect_success(run: &Run<'_>) -> Ended {
    let orders: Vec<_> = run.names.iter().map(|name| (name.as_str(), Outcome::Succeeded)).collect();
    expect(run, Outcome::Succeeded, orders).await
}
