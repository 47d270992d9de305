//! Documents that are wrong: each rule with its precise error at the field's path, all of a document's problems at
//! once, and nothing left behind.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{Stack, expect::expect_success, job};

/// A valid job with this instead of, or besides, its fields.
fn job_with(fields: Value) -> Value {
    let mut document = job().order("a").document();
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    document
}

/// A valid job whose only order has this instead of, or besides, its fields.
fn order_with(fields: Value) -> Value {
    let mut document = job().order("a").document();
    document["orders"][0].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    document
}

/// A job with these orders, each given as name and dependencies.
fn graph(orders: &[(&str, &[&str])]) -> Value {
    let job = orders.iter().fold(job(), |job, (name, after)| job.order(name).after(after.iter().copied()));
    job.document()
}

async fn check(cases: Vec<(Value, Vec<&str>)>) {
    let stack = Stack::start().await;
    for (document, wanted) in cases {
        assert_eq!(stack.refused_job(&document).await, wanted, "{document}");
    }
    stack.assert_untouched(&[]).await;
    // The function is none the worse for it.
    expect_success(&stack.submit(&job().order("a")).await).await;
}

/// So many instance ids.
fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("i-{number}")).collect()
}

#[tokio::test]
async fn fields_of_the_job() {
    const LONG: &str = "must have at most 128 characters, not 129";
    check(vec![
        (json!({}), vec!["username: is missing", "orders: is missing"]),
        (json!([]), vec!["must be an object, not a list"]),
        (job_with(json!({"username": ""})), vec!["username: must not be empty"]),
        (job_with(json!({"username": "a:b"})), vec!["username: must be printable ASCII without `:`"]),
        (job_with(json!({"username": "ü"})), vec!["username: must be printable ASCII without `:`"]),
        (job_with(json!({"username": "x".repeat(129)})), vec![&format!("username: {LONG}")]),
        (job_with(json!({"username": 7})), vec!["username: must be a string, not a number"]),
        (job_with(json!({"orders": []})), vec!["orders: must not be empty"]),
        (job_with(json!({"orders": {}})), vec!["orders: must be a list, not an object"]),
        (job_with(json!({"comit_hash": "x"})), vec!["comit_hash: is no known field; did you mean `commit_hash`?"]),
        (
            job_with(json!({"flow_label": "a b"})),
            vec!["flow_label: must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`"],
        ),
        (job_with(json!({"pr_number": "7"})), vec!["pr_number: must be an integer, not a string"]),
        (job_with(json!({"issue_number": -1})), vec!["issue_number: must be at least 0, not -1"]),
        (job_with(json!({"presign_expiry": 59})), vec!["presign_expiry: must be from 60 to 604800, not 59"]),
        (job_with(json!({"presign_expiry": 604_801})), vec!["presign_expiry: must be from 60 to 604800, not 604801"]),
        (job_with(json!({"job_timeout": 0})), vec!["job_timeout: must be at least 1, not 0"]),
        (
            job_with(json!({"job_timeout": 79_201})),
            vec!["job_timeout: must be at most 79200, this deployment's `MAX_JOB_TIMEOUT`, not 79201"],
        ),
        (job_with(json!({"max_parallel": 0})), vec!["max_parallel: must be from 1 to 9999, not 0"]),
        (job_with(json!({"max_parallel": 1.5})), vec!["max_parallel: must be an integer, not a fraction"]),
        (
            job_with(json!({"sops_key_ssm_path": "/exe-sys/sops-keys/other"})),
            vec!["sops_key_ssm_path: may not name the engine's own parameters under `/exe-sys/`"],
        ),
        (
            job_with(json!({"git_token_location": "aws:::vault:x"})),
            vec!["git_token_location: must be `aws:::ssm:<path>`, `aws:::secretd:<name>` or a bare parameter path"],
        ),
        (
            job_with(json!({"git_ssh_key_location": "aws:::ssm:/exe-sys/sops-keys/x"})),
            vec!["git_ssh_key_location: may not name the engine's own parameters under `/exe-sys/`"],
        ),
        (job_with(json!({"commit_hash": "main"})), vec!["commit_hash: needs a `git_repo`"]),
    ])
    .await;
}

