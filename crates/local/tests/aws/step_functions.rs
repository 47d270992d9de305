//! Step Functions through the SDK, on a clock that runs fast.

use crate::support::{INTERNAL, World, eventually, world};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};
use common::clock::Clock;
use serde_json::{Value, json};

const WATCHDOG: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog";
const CHECK: &str = "arn:aws:lambda:us-east-1:000000000000:function:exe-sys-watchdog-check";

async fn fast() -> World {
    world(|options| options.clock = Clock::sped_up(100)).await
}

async fn machine(world: &World, name: &str, definition: Value) -> String {
    let create = world.states().create_state_machine().name(name).definition(definition.to_string());
    create.role_arn("arn:aws:iam::000000000000:role/r").send().await.unwrap().state_machine_arn
}

async fn start(world: &World, machine: &str, name: &str, input: Value) -> String {
    let start = world.states().start_execution().state_machine_arn(machine).name(name).input(input.to_string());
    start.send().await.unwrap().execution_arn
}

/// Waits for the end; status, output and error.
async fn ended(world: &World, arn: &str) -> (ExecutionStatus, Value, Option<String>) {
    eventually(|| async {
        let execution = world.states().describe_execution().execution_arn(arn).send().await.unwrap();
        let output = execution.output().map_or(Value::Null, |output| serde_json::from_str(output).unwrap());
        let error = execution.error().map(str::to_owned);
        (execution.status != ExecutionStatus::Running).then_some((execution.status, output, error))
    })
    .await
}

