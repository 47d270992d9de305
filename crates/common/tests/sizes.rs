//! The largest job that there can be, 9,999 orders, and what is stored and sent of it: whether each stays within the limits
//! of the service that takes it. Sizes are computed; nothing is started.
//!
//! | limit | of | source |
//! | --- | --- | --- |
//! | 400 KB an item | DynamoDB | <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html> |
//! | 10 MB a request | API Gateway | <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html> |
//! | 6 MB a synchronous request, 256 KB an asynchronous one | Lambda | <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html> |
//! | 262,144 bytes of input | Step Functions | <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html> |

use aws_sdk_dynamodb::types::AttributeValue;
use common::{
    clock::Timestamp,
    git,
    ids::OrderNum,
    intake::{
        request::MAX_JOB_BYTES,
        validate::{Entry, Rules, validate},
    },
    keys,
    ledger::Ledger,
    order::Job,
    plan::{self, Plan, Prepared},
    rows,
    run_item::{NewRun, RunItem},
    status::{Outcome, Status},
    target::Target,
    watchdog::Watch,
};
use serde_json::{Value, json};

const ORDERS: usize = 9_999;
const ITEM: usize = 400 * 1024;
const LAMBDA_SYNC: usize = 6 * 1024 * 1024;
const LAMBDA_ASYNC: usize = 256 * 1024;
const EXECUTION_INPUT: usize = 262_144;

/// The longest name there can be.
fn name(index: usize) -> String {
    format!("{index:0>128}")
}

/// An order as people write them.
fn order(index: usize, dependencies: Vec<String>) -> Value {
    json!({
        "order_name": format!("service-{index:04}"), "cmds": ["make -C services/$SERVICE test"], "timeout": 600,
        "execution_target": "auto", "env_vars": {"SERVICE": format!("service-{index:04}"), "STAGE": "prod"},
        "dependencies": dependencies,
    })
}

/// Layers of 50, each waiting for all of the layer before.
fn layers() -> Value {
    let above = |index: usize| index.checked_sub(50).map(|at| at / 50 * 50);
    let waits_for = |index: usize| {
        let layer = above(index).map_or(0..0, |from| from..from + 50);
        layer.map(|at| format!("service-{at:04}")).collect()
    };
    json!({"username": "me", "orders": (0..ORDERS).map(|index| order(index, waits_for(index))).collect::<Vec<_>>()})
}

/// Long names, and a last order that waits for all others.
fn fan_in() -> Value {
    let order = |index: usize| {
        let dependencies = if index + 1 == ORDERS { (0..index).map(name).collect() } else { Vec::new() };
        json!({"order_name": name(index), "cmds": ["x".repeat(60_000 / ORDERS)], "timeout": 60, "dependencies": dependencies})
    };
    json!({"username": "me", "orders": (0..ORDERS).map(order).collect::<Vec<_>>()})
}

fn accepted(document: &Value) -> Job {
    let rules = Rules {
        entry: Entry::Init,
        max_job_timeout: 79_200,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "exe-sys-internal".to_owned(),
        account: None,
        source_buckets: Vec::new(),
        git: git::Rules { hosts: Vec::new(), local_sources: false },
    };
    validate(document, &rules).unwrap()
}

fn plan(job: &Job) -> Plan {
    let digest = "0".repeat(64);
    let prepared = Prepared { bundle_sha256: digest.clone(), digest, reused_from: None };
    let now = Timestamp::from_secs(1_800_000_000);
    Plan {
        schema_version: plan::SCHEMA_VERSION,
        run_id: "r".repeat(64).parse().unwrap(),
        trace_id: "0a1b2c3d".parse().unwrap(),
        flow_id: format!("{}:0a1b2c3d-exec", job.username),
        submit_id: "0".repeat(36),
        created_at: now,
        deadline: now,
        sops_key_ssm_path: format!("/exe-sys/sops-keys/{}", "r".repeat(64)),
        done_endpt: format!("s3://exe-sys-done/{}/done", "r".repeat(64)),
        carried: serde_json::Map::new(),
        rerun_of: None,
        max_parallel: None,
        topological_order: job.topological_order.clone(),
        orders: Plan::orders_of(job, vec![prepared; job.orders.len()]),
    }
}

/// Bytes of a value as DynamoDB counts them: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
fn bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + bytes(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + bytes(value)).sum::<usize>(),
        _ => 1,
    }
}

fn item_bytes(item: &std::collections::HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + bytes(value)).sum()
}

#[test]
fn the_largest_job_stays_within_every_limit() {
    for (name, document) in [("layers", layers()), ("fan in", fan_in())] {
        let request = document.to_string().len();
        assert!(request <= MAX_JOB_BYTES, "{name}: a job of {request} bytes");
        let job = accepted(&document);
        assert_eq!(job.orders.len(), ORDERS);

        let plan = plan(&job);
        let stored = serde_json::to_vec(&plan).unwrap().len();
        assert!(stored <= plan::MAX_BYTES / 4, "{name}: a plan of {stored} bytes");

        let rows = rows::rows(&job, &plan, &"b".repeat(63)).unwrap();
        let row = rows.iter().map(item_bytes).max().unwrap();
        assert!(row <= ITEM * 3 / 4, "{name}: a row of {row} bytes");

        let new = NewRun {
            run_id: &plan.run_id,
            trace_id: &plan.trace_id,
            flow_id: &plan.flow_id,
            submit_id: &plan.submit_id,
            digest_key: &plan.submit_id,
            job_digest: &"0".repeat(64),
            answer: &"a".repeat(4_096),
            orders: ORDERS,
            deadline: plan.deadline,
        };
        let item = RunItem { orders: widest_letters(), ..RunItem::submitting(new, plan.created_at) };
        let item = serde_json::to_vec(&item).unwrap().len();
        assert!(item <= ITEM / 20, "{name}: a run item of {item} bytes");
        println!("{name}: {request} bytes of job, {stored} of plan, {row} of row, {item} of run item");
    }
    let watch = Watch {
        run_id: "r".repeat(64).parse().unwrap(),
        order_num: OrderNum::of_index(ORDERS - 1),
        timeout: 604_800,
        start_timeout: 604_800,
        stop_grace: 3_600,
        start_time: 1_800_000_000,
        internal_bucket: "b".repeat(63),
        result_key: keys::watched(&"r".repeat(64).parse().unwrap(), OrderNum::of_index(ORDERS - 1)),
        locks_table: "t".repeat(255),
        target: Target::Codebuild,
        wait_seconds: 604_800,
    };
    let input = serde_json::to_vec(&watch).unwrap().len();
    assert!(input <= EXECUTION_INPUT.min(LAMBDA_ASYNC) / 100, "an execution's input of {input} bytes");
}

/// What people write goes to Lambda in one request; only what is larger goes by S3.
#[test]
fn an_ordinary_job_of_9999_orders_fits_into_a_request() {
    let orders: Vec<Value> = (0..ORDERS).map(|index| order(index, Vec::new())).collect();
    let request = json!({"job": {"username": "me", "orders": orders}}).to_string();
    assert!(request.len() <= LAMBDA_SYNC * 2 / 3, "{} bytes", request.len());
}

/// No two neighbours are alike, so nothing is saved by counting them.
fn widest_letters() -> String {
    let ended = [Outcome::Succeeded, Outcome::Failed].map(Status::Ended);
    let letters = (0..ORDERS).map(|index| ended[index % 2]).collect::<Ledger>().letters();
    assert_eq!(letters.len(), ORDERS);
    letters
}