#[tokio::test]
async fn fields_of_an_order() {
    let big = "x".repeat(65_537);
    check(vec![
        (job_with(json!({"orders": [{"execution_target": "lambda"}]})), vec!["orders[0].cmds: is missing", "orders[0].timeout: is missing"]),
        (job_with(json!({"orders": ["true"]})), vec!["orders[0]: must be an object, not a string"]),
        (order_with(json!({"cmds": []})), vec!["orders[0].cmds: must not be empty"]),
        (order_with(json!({"cmds": ["true", ""]})), vec!["orders[0].cmds[1]: must not be empty"]),
        (order_with(json!({"cmds": ["a\u{0}b"]})), vec!["orders[0].cmds[0]: may not have a NUL character"]),
        (
            order_with(json!({"cmds": [big]})),
            vec!["orders[0].cmds[0]: must have at most 65536 bytes, not 65537; put longer scripts into the code"],
        ),
        (order_with(json!({"timeout": 0})), vec!["orders[0].timeout: must be at least 1, not 0"]),
        (
            order_with(json!({"timeout": 831})),
            vec!["orders[0].timeout: 831 and `stop_grace` 10 are together more than the 840 s that a `lambda` order may take"],
        ),
        (order_with(json!({"stop_grace": 301})), vec!["orders[0].stop_grace: must be from 0 to 300, not 301"]),
        (order_with(json!({"start_timeout": 79_201})), vec!["orders[0].start_timeout: must be at most 79200, not 79201"]),
        (
            order_with(json!({"execution_target": "lamda"})),
            vec!["orders[0].execution_target: `lamda` is none of `lambda`, `codebuild`, `ssm`, `auto`"],
        ),
        (
            order_with(json!({"order_name": "_job"})),
            vec!["orders[0].order_name: is reserved for the job's own events"],
        ),
        (
            order_with(json!({"queue_id": "a/b"})),
            vec!["orders[0].queue_id: must have 1 to 128 characters of `A-Z a-z 0-9 . _ -`"],
        ),
        (order_with(json!({"env_vars": {"A B": "1"}})), vec!["orders[0].env_vars.A B: is no variable's name; use `[A-Za-z_][A-Za-z0-9_]*`"]),
        (order_with(json!({"env_vars": {"RUN_ID": "1"}})), vec!["orders[0].env_vars.RUN_ID: is set by the engine"]),
        (
            order_with(json!({"env_vars": {"AWS_EXE_SYS_EVENTS_DIR": "/"}})),
            vec!["orders[0].env_vars.AWS_EXE_SYS_EVENTS_DIR: is set by the engine"],
        ),
        (order_with(json!({"env_vars": {"A": 1}})), vec!["orders[0].env_vars.A: must be a string, not a number"]),
        (order_with(json!({"env_vars": {"A": "\u{0}"}})), vec!["orders[0].env_vars.A: may not have a NUL character"]),
        (
            order_with(json!({"ssm_paths": ["/ok", "/exe-sys/sops-keys/x"]})),
            vec!["orders[0].ssm_paths[1]: may not name the engine's own parameters under `/exe-sys/`"],
        ),
        (
            order_with(json!({"ssm_paths": ["exe-sys/sops-keys/x"]})),
            vec!["orders[0].ssm_paths[0]: may not name the engine's own parameters under `/exe-sys/`"],
        ),
        (
            order_with(json!({"secret_manager_paths": ["a\nb"]})),
            vec!["orders[0].secret_manager_paths[0]: must be a secret's name, of `A-Z a-z 0-9 / _ + = . @ -`, or its ARN"],
        ),
        (order_with(json!({"must_succeed": "yes"})), vec!["orders[0].must_succeed: must be a boolean, not a string"]),
        (order_with(json!({"ssm_targets": {"instance_ids": ["i-1"]}})), vec!["orders[0].ssm_targets: is only for orders with `execution_target` `ssm`"]),
        (order_with(json!({"execution_target": "ssm"})), vec!["orders[0].ssm_targets: is missing: an `ssm` order names its instances by id or by tag"]),
        (order_with(json!({"execution_target": "ssm", "ssm_targets": {}})), vec!["orders[0].ssm_targets: names no instance; use `instance_ids` or `tags`"]),
        (
            order_with(json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ["i-1"], "tags": {"a": "b"}}})),
            vec!["orders[0].ssm_targets: names instances by `instance_ids` and by `tags`; use one of them"],
        ),
        (
            order_with(json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ids(1_001)}})),
            vec!["orders[0].ssm_targets.instance_ids: must have at most 1000 entries, not 1001"],
        ),
        (
            order_with(json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ids(51), "max_concurrency": "1"}})),
            vec!["orders[0].ssm_targets.max_concurrency: counts within one command and works with at most 50 instance ids or a single tag; use several orders"],
        ),
        (
            order_with(json!({"execution_target": "codebuild", "timeout": 79_201})),
            vec!["orders[0].timeout: must be at most 79200, this deployment's `MAX_JOB_TIMEOUT`, not 79201"],
        ),
        (order_with(json!({"execution_target": "codebuild", "stop_grace": 301})), vec!["orders[0].stop_grace: must be from 0 to 300, not 301"]),
        (order_with(json!({"ssm_document_name": "x"})), vec!["orders[0].ssm_document_name: is only for orders with `execution_target` `ssm`"]),
        (order_with(json!({"git_folder": "x"})), vec!["orders[0].git_folder: needs code: a `git_repo` or an `s3_location`"]),
        (order_with(json!({"cmd": ["x"]})), vec!["orders[0].cmd: is no known field; did you mean `cmds`?"]),
    ])
    .await;
}

