//! What commands find in their environment, and what they can do with it.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Failed, Stack, Succeeded, expect, expect::expect_success, http, job, run::Run, stack::INTERNAL, wait,
};

#[tokio::test]
async fn the_environment_is_exactly_the_documented_names() {
    let stack = Stack::start().variable("FROM_THE_USERS_SHELL", "1").await;
    let out = stack.path("env");
    let job = job()
        .with("flow_label", "my-flow")
        .order("first")
        .order("second")
        .its("ssm_paths", json!([]))
        .its("env_vars", json!({"MINE": "1"}))
        .after(["first"])
        .cmds([
            format!("env -0 > '{}'", out.display()),
            "[ \"$PWD\" = \"$(pwd)\" ] && [ -d \"$AWS_EXE_SYS_EVENTS_DIR\" ]".to_owned(),
        ]);
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    let env = std::fs::read_to_string(out).unwrap();
    let env: Vec<(&str, &str)> = env.split_terminator('\0').map(|line| line.split_once('=').unwrap()).collect();
    let names: BTreeSet<&str> = env.iter().map(|(name, _)| *name).collect();
    // The shell itself adds the last three.
    let wanted = "AWS_EXE_SYS_EVENTS_DIR CALLBACK_URL FLOW_ID HOME LANG MINE ORDER_ID ORDER_NUM PATH RUN_ID TMPDIR TRACE_ID OLDPWD PWD SHLVL _";
    let wanted: BTreeSet<&str> = wanted.split(' ').collect();
    let extra: Vec<_> = names.difference(&wanted).collect();
    assert!(extra.is_empty(), "{extra:?}");
    let value =
        |wanted: &str| env.iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no `{wanted}`")).1;
    assert_eq!((value("RUN_ID"), value("TRACE_ID")), (run.id.as_str(), run.trace_id()));
    assert_eq!((value("ORDER_ID"), value("ORDER_NUM"), value("MINE")), ("second", "0002", "1"));
    assert_eq!(value("FLOW_ID"), format!("tester:{}-my-flow", run.trace_id()));
    assert!(value("CALLBACK_URL").contains(&format!("tmp/callbacks/runs/{}/0002/result.json", run.id)));
    for folder in ["HOME", "TMPDIR", "AWS_EXE_SYS_EVENTS_DIR"] {
        assert!(!std::path::Path::new(value(folder)).exists(), "`{folder}` is gone after the order");
    }
}

/// Submits `a`, which waits for the gate, and `b` behind it; gives the URL that `a` has for its result.
async fn until_url<'s>(stack: &'s Stack, gate: &Path) -> (Run<'s>, String) {
    let out = stack.path("url");
    let held = format!(
        "printf %s \"$CALLBACK_URL\" > '{}'; until [ -e '{}' ]; do sleep 0.02; done",
        out.display(),
        gate.display()
    );
    let run = stack.submit(&job().order("a").cmds([held]).order("b").after(["a"])).await;
    let url = wait::until("the URL", async || std::fs::read_to_string(&out).ok().filter(|url| !url.is_empty())).await;
    (run, url)
}

