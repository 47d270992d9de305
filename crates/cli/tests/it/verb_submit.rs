//! `aws-exe submit`: always one run, whatever happens on the way; jobs that are too large for a request; code of this
//! machine; an embedded AWS, or a stack by its outputs.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Stack, StartLog,
    aws_exe::{Said, Speaking, call},
    faults::at,
    job,
    stack::INTERNAL,
    wait,
};

impl Stack {
    /// How many runs there are.
    async fn runs(&self) -> usize {
        let said = self.call(&["list", "--json"]).await;
        let listed: Value = serde_json::from_str(said.stdout.lines().next().unwrap()).unwrap();
        listed["result"]["runs"].as_array().unwrap().len()
    }

    async fn submits(&self, arguments: &[&str]) -> Said {
        self.call(&[&["submit", "job.json"], arguments].concat()).await
    }
}

#[tokio::test]
async fn it_prints_the_run_and_waits_or_watches_when_asked_to() {
    let stack = Stack::start().await;
    stack.job_file(&job().order("a").cmds(["echo hi; exit $WANTED"]).its("env_vars", json!({"WANTED": "0"})));
    let said = stack.submits(&["--run-id", "r-1"]).await;
    insta::assert_snapshot!(said.steady(), @r"
    exit 0
    ── stdout
    r-1
    ── stderr
    submitted: `aws-exe status -f r-1` watches it
    ");
    insta::assert_snapshot!(stack.submits(&["--run-id", "r-1", "--wait"]).await.steady(), @r"
    exit 0
    ── stdout

    the job succeeded: 1 succeeded of 1 order
    ── stderr
    submitted: the run `r-1`
    ");
    stack.job_file(&job().order("a").cmds(["echo hi; exit 1"]));
    insta::assert_snapshot!(stack.submits(&["--run-id", "r-1"]).await.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0302]: the run id `r-1` is taken by another job
    hint: leave `--run-id` out, or choose another one
    ");
    let said = stack.submits(&["--run-id", "r-2", "--follow"]).await;
    assert_eq!(said.code, 1, "{}", said.shown());
    assert!(said.stderr.contains("✗ a failed after"), "{}", said.shown());
    insta::assert_snapshot!(said.stdout.trim_start(), @r"
    ── a failed: command 1 of 1 exited with 1
    hi

    the job failed: 1 failed of 1 order
    ");
    let said = stack.submits(&["--run-id", "r-3", "--wait", "--json"]).await;
    let last: Value = serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((said.code, &last["ok"], &last["error"]["code"]), (1, &json!(false), &json!("AES0701")));
    let said = stack.submits(&["--run-id", "a/b"]).await;
    insta::assert_snapshot!(said.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0109]: `--run-id`: must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit
    ");
}

#[tokio::test]
async fn what_the_engine_refuses_is_shown_where_it_stands() {
    let stack = Stack::start().await;
    stack.job_file(&job().order("a").its("s3_location", "s3://somebodys/code.zip"));
    let said = stack.submits(&[]).await;
    assert_eq!(said.code, 2);
    let (head, rest) = said.stderr.split_once('\n').unwrap();
    assert_eq!(head, "error[AES0301]: the engine refuses the job: 1 problem");
    assert!(rest.contains("--> job.json:1:") && rest.contains("orders[0].s3_location: "), "{rest}");
    assert_eq!(stack.runs().await, 0);
}

#[tokio::test]
async fn answers_that_are_lost_make_no_second_run() {
    for action in ["cut_after", "error_after"] {
        let stack = Stack::start().faults([at("execute-api", "POST /init").times(2).then(action)]).await;
        let starts = StartLog::of(&stack);
        stack.job_file(&job().order("a").cmds([starts.start()]));
        let said = stack.submits(&["--wait"]).await;
        assert_eq!(said.code, 0, "{action}: {}", said.shown());
        assert!(said.stderr.contains("asking again"), "{action}: {}", said.shown());
        assert_eq!((starts.lines().len(), stack.runs().await), (1, 1), "{action}");
    }
}

#[tokio::test]
async fn a_run_that_is_still_being_submitted_is_waited_for() {
    // The first answer is lost while the function goes on; the second request meets its reservation.
    let cut = at("execute-api", "POST /init").then("cut_after");
    let slow = at("s3", "PutObject").by("init_job").delayed(1_500);
    let stack = Stack::start().faults([cut, slow]).await;
    stack.job_file(&job().order("a"));
    let said = stack.submits(&["--wait"]).await;
    assert_eq!((said.code, stack.runs().await), (0, 1), "{}", said.shown());
}

#[tokio::test]
async fn watching_goes_on_through_calls_that_fail() {
    let stack = Stack::start().record().await;
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    stack.submit_as("watched", &job().order("a").cmds([held])).await;
    let watching = Speaking::start(stack.verb(&["status", "-f", "watched"]));
    watching.until_stderr("▸ a running").await;
    // More often than the SDK tries by itself.
    let times = 8;
    let item = at("dynamodb", "GetItem").by("client").about("lock:watched");
    stack.script(&json!([Value::from(item.times(times).refused("InternalServerError"))])).await;
    wait::until("the calls to fail", async || {
        let failed = |call: &Value| call["operation"] == "GetItem" && call["outcome"]["status"] == 500;
        (stack.recorded().iter().filter(|call| failed(call)).count() as u64 == times).then_some(())
    })
    .await;
    fs::write(gate, "").unwrap();
    let said = watching.end().await;
    assert_eq!(said.code, 0, "{}", said.shown());
    assert!(said.stdout.ends_with("the job succeeded: 1 succeeded of 1 order\n"), "{}", said.shown());
    assert_eq!(said.stderr.matches("looking again").count(), 1, "{}", said.shown());
}

#[tokio::test]
async fn a_large_job_goes_by_s3() {
    let stack = Stack::start().await;
    // 80 commands of 60 KB, each a comment.
    let cmds: Vec<String> = (0..80).map(|number| format!(": {number} # {}", "x".repeat(60_000))).collect();
    stack.job_file(&job().order("a").cmds(cmds));
    let said = stack.submits(&["--run-id", "large", "--wait"]).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    let uri = said.stderr.split('`').find(|part| part.starts_with("s3://exe-sys-internal/jobs/uploads/")).unwrap();
    let key = uri.strip_prefix("s3://exe-sys-internal/").unwrap();
    assert!(stack.object(INTERNAL, key).await.is_some(), "{}", said.shown());
    // Another job under the same run id is refused, and leaves the first one's object as it is.
    let before = stack.object(INTERNAL, key).await;
    stack.job_file(&job().order("b").cmds((0..80).map(|number| format!(": {number} # {}", "y".repeat(60_000)))));
    let said = stack.submits(&["--run-id", "large"]).await;
    assert!(said.code == 2 && said.stderr.contains("error[AES0302]"), "{}", said.shown());
    assert!(stack.object(INTERNAL, key).await == before, "the first job was exchanged");
}

#[tokio::test]
async fn code_of_this_machine_is_sent_without_what_git_ignores() {
    let stack = Stack::start().await;
    let code = stack.new_folder("code");
    fs::create_dir_all(code.join("bin")).unwrap();
    fs::create_dir_all(code.join(".git")).unwrap();
    for (name, text) in [
        (".gitignore", "*.tfstate\n/target/\n"),
        ("main.tf", "# nothing\n"),
        ("x.tfstate", "private"),
        (".git/config", "private"),
        (".hidden", "seen"),
    ] {
        fs::write(code.join(name), text).unwrap();
    }
    fs::create_dir_all(code.join("target")).unwrap();
    fs::write(code.join("target/out"), "private").unwrap();
    fs::write(code.join("bin/run"), "#!/bin/sh\necho ran\n").unwrap();
    let mut mode = fs::metadata(code.join("bin/run")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(code.join("bin/run"), mode).unwrap();
    std::os::unix::fs::symlink("main.tf", code.join("link.tf")).unwrap();
    stack.job_file(&job().order("a").cmds(["find . -type f | sort", "bin/run", "cat link.tf"]));
    let said = stack.submits(&["--source", "code", "--run-id", "r", "--wait"]).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    insta::assert_snapshot!(stack.screen(&["logs", "r", "a"]).await, @r"
    exit 0
    ── stdout
    ./.gitignore
    ./.hidden
    ./bin/run
    ./link.tf
    ./main.tf
    ran
    # nothing
    ── stderr
    ");

    std::os::unix::fs::symlink("/etc/passwd", code.join("out")).unwrap();
    insta::assert_snapshot!(stack.submits(&["--source", "code"]).await.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0108]: `--source code`: `out` cannot be packed: it is a link that leads outside
    hint: take it out of the folder, or name it in `.gitignore`
    ");
    fs::remove_file(code.join("out")).unwrap();
    insta::assert_snapshot!(stack.submits(&["--source", "none"]).await.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0108]: `--source none`: there is no such folder
    ");
    stack.job_file(&job().with("git_repo", "org/repo").order("a"));
    insta::assert_snapshot!(stack.submits(&["--source", "code"]).await.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0108]: `--source`: every order of the job has a source of its own
    hint: leave `--source` out, or take `git_repo` and `s3_location` out of the job
    ");
}

#[tokio::test]
async fn a_stack_is_named_by_its_outputs_or_by_variables() {
    let stack = Stack::start().await;
    let outputs = json!({
        "orders_table": {"value": "exe-sys-orders"}, "order_events_table": {"value": "exe-sys-order-events"},
        "locks_table": {"value": "exe-sys-locks"}, "internal_bucket": {"value": "exe-sys-internal"},
        "done_bucket": {"value": "exe-sys-done"}, "api_url": {"value": stack.endpoint()}, "region": {"value": "us-east-1"},
    });
    fs::write(stack.path("stack.json"), outputs.to_string()).unwrap();
    stack.job_file(&job().order("a").cmds(["echo hi"]));
    let signed = |key: &str, arguments: &[&str]| {
        let mut verb = stack.verb(arguments);
        verb.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
        verb
    };
    let by_file = ["submit", "job.json", "--stack", "stack.json", "--run-id", "r", "--wait"];
    let said = call(signed("test", &by_file)).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    let said = call(signed("test", &["doctor", "--stack", "stack.json"])).await;
    insta::assert_snapshot!(said.steady(), @r"
    exit 0
    ── stdout
    ✓ aws-exe   <version>
    ✓ git       git version <version>
    ✓ engine    embedded AWS at <endpoint>
    ✓ caller    arn:aws:iam::000000000000:root in us-east-1
    ✓ API       takes submissions
    ✓ runs      can be read
    ✓ orders    can be read
    ✓ outcomes  can be read
    ✓ logs      can be read
    ── stderr
    ");

    let mut by_variables = signed("test", &["logs", "r", "a"]);
    for (name, value) in outputs.as_object().unwrap() {
        by_variables.env(format!("AWS_EXE_SYS_{}", name.to_uppercase()), value["value"].as_str().unwrap());
    }
    by_variables.env("AWS_REGION", "us-east-1");
    insta::assert_snapshot!(call(by_variables).await.steady(), @r"
    exit 0
    ── stdout
    hi
    ── stderr
    ");

    let said = call(signed("nobody", &by_file)).await;
    assert_eq!(said.code, 4, "{}", said.shown());
    assert!(said.stderr.starts_with("error[AES0206]: the API denies access"), "{}", said.shown());
    let said = call(signed("nobody", &["status", "r", "--stack", "stack.json"])).await;
    assert!(said.code == 4 && said.stderr.starts_with("error[AES0205]: "), "{}", said.shown());

    fs::write(stack.path("stack.json"), "{}").unwrap();
    insta::assert_snapshot!(call(signed("test", &by_file)).await.steady(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0204]: `stack.json` has no output `orders_table`, `order_events_table`, `locks_table`, `internal_bucket`, `done_bucket`, `api_url`
    hint: `terraform output -json` of the stack that has the engine prints all of them
    ");
}

#[tokio::test]
async fn a_job_of_instances_goes_to_its_own_entry() {
    let stack = Stack::start().await;
    let job = job().order("a").anywhere().its("ssm_targets", json!({"instance_ids": ["i-local"]})).cmds(["echo hi"]);
    stack.job_file(&job);
    let said = stack.submits(&["--ssm", "--run-id", "r", "--wait"]).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    let run = stack.run(json!({"status": "ok", "run_id": "r", "trace_id": "x"}), &job);
    assert_eq!(run.row("a").await["execution_target"], "ssm");
}
