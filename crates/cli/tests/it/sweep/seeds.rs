//! Faults by chance: a seed draws a job and a script in which every kind of fault may come anywhere, several at once.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    FEW, MANY,
    bench::Bench,
    jobs::Cancellation,
    table::{Line, say, say_violation, show},
};
use crate::support::{job, job::Job};

/// Seeds of the ordinary run: as many as fit.
const TIME: Duration = Duration::from_mins(3);
/// Seeds of the long run, others than those of the ordinary one.
const SEEDS: u64 = 10_000;
const FIRST_OF_MANY: u64 = 1_000_000;

/// Numbers from a seed: `SplitMix64`.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const NUMBERS: [&str; 6] = ["0001", "0002", "0003", "0004", "0005", "0006"];

/// One to six orders that wait for some of those before them; some fail, some hang, some are tolerated, some run on
/// another target than the others.
fn job_of(draws: &mut Draws, bench: &Bench) -> Job {
    let count = 1 + usize::try_from(draws.below(6)).unwrap();
    let mut job = job();
    for (index, name) in NAMES.into_iter().enumerate().take(count) {
        let [begin, end] = bench.commands();
        let (body, timeout) = match draws.below(12) {
            0 => ("exit 3", 600),
            1 => ("sleep 600", 3),
            _ => ("true", 600),
        };
        job = job
            .order(name)
            .cmds([begin, body.to_owned(), end])
            .timeout(timeout)
            .its("start_timeout", 300)
            .stop_grace(1);
        job = match draws.below(12) {
            0 => job.on("codebuild"),
            1 => job.on("ssm"),
            _ => job,
        };
        let waits: Vec<&str> = NAMES[..index].iter().copied().filter(|_| draws.once_in(3)).collect();
        job = job.after(waits);
        if draws.once_in(6) {
            job = job.tolerated();
        }
    }
    if draws.once_in(3) { job.with("max_parallel", 1 + draws.below(3)) } else { job }
}

/// Of every fourth run something is cancelled: all of it, or an order, which it may not have.
fn cancellation_of(draws: &mut Draws) -> Option<Cancellation> {
    let mut one = |of: [&'static str; 6]| of[usize::try_from(draws.below(6)).unwrap()];
    let (after, what) = (one(NAMES), one(NUMBERS));
    let what = if draws.once_in(2) { "0000" } else { what };
    draws.once_in(4).then_some(Cancellation { after, what })
}

/// A script: each kind of fault is in it or not, with a chance and a limit of its own.
fn script_of(seed: u64, draws: &mut Draws) -> Value {
    let mut rules = Vec::new();
    let ms = |draws: &mut Draws, most: u64| draws.below(most * 1_000);
    let mut rule = |draws: &mut Draws, function: Option<&str>, operation: Option<&str>, times: u64, action: Value| {
        if draws.once_in(2) {
            return;
        }
        let permille = [10, 30, 80][usize::try_from(draws.below(3)).unwrap()];
        let chance = json!({"seed": seed ^ draws.next() >> 1, "permille": permille});
        let mut rule = json!({"times": 1 + draws.below(times), "chance": chance, "action": action});
        for (field, value) in [("function", function), ("operation", operation)] {
            if let Some(value) = value {
                rule[field] = value.into();
            }
        }
        rules.push(rule);
    };
    // What loses or kills comes a few times at most, or no run would end.
    rule(draws, None, None, 3, "kill_before".into());
    rule(draws, None, None, 3, "kill_after".into());
    rule(draws, None, None, 3, "end_session".into());
    rule(draws, Some("orchestrator"), Some("Deliver"), 3, "drop".into());
    rule(draws, Some("worker"), Some("Deliver"), 1, "drop".into());
    rule(draws, None, None, 20, "error_after".into());
    rule(draws, None, None, 20, "cut_after".into());
    rule(draws, None, None, 20, "cut_before".into());
    rule(draws, None, None, 20, "throttle".into());
    rule(draws, None, None, 9, "unprocessed".into());
    let late = ms(draws, 18_000);
    rule(draws, None, Some("Deliver"), 4, json!({"arrive": {"after_ms": [0, late]}}));
    let late = ms(draws, 900);
    rule(draws, Some("orchestrator"), Some("Deliver"), 3, json!({"arrive": {"after_ms": [late]}}));
    rule(draws, None, Some("Deliver"), 20, json!({"storm": {"copies": 3, "within_ms": 30_000, "seed": seed}}));
    rule(draws, None, Some("Deliver"), 9, json!({"hold": {"calls": draws_of(late), "ms": 60_000}}));
    let (slow, stands) = (ms(draws, 45), ms(draws, 45));
    rule(draws, None, None, 5, json!({"delay": {"ms": slow}}));
    rule(draws, Some("orchestrator"), None, 3, json!({"zombie": {"ms": stands}}));
    rules.into()
}

/// Few calls, from a number that has been drawn.
const fn draws_of(number: u64) -> u64 {
    1 + number % 20
}

/// Runs seeds until `more` says no.
async fn run(title: &str, count: usize, first: u64, more: impl Fn(u64) -> bool) {
    let begun = Instant::now();
    let benches = super::benches(count).await;
    let next = std::cell::Cell::new(first);
    let found = stream::iter(&benches)
        .map(|bench| {
            let (next, more) = (&next, &more);
            async move {
                let mut line = Line::default();
                loop {
                    let seed = next.get();
                    if !more(seed) {
                        return line;
                    }
                    next.set(seed + 1);
                    let mut draws = Draws(seed);
                    let job = job_of(&mut draws, bench);
                    let script = script_of(seed, &mut draws);
                    let cancel = cancellation_of(&mut draws);
                    let report = bench.any(&job, &format!("seed-{seed}"), &script, cancel).await;
                    line.schedules += 1;
                    line.sites += report.calls.len();
                    line.met += usize::from(report.calls.iter().any(super::is_injected));
                    if !report.violations.is_empty() {
                        say_violation("by chance", &format!("seed {seed}"), &report.violations);
                        say(&format!("{}\n{script}\n{cancel:?}", job.document()));
                        line.violations.insert(format!("seed {seed}"), report.violations);
                    }
                }
            }
        })
        .buffer_unordered(benches.len())
        .fold(Line::default(), |mut all, line| {
            all.schedules += line.schedules;
            all.sites += line.sites;
            all.met += line.met;
            all.violations.extend(line.violations);
            std::future::ready(all)
        })
        .await;
    let line = Line { took: begun.elapsed(), ..found };
    show(title, &[("by chance", line)], begun, 5);
}

#[tokio::test]
async fn faults_by_chance_are_harmless() {
    if let Some(seed) = super::wanted("SWEEP_SEED") {
        let seed = seed.parse().unwrap();
        return run("one seed", 1, seed, |next| next == seed).await;
    }
    let begun = Instant::now();
    run("seeds, for three minutes", FEW, 1, |_| begun.elapsed() < TIME).await;
}

#[tokio::test]
#[ignore = "takes an hour; run it with `--ignored`"]
async fn ten_thousand_seeds() {
    run("ten thousand seeds", MANY, FIRST_OF_MANY, |seed| seed < FIRST_OF_MANY + SEEDS).await;
}
