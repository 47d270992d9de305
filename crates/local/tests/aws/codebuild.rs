//! CodeBuild through the SDK: builds as processes, their ends, the queue, what is refused, events, restarts.

use std::collections::BTreeSet;

use crate::support::{INTERNAL, World, eventually, is_running, restart, world};
use aws_sdk_codebuild::{
    operation::start_build::builders::StartBuildFluentBuilder,
    types::{Build, BuildPhaseType, EnvironmentVariable, EnvironmentVariableType, SortOrderType, StatusType},
};
use aws_sdk_s3::presigning::PresigningConfig;
use common::clock::Clock;
use serde_json::{Value, json};

const PROJECT: &str = "exe-sys-worker";

/// A build of the probe with these variables.
fn build(world: &World, variables: &[(&str, &str)]) -> StartBuildFluentBuilder {
    let log = world.probe_log();
    let all = variables.iter().copied().chain([("PROBE_LOG", log.as_str())]);
    all.fold(world.codebuild().start_build().project_name(PROJECT), |start, (name, value)| {
        let variable =
            EnvironmentVariable::builder().name(name).value(value).r#type(EnvironmentVariableType::Plaintext);
        start.environment_variables_override(variable.build().unwrap())
    })
}

async fn start(world: &World, variables: &[(&str, &str)]) -> String {
    id(build(world, variables)).await
}

async fn id(start: StartBuildFluentBuilder) -> String {
    start.send().await.unwrap().build_value.unwrap().id.unwrap()
}

async fn get(world: &World, id: &str) -> Build {
    world.codebuild().batch_get_builds().ids(id).send().await.unwrap().builds.unwrap().remove(0)
}

/// Waits for the end.
async fn ended(world: &World, id: &str) -> Build {
    eventually(|| async { Some(get(world, id).await).filter(|build| build.build_complete) }).await
}

/// Waits until the build's worker runs; its record.
async fn working(world: &World, id: &str) -> Value {
    world.until_probed(1, |record| record["request"] == id).await.remove(0)
}

/// Waits for the event of a build's end; its detail.
async fn told(world: &World, id: &str) -> Value {
    let arn = format!("arn:aws:codebuild:us-east-1:000000000000:build/{id}");
    let is_told =
        |record: &Value| record["function"] == "watchdog_check" && record["event"]["resources"] == json!([arn]);
    let event = world.until_probed(1, is_told).await.remove(0)["event"].clone();
    assert_eq!((&event["source"], &event["detail"]["build-id"]), (&json!("aws.codebuild"), &json!(arn)));
    assert_eq!(event["detail-type"], "CodeBuild Build State Change");
    event["detail"].clone()
}

async fn stop(world: &World, id: &str) {
    world.codebuild().stop_build().id(id).send().await.unwrap();
}

/// Status and context of a phase.
fn phase(build: &Build, kind: BuildPhaseType) -> Option<(StatusType, String)> {
    let phase = build.phases().iter().find(|phase| phase.phase_type.as_ref() == Some(&kind))?;
    let contexts = phase.contexts().iter();
    let contexts: Vec<_> =
        contexts.map(|c| format!("{}: {}", c.status_code().unwrap(), c.message().unwrap())).collect();
    Some((phase.phase_status.clone()?, contexts.join("; ")))
}

