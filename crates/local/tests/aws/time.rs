//! Time that is skipped while nobody has anything to do, and the faults that live in time.

use std::collections::BTreeSet;

use crate::support::{INTERNAL, World, world};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use common::clock::Timestamp;
use local::Options;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn skipping(rules: Value) -> impl FnOnce(&mut Options) {
    move |options| {
        options.skip_idle = true;
        options.faults = serde_json::from_value(rules).unwrap();
    }
}

/// Waits until nothing is left to do; gives when that was.
async fn settle(world: &World) -> Timestamp {
    time_of(world.raw("POST", "/_embedded/settle", &[JSON], b"{}").await)
}

/// Lets time pass; gives what it then is.
async fn pass(world: &World, ms: u64) -> Timestamp {
    time_of(world.raw("POST", "/_embedded/pass", &[JSON], json!({"ms": ms}).to_string().as_bytes()).await)
}

fn time_of((status, body): (u16, String)) -> Timestamp {
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["at"].as_str().unwrap().parse().unwrap()
}

async fn send(world: &World, event: Value) {
    let invoke = world.lambda().invoke().function_name("exe-sys-orchestrator").invocation_type(InvocationType::Event);
    invoke.payload(Blob::new(event.to_string())).send().await.unwrap();
}

#[tokio::test]
async fn retries_that_wait_minutes_come_at_once_when_nothing_else_is_to_be_done() {
    let world = world(skipping(json!([]))).await;
    let begun = pass(&world, 0).await;
    send(&world, json!({"probe": "fail"})).await;
    let ended = settle(&world).await;
    assert_eq!(world.probed().len(), 3, "Lambda tries twice more");
    // One minute and then two, of engine time.
    assert!(begun.until(ended).as_secs() >= 180);
    assert!(ended.until(pass(&world, 5_000).await).as_secs() >= 5);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn without_it_nobody_knows_who_is_at_work() {
    let world = world(|_| {}).await;
    let (status, body) = world.raw("POST", "/_embedded/settle", &[JSON], b"{}").await;
    assert!(status == 409 && body.contains("--skip-idle"), "{status} {body}");
}

#[tokio::test]
async fn events_come_late_again_and_in_storms() {
    let rules = json!([
        {"operation": "Deliver", "nth": 1, "action": {"arrive": {"after_ms": [0, 3_600_000]}}},
        {"operation": "Deliver", "nth": 2, "action": {"storm": {"copies": 3, "within_ms": 9_000, "seed": 5}}},
        {"operation": "Deliver", "nth": 3, "action": {"arrive": {"after_ms": [18_000_000]}}},
    ]);
    let world = world(skipping(rules)).await;
    for name in ["again", "storm", "late"] {
        send(&world, json!({"name": name})).await;
    }
    settle(&world).await;
    let seen = world.probed();
    let names: Vec<&str> = seen.iter().map(|record| record["event"]["name"].as_str().unwrap()).collect();
    let count = |name: &str| names.iter().filter(|seen| **seen == name).count();
    assert_eq!((count("late"), count("again"), count("storm")), (1, 2, 3), "{names:?}");
    assert_eq!(names.last(), Some(&"late"), "{names:?}");
    let ids: BTreeSet<_> = seen.iter().map(|record| record["request"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "all arrivals of an event share its request id");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_later_than_six_hours_is_given_up() {
    let rules = json!([{"operation": "Deliver", "action": {"arrive": {"after_ms": [22_000_000]}}}]);
    let world = world(skipping(rules)).await;
    send(&world, json!({})).await;
    settle(&world).await;
    assert!(world.probed().is_empty());
}

#[tokio::test]
async fn a_zombie_stands_still_while_its_lease_runs_out_and_others_go_on() {
    let rules = json!([{"function": "orchestrator", "operation": "PutObject", "action": {"zombie": {"ms": 30_000}}}]);
    let world = world(skipping(rules)).await;
    let item = [
        ("pk", AttributeValue::S("lock:r".to_owned())),
        ("orchestrator_id", AttributeValue::S("somebody".to_owned())),
        ("lease_until", AttributeValue::N("9999999999999".to_owned())),
    ];
    let put = item
        .into_iter()
        .fold(world.dynamodb().put_item().table_name("exe-sys-locks"), |put, (name, value)| put.item(name, value));
    put.send().await.unwrap();
    let begun = pass(&world, 0).await;
    send(&world, json!({"probe": "put", "bucket": INTERNAL, "key": "zombie"})).await;
    send(&world, json!({"name": "other"})).await;
    let ended = settle(&world).await;
    assert!(begun.until(ended).as_secs() >= 30);
    world.s3().head_object().bucket(INTERNAL).key("zombie").send().await.unwrap();
    let get = world.dynamodb().get_item().table_name("exe-sys-locks").key("pk", AttributeValue::S("lock:r".to_owned()));
    let item = get.send().await.unwrap().item.unwrap();
    assert_eq!(item["lease_until"], AttributeValue::N("1".to_owned()));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_session_that_ends_takes_its_environment_along() {
    let world =
        world(skipping(json!([{"function": "orchestrator", "operation": "PutObject", "action": "end_session"}]))).await;
    let event = json!({"probe": "put", "bucket": INTERNAL, "key": "after"});
    send(&world, event).await;
    settle(&world).await;
    // The first try is refused; the next one has another environment, with credentials that are good.
    world.s3().head_object().bucket(INTERNAL).key("after").send().await.unwrap();
    let pids: BTreeSet<_> = world.probed().iter().map(|record| record["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 2);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_batch_may_be_written_in_part_and_an_index_may_be_late() {
    let rules =
        json!([{"operation": "BatchWriteItem", "action": "unprocessed"}, {"operation": "Query", "action": "stale"}]);
    let world = world(skipping(rules)).await;
    let rows: Vec<Value> = (0..3)
        .map(|number| json!({"PutRequest": {"Item": {"pk": {"S": format!("r:{number}")}, "run_id": {"S": "r"}, "order_num": {"S": number.to_string()}}}}))
        .collect();
    let writes = rows.iter().map(|row| {
        let item = &row["PutRequest"]["Item"];
        let item = item
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), AttributeValue::S(value["S"].as_str().unwrap().to_owned())));
        let put = aws_sdk_dynamodb::types::PutRequest::builder().set_item(Some(item.collect())).build().unwrap();
        aws_sdk_dynamodb::types::WriteRequest::builder().put_request(put).build()
    });
    let batch = || world.dynamodb().batch_write_item().request_items("exe-sys-orders", writes.clone().collect());
    let answer = batch().send().await.unwrap();
    assert_eq!(answer.unprocessed_items.unwrap()["exe-sys-orders"].len(), 2);
    let query = || {
        let query = world.dynamodb().query().table_name("exe-sys-orders").index_name("run_id-order_num-index");
        query
            .key_condition_expression("run_id = :r")
            .expression_attribute_values(":r", AttributeValue::S("r".to_owned()))
    };
    assert_eq!(query().send().await.unwrap().count, 0);
    assert_eq!(query().send().await.unwrap().count, 1);
    assert!(batch().send().await.unwrap().unprocessed_items.unwrap_or_default().is_empty());
    assert_eq!(query().send().await.unwrap().count, 3);
    world.aws.shutdown().await.unwrap();
}
