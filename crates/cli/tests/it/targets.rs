//! Every execution target keeps the same promises: success, failure, timeout, cancelling, code, secrets, duplicates.

use serde_json::json;

use crate::support::{
    Cancelled, Failed, Stack, StartLog, TimedOut, expect,
    expect::expect_success,
    faults::{at, delivery_to},
    job,
    stack::INTERNAL,
};

/// The targets besides Lambda, whose tests are everywhere else.
const TARGETS: [&str; 2] = ["codebuild", "ssm"];

#[tokio::test]
async fn one_job_runs_on_every_target() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job()
        .order("function")
        .cmds([starts.start()])
        .order("build")
        .on("codebuild")
        .after(["function"])
        .cmds([starts.start()])
        .order("roll-out")
        .on("ssm")
        .after(["build"])
        .cmds([starts.start()]);
    let run = stack.submit(&job).await;
    let ended = expect_success(&run).await;
    assert_eq!(starts.lines(), ["function", "build", "roll-out"]);
    let by = async |key: &str| run.claim(key).await.unwrap()["by"].as_str().unwrap().to_owned();
    assert!(by("0001").await.starts_with("lambda:"));
    assert!(by("0002").await.starts_with("codebuild:exe-sys-worker:"));
    let share = by("0003/i-local").await;
    assert!(share.starts_with("ssm:") && share.ends_with(":i-local"), "{share}");
    let url = |index: usize| ended.rows[index]["execution_url"].as_str().unwrap().to_owned();
    assert!(url(1).contains("/codebuild/") && url(1).contains("build/exe-sys-worker%3A"), "{}", url(1));
    assert!(url(2).contains("/run-command/"), "{}", url(2));
    assert_eq!(ended.rows[2]["ssm_targets"], r#"{"instance_ids":["i-local"]}"#);
}