#[tokio::test]
async fn the_callback_url_works_once_and_only_as_it_was_signed() {
    let stack = Stack::start().await;
    let gate = stack.path("go");
    let (run, url) = until_url(&stack, &gate).await;
    let body = br#"{"status": "succeeded", "log": "by hand"}"#;
    let unsigned = http::send("PUT", &url, &[], body).await;
    assert_eq!(unsigned.status, 403, "without `If-None-Match`: {}", unsigned.text());
    assert_eq!(http::send("GET", &url, &[], b"").await.status, 403, "another method");
    let first = http::send("PUT", &url, &[("if-none-match", "*")], body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let second = http::send("PUT", &url, &[("if-none-match", "*")], br#"{"status": "failed", "log": ""}"#).await;
    assert_eq!(second.status, 412, "{}", second.text());
    // The engine takes it as the order's end, while its worker still runs; what that reports later does not count.
    expect_success(&run).await;
    std::fs::write(gate, "").unwrap();
    wait::until("the worker to end", async || {
        let log = stack.function_logs();
        log.matches("succeeded").count().ge(&1).then_some(())
    })
    .await;
    assert_eq!(run.result_of("a").await, json!({"status": "succeeded", "log": "by hand"}));
    expect_success(&run).await;
}

#[tokio::test]
async fn a_result_is_reported_even_when_the_session_that_signed_its_url_is_over() {
    let stack = Stack::start().await;
    let (began, gate) = (stack.path("began"), stack.path("go"));
    let held = format!("echo > '{}'; until [ -e '{}' ]; do sleep 0.02; done", began.display(), gate.display());
    let run = stack.submit(&job().order("a").cmds([held]).order("b").after(["a"])).await;
    wait::until("the command to begin", async || began.exists().then_some(())).await;
    stack.end_sessions("init_job").await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    assert!(run.result_of("b").await["writer"].as_str().unwrap().starts_with("lambda:"));
}

#[tokio::test]
async fn a_result_by_hand_stands_also_when_the_worker_cannot_use_its_url() {
    let stack = Stack::start().await;
    let gate = stack.path("go");
    let (run, url) = until_url(&stack, &gate).await;
    let body = br#"{"status": "succeeded", "log": "by hand"}"#;
    assert_eq!(http::send("PUT", &url, &[("if-none-match", "*")], body).await.status, 200);
    stack.end_sessions("init_job").await;
    std::fs::write(gate, "").unwrap();
    wait::until("the worker to use its own role", async || {
        stack.function_logs().contains("the worker's own role is used").then_some(())
    })
    .await;
    // The next order comes to the same worker, after it has reported.
    expect_success(&run).await;
    assert_eq!(run.result_of("a").await, json!({"status": "succeeded", "log": "by hand"}));
}

#[tokio::test]
async fn a_result_that_cannot_be_read_fails_its_order_alone() {
    let stack = Stack::start().await;
    let out = stack.path("url");
    let held = format!("printf %s \"$CALLBACK_URL\" > '{}'; sleep 600", out.display());
    let job = job().order("a").stop_grace(0).cmds([held]).order("b").tolerated().after(["a"]);
    let run = stack.submit(&job).await;
    let url = wait::until("the URL", async || std::fs::read_to_string(&out).ok().filter(|url| !url.is_empty())).await;
    assert_eq!(http::send("PUT", &url, &[("if-none-match", "*")], b"no json").await.status, 200);
    let done = run.done().await;
    assert_eq!((&done["status"], &done["summary"]["succeeded"]), (&"failed".into(), &1.into()));
    let reason = run.row("a").await["failure_reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("its result.json cannot be read"), "{reason}");
}

#[tokio::test]
async fn what_commands_report_is_nested_under_data() {
    let stack = Stack::start().await;
    let write = |name: &str, text: &str| format!("printf '%s' '{text}' > $AWS_EXE_SYS_EVENTS_DIR/{name}");
    let job = job().order("a").cmds([
        write("plan.json", r#"{"add": 3, "status": "changed", "nested": {"deep": [1, {"x": null}]}, "trace_id": "ffffffff", "sk": "mine"}"#),
        write("other.json", r#"{"event_type": "deployed", "version": "1.2"}"#),
        write("broken.json", "{no"),
        write("list.json", "[1]"),
        write("ignored.txt", "{}"),
    ]);
    let run = stack.submit(&job).await;
    expect(&run, Succeeded, [("a", Succeeded)]).await;
    let events = run.events_of("a").await;
    let of = |kind: &str| -> Vec<&Value> { events.iter().filter(|event| event["event_type"] == kind).collect() };
    assert_eq!(events.len(), 6, "{events:#?}");
    let plan = of("plan")[0];
    assert_eq!(plan["status"], "changed");
    assert_eq!(plan["data"]["nested"], json!({"deep": [1, {"x": null}]}));
    assert_eq!((&plan["data"]["add"], &plan["data"]["trace_id"]), (&3.into(), &"ffffffff".into()));
    assert_eq!(plan["trace_id"], run.trace_id());
    assert!(plan.get("add").is_none() && plan["order_num"] == "0001");
    assert_eq!(
        (&of("deployed")[0]["status"], &of("deployed")[0]["data"]),
        (&"info".into(), &json!({"version": "1.2"}))
    );
    let malformed: BTreeSet<String> = of("malformed_event").iter().map(|event| event["data"].to_string()).collect();
    assert_eq!(malformed.len(), 2);
    assert!(
        malformed.iter().any(|data| data.contains("broken.json"))
            && malformed.iter().any(|data| data.contains("list.json"))
    );
}

#[tokio::test]
async fn more_events_than_are_taken_are_counted() {
    let stack = Stack::start().await;
    let many =
        "i=0; while [ $i -lt 103 ]; do echo '{}' > $AWS_EXE_SYS_EVENTS_DIR/e$(printf %03d $i).json; i=$((i+1)); done";
    let run = stack.submit(&job().order("a").cmds([many])).await;
    expect(&run, Succeeded, [("a", Succeeded)]).await;
    let events = run.events_of("a").await;
    let dropped: Vec<&Value> = events.iter().filter(|event| event["event_type"] == "events_dropped").collect();
    assert_eq!(dropped.len(), 1);
    assert!(dropped[0]["data"].to_string().contains('3'), "{}", dropped[0]);
    // Dispatched, 100 events, those dropped, completed.
    assert_eq!(events.len(), 103);
}

#[tokio::test]
async fn events_of_a_failed_order_count_as_well() {
    let stack = Stack::start().await;
    let cmds = ["echo '{\"at\": \"step 1\"}' > $AWS_EXE_SYS_EVENTS_DIR/progress.json", "exit 1"];
    let run = stack.submit(&job().order("a").cmds(cmds)).await;
    expect(&run, Failed, [("a", Failed)]).await;
    let kinds: Vec<Value> = run.events_of("a").await.into_iter().map(|event| event["event_type"].clone()).collect();
    assert_eq!(kinds, ["dispatched", "progress", "completed"]);
    let result = stack.object(INTERNAL, &format!("tmp/callbacks/runs/{}/0001/result.json", run.id)).await.unwrap();
    assert!(String::from_utf8(result).unwrap().contains("step 1"));
}
