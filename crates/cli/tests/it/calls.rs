//! How many AWS calls an order takes: the measure of what a run costs and how long it takes. Whoever adds a call changes
//! the table here on purpose. The same is measured up to 5,000 orders by `scripts/bench.sh`.
//!
//! ```text
//!  calls(N) ≤ FIXED + N × (init_job + orchestrator + worker + states)      for each shape and way of delivery
//! ```
//!
//! Calls of `watchdog_check` are among the `FIXED` ones: an order that ended in time needs none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Stack, expect::expect_success, faults::at, job, job::Job};

/// Most calls of a run that do not depend on how many orders it has: reserving it, its plan, its key, its beginning and its
/// end, and the passes that find nothing new.
const FIXED: u64 = 30;

/// Most calls an order, in hundredths, by function and operation.
type Most = &'static [(&'static str, &'static str, u64)];

/// What every order takes, whatever the shape: its bundle, its watchdog, its start, its claim, its result.
const ALWAYS: Most = &[
    ("init_job", "PutObject", 100),
    // 25 rows each.
    ("init_job", "BatchWriteItem", 4),
    ("orchestrator", "StartExecution", 100),
    ("orchestrator", "Invoke", 100),
    // Its result.
    ("orchestrator", "GetObject", 100),
    ("worker", "GetObject", 100),
    // The claim and the result.
    ("worker", "PutObject", 200),
    // The run's key, once by each worker that is warm: eight of them at most.
    ("worker", "GetParameter", 8),
    // Whether its result is there, when its time is over.
    ("states", "HeadObject", 100),
];

/// Who is counted.
const CALLERS: [&str; 5] = ["init_job", "orchestrator", "worker", "watchdog_check", "states"];

/// Results come one by one: each is a pass of its own.
const ONE_BY_ONE: Most = &[
    // Its row twice, the lease, the commit.
    ("orchestrator", "UpdateItem", 400),
    // Events of its end; those of its beginning come 25 at a time, or with the end of what it waited for.
    ("orchestrator", "BatchWriteItem", 104),
];

/// All results but one come while a pass is under way: each leaves word and goes home.
const AT_ONCE: Most = &[
    // Its row twice, and the word.
    ("orchestrator", "UpdateItem", 300),
    // 25 events at a time, of beginnings and ends.
    ("orchestrator", "BatchWriteItem", 8),
];

/// How results come to the orchestrator.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    /// In random order, spread over so many milliseconds. Those of a whole run together are less than a minute, so that
    /// no tick comes between.
    OneByOne(u64),
    /// Each when the pass that started its order is over, and before the next tick.
    Later,
    /// While the first pass that reads one stands still.
    AtOnce,
    /// As they come.
    AsTheyCome,
}

impl Delivery {
    fn script(self) -> Value {
        match self {
            Self::OneByOne(within_ms) => json!([{
                "function": "orchestrator", "operation": "Deliver", "key": "/result.json", "times": 1_000_000,
                "action": {"storm": {"copies": 1, "within_ms": within_ms, "seed": 1}},
            }]),
            Self::Later => json!([{
                "function": "orchestrator", "operation": "Deliver", "key": "/result.json", "times": 1_000_000,
                "action": {"arrive": {"after_ms": [300]}},
            }]),
            Self::AtOnce => {
                json!([Value::from(at("s3", "GetObject").by("orchestrator").about("/result.json").delayed(30_000))])
            }
            Self::AsTheyCome => json!([]),
        }
    }
}

fn fan(orders: usize) -> Job {
    (0..orders).fold(job(), |job, number| job.order(&format!("o{number}")).cmds([":"]))
}

fn chain(orders: usize) -> Job {
    (1..orders).fold(fan(1), |job, number| {
        job.order(&format!("o{number}")).cmds([":"]).after([format!("o{}", number - 1).as_str()])
    })
}

/// Layers of ten, each waiting for all of the layer before.
fn layers(orders: usize) -> Job {
    (10..orders).fold(fan(10), |job, number| {
        let above = number / 10 * 10 - 10;
        let names: Vec<String> = (above..above + 10).map(|number| format!("o{number}")).collect();
        job.order(&format!("o{number}")).cmds([":"]).after(names.iter().map(String::as_str))
    })
}

type Counts = BTreeMap<(String, String), u64>;

/// Runs the job; gives the calls of functions and state machine by caller and operation. Deliveries are no calls.
async fn count(job: &Job, delivery: Delivery) -> Counts {
    let stack = Stack::start().skip_idle().concurrency(8).record().await;
    stack.script(&delivery.script()).await;
    let run = stack.submit(job).await;
    expect_success(&run).await;
    // The watchdogs' time comes later.
    stack.settle().await;
    let mut counts = Counts::new();
    for call in stack.recorded() {
        let text = |field: &str| call[field].as_str().unwrap().to_owned();
        if text("operation") != "Deliver" && CALLERS.contains(&text("function").as_str()) {
            *counts.entry((text("function"), text("operation"))).or_default() += 1;
        }
    }
    counts
}

fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

/// Holds each count against the table.
#[track_caller]
fn hold(name: &str, counts: &Counts, orders: u64, most: [Most; 2]) {
    let per_order = total(counts) * 100 / orders;
    println!("{name} of {orders}: {}.{:02} calls an order", per_order / 100, per_order % 100);
    let of = |function: &str, operation: &str| {
        let rows = most.into_iter().flatten().filter(|(f, o, _)| (*f, *o) == (function, operation));
        rows.map(|(.., hundredths)| hundredths * orders / 100).sum::<u64>()
    };
    let over: Vec<String> = counts
        .iter()
        .filter(|((function, operation), count)| **count > of(function, operation) + FIXED)
        .map(|((function, operation), count)| format!("{function} {operation}: {count}"))
        .collect();
    let all: u64 = FIXED + most.into_iter().flatten().map(|(.., hundredths)| hundredths * orders / 100).sum::<u64>();
    let is_held = over.is_empty() && total(counts) <= all;
    assert!(is_held, "{name}: {over:?}; {} calls, at most {all}: {counts:#?}", total(counts));
}

#[tokio::test]
async fn an_order_takes_no_more_calls_than_are_written_down() {
    let one_by_one = [ALWAYS, ONE_BY_ONE];
    hold("fan, one by one", &count(&fan(100), Delivery::OneByOne(50_000)).await, 100, one_by_one);
    hold("fan, at once", &count(&fan(100), Delivery::AtOnce).await, 100, [ALWAYS, AT_ONCE]);
    hold("chain", &count(&chain(100), Delivery::Later).await, 100, one_by_one);
    hold("layers", &count(&layers(100), Delivery::OneByOne(4_000)).await, 100, one_by_one);
}

/// What ten times as many orders take: no more than ten times as many calls, as N^1.02 has it.
#[tokio::test]
async fn calls_grow_no_faster_than_orders() {
    let [small, large] = [count(&fan(100), Delivery::AsTheyCome).await, count(&fan(1_000), Delivery::AsTheyCome).await];
    println!("fan: {} calls of 100 orders, {} of 1,000", total(&small), total(&large));
    // 10^1.02 is 10.47.
    assert!(total(&large) * 100 <= total(&small) * 1_047, "{small:#?} {large:#?}");
}