#[tokio::test]
async fn the_default_target_is_codebuild_and_auto_is_lambda_while_that_lasts() {
    let stack = Stack::start().await;
    let job = job().order("default").anywhere();
    let job = job.order("short").its("execution_target", "auto");
    let run = stack.submit(&job.order("long").its("execution_target", "auto").timeout(3_000)).await;
    let ended = expect_success(&run).await;
    let targets: Vec<_> = ended.rows.iter().map(|row| row["execution_target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["codebuild", "lambda", "codebuild"]);
}

#[tokio::test]
async fn a_failure_is_told_with_its_log_and_its_command() {
    for target in TARGETS {
        let stack = Stack::start().await;
        let job = job().order("a").on(target).cmds(["echo first", "echo second >&2; exit 3", "echo third"]);
        let run = stack.submit(&job).await;
        let ended = expect(&run, Failed, [("a", Failed)]).await;
        let result = run.result_of("a").await;
        assert_eq!((&result["exit_code"], &result["failed_command"]), (&3.into(), &1.into()), "{target}");
        let log = result["log"].as_str().unwrap();
        assert!(log.contains("first\nsecond\n") && !log.contains("third"), "{target}: {log}");
        let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
        assert!(reason.ends_with("command 2 of 3 exited with 3"), "{target}: {reason}");
    }
}

#[tokio::test]
async fn a_timeout_stops_kindly_then_kills() {
    for target in TARGETS {
        let stack = Stack::start().await;
        let starts = StartLog::of(&stack);
        let trap = format!(
            "trap '{}' INT; {}; while :; do sleep 0.02; done",
            starts.note("asked").replace('\'', ""),
            starts.start()
        );
        let job = job().order("a").on(target).timeout(2).stop_grace(1).cmds([trap]);
        let run = stack.submit(&job).await;
        expect(&run, TimedOut, [("a", TimedOut)]).await;
        starts.each_once(["a", "asked"]);
        assert!(
            run.result_of("a").await["reason"].as_str().unwrap().ends_with("its timeout of 2 s is over"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn cancelling_stops_kindly() {
    for target in TARGETS {
        let stack = Stack::start().speed(10).await;
        let starts = StartLog::of(&stack);
        let told = starts.note("stopped");
        let trap = format!(
            "stopped() {{ {told}; exit 1; }}; trap stopped INT; {}; while :; do sleep 0.02; done",
            starts.start()
        );
        let job = job().order("a").on(target).cmds([trap]).order("b").after(["a"]).cmds([starts.start()]);
        let run = stack.submit(&job).await;
        starts.until("a").await;
        run.cancel("0001").await;
        expect(&run, Failed, [("a", Cancelled), ("b", Cancelled)]).await;
        starts.each_once(["a", "stopped"]);
        let result = run.result_of("a").await;
        assert!(result["reason"].as_str().unwrap().contains("the order was cancelled"), "{target}: {result:#}");
    }
}

#[tokio::test]
async fn the_jobs_deadline_stops_every_target() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let slow = || [starts.start(), "sleep 600".to_owned()];
    let job = job()
        .with("job_timeout", 6)
        .order("function")
        .stop_grace(1)
        .cmds(slow())
        .order("build")
        .on("codebuild")
        .stop_grace(1)
        .cmds(slow())
        .order("fleet")
        .on("ssm")
        .stop_grace(1)
        .cmds(slow());
    let run = stack.submit(&job).await;
    expect(&run, TimedOut, [("function", TimedOut), ("build", TimedOut), ("fleet", TimedOut)]).await;
}

#[tokio::test]
async fn secrets_code_and_events_reach_every_target() {
    for target in TARGETS {
        let stack = Stack::start().await;
        let put = stack.aws.secrets().create_secret().name("team/token").secret_string("hunter2-secret");
        put.send().await.unwrap();
        let folder = stack.new_folder("source");
        std::fs::write(folder.join("run.sh"), "echo from the code: $GREETING $TOKEN\n").unwrap();
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
            let done = std::process::Command::new("git").args(identity).args(arguments).current_dir(&folder).output();
            assert!(done.unwrap().status.success());
        };
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-qm", "code"]);
        let report = "echo '{\"status\": \"ok\", \"step\": 1}' > $AWS_EXE_SYS_EVENTS_DIR/rolled.json";
        let job = job()
            .with("git_repo", folder.to_str().unwrap())
            .order("a")
            .on(target)
            .its("env_vars", json!({"GREETING": "hello"}))
            .its("secret_manager_paths", json!(["team/token"]))
            .cmds(["sh run.sh", report]);
        let run = stack.submit(&job).await;
        expect_success(&run).await;
        let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
        assert!(log.contains("from the code: hello ***"), "{target}: {log}");
        let events = run.events_of("a").await;
        let rolled = events.iter().find(|event| event["event_type"] == "rolled").unwrap();
        assert_eq!((&rolled["status"], &rolled["data"]["step"]), (&"ok".into(), &1.into()), "{target}");
        let keys = stack.keys(INTERNAL).await;
        assert!(!keys.iter().any(|key| key.ends_with("dispatch.json")), "nothing in clear stays: {keys:?}");
    }
}

#[tokio::test]
async fn a_dispatch_that_is_repeated_starts_nothing_twice() {
    // The answer to the dispatch is lost on every attempt: each was applied.
    for (target, service, operation) in [("codebuild", "codebuild", "StartBuild"), ("ssm", "ssm", "SendCommand")] {
        let lost = at(service, operation).by("orchestrator").times(3).then("error_after");
        let stack = Stack::start().faults([lost]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").on(target).cmds([starts.start()])).await;
        expect_success(&run).await;
        starts.each_once(["a"]);
        assert!(stack.count("orchestrator", operation).await > 3, "{target}");
    }
}

#[tokio::test]
async fn a_dispatch_whose_pass_dies_is_made_again_and_starts_nothing_twice() {
    for (target, service, operation) in [("codebuild", "codebuild", "StartBuild"), ("ssm", "ssm", "SendCommand")] {
        let stack =
            Stack::start().speed(20).faults([at(service, operation).by("orchestrator").then("kill_after")]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").on(target).cmds([starts.start()])).await;
        expect_success(&run).await;
        starts.each_once(["a"]);
    }
}

#[tokio::test]
async fn a_refused_dispatch_ends_its_order_with_the_reason() {
    for (target, service, operation) in [("codebuild", "codebuild", "StartBuild"), ("ssm", "ssm", "SendCommand")] {
        let refused = at(service, operation).by("orchestrator").refused("AccessDeniedException");
        let stack = Stack::start().faults([refused]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").on(target).cmds([starts.start()])).await;
        let ended = expect(&run, Failed, [("a", Failed)]).await;
        starts.each_once([]);
        let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
        assert!(reason.contains("it could not be started") && reason.contains("AccessDenied"), "{target}: {reason}");
    }
}

#[tokio::test]
async fn a_throttled_dispatch_only_waits() {
    for (target, service, operation, code) in [
        ("codebuild", "codebuild", "StartBuild", "AccountLimitExceededException"),
        ("ssm", "ssm", "SendCommand", "ThrottlingException"),
    ] {
        let throttled = at(service, operation).by("orchestrator").times(6).refused(code);
        let stack = Stack::start().speed(5).faults([throttled]).await;
        let starts = StartLog::of(&stack);
        let run = stack.submit(&job().order("a").on(target).cmds([starts.start()])).await;
        expect_success(&run).await;
        starts.each_once(["a"]);
    }
}

#[tokio::test]
async fn more_builds_than_the_quota_wait_for_each_other() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let names: Vec<String> = (0..9).map(|number| format!("b{number}")).collect();
    let job = names.iter().fold(job(), |job, name| job.order(name).on("codebuild").cmds([starts.start()]));
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    starts.each_once(names.iter().map(String::as_str));
}

#[tokio::test]
async fn a_duplicate_event_of_a_share_changes_nothing() {
    let stack = Stack::start().faults([delivery_to("orchestrator").about("instances").then("duplicate")]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").on("ssm").cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn commands_of_a_build_run_as_another_user_where_the_worker_is_root() {
    if !nix::unistd::Uid::effective().is_root() {
        println!("not shown: only root can start processes of another user");
        return;
    }
    let stack = Stack::start().variable("AWS_EXE_SYS_COMMAND_USER", "nobody").await;
    let event = "echo '{}' > $AWS_EXE_SYS_EVENTS_DIR/seen.json";
    // The worker's environment holds the credentials of the build's role.
    let spy = "cat /proc/$PPID/environ && exit 1; echo kept out";
    let job = job().order("a").on("codebuild").cmds(["id -un", "touch here; cd $HOME; touch there", event, spy]);
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
    assert!(log.starts_with("nobody\n") && log.ends_with("kept out\n"), "{log}");
    assert!(run.events_of("a").await.iter().any(|event| event["event_type"] == "seen"));
}
