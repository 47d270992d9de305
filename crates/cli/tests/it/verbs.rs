//! The other verbs: `validate`, `schema`, `trace`, and `local` with what survives its restart.

use serde_json::Value;

use crate::support::{
    Stack, StartLog,
    aws_exe::{call, command, processes_of},
    expect::expect_success,
    faults::delivery_to,
    job,
};

#[tokio::test]
async fn validate_says_whether_a_job_is_valid_without_running_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |document: Value| std::fs::write(folder.path().join("job.json"), document.to_string()).unwrap();
    write(job().order("a").cmds(["touch ran"]).document());
    let said = call(command(folder.path(), &["validate", "job.json"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    the job is valid: 1 order
    ── stderr
    ");
    write(job().order("a").after(["b"]).order("b").after(["a"]).its("cmd", "x").document());
    let said = call(command(folder.path(), &["validate", "job.json"])).await;
    insta::assert_snapshot!(said.shown(), @r#"
    exit 2
    ── stdout
    ── stderr
    error[AES0105]: the job is not valid: 2 problems
      --> job.json:1:54
       |
     1 | …s":["echo \"$CANARY$CANARY_LINES\""],"dependencies":["b"],"execution_target":"lambda","order_name":"a","ssm_paths…
       |                                       ^^^^^^^^^^^^^^
       |                                   orders[0].dependencies: go round in a cycle, each waiting for the next: a → b → a
    ...
     1 | …hs":["/team/canary"],"timeout":600},{"cmd":"x","cmds":["echo \"$CANARY$CANARY_LINES\""],"dependencies":["a"],"exe…
       |                                       ^^^^^ orders[1].cmd: is no known field; did you mean `cmds`?
    "#);
    write(job().order("a").after(["b"]).order("b").after(["a"]).timeout(900).document());
    let said = call(command(folder.path(), &["validate", "job.json"])).await;
    insta::assert_snapshot!(said.shown(), @r#"
    exit 2
    ── stdout
    ── stderr
    error[AES0105]: the job is not valid: 2 problems
      --> job.json:1:54
       |
     1 | …s":["echo \"$CANARY$CANARY_LINES\""],"dependencies":["b"],"execution_target":"lambda","order_name":"a","ssm_paths…
       |                                       ^^^^^^^^^^^^^^
       |                                   orders[0].dependencies: go round in a cycle, each waiting for the next: a → b → a
    ...
     1 | …"],"execution_target":"lambda","order_name":"b","ssm_paths":["/team/canary"],"timeout":900}],"username":"tester"}
       |                                                                                         ^^^
       |          orders[1].timeout: 900 and `stop_grace` 10 are together more than the 840 s that a `lambda` order may take
    "#);
    assert!(!folder.path().join("ran").exists());
}

#[tokio::test]
async fn every_example_is_valid() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for path in [examples.to_owned(), format!("{examples}/terraform")] {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            let path = entry.path();
            // The instances are no job, but what one runs on.
            let is_job = path.extension().is_some_and(|extension| extension == "json" || extension == "yaml")
                && !path.ends_with("instances.yaml");
            if is_job {
                let said = call(command(folder.path(), &["validate", path.to_str().unwrap()])).await;
                assert_eq!(said.code, 0, "{}: {}", path.display(), said.shown());
                checked += 1;
            }
        }
    }
    assert!(checked >= 3, "{checked} examples");
}

