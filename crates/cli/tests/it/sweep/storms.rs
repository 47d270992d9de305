//! Large jobs in storms: every event comes three times, at random within half a minute, and so in random order.

use std::{collections::BTreeMap, time::Instant};

use serde_json::{Value, json};

use super::{
    bench::Bench,
    table::{Line, say, say_violation, show},
};
use crate::support::{job, job::Job};

fn storm() -> Value {
    json!([{"operation": "Deliver", "times": 1_000_000, "action": {"storm": {"copies": 3, "within_ms": 30_000, "seed": 1}}}])
}

fn order(job: Job, name: &str, bench: &Bench) -> Job {
    job.order(name).cmds(bench.commands()).timeout(600)
}

fn chain(bench: &Bench, length: usize) -> Job {
    let names: Vec<String> = (0..length).map(|number| format!("o{number}")).collect();
    (0..length).fold(job(), |job, at| {
        let job = order(job, &names[at], bench);
        if at == 0 { job } else { job.after([names[at - 1].as_str()]) }
    })
}

fn fan(bench: &Bench, width: usize) -> Job {
    (0..width).fold(job(), |job, at| order(job, &format!("o{at}"), bench))
}

/// How many invocations in a line AWS stops, unless the function allows it (`RecursiveLoop`).
const AWS_LOOP: usize = 16;

/// The longest line of invocations each of which was caused by the one before: what AWS counts as a loop.
fn lineage(calls: &[Value]) -> usize {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        let (Some(starts), parent) = (call["starts"].as_str(), call["parent"].as_str().unwrap_or_default()) else {
            continue;
        };
        let depth = depths.get(parent).copied().unwrap_or_default() + 1;
        let known = depths.entry(starts).or_default();
        *known = depth.max(*known);
    }
    depths.into_values().max().unwrap_or_default()
}

/// Row 9. Each look at everything is owed to a wake-up: who keeps looking has lost count of them.
fn looks(calls: &[Value]) -> Option<String> {
    let of = |operation: &str| {
        calls.iter().filter(|call| call["function"] == "orchestrator" && call["operation"] == operation).count()
    };
    let (pages, wakes) = (of("ListObjectsV2"), of("Deliver"));
    let results = calls.iter().filter(|call| call["function"] == "worker" && call["operation"] == "Deliver").count();
    let most = wakes * (1 + results / PAGE);
    (pages > most).then(|| format!("row 9: {pages} pages were listed for {wakes} wake-ups"))
}

/// Keys in a page of a list.
const PAGE: usize = 1_000;

/// A job's name, how it is made, and how large.
type Large = (&'static str, fn(&Bench, usize) -> Job, usize);

/// Real time while somebody works: a pass over a thousand orders takes as long as it takes.
async fn weather(title: &str, jobs: Vec<Large>) {
    let begun = Instant::now();
    let bench = Bench::at_speed(1).await;
    let mut lines = Vec::new();
    for (name, make, size) in jobs {
        let since = Instant::now();
        let job = make(&bench, size);
        let mut report = bench.any(&job, &name.replace([' ', ','], "-"), &storm(), None).await;
        let mut line =
            Line { sites: report.calls.len(), schedules: 1, met: 1, took: since.elapsed(), ..Line::default() };
        if name.starts_with("chain") {
            let lineage = lineage(&report.calls);
            say(&format!("{name}: a line of {lineage} invocations, each caused by the one before"));
            // A holder of the lease that finds news goes on, so not every order adds to the line.
            assert!(lineage > AWS_LOOP || size < 100, "a chain is what AWS takes for a loop");
        }
        if let Some(violation) = looks(&report.calls) {
            report.violations.push(violation);
        }
        if !report.violations.is_empty() {
            say_violation(title, name, &report.violations);
            line.violations.insert(name.to_owned(), report.violations);
        }
        lines.push((name, line));
    }
    show(title, &lines, begun, 1);
}

#[tokio::test]
async fn events_that_come_three_times_in_any_order_change_nothing() {
    weather("storms", vec![("chain of 30", chain, 30), ("fan of 250", fan, 250)]).await;
}

#[tokio::test]
#[ignore = "takes minutes; run it with `--ignored`"]
async fn large_jobs_stand_storms() {
    weather("large storms", vec![("chain of 200", chain, 200), ("fan of 1,000", fan, 1_000)]).await;
}
