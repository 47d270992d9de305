//! Lambda through the SDK: invokes of both kinds, retries, timeouts, crashes, limits, reuse, environment.

use std::collections::BTreeSet;

use crate::support::{World, is_running, restart, world};
use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use common::clock::Clock;
use futures::future::join_all;
use serde_json::{Value, json};

const WATCHDOG: &str = "exe-sys-watchdog-check";
const WORKER: &str = "exe-sys-worker";

/// The answer, and the kind of failure if it is one.
async fn invoke(world: &World, function: &str, event: Value) -> (Value, Option<String>) {
    let invoked = world.lambda().invoke().function_name(function).payload(Blob::new(event.to_string())).send().await;
    let invoked = invoked.unwrap();
    let failed = invoked.function_error().map(str::to_owned);
    (serde_json::from_slice(invoked.payload().unwrap().as_ref()).unwrap(), failed)
}

async fn invoke_async(world: &World, function: &str, event: Value) {
    let invoke = world.lambda().invoke().function_name(function).invocation_type(InvocationType::Event);
    let accepted = invoke.payload(Blob::new(event.to_string())).send().await.unwrap();
    assert_eq!(accepted.status_code(), 202);
}

#[tokio::test]
async fn an_environment_is_reused_and_replaced_after_a_crash() {
    let world = world(|_| {}).await;
    let (first, _) = invoke(&world, WATCHDOG, json!({"n": 1})).await;
    let (second, _) = invoke(&world, WATCHDOG, json!({"n": 2})).await;
    assert_eq!(first["pid"], second["pid"]);
    assert_ne!(first["request"], second["request"]);

    let (crash, failed) = invoke(&world, WATCHDOG, json!({"probe": "exit"})).await;
    assert_eq!((failed.as_deref(), crash["errorType"].as_str()), (Some("Unhandled"), Some("Runtime.ExitError")));
    assert!(crash["errorMessage"].as_str().unwrap().contains("exit status 7"), "{crash}");
    let (third, _) = invoke(&world, WATCHDOG, json!({})).await;
    assert_ne!(first["pid"], third["pid"]);

    let (error, failed) = invoke(&world, WATCHDOG, json!({"probe": "fail"})).await;
    assert_eq!((failed.as_deref(), error["errorMessage"].as_str()), (Some("Unhandled"), Some("asked to fail")));
    let (fourth, _) = invoke(&world, WATCHDOG, json!({})).await;
    assert_eq!(third["pid"], fourth["pid"], "an error the function reports itself costs no environment");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_function_that_does_not_start_says_so() {
    let world = world(|options| options.function_env.push(("PROBE_INIT".to_owned(), "exit".to_owned()))).await;
    let (error, failed) = invoke(&world, WATCHDOG, json!({})).await;
    assert!(failed.is_some() && error["errorMessage"].as_str().unwrap().contains("exit status 3"), "{error}");
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_killed() {
    // 60 s of the function's time are 0.6 s of the machine's.
    let world = world(|options| options.clock = Clock::sped_up(100)).await;
    let (error, failed) = invoke(&world, WATCHDOG, json!({"probe": "sleep", "ms": 60_000})).await;
    assert!(failed.is_some());
    assert!(error["errorMessage"].as_str().unwrap().ends_with("Task timed out after 60.00 seconds"), "{error}");
    let (deadline, _) = invoke(&world, WATCHDOG, json!({"probe": "deadline"})).await;
    let now = Clock::REAL.now().millis();
    assert!(deadline["deadline"].as_u64().unwrap() < now + 600, "the deadline is in machine time");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn async_failures_are_tried_twice_again_under_one_id() {
    let world = world(|options| options.clock = Clock::sped_up(100)).await;
    invoke_async(&world, WORKER, json!({"probe": "fail"})).await;
    world.until_probed(1, |record| record["function"] == "worker").await;
    invoke_async(&world, "exe-sys-orchestrator", json!({"probe": "fail"})).await;
    let tries = world.until_probed(3, |record| record["function"] == "orchestrator").await;
    let ids: BTreeSet<_> = tries.iter().map(|record| record["request"].as_str()).collect();
    assert_eq!(ids.len(), 1);
    // The third try came three minutes after the worker failed, whose first would have come after one.
    let by_worker = world.probed().into_iter().filter(|record| record["function"] == "worker").count();
    assert_eq!(by_worker, 1, "the worker is deployed without retries");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn at_the_limit_sync_is_throttled_and_async_waits() {
    let world = world(|options| options.worker_concurrency = 2).await;
    let busy = (0..2).map(|_| invoke(&world, WORKER, json!({"probe": "sleep", "ms": 1500})));
    let throttled = async {
        world.until_probed(2, |record| record["event"]["probe"] == "sleep").await;
        invoke_async(&world, WORKER, json!({"queued": true})).await;
        // Without the SDK's own retries, which would outlast the limit.
        let config = aws_sdk_lambda::config::Builder::from(&world.config)
            .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
            .build();
        let client = aws_sdk_lambda::Client::from_conf(config);
        client.invoke().function_name(WORKER).send().await.unwrap_err()
    };
    let (_, throttled) = tokio::join!(join_all(busy), throttled);
    assert!(throttled.into_service_error().is_too_many_requests_exception());
    world.until_probed(1, |record| record["event"]["queued"] == true).await;
    let pids: BTreeSet<_> = world.probed().iter().map(|record| record["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 2);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn functions_see_what_lambda_gives_and_nothing_of_ours() {
    let world = world(|_| {}).await;
    let (seen, _) = invoke(&world, WORKER, json!({"probe": "environment"})).await;
    assert_eq!(seen["AWS_LAMBDA_FUNCTION_NAME"], WORKER);
    assert_eq!(seen["AWS_ENDPOINT_URL"], world.aws.endpoint());
    assert_eq!(seen["HOME"], "/tmp");
    assert_eq!(seen["AWS_EXE_SYS_LOCKS_TABLE"], "exe-sys-locks");
    assert_eq!(seen["AWS_EXE_SYS_WATCHDOG_SFN"], "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog");
    assert!(seen["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
    assert!(seen["TMPDIR"].as_str().unwrap().starts_with(world.aws.data().to_str().unwrap()));
    assert!(seen.get("CARGO").is_none() && seen.get("USER").is_none());

    // These credentials are good for calls, until they expire.
    let key = |name: &str| seen[name].as_str().unwrap().to_owned();
    let credentials = aws_credential_types::Credentials::new(
        key("AWS_ACCESS_KEY_ID"),
        key("AWS_SECRET_ACCESS_KEY"),
        Some(key("AWS_SESSION_TOKEN")),
        None,
        "test",
    );
    let config = world.config.to_builder();
    let config =
        config.credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials));
    let config = config.build();
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::000000000000:assumed-role/exe-sys-worker/exe-sys-worker"));
    let s3 = aws_sdk_s3::Client::new(&config);
    s3.list_buckets().send().await.unwrap();
    assert_eq!(world.aws.end_sessions(Some(common::stack::Function::Worker)), 1);
    let expired = s3.list_buckets().send().await.unwrap_err();
    assert_eq!(expired.into_service_error().meta().code(), Some("ExpiredToken"));
    let expired = aws_sdk_dynamodb::Client::new(&config).list_tables().send().await.unwrap_err();
    assert_eq!(expired.into_service_error().meta().code(), Some("ExpiredTokenException"));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_or_too_large_is_refused() {
    let world = world(|_| {}).await;
    let unknown = world.lambda().invoke().function_name("none").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found_exception());
    let large = Blob::new(format!("\"{}\"", "x".repeat(1024 * 1024)));
    let invoke = world.lambda().invoke().function_name(WORKER).invocation_type(InvocationType::Event).payload(large);
    assert!(invoke.send().await.unwrap_err().into_service_error().is_request_too_large_exception());
    let text = world.lambda().invoke().function_name(WORKER).payload(Blob::new("{")).send().await.unwrap_err();
    assert!(text.into_service_error().is_invalid_request_content_exception());
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:exe-sys-worker";
    let described = world.lambda().get_function_configuration().function_name(arn).send().await.unwrap();
    assert_eq!(described.timeout(), Some(900));
    assert_eq!(world.lambda().list_functions().send().await.unwrap().functions().len(), 5);
    let missing = world.lambda().list_layers().send().await.unwrap_err();
    assert_eq!(missing.into_service_error().meta().code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn nothing_outlives_its_environment() {
    let world = world(|_| {}).await;
    let leave = || invoke(&world, WORKER, json!({"probe": "leave"}));
    let (first, _) = leave().await;
    assert!(is_running(&first["pid"]) && is_running(&first["left"]));
    invoke(&world, WORKER, json!({"probe": "exit"})).await;
    assert!(!is_running(&first["pid"]) && !is_running(&first["left"]));
    let (second, _) = leave().await;
    assert!(is_running(&second["pid"]) && is_running(&second["left"]));
    let data = world.aws.data().to_owned();
    world.aws.shutdown().await.unwrap();
    assert!(!is_running(&second["pid"]) && !is_running(&second["left"]));
    assert!(!data.exists());
}

/// Waits for the record of an event of the worker that failed for good.
async fn destination_record(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let is_record = |record: &Value| record["function"] == "watchdog_check" && wanted(&record["event"]);
    world.until_probed(1, is_record).await.remove(0)["event"].clone()
}

#[tokio::test]
async fn what_fails_for_good_is_told_to_the_destination() {
    let record = tempfile::NamedTempFile::new().unwrap();
    let world = world(|options| options.record = Some(record.path().to_owned())).await;
    // The process is killed, as by the machine.
    invoke_async(&world, WORKER, json!({"probe": "sleep", "ms": 600_000, "run_id": "r"})).await;
    let running = world.until_probed(1, |record| record["function"] == "worker").await.remove(0);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(running["pid"].as_i64().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let killed = destination_record(&world, |_| true).await;
    assert_eq!(killed["version"], "1.0");
    let context = json!({
        "requestId": running["request"],
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:exe-sys-worker:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 1,
    });
    assert_eq!(killed["requestContext"], context);
    assert_eq!(killed["requestPayload"]["run_id"], "r");
    assert_eq!(killed["responseContext"]["functionError"], "Unhandled");
    assert_eq!(killed["responsePayload"]["errorType"], "Runtime.ExitError");
    assert!(killed["responsePayload"]["errorMessage"].as_str().unwrap().contains("signal: killed"), "{killed}");
    let calls = std::fs::read_to_string(record.path()).unwrap();
    let mut calls = calls.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let delivered = calls.find(|call| call["key"] == "on-failure exe-sys-worker").unwrap();
    assert_eq!((&delivered["function"], &delivered["parent"]), (&json!("watchdog_check"), &running["request"]));

    invoke_async(&world, WORKER, json!({"probe": "fail"})).await;
    let failed = destination_record(&world, |event| event["requestPayload"]["probe"] == "fail").await;
    assert_eq!(failed["responsePayload"]["errorMessage"], "asked to fail");

    // Only what was accepted, not what an invoker waits for; and only of the worker.
    invoke(&world, WORKER, json!({"probe": "fail", "sync": true})).await;
    invoke_async(&world, WORKER, json!({"probe": "echo"})).await;
    world.until_probed(1, |record| record["event"]["probe"] == "echo").await;
    let records = world.probed().into_iter().filter(|record| record["function"] == "watchdog_check").count();
    assert_eq!(records, 2);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_event_that_waits_too_long_is_told_to_the_destination() {
    // Six hours are two seconds.
    let rules = json!([{"operation": "Deliver", "function": "worker", "action": {"delay": {"ms": 21_700_000}}}]);
    let world = world(|options| {
        options.clock = Clock::sped_up(10_000);
        options.faults = serde_json::from_value(rules).unwrap();
    })
    .await;
    invoke_async(&world, WORKER, json!({"run_id": "r"})).await;
    let record = destination_record(&world, |_| true).await;
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record["requestPayload"]["run_id"] == "r" && record.get("responsePayload").is_none());
    assert!(world.probed().iter().all(|record| record["function"] != "worker"));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_told_to_the_destination_survives_and_what_a_shutdown_ends_has_not_failed() {
    let world = restart(world(|_| {}).await, |_| {}).await;
    // Held up for longer than the process lives.
    let hold =
        json!([{"operation": "Deliver", "function": "watchdog_check", "action": {"hold": {"calls": 1_000_000}}}]);
    world.aws.set_faults(serde_json::from_value(hold).unwrap());
    invoke_async(&world, WORKER, json!({"probe": "fail"})).await;
    invoke_async(&world, WORKER, json!({"probe": "sleep", "ms": 600_000})).await;
    world.until_probed(2, |record| record["function"] == "worker").await;
    let queue = world.aws.data().join("lambda/queue");
    crate::support::eventually(|| async {
        let files = std::fs::read_dir(&queue).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()));
        files.into_iter().flatten().any(|event| event.contains("on-failure exe-sys-worker")).then_some(())
    })
    .await;
    let world = restart(world, |_| {}).await;
    world.until_probed(2, |record| record["event"]["probe"] == "sleep").await;
    destination_record(&world, |_| true).await;
    let told = world.probed().into_iter().filter(|record| record["function"] == "watchdog_check");
    assert!(told.into_iter().all(|record| record["event"]["requestPayload"]["probe"] == "fail"));
    world.aws.shutdown().await.unwrap();
}