#[tokio::test]
async fn the_schema_is_the_one_that_the_types_make() {
    let folder = tempfile::tempdir().unwrap();
    let said = call(command(folder.path(), &["schema"])).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let printed: Value = serde_json::from_str(&said.stdout).unwrap();
    // That of jobs, and `${var.NAME}` wherever a value can be filled in.
    let types = common::job::schema();
    assert_eq!(printed["properties"]["orders"], types["properties"]["orders"]);
    assert_eq!(printed["properties"]["job_timeout"]["type"], serde_json::json!(["integer", "null", "string"]));
    assert_eq!(printed["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(printed["additionalProperties"], false);
    let required: Vec<&str> =
        printed["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(required, ["username", "orders"]);
    let published =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/job.schema.json")).unwrap();
    assert!(said.stdout == published, "docs/job.schema.json is old: cargo run -- schema > docs/job.schema.json");
}

#[tokio::test]
async fn local_prints_what_points_other_clients_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let said = call(command(folder.path(), &["local", "--env", "--port", "4777"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    export AWS_ENDPOINT_URL=http://127.0.0.1:4777
    export AWS_ACCESS_KEY_ID=test
    export AWS_SECRET_ACCESS_KEY=test
    export AWS_REGION=us-east-1
    export AWS_DEFAULT_REGION=us-east-1
    ── stderr
    ");
}

#[tokio::test]
async fn machine_roles_name_all_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    for function in ["init_job", "orchestrator"] {
        let mut call_it = command(folder.path(), &["function", function]);
        call_it.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9").env_remove("AWS_EXE_SYS_INTERNAL_BUCKET");
        let said = call(call_it).await;
        assert_ne!(said.code, 0);
        for name in [
            "AWS_EXE_SYS_ORDERS_TABLE",
            "AWS_EXE_SYS_LOCKS_TABLE",
            "AWS_EXE_SYS_INTERNAL_BUCKET",
            "AWS_EXE_SYS_WATCHDOG_SFN",
        ] {
            assert!(said.stderr.contains(name), "`{name}`: {}", said.shown());
        }
    }
}

#[tokio::test]
async fn sigterm_ends_local_and_everything_that_it_started() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start(), "trap '' TERM INT; sleep 600".to_owned()])).await;
    starts.until("a").await;
    assert!(processes_of(stack.marker()).len() >= 3, "the marker finds processes");
    drop(run);
    let (status, folder) = stack.stop().await;
    assert!(status.success(), "{status}");
    assert_eq!(processes_of(folder.path()), [] as [String; 0]);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0, "files are left");
}

#[tokio::test]
async fn a_run_that_was_submitted_before_a_restart_finishes_after_it() {
    let data = tempfile::tempdir().unwrap();
    // Its first message is still on its way when the embedded AWS ends.
    let stack = Stack::start().data(data.path()).faults([delivery_to("orchestrator").delayed(3_600_000)]).await;
    let job = job().order("a").cmds(["echo kept"]);
    let finished = stack.submit_as("before", &job).await;
    let answer = finished.answer.clone();
    let file = data.path().join("ran");
    assert!(finished.done_now().await.is_none());
    drop(finished);
    let (status, _folder) = stack.stop().await;
    assert!(status.success());

    let stack = Stack::start().data(data.path()).await;
    let run = stack.run(answer, &job);
    expect_success(&run).await;
    assert_eq!(run.result_of("a").await["log"], "kept\n");
    let (status, _folder) = stack.stop().await;
    assert!(status.success() && !file.exists());
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let _stack = Stack::start().data(data.path()).await;
    let said = call(command(data.path(), &["local", "--port", "0", "--data", data.path().to_str().unwrap()])).await;
    assert_eq!(said.code, 4);
    assert!(said.stderr.contains("is in use by another embedded AWS"), "{}", said.shown());
}

#[tokio::test]
async fn trace_shows_each_recorded_call_below_what_caused_it() {
    let folder = tempfile::tempdir().unwrap();
    let job = job().order("a").cmds(["true"]).document();
    std::fs::write(folder.path().join("job.json"), job.to_string()).unwrap();
    assert_eq!(call(command(folder.path(), &["run", "job.json", "--record", "calls.jsonl"])).await.code, 0);
    let recorded = std::fs::read_to_string(folder.path().join("calls.jsonl")).unwrap();
    let said = call(command(folder.path(), &["trace", "calls.jsonl"])).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    assert_eq!(said.stdout.lines().count(), recorded.lines().count());
    // A pass stands below the first message, its dispatch below the pass, and the claim below the dispatch.
    let indent_of = |part: &str| {
        let line =
            said.stdout.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}\n{}", said.stdout));
        line[14..].len() - line[14..].trim_start().len()
    };
    assert_eq!(indent_of("orchestrator   lambda:Deliver"), 0);
    assert_eq!(indent_of("orchestrator   lambda:Invoke"), 2);
    assert_eq!(indent_of("worker         lambda:Deliver"), 2);
    assert_eq!(indent_of("/tmp/claims/"), 4);
    let said = call(command(folder.path(), &["trace", "job.json"])).await;
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("`job.json`: line 1 of the record is no call"), "{}", said.shown());
}