#[tokio::test]
async fn names_and_dependencies() {
    check(vec![
        (graph(&[("a", &["a"])]), vec!["orders[0].dependencies[0]: names the order itself"]),
        (graph(&[("a", &["0001"])]), vec!["orders[0].dependencies[0]: names the order itself"]),
        (
            graph(&[("build", &[]), ("b", &["biuld"])]),
            vec!["orders[1].dependencies[0]: `biuld` is no order's name or queue id; did you mean `build`?"],
        ),
        (graph(&[("a", &[]), ("b", &["a", "0001"])]), vec!["orders[1].dependencies[1]: names orders[0] a second time"]),
        (
            graph(&[("a", &[]), ("a", &[])]),
            vec!["orders[1].order_name: `a` is a name of orders[0] too; names and queue ids must be unique"],
        ),
        (
            graph(&[("0002", &[]), ("b", &[])]),
            vec!["orders[1].queue_id: `0002` is a name of orders[0] too; names and queue ids must be unique"],
        ),
        (
            graph(&[("free", &[]), ("a", &["b"]), ("b", &["c", "free"]), ("c", &["a"])]),
            vec!["orders[1].dependencies: go round in a cycle, each waiting for the next: a → b → c → a"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn all_problems_of_a_document_come_at_once() {
    let document = json!({
        "username": "a:b",
        "job_timeout": 100_000,
        "orders": [
            {"cmds": ["true"], "timeout": 5, "execution_target": "ssm"},
            {"cmds": ["true"], "timeout": 900, "execution_target": "lambda", "dependencies": ["nobody"], "sops_key": "age1x"},
        ],
    });
    let stack = Stack::start().await;
    let problems = stack.refused_job(&document).await;
    let paths: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    let wanted = [
        "username",
        "job_timeout",
        "orders[0].ssm_targets",
        "orders[1].timeout",
        "orders[1].sops_key",
        "orders[1].dependencies[0]",
    ];
    assert_eq!(paths, wanted);
    stack.assert_untouched(&[]).await;
}

#[tokio::test]
async fn envelopes() {
    let stack = Stack::start().await;
    let good = job().order("a").document();
    let packed = |text: &str| BASE64_STANDARD.encode(text);
    for (body, wanted) in [
        (json!({}), "one of `job`, `job_parameters_b64` and `payload_s3_uri` is needed"),
        (json!([]), "the body must be an object with `job`, `job_parameters_b64` or `payload_s3_uri`"),
        (
            json!({"job": good, "payload_s3_uri": "s3://b/k"}),
            "only one of `job`, `job_parameters_b64` and `payload_s3_uri` may be given",
        ),
        (
            json!({"job": good, "run_id": "-a"}),
            "run_id: must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit",
        ),
        (
            json!({"job": good, "run_id": "a".repeat(65)}),
            "run_id: must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit",
        ),
        (json!({"job": good, "run_id": 7}), "run_id: must be a string"),
        (json!({"job": good, "runid": "x"}), "runid: is no known field; did you mean `run_id`?"),
        (json!({"job": good, "trace_id": "XYZ"}), "trace_id: must be 8 hex digits in lower case"),
        (
            json!({"job": good, "run_id": "r", "done_endpt": "s3://mine/done"}),
            "done_endpt: must be `s3://exe-sys-done/r/done` or left out",
        ),
        (
            json!({"job_parameters_b64": packed("{no")}),
            "job_parameters_b64: is not JSON: key must be a string at line 1 column 2",
        ),
        (json!({"job_parameters_b64": 7}), "job_parameters_b64: must be a string"),
        (json!({"payload_s3_uri": "https://x"}), "payload_s3_uri: must be of the form `s3://bucket/key`"),
        (
            json!({"payload_s3_uri": "s3://exe-sys-internal/no.json"}),
            "payload_s3_uri: there is no `s3://exe-sys-internal/no.json`",
        ),
        (
            json!({"payload_s3_uri": "s3://exe-sys-internal/tmp/exec/x/plan.json"}),
            "payload_s3_uri: may not name the engine's own objects under `tmp/`",
        ),
        (
            json!({"payload_s3_uri": "s3://elsewhere/a.json"}),
            "payload_s3_uri: names a bucket that this deployment does not allow as a source; allowed: `exe-sys-internal`",
        ),
    ] {
        assert_eq!(stack.refused(&body).await, [wanted], "{body}");
    }
    let problems = stack.refused(&json!({"job_parameters_b64": "%%%"})).await;
    assert!(problems[0].starts_with("job_parameters_b64: is not base64: "), "{problems:?}");
    for (text, wanted) in [("", "the body is empty"), ("{", "the body is not JSON"), ("\"x", "the body is not JSON")] {
        let answer = stack.post_text("/init", text).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().starts_with(wanted), "{}", answer.text());
    }
    let deep = format!("{{\"job\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(stack.post_text("/init", &deep).await.status, 400);
    stack.assert_untouched(&[]).await;
}
