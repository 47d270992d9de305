//! The sweep: every call of the reference jobs, made to fail in every way, one at a time; then faults by chance.
//!
//! ```text
//!   jobs.rs      what runs          schedule.rs   what goes wrong        bench.rs   where, and whether all is well
//!   seeds.rs     by chance          storms.rs     large jobs in storms   table.rs   the figures
//! ```
//!
//! The calls are learnt from a run without faults. Whether a run came out well is for `checker` to say, which knows the
//! contract and not the engine. Time that nobody uses is skipped, so a run that waits for its tick, or for an event that
//! is five hours late, takes no longer than another.

mod bench;
mod jobs;
mod schedule;
mod seeds;
mod storms;
mod table;

use std::time::Instant;

use common::env::Environment;
use futures::{StreamExt as _, stream};
use serde_json::Value;

use bench::Bench;
use jobs::Reference;
use schedule::{Schedule, sites};
use table::{Line, say_violation, show};

/// Benches at once beside other tests: there is always one that waits for the disk or for a process.
const FEW: usize = 3;
/// Benches at once when nothing else is tested.
const MANY: usize = 6;
/// In the ordinary run one schedule of so many is made, spread over all calls and kinds.
const SAMPLE: usize = 12;

/// Sweeps one job: learns its calls, then makes the schedules that are chosen.
async fn sweep(reference: Reference, benches: &[Bench], step: usize) -> Line {
    let begun = Instant::now();
    let learn = &benches[0];
    // Twice: what a cold environment does besides is not the job's.
    let mut clean = learn.run(&reference, &id(&reference, "cold"), None).await;
    clean.violations.extend(learn.run(&reference, &id(&reference, "clean"), None).await.violations);
    let sites = sites(&clean.calls);
    let all: Vec<Schedule> = sites.iter().flat_map(schedule::Site::schedules).collect();
    let chosen: Vec<&Schedule> = match wanted("SWEEP_SCHEDULE") {
        Some(part) => all.iter().filter(|schedule| schedule.name().contains(&part)).collect(),
        None => all.iter().skip(step / 2).step_by(step).collect(),
    };
    let mut line = Line { sites: sites.len(), schedules: chosen.len(), ..Line::default() };
    if !clean.violations.is_empty() {
        line.violations.insert("without faults".to_owned(), clean.violations);
    }
    let next = std::cell::RefCell::new(chosen.into_iter());
    let found = stream::iter(benches)
        .map(|bench| {
            let next = &next;
            async move {
                let mut found = Vec::new();
                loop {
                    let Some(schedule) = next.borrow_mut().next() else { return found };
                    let run_id = id(&reference, &schedule.name());
                    let report = bench.run(&reference, &run_id, Some(schedule)).await;
                    let met = report.calls.iter().any(|call| {
                        call["outcome"]["code"].as_str().is_some_and(|code| code.contains(schedule.mark()))
                    });
                    found.push((schedule.name(), met, report.violations));
                }
            }
        })
        .buffer_unordered(benches.len())
        .concat()
        .await;
    for (name, met, violations) in found {
        line.met += usize::from(met);
        if !violations.is_empty() {
            say_violation(reference.name, &name, &violations);
            line.violations.insert(name, violations);
        }
    }
    line.took = begun.elapsed();
    line
}

/// The run id of a schedule.
fn id(reference: &Reference, schedule: &str) -> String {
    let job = reference.name.replace(' ', "-");
    format!("{job}.{schedule}").chars().take(64).collect()
}

/// Whether a fault met this call.
fn is_injected(call: &Value) -> bool {
    const MARKS: [&str; 14] = [
        "ErrorAfter",
        "CutBefore",
        "CutAfter",
        "KillBefore",
        "KillAfter",
        "Delay",
        "Zombie",
        "EndSession",
        "Unprocessed",
        "Drop",
        "Arrive",
        "Storm",
        "Hold",
        "Thrott",
    ];
    call["outcome"]["code"].as_str().is_some_and(|code| MARKS.iter().any(|mark| code.contains(mark)))
}

/// What whoever runs the tests wants to see again: a part of the name of a job in `SWEEP_JOB`, of a schedule in
/// `SWEEP_SCHEDULE`, or a seed in `SWEEP_SEED`.
fn wanted(variable: &str) -> Option<String> {
    Environment::of_process().get(variable).map(str::to_owned)
}

/// So many benches.
async fn benches(count: usize) -> Vec<Bench> {
    stream::iter(0..count).then(|_| Bench::new()).collect().await
}

async fn sweep_all(title: &str, step: usize, count: usize) {
    let begun = Instant::now();
    let benches = benches(count).await;
    let mut lines = Vec::new();
    let job = wanted("SWEEP_JOB").unwrap_or_default();
    for reference in jobs::ALL.into_iter().filter(|reference| reference.name.contains(&job)) {
        lines.push((reference.name, sweep(reference, &benches, step).await));
    }
    // How often the lease is asked for depends on what comes together, so the last call of a kind may not be made.
    show(title, &lines, begun, 8);
}

/// A part of the sweep, evenly spread; which part changes only with the calls that the engine makes.
#[tokio::test]
async fn calls_that_fail_are_harmless() {
    sweep_all(&format!("sweep: one schedule of {SAMPLE}"), SAMPLE, FEW).await;
}

#[tokio::test]
#[ignore = "takes half an hour; run it with `--ignored`"]
async fn every_call_fails_in_every_way() {
    sweep_all("sweep: every call, every way", 1, MANY).await;
}