async fn history(world: &World, arn: &str) -> Vec<HistoryEventType> {
    let mut pages = world.states().get_execution_history().execution_arn(arn).into_paginator().items().send();
    let mut kinds = Vec::new();
    while let Some(event) = pages.next().await {
        kinds.push(event.unwrap().r#type);
    }
    kinds
}

#[tokio::test]
async fn the_watchdog_waits_looks_and_ends() {
    let world = fast().await;
    let input = json!({"wait_seconds": 60, "probe": "done", "after": 0, "run_id": "r", "internal_bucket": INTERNAL,
        "result_key": "tmp/callbacks/runs/r/0001/result.json"});
    let arn = start(&world, WATCHDOG, "r-0001-abcdef01", input.clone()).await;
    let (status, output, _) = ended(&world, &arn).await;
    assert_eq!(status, ExecutionStatus::Succeeded);
    assert_eq!((&output["run_id"], &output["check"]["done"]), (&json!("r"), &json!(true)));
    let expected = [
        HistoryEventType::ExecutionStarted,
        HistoryEventType::WaitStateEntered,
        HistoryEventType::WaitStateExited,
        HistoryEventType::TaskStateEntered,
        HistoryEventType::TaskScheduled,
        HistoryEventType::TaskStarted,
        HistoryEventType::TaskFailed,
        HistoryEventType::TaskStateExited,
        HistoryEventType::TaskStateEntered,
        HistoryEventType::LambdaFunctionScheduled,
        HistoryEventType::LambdaFunctionStarted,
        HistoryEventType::LambdaFunctionSucceeded,
        HistoryEventType::TaskStateExited,
        HistoryEventType::ChoiceStateEntered,
        HistoryEventType::ChoiceStateExited,
        HistoryEventType::SucceedStateEntered,
        HistoryEventType::SucceedStateExited,
        HistoryEventType::ExecutionSucceeded,
    ];
    assert_eq!(history(&world, &arn).await, expected);
    assert_eq!(world.probed()[0]["event"], input);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_watchdog_ends_without_a_look_where_there_is_a_result() {
    let world = fast().await;
    let key = "elsewhere/result.json";
    let put = world.s3().put_object().bucket(INTERNAL).key(key).body(ByteStream::from_static(b"{}"));
    put.send().await.unwrap();
    let input =
        json!({"wait_seconds": 60, "probe": "done", "after": 0, "internal_bucket": INTERNAL, "result_key": key});
    let arn = start(&world, WATCHDOG, "r-0001-abcdef01", input.clone()).await;
    let (status, output, _) = ended(&world, &arn).await;
    assert_eq!((status, output), (ExecutionStatus::Succeeded, input));
    let kinds = history(&world, &arn).await;
    let entered = kinds.iter().filter(|kind| kind.as_str().ends_with("StateEntered")).count();
    assert_eq!((entered, world.probed().len()), (2, 0), "{kinds:?}");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn failures_are_retried_then_caught() {
    let world = fast().await;
    let arn = start(&world, WATCHDOG, "fails", json!({"wait_seconds": 0, "probe": "fail"})).await;
    // Four tries, then the wait after a failure, then four tries again.
    world.until_probed(5, |_| true).await;
    world.states().stop_execution().execution_arn(&arn).error("Enough").send().await.unwrap();
    let (status, _, error) = ended(&world, &arn).await;
    assert_eq!((status, error.as_deref()), (ExecutionStatus::Aborted, Some("Enough")));
    let kinds = history(&world, &arn).await;
    let count = |kind| kinds.iter().filter(|seen| **seen == kind).count();
    // Without a key S3 is not asked; then the look is.
    assert_eq!(count(HistoryEventType::EvaluationFailed), 1);
    assert_eq!(count(HistoryEventType::TaskStateExited), 2);
    assert!(count(HistoryEventType::LambdaFunctionFailed) >= 4);
    assert_eq!(kinds.last(), Some(&HistoryEventType::ExecutionAborted));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn choices_paths_and_failures_follow_the_language() {
    let world = fast().await;
    let definition = json!({
        "StartAt": "Ask",
        "States": {
            "Ask": {"Type": "Task", "Resource": CHECK, "Parameters": {"n.$": "$.in.n", "fixed": 1},
                    "ResultPath": "$.answer", "Next": "Which"},
            "Which": {"Type": "Choice", "Choices": [
                {"And": [{"Variable": "$.in.n", "NumericGreaterThan": 5},
                         {"Variable": "$.answer.event.fixed", "NumericEquals": 1}], "Next": "Large"},
                {"Not": {"Variable": "$.in.n", "IsPresent": true}, "Next": "Large"}], "Default": "Small"},
            "Large": {"Type": "Pass", "Result": {"size": "large"}, "ResultPath": "$.verdict",
                      "OutputPath": "$.verdict", "End": true},
            "Small": {"Type": "Fail", "Error": "TooSmall", "Cause": "n is small"},
        },
    });
    let machine = machine(&world, "choices", definition).await;
    let large = start(&world, &machine, "large", json!({"in": {"n": 6}})).await;
    assert_eq!(ended(&world, &large).await.1, json!({"size": "large"}));
    let small = start(&world, &machine, "small", json!({"in": {"n": 5}})).await;
    let (status, _, error) = ended(&world, &small).await;
    assert_eq!((status, error.as_deref()), (ExecutionStatus::Failed, Some("TooSmall")));
    let broken = start(&world, &machine, "broken", json!({})).await;
    assert_eq!(ended(&world, &broken).await.2.as_deref(), Some("States.Runtime"));
    world.aws.shutdown().await.unwrap();
}

/// A machine that asks S3 for `$.key`, and its failure, if it has one, is the output.
async fn asks_s3(world: &World) -> String {
    let definition = json!({
        "StartAt": "Head",
        "States": {
            "Head": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:headObject", "QueryLanguage": "JSONata",
                     "TimeoutSeconds": 30,
                     "Arguments": {"Bucket": INTERNAL, "Key": "{% $states.input.key %}"},
                     "Output": {"of": "{% $states.input.key %}", "bytes": "{% $states.result.ContentLength %}"},
                     "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Missed"}],
                     "End": true},
            "Missed": {"Type": "Succeed"},
        },
    });
    machine(world, "asks-s3", definition).await
}

#[tokio::test]
async fn s3_is_asked_as_states_and_its_answer_is_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("calls.jsonl");
    let world = world(|options| options.record = Some(record.clone())).await;
    let put = world.s3().put_object().bucket(INTERNAL).key("a b/c").body(ByteStream::from_static(b"12345"));
    put.send().await.unwrap();
    let machine = asks_s3(&world).await;
    let arn = start(&world, &machine, "there", json!({"key": "a b/c"})).await;
    let (status, output, _) = ended(&world, &arn).await;
    assert_eq!((status, output), (ExecutionStatus::Succeeded, json!({"of": "a b/c", "bytes": 5})));
    let expected = [
        HistoryEventType::ExecutionStarted,
        HistoryEventType::TaskStateEntered,
        HistoryEventType::TaskScheduled,
        HistoryEventType::TaskStarted,
        HistoryEventType::TaskSucceeded,
        HistoryEventType::TaskStateExited,
        HistoryEventType::ExecutionSucceeded,
    ];
    assert_eq!(history(&world, &arn).await, expected);
    let lines = std::fs::read_to_string(&record).unwrap();
    let calls: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = calls.iter().find(|call| call["operation"] == "HeadObject").unwrap();
    assert_eq!((&call["function"], &call["key"]), (&json!("states"), &json!(format!("{INTERNAL}/a b/c"))));
    assert_eq!((&call["parent"], &call["outcome"]), (&json!(arn), &json!({"status": 200})));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_s3_does_not_answer_well_is_caught() {
    let world = fast().await;
    let put = world.s3().put_object().bucket(INTERNAL).key("there").body(ByteStream::from_static(b"x"));
    put.send().await.unwrap();
    let machine = asks_s3(&world).await;
    let there = json!({"key": "there"});
    let fault = |action: Value| json!([{"function": "states", "service": "s3", "action": action}]);
    let refused = |code: &str| fault(json!({"error_before": {"code": code}}));
    for (number, (input, script, error, last)) in [
        (json!({"key": "gone"}), json!([]), "S3.NoSuchKeyException", HistoryEventType::TaskFailed),
        (there.clone(), refused("InternalError"), "S3.S3Exception", HistoryEventType::TaskFailed),
        (there.clone(), refused("SlowDown"), "S3.S3Exception", HistoryEventType::TaskFailed),
        (there.clone(), refused("AccessDenied"), "S3.S3Exception", HistoryEventType::TaskFailed),
        (there.clone(), fault(json!("error_after")), "S3.S3Exception", HistoryEventType::TaskFailed),
        (there.clone(), fault(json!("cut_before")), "S3.SdkClientException", HistoryEventType::TaskFailed),
        (there, fault(json!({"delay": {"ms": 60_000}})), "States.Timeout", HistoryEventType::TaskTimedOut),
        (json!({"other": "there"}), json!([]), "States.QueryEvaluationError", HistoryEventType::EvaluationFailed),
    ]
    .into_iter()
    .enumerate()
    {
        world.aws.set_faults(serde_json::from_value(script).unwrap());
        let arn = start(&world, &machine, &format!("e-{number}"), input).await;
        let (status, output, _) = ended(&world, &arn).await;
        assert_eq!((status, &output["Error"]), (ExecutionStatus::Succeeded, &json!(error)), "{output}");
        let kinds = history(&world, &arn).await;
        let exited = kinds.iter().position(|kind| *kind == HistoryEventType::TaskStateExited).unwrap();
        assert_eq!(kinds[exited - 1], last, "{error}");
    }
    // It is read as it stands: what has no text as its key cannot be asked for, and nothing catches that.
    let number = start(&world, &machine, "number", json!({"key": 1})).await;
    assert_eq!(ended(&world, &number).await.2.as_deref(), Some("States.Runtime"));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn starting_is_idempotent_and_names_are_checked() {
    let world = world(|_| {}).await;
    let input = json!({"wait_seconds": 3600});
    let first = start(&world, WATCHDOG, "r-1", input.clone()).await;
    assert_eq!(start(&world, WATCHDOG, "r-1", input).await, first);
    let again = world.states().start_execution().state_machine_arn(WATCHDOG).name("r-1").input("{}");
    assert!(again.send().await.unwrap_err().into_service_error().is_execution_already_exists());
    for name in ["a b", "a/b", &"x".repeat(81)] {
        let start = world.states().start_execution().state_machine_arn(WATCHDOG).name(name).send().await;
        assert!(start.unwrap_err().into_service_error().is_invalid_name(), "{name}");
    }
    let nowhere = world.states().start_execution().state_machine_arn(format!("{WATCHDOG}x")).send().await;
    assert!(nowhere.unwrap_err().into_service_error().is_state_machine_does_not_exist());
    let running = world.states().list_executions().state_machine_arn(WATCHDOG).status_filter(ExecutionStatus::Running);
    assert_eq!(running.send().await.unwrap().executions().len(), 1);
    let wrong = world.states().create_state_machine().name("w").role_arn("arn:aws:iam::000000000000:role/r");
    let wrong = wrong.definition(r#"{"StartAt":"A","States":{}}"#).send().await.unwrap_err();
    assert!(wrong.into_service_error().is_invalid_definition());
    world.aws.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_ends_at_its_25_000th_event() {
    let world = fast().await;
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}});
    let machine = machine(&world, "endless", definition).await;
    let arn = start(&world, &machine, "e", json!({})).await;
    let (status, _, error) = ended(&world, &arn).await;
    assert_eq!((status, error.as_deref()), (ExecutionStatus::Failed, Some("States.ExecutionHistoryLimitExceeded")));
    let kinds = history(&world, &arn).await;
    assert_eq!((kinds.len(), kinds.last()), (25_000, Some(&HistoryEventType::ExecutionFailed)));
}
