//! The recorder and the fault script.

use std::collections::BTreeSet;

use crate::support::{INTERNAL, World, eventually, world};
use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use aws_sdk_s3::{
    operation::put_object::builders::PutObjectFluentBuilder, presigning::PresigningConfig, primitives::ByteStream,
};
use local::faults::Script;
use serde_json::{Value, json};

fn script(rules: Value) -> Script {
    serde_json::from_value(rules).unwrap()
}

fn put(world: &World, key: &str) -> PutObjectFluentBuilder {
    world.s3().put_object().bucket(INTERNAL).key(key).body(ByteStream::from_static(b"{}"))
}

fn count(world: &World, operation: &str) -> u64 {
    world.aws.calls().iter().filter(|call| call.operation == operation).map(|call| call.count).sum()
}

#[tokio::test]
async fn calls_are_counted_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("calls.jsonl");
    let world = world(|options| options.record = Some(record.clone())).await;
    put(&world, "tmp/callbacks/runs/r/0001/result.json").send().await.unwrap();
    world.until_probed(1, |_| true).await;
    world.s3().get_object().bucket(INTERNAL).key("none").send().await.unwrap_err();
    let lines: Vec<Value> =
        std::fs::read_to_string(&record).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |operation: &str| lines.iter().find(|line| line["operation"] == operation).unwrap();
    assert_eq!(of("PutObject")["key"], format!("{INTERNAL}/tmp/callbacks/runs/r/0001/result.json"));
    assert_eq!((&of("PutObject")["function"], &of("PutObject")["outcome"]["status"]), (&json!("client"), &json!(200)));
    assert_eq!((&of("Deliver")["function"], &of("Deliver")["service"]), (&json!("orchestrator"), &json!("lambda")));
    assert_eq!(of("GetObject")["outcome"], json!({"status": 404, "code": "NoSuchKey"}));
    let numbers: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=u64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
    let (status, body) = world.raw("GET", "/_embedded/calls", &[], b"").await;
    assert!(status == 200 && body.contains("\"operation\":\"PutObject\""), "{body}");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn sdks_retry_what_the_script_injects() {
    let rules = json!([
        {"service": "dynamodb", "operation": "ListTables", "action": {"error_before": {"code": "ThrottlingException"}}},
        {"service": "s3", "operation": "PutObject", "nth": 1, "action": "error_after"},
        {"service": "s3", "operation": "PutObject", "nth": 2, "action": "cut_after"},
        {"service": "states", "action": {"error_before": {"code": "ServiceUnavailable"}}},
    ]);
    let world = world(|options| options.faults = script(rules)).await;
    world.dynamodb().list_tables().send().await.unwrap();
    assert_eq!(count(&world, "ListTables"), 2);
    put(&world, "a").send().await.unwrap();
    assert_eq!(count(&world, "PutObject"), 3);
    world.states().list_state_machines().send().await.unwrap();
    assert_eq!(count(&world, "ListStateMachines"), 2);

    // What was applied stays applied: the retry of a conditional PUT loses against itself.
    world.aws.set_faults(script(json!([{"key": "/once", "action": "error_after"}])));
    let lost = put(&world, "once").if_none_match("*").send().await.unwrap_err();
    assert_eq!(lost.raw_response().unwrap().status().as_u16(), 412);
    let (status, _) = world.raw("POST", "/_embedded/faults", &[("content-type", "application/json")], b"[]").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn events_are_dropped_doubled_and_held() {
    let result = |order: &str| format!("tmp/callbacks/runs/r/{order}/result.json");
    let rules = json!([
        {"operation": "Deliver", "function": "orchestrator", "key": "/0001/", "action": "drop"},
        {"operation": "Deliver", "key": "/0002/", "action": "duplicate"},
        {"operation": "Deliver", "key": "/0003/", "action": {"hold": {"calls": 2}}},
    ]);
    let world = world(|options| options.faults = script(rules)).await;
    put(&world, &result("0001")).send().await.unwrap();
    put(&world, &result("0002")).send().await.unwrap();
    let doubled = world.until_probed(2, |_| true).await;
    let ids: BTreeSet<_> = doubled.iter().map(|record| record["request"].as_str()).collect();
    assert_eq!(ids.len(), 1, "duplicates share the request id");
    assert!(doubled.iter().all(|record| record.to_string().contains("/0002/")));

    put(&world, &result("0003")).send().await.unwrap();
    let held = |record: &Value| record.to_string().contains("/0003/");
    assert!(!world.probed().iter().any(held));
    for _ in 0..3 {
        world.s3().list_buckets().send().await.unwrap();
    }
    world.until_probed(1, held).await;
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_caller_is_killed_before_or_after_its_call() {
    let rules = json!([
        {"function": "worker", "operation": "PutObject", "key": "/before", "action": "kill_before"},
        {"function": "worker", "operation": "PutObject", "key": "/after", "action": "kill_after"},
    ]);
    let world = world(|options| options.faults = script(rules)).await;
    for key in ["before", "after"] {
        let event = json!({"probe": "put", "bucket": INTERNAL, "key": key}).to_string();
        let invoked =
            world.lambda().invoke().function_name("exe-sys-worker").payload(Blob::new(event)).send().await.unwrap();
        let error: Value = serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap();
        assert_eq!(error["errorType"], "Runtime.ExitError", "{error}");
        let there = world.s3().head_object().bucket(INTERNAL).key(key).send().await.is_ok();
        assert_eq!(there, key == "after");
    }
    // A presigned URL that the client signed, used by the worker.
    let expiring = PresigningConfig::expires_in(std::time::Duration::from_mins(1)).unwrap();
    world.aws.set_faults(script(json!([{"function": "worker", "key": "/signed", "action": "kill_after"}])));
    let url = world.s3().put_object().bucket(INTERNAL).key("signed").presigned(expiring).await.unwrap();
    let host = world.aws.endpoint().replace("http://", "");
    let path = url.uri().strip_prefix(&world.aws.endpoint()).unwrap();
    let event = json!({"probe": "upload", "host": host, "path": path}).to_string();
    let invoked =
        world.lambda().invoke().function_name("exe-sys-worker").payload(Blob::new(event)).send().await.unwrap();
    assert_eq!(invoked.function_error(), Some("Unhandled"));
    world.s3().head_object().bucket(INTERNAL).key("signed").send().await.unwrap();

    // An unharmed call is recorded with its caller.
    let event = json!({"probe": "put", "bucket": INTERNAL, "key": "fine"}).to_string();
    let invoke = world.lambda().invoke().function_name("exe-sys-worker").invocation_type(InvocationType::Event);
    invoke.payload(Blob::new(event)).send().await.unwrap();
    eventually(|| async { world.s3().head_object().bucket(INTERNAL).key("fine").send().await.ok() }).await;
    let by_worker =
        world.aws.calls().into_iter().find(|call| call.function == "worker" && call.operation == "PutObject");
    assert_eq!(by_worker.unwrap().count, 4);
    world.aws.shutdown().await.unwrap();
}