#[tokio::test]
async fn a_build_runs_the_worker_and_succeeds() {
    let world = world(|options| {
        options.function_env.push(("AWS_EXE_SYS_COMMAND_USER".to_owned(), String::new()));
        options.function_env.push(("RUST_LOG".to_owned(), "warn".to_owned()));
    })
    .await;
    let started = build(&world, &[("ORDER_NUM", "0007")]).timeout_in_minutes_override(30).send().await.unwrap();
    let started = started.build_value.unwrap();
    assert_eq!((started.build_status(), started.build_number()), (Some(&StatusType::InProgress), Some(1)));
    let id = started.id().unwrap().to_owned();
    assert!(id.starts_with("exe-sys-worker:") && started.arn().unwrap().ends_with(&format!(":build/{id}")));

    let build = ended(&world, &id).await;
    assert_eq!((build.build_status(), build.current_phase()), (Some(&StatusType::Succeeded), Some("COMPLETED")));
    assert_eq!((build.timeout_in_minutes(), build.queued_timeout_in_minutes()), (Some(30), Some(480)));
    assert!(build.end_time().unwrap().secs() >= build.start_time().unwrap().secs());
    let phases: Vec<_> = build.phases().iter().map(|phase| phase.phase_type.as_ref().unwrap().as_str()).collect();
    let expected = "SUBMITTED QUEUED PROVISIONING DOWNLOAD_SOURCE INSTALL PRE_BUILD BUILD POST_BUILD UPLOAD_ARTIFACTS \
                    FINALIZING COMPLETED";
    assert_eq!(phases.join(" "), expected);
    let variables = build.environment().unwrap().environment_variables();
    let variables: BTreeSet<_> = variables.iter().map(|v| (v.name(), v.value())).collect();
    assert!(variables.contains(&("ORDER_NUM", "0007")) && variables.contains(&("AWS_EXE_SYS_COMMAND_USER", "")));

    let seen = working(&world, &id).await["event"].clone();
    assert_eq!((&seen["ORDER_NUM"], &seen["AWS_EXE_SYS_COMMAND_USER"]), (&json!("0007"), &json!("")));
    assert_eq!((&seen["CODEBUILD_BUILD_ID"], &seen["CODEBUILD_BUILD_NUMBER"]), (&json!(id), &json!("1")));
    assert_eq!((&seen["AWS_ENDPOINT_URL"], &seen["RUST_LOG"]), (&json!(world.aws.endpoint()), &json!("warn")));
    assert!(seen["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
    assert!(seen.get("CARGO").is_none() && seen.get("AWS_LAMBDA_RUNTIME_API").is_none());
    let folder = std::path::Path::new(seen["TMPDIR"].as_str().unwrap()).parent().unwrap();
    assert!(folder.starts_with(world.aws.data()) && !folder.exists());
    let uuid = id.split(':').nth(1).unwrap();
    assert_eq!(build.logs().unwrap().stream_name(), Some(uuid));
    let log = std::fs::read_to_string(world.aws.data().join(format!("codebuild/{uuid}.log"))).unwrap();
    assert_eq!(log, format!("the worker of {id} was here\n"));

    let detail = told(&world, &id).await;
    assert_eq!((&detail["build-status"], &detail["current-phase"]), (&json!("SUCCEEDED"), &json!("COMPLETED")));
    let information = &detail["additional-information"];
    assert_eq!(information["build-complete"], true);
    let variables = information["environment"]["environment-variables"].as_array().unwrap();
    assert!(variables.contains(&json!({"name": "ORDER_NUM", "type": "PLAINTEXT", "value": "0007"})));
    // What runs as another user must find a way to its files, which are then not among our own.
    let other = ended(&world, &start(&world, &[("AWS_EXE_SYS_COMMAND_USER", "nobody")]).await).await;
    let seen = working(&world, other.id().unwrap()).await["event"].clone();
    let folder = std::path::Path::new(seen["TMPDIR"].as_str().unwrap()).parent().unwrap();
    assert!(!folder.starts_with(world.aws.data()) && !folder.exists());
    told(&world, other.id().unwrap()).await;

    // The state before was an event as well, which the stack's rule leaves out.
    assert_eq!(world.probed().len(), 4);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_ends_the_worker_stands_in_the_phase() {
    let world = world(|_| {}).await;
    let failed = start(&world, &[("PROBE", "exit"), ("PROBE_CODE", "3")]).await;
    let context = "COMMAND_EXECUTION_ERROR: Error while executing command: aws-exe worker. Reason: exit status 3";
    let build = ended(&world, &failed).await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    assert_eq!(phase(&build, BuildPhaseType::Build), Some((StatusType::Failed, context.to_owned())));
    assert_eq!(phase(&build, BuildPhaseType::PostBuild), Some((StatusType::Succeeded, String::new())));
    let detail = told(&world, &failed).await;
    assert_eq!(detail["build-status"], "FAILED");
    let phases = detail["additional-information"]["phases"].as_array().unwrap();
    let of_build = phases.iter().find(|phase| phase["phase-type"] == "BUILD").unwrap();
    assert_eq!((&of_build["phase-status"], &of_build["phase-context"]), (&json!("FAILED"), &json!([context])));

    // A worker that is killed alone ends as its shell says; one that is killed with its shell, by its signal.
    let killed = start(&world, &[("PROBE", "kill")]).await;
    let (_, context) = phase(&ended(&world, &killed).await, BuildPhaseType::Build).unwrap();
    assert!(context.ends_with("Reason: exit status 137"), "{context}");
    let rules = json!([{"function": "codebuild", "operation": "PutObject", "key": "/before", "action": "kill_before"}]);
    world.aws.set_faults(serde_json::from_value(rules).unwrap());
    let put = [("PROBE", "put"), ("PROBE_BUCKET", INTERNAL), ("PROBE_KEY", "before")];
    let build = ended(&world, &start(&world, &put).await).await;
    let (_, context) = phase(&build, BuildPhaseType::Build).unwrap();
    assert!(context.ends_with("Reason: signal: killed"), "{context}");
    assert!(world.s3().head_object().bucket(INTERNAL).key("before").send().await.is_err());

    // What cannot be started at all is not the build's fault.
    let scratch = world.aws.data().join("codebuild/tmp");
    std::fs::remove_dir(&scratch).unwrap();
    let fault = start(&world, &[]).await;
    let build = ended(&world, &fault).await;
    assert_eq!(build.build_status(), Some(&StatusType::Fault));
    assert_eq!(phase(&build, BuildPhaseType::Provisioning).unwrap().0, StatusType::Fault);
    assert_eq!(told(&world, &fault).await["build-status"], "FAULT");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stopped_build_leaves_nothing() {
    let world = world(|options| options.concurrent_builds = 1).await;
    let first = start(&world, &[("PROBE", "hold")]).await;
    let worker = working(&world, &first).await;
    let second = start(&world, &[("PROBE", "hold")]).await;
    let third = start(&world, &[]).await;
    assert!(is_running(&worker["pid"]) && is_running(&worker["left"]));

    // From the queue, without ever having started.
    stop(&world, &second).await;
    let build = ended(&world, &second).await;
    assert_eq!(build.build_status(), Some(&StatusType::Stopped));
    assert_eq!(phase(&build, BuildPhaseType::Queued).unwrap().0, StatusType::Stopped);
    assert_eq!(told(&world, &second).await["build-status"], "STOPPED");

    let arn = get(&world, &first).await.arn.unwrap();
    stop(&world, &arn).await;
    let build = ended(&world, &first).await;
    assert_eq!(build.build_status(), Some(&StatusType::Stopped));
    assert_eq!(phase(&build, BuildPhaseType::Build).unwrap().0, StatusType::Stopped);
    assert!(!is_running(&worker["pid"]) && !is_running(&worker["left"]));
    assert_eq!(told(&world, &first).await["build-status"], "STOPPED");

    // Its place is free, and a second stop changes nothing.
    assert_eq!(ended(&world, &third).await.build_status(), Some(&StatusType::Succeeded));
    stop(&world, &third).await;
    assert_eq!(get(&world, &third).await.build_status(), Some(&StatusType::Succeeded));
    assert!(world.probed().iter().all(|record| record["request"] != second.as_str()));
    let unknown = world.codebuild().stop_build().id("exe-sys-worker:none").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found_exception());
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn builds_that_take_too_long_time_out() {
    // Five minutes are a second and a half.
    let world = world(|options| {
        options.clock = Clock::sped_up(200);
        options.concurrent_builds = 1;
    })
    .await;
    let busy = id(build(&world, &[("PROBE", "hold")]).timeout_in_minutes_override(2160)).await;
    working(&world, &busy).await;
    let waiting = id(build(&world, &[]).queued_timeout_in_minutes_override(5)).await;
    let build_of_waiting = ended(&world, &waiting).await;
    assert_eq!(build_of_waiting.build_status(), Some(&StatusType::TimedOut));
    assert_eq!(phase(&build_of_waiting, BuildPhaseType::Queued).unwrap().0, StatusType::TimedOut);
    stop(&world, &busy).await;

    let slow = id(build(&world, &[("PROBE", "hold")]).timeout_in_minutes_override(5)).await;
    let build = ended(&world, &slow).await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    let (status, context) = phase(&build, BuildPhaseType::Build).unwrap();
    assert!(status == StatusType::TimedOut && context.starts_with("BUILD_TIMED_OUT"), "{context}");
    assert!(build.end_time().unwrap().secs() - build.start_time().unwrap().secs() >= 300);
    for worker in world.probed().iter().filter(|record| record["function"] == "codebuild") {
        assert!(!is_running(&worker["pid"]) && !is_running(&worker["left"]));
    }
    assert_eq!(told(&world, &slow).await["build-status"], "TIMED_OUT");
    assert_eq!(told(&world, &waiting).await["build-status"], "TIMED_OUT");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn builds_beyond_the_quota_wait() {
    let world = world(|options| options.concurrent_builds = 2).await;
    let gate = world.folder.path().join("gate");
    let variables = [("PROBE", "await"), ("PROBE_GATE", gate.to_str().unwrap())];
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(start(&world, &variables).await);
    }
    world.until_probed(2, |record| record["function"] == "codebuild").await;
    let refused = build(&world, &variables).send().await.unwrap_err().into_service_error();
    assert!(refused.is_account_limit_exceeded_exception(), "{refused}");
    assert!(refused.to_string().contains("Cannot have more than 10 builds in queue"), "{refused}");
    for id in &ids[2..] {
        let build = get(&world, id).await;
        assert_eq!((build.build_status(), build.current_phase()), (Some(&StatusType::InProgress), Some("QUEUED")));
    }
    assert_eq!(world.probed().len(), 2);
    std::fs::write(&gate, "").unwrap();
    for id in &ids {
        assert_eq!(ended(&world, id).await.build_status(), Some(&StatusType::Succeeded));
    }
    let ran: BTreeSet<_> = world.probed().iter().filter_map(|r| r["request"].as_str().map(str::to_owned)).collect();
    assert!(ids.iter().all(|id| ran.contains(id)));
    let page = world.codebuild().list_builds_for_project().project_name(PROJECT).send().await.unwrap();
    assert!(page.ids().iter().eq(ids.iter().rev()) && page.next_token().is_none());
    let page =
        world.codebuild().list_builds().sort_order(SortOrderType::Ascending).next_token("10").send().await.unwrap();
    assert_eq!(page.ids(), &ids[10..]);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_token_gives_one_build_for_five_minutes() {
    let world = world(|_| {}).await;
    let request = |order: &str| build(&world, &[("ORDER_NUM", order)]).idempotency_token("r-0001");
    let first = id(request("0001")).await;
    assert_eq!(id(request("0001")).await, first);
    let other = request("0002").send().await.unwrap_err().into_service_error();
    assert!(other.is_invalid_input_exception(), "{other}");
    ended(&world, &first).await;
    assert_eq!(id(request("0001")).await, first);
    assert_ne!(id(build(&world, &[("ORDER_NUM", "0001")]).idempotency_token("r-0001-again")).await, first);

    // What a data folder keeps counts as well, until the time is over.
    world.aws.shutdown().await.unwrap();
    let world = restart(crate::support::world(|_| {}).await, |_| {}).await;
    let request = |world: &World| build(world, &[]).idempotency_token("t");
    let first = id(request(&world)).await;
    let world = restart(world, |_| {}).await;
    assert_eq!(id(request(&world)).await, first);
    let world = restart(world, |options| options.clock = Clock::sped_up(10_000)).await;
    eventually(|| async { (id(request(&world)).await != first).then_some(()) }).await;
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let world = world(|_| {}).await;
    let client = world.codebuild();
    let unknown = client.start_build().project_name("none").send().await.unwrap_err().into_service_error();
    assert!(unknown.is_resource_not_found_exception() && unknown.to_string().contains("project/none"), "{unknown}");
    let nameless = client.start_build().send().await.unwrap_err().into_service_error();
    assert!(nameless.is_invalid_input_exception());
    let start = || client.start_build().project_name(PROJECT);
    for (refused, named) in [
        (start().timeout_in_minutes_override(4), "timeoutInMinutesOverride"),
        (start().timeout_in_minutes_override(2161), "timeoutInMinutesOverride"),
        (start().queued_timeout_in_minutes_override(4), "queuedTimeoutInMinutesOverride"),
        (start().queued_timeout_in_minutes_override(481), "queuedTimeoutInMinutesOverride"),
        (start().image_override("other"), "imageOverride"),
        (start().buildspec_override("version: 0.2\nphases: {}\nreports: {}"), "reports"),
    ] {
        let error = refused.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_input_exception() && error.to_string().contains(named), "{error}");
    }
    let found = client.batch_get_builds().ids("exe-sys-worker:none").ids("x").send().await.unwrap();
    assert_eq!((found.builds().len(), found.builds_not_found().len()), (0, 2));
    assert!(
        client
            .batch_get_builds()
            .set_ids(Some(Vec::new()))
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_invalid_input_exception()
    );
    let projects = client.batch_get_projects().names(PROJECT).names("none").send().await.unwrap();
    let project = &projects.projects()[0];
    assert!(project.source().unwrap().buildspec().unwrap().contains("aws-exe worker"));
    assert_eq!((project.timeout_in_minutes(), projects.projects_not_found().len()), (Some(60), 1));
    let missing = client.list_reports().send().await.unwrap_err();
    assert_eq!(missing.into_service_error().meta().code(), Some("UnknownOperationException"));
    assert!(client.list_builds().send().await.unwrap().ids().is_empty());
    world.aws.shutdown().await.unwrap();
}

/// A build that fails in its middle.
const SPEC: &str = "
version: 0.2
env:
  variables: {FROM: buildspec, ORDER_NUM: buildspec}
phases:
  install:
    commands:
      - where=$PWD
      - test \"$where\" = \"$CODEBUILD_SRC_DIR\"
  build:
    commands:
      - echo $FROM $ORDER_NUM $CODEBUILD_BUILD_SUCCEEDING
      - echo before >> $HOME/steps; false
      - echo never
  post_build:
    commands:
      - |
        if [ -s $HOME/steps ]; then
          echo after $CODEBUILD_BUILD_SUCCEEDING
        fi
";

#[tokio::test]
async fn a_buildspec_is_run_as_codebuild_does() {
    let world = world(|_| {}).await;
    let spec = |text: &str| build(&world, &[("ORDER_NUM", "request")]).buildspec_override(text);
    let build = ended(&world, &id(spec(SPEC)).await).await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    let (_, context) = phase(&build, BuildPhaseType::Build).unwrap();
    assert!(
        context.ends_with("executing command: echo before >> $HOME/steps; false. Reason: exit status 1"),
        "{context}"
    );
    let log = format!("codebuild/{}.log", build.logs().unwrap().stream_name().unwrap());
    let log = std::fs::read_to_string(world.aws.data().join(log)).unwrap();
    assert_eq!(log, "buildspec request 1\nafter 0\n");

    // Before the build phase, a failure is the end.
    let build = ended(
        &world,
        &id(spec(
            "{version: 0.2, phases: {pre_build: {commands: [exit 9]}, post_build: {commands: [aws-exe worker]}}}",
        ))
        .await,
    )
    .await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    assert!(phase(&build, BuildPhaseType::PreBuild).unwrap().1.ends_with("exit status 9"));
    assert!(phase(&build, BuildPhaseType::PostBuild).is_none());
    assert!(phase(&build, BuildPhaseType::Finalizing).is_some());
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn calls_of_a_build_are_its_own() {
    let record = tempfile::NamedTempFile::new().unwrap();
    let world = world(|options| options.record = Some(record.path().to_owned())).await;
    let put = start(&world, &[("PROBE", "put"), ("PROBE_BUCKET", INTERNAL), ("PROBE_KEY", "own")]).await;
    assert_eq!(ended(&world, &put).await.build_status(), Some(&StatusType::Succeeded));
    // A presigned URL that somebody else signed.
    let expiring = PresigningConfig::expires_in(std::time::Duration::from_mins(1)).unwrap();
    let url = world.s3().put_object().bucket(INTERNAL).key("signed").presigned(expiring).await.unwrap();
    let path = url.uri().strip_prefix(&world.aws.endpoint()).unwrap();
    let host = world.aws.endpoint().replace("http://", "");
    let signed = start(&world, &[("PROBE", "upload"), ("PROBE_HOST", &host), ("PROBE_PATH", path)]).await;
    assert_eq!(ended(&world, &signed).await.build_status(), Some(&StatusType::Succeeded));
    told(&world, &signed).await;
    let calls = std::fs::read_to_string(record.path()).unwrap();
    let calls: Vec<Value> = calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (key, id) in [("exe-sys-internal/own", &put), ("exe-sys-internal/signed", &signed)] {
        let call = calls.iter().find(|call| call["key"] == key).unwrap();
        assert_eq!((&call["function"], &call["parent"]), (&json!("codebuild"), &json!(id)), "{call}");
    }
    let keys: BTreeSet<_> =
        calls.iter().filter(|c| c["service"] == "codebuild").filter_map(|c| c["key"].as_str()).collect();
    assert_eq!(keys, BTreeSet::from([PROJECT, put.as_str(), signed.as_str()]));
    let event = calls.iter().find(|call| call["operation"] == "Deliver" && call["parent"] == signed.as_str()).unwrap();
    assert_eq!(event["function"], "watchdog_check");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_ends_what_ran_and_goes_on_with_what_waited() {
    let world = restart(world(|_| {}).await, |options| options.concurrent_builds = 1).await;
    let done = start(&world, &[]).await;
    ended(&world, &done).await;
    told(&world, &done).await;
    let lost = start(&world, &[("PROBE", "hold")]).await;
    let worker = working(&world, &lost).await;
    let waiting = start(&world, &[("ORDER_NUM", "0002")]).await;

    let world = restart(world, |_| {}).await;
    assert!(!is_running(&worker["pid"]) && !is_running(&worker["left"]));
    let build = ended(&world, &lost).await;
    assert_eq!(build.build_status(), Some(&StatusType::Fault));
    assert!(phase(&build, BuildPhaseType::Build).unwrap().1.contains("the container was lost"));
    assert_eq!(told(&world, &lost).await["build-status"], "FAULT");
    assert_eq!(ended(&world, &waiting).await.build_status(), Some(&StatusType::Succeeded));
    assert_eq!(working(&world, &waiting).await["order"], "0002");
    told(&world, &waiting).await;
    assert_eq!(get(&world, &done).await.build_status(), Some(&StatusType::Succeeded));
    assert_eq!(std::fs::read_dir(world.aws.data().join("codebuild/tmp")).unwrap().count(), 0);
    let next = build_number(&world).await;
    assert_eq!(next, 4, "numbers go on");

    // Nothing is told twice.
    let told = || world.probed().into_iter().filter(|record| record["function"] == "watchdog_check").count();
    assert_eq!(told(), 4);
    let world = restart(world, |_| {}).await;
    let again = start(&world, &[]).await;
    self::told(&world, &again).await;
    let told = world.probed().into_iter().filter(|record| record["function"] == "watchdog_check").count();
    assert_eq!(told, 5);
    world.aws.shutdown().await.unwrap();
}

/// The number of one more build, which has ended and been told of.
async fn build_number(world: &World) -> i64 {
    let id = start(world, &[]).await;
    told(world, &id).await;
    ended(world, &id).await.build_number().unwrap()
}
