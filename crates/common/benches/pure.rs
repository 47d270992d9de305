//! What validating and evaluating a job costs, as instructions: `pure N` validates a job of N orders and evaluates its
//! graph once, `pure N --read` stops when it has read the document, `pure N --validate` before it evaluates. What is
//! measured are the differences, by `benches/engine` under callgrind. Run by itself, as by `cargo bench`, it only shows
//! that it works.
//!
//! The orders stand in layers of ten, each waiting for all of the layer before.

use std::hint::black_box;

use common::{
    git,
    graph::{Limits, Node, evaluate},
    intake::{
        request::parse_job,
        validate::{Entry, Rules, validate},
    },
    ledger::Ledger,
    order::{Job, Order},
    target::TargetLimits,
};
use serde_json::{Value, json};

/// Orders of a layer.
const WIDTH: usize = 10;
/// Orders when nobody says how many.
const ORDERS: usize = 100;

/// How far it goes.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Read,
    Validated,
    Evaluated,
}

fn main() {
    let mut orders = ORDERS;
    let mut until = Until::Evaluated;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--read" => until = Until::Read,
            "--validate" => until = Until::Validated,
            // `cargo bench` says it to every target.
            "--bench" => {}
            number => orders = number.parse().expect("the argument should be a number of orders"),
        }
    }
    let document = black_box(parse_job(&text(orders)).expect("the job should be JSON"));
    if until == Until::Read {
        return;
    }
    let job = black_box(validate(&document, &rules()).expect("the job should be valid"));
    if until == Until::Validated {
        return;
    }
    let ready = black_box(ready(&job));
    assert_eq!(ready, WIDTH.min(orders), "the first layer and nothing else should be ready");
}

/// Evaluates the graph of a job that has just begun; how many orders may start.
fn ready(job: &Job) -> usize {
    let node = |order: &Order| Node {
        dependencies: order.dependencies.clone(),
        must_succeed: order.must_succeed,
        target: order.target,
    };
    let nodes: Vec<Node> = job.orders.iter().map(node).collect();
    let limits = Limits { total: job.max_parallel, per_target: TargetLimits::default() };
    evaluate(&nodes, &job.topological_order, &Ledger::queued(nodes.len()), limits).ready.len()
}

/// The job as it is submitted.
fn text(orders: usize) -> Vec<u8> {
    let order = |number: usize| {
        let layer = number / WIDTH * WIDTH;
        let dependencies: Vec<String> = (layer.saturating_sub(WIDTH)..layer).map(name).collect();
        json!({
            "order_name": name(number),
            "execution_target": "lambda",
            "timeout": 60,
            "cmds": [":"],
            "dependencies": dependencies,
        })
    };
    let orders: Vec<Value> = (0..orders).map(order).collect();
    json!({"username": "bench", "flow_label": "pure", "orders": orders}).to_string().into_bytes()
}

fn name(number: usize) -> String {
    format!("o{number}")
}

/// A deployment like any other.
fn rules() -> Rules {
    Rules {
        entry: Entry::Init,
        max_job_timeout: 79_200,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "exe-sys-internal".to_owned(),
        account: None,
        source_buckets: Vec::new(),
        git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
    }
}
