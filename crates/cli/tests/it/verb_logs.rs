//! `aws-exe logs`: whole logs of what has ended, of what runs, and to the end.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::support::{
    Failed, Stack, StartLog, Succeeded,
    aws_exe::{Speaking, call, command},
    expect,
    expect::expect_success,
    faults::at,
    job,
    run::Run,
    stack::{INTERNAL, ORDERS},
    wait,
};

/// Waits until the file is there.
fn held(gate: &Path) -> String {
    format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display())
}

#[tokio::test]
async fn an_order_that_has_ended_is_named_by_number_name_or_queue_id() {
    let stack = Stack::start().await;
    let job = job()
        .order("quiet")
        .cmds(["true"])
        .order("build")
        .its("queue_id", "the-build")
        .cmds(["echo building", "printf 'no end'"])
        .order("broken")
        .tolerated()
        .cmds(["echo tried; exit 3"])
        .order("release")
        .after(["broken"]);
    let run = stack.submit_as("r", &job).await;
    expect(&run, Failed, [("quiet", Succeeded), ("build", Succeeded), ("broken", Failed), ("release", Failed)]).await;
    for order in ["build", "the-build", "2", "0002"] {
        let said = stack.call(&["logs", "r", order]).await;
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "building\nno end", ""), "{order}");
    }
    let endpoint = stack.endpoint().to_owned() + "/";
    let mut elsewhere = stack.verb(&["logs", "r", "broken", "--endpoint", &endpoint]);
    elsewhere.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    insta::assert_snapshot!(call(elsewhere).await.shown(), @r"
    exit 0
    ── stdout
    tried
    ── stderr
    `broken` failed: command 1 of 1 exited with 3
    ");
    insta::assert_snapshot!(stack.call(&["logs", "r", "quiet", "-f"]).await.shown(), @r"
    exit 0
    ── stdout
    ── stderr
    `quiet` succeeded and wrote nothing
    ");
    let all = "
    exit 0
    ── stdout
    building
    no end
    tried
    ── stderr
    ── 0001 quiet succeeded
    ── 0002 build succeeded
    ── 0003 broken failed: command 1 of 1 exited with 3
    ── 0004 release failed: `broken` did not succeed
    ";
    let all: Vec<&str> = all.trim().lines().map(str::trim_start).collect();
    for arguments in [&["logs", "r"][..], &["logs", "r", "--follow"]] {
        assert_eq!(stack.call(arguments).await.shown().lines().collect::<Vec<_>>(), all, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_long_log_comes_whole_and_a_closed_pipe_is_no_failure() {
    let stack = Stack::start().await;
    // Several pieces of 4 MiB.
    let run = stack.submit_as("r", &job().order("long").cmds(["seq 1 1300000"])).await;
    expect_success(&run).await;
    let whole = run.log("long").await.unwrap();
    assert!(whole.len() > 2 * (4 << 20), "{}", whole.len());
    for follow in ["--", "-f"] {
        let said = stack.call(&["logs", "r", follow, "long"]).await;
        assert!(said.code == 0 && said.stdout.as_bytes() == whole, "{} {}", said.stdout.len(), said.stderr);
    }
    let mut child = stack.verb(&["logs", "r"]).spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    drop(output);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!((line.as_str(), output.status.code()), ("1\n", Some(0)));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "── 0001 long succeeded\n");
}

#[tokio::test]
async fn a_log_that_grows_is_followed_to_its_end() {
    let stack = Stack::start().speed(10).await;
    let starts = StartLog::of(&stack);
    let gates = [stack.path("first"), stack.path("second")];
    // What ends in a dot is no beginning of anything that is masked, so it is not held back.
    let commands = [
        "echo one".to_owned(),
        starts.start(),
        held(&gates[0]),
        "echo two; printf 'three.'".to_owned(),
        held(&gates[1]),
        "echo .; exit 7".to_owned(),
    ];
    let run = stack.submit_as("r", &job().order("a").cmds(commands)).await;
    let speaking = Speaking::start(stack.verb(&["logs", "r", "a", "-f"]));
    speaking.until_stdout("one\n").await;
    let said = stack.call(&["logs", "r", "a"]).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    one
    ── stderr
    `a` is running: this is its log so far, `-f` follows it
    ");
    std::fs::write(&gates[0], "").unwrap();
    speaking.until_stdout("one\ntwo\nthree.").await;
    std::fs::write(&gates[1], "").unwrap();
    let said = speaking.end().await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "one\ntwo\nthree..\n"), "{}", said.stderr);
    assert!(said.stderr.ends_with("`a` failed: command 6 of 6 exited with 7\n"), "{}", said.stderr);
    expect(&run, Failed, [("a", Failed)]).await;
}

#[tokio::test]
async fn a_run_is_followed_until_its_last_order_has_ended() {
    let stack = Stack::start().speed(10).await;
    let gates = [stack.path("first"), stack.path("second")];
    let job = job()
        .order("first")
        .cmds(["echo one".to_owned(), held(&gates[0])])
        .order("second")
        .after(["first"])
        .cmds(["printf two.".to_owned(), held(&gates[1])])
        .order("third")
        .after(["second"])
        .cmds(["echo three"]);
    let run = stack.submit_as("r", &job).await;
    let speaking = Speaking::start(stack.verb(&["logs", "r", "-f"]));
    speaking.until_stdout("one\n").await;
    let said = stack.call(&["logs", "r"]).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    one
    ── stderr
    ── 0001 first running
    ── 0002 second queued: nothing yet
    ── 0003 third queued: nothing yet
    ");
    let said = stack.call(&["logs", "r", "second"]).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    ── stderr
    `second` is queued: nothing yet
    ");
    std::fs::write(&gates[0], "").unwrap();
    speaking.until_stdout("one\ntwo.").await;
    std::fs::write(&gates[1], "").unwrap();
    let said = speaking.end().await;
    // On a slow machine the last one takes so long that its log is stored before its end.
    let shown = said.shown().replace("── 0003 third running\n", "");
    insta::assert_snapshot!(shown, @r"
    exit 0
    ── stdout
    one
    two.
    three
    ── stderr
    ── 0001 first running
    ── 0001 first succeeded
    ── 0002 second running
    ── 0002 second succeeded
    ── 0003 third succeeded
    ");
    expect_success(&run).await;
}

#[tokio::test]
async fn lines_of_several_instances_say_whose_they_are() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r", &job().order("fleet").order("alone")).await;
    expect_success(&run).await;
    for number in ["0001", "0002"] {
        make_ssm(&stack, number).await;
    }
    // One has put a log, one wrote little, one wrote nothing and never reported.
    put(&run, "tmp/exec/r/0001/targets.json", &json!({"instances": ["i-a", "i-b", "i-c"]}).to_string()).await;
    put(&run, "logs/r/0001/i-a.log", "one\ntwo").await;
    put(&run, "tmp/callbacks/runs/r/0001/instances/i-a/result.json", &result("two", Some("logs/r/0001/i-a.log"))).await;
    put(&run, "tmp/callbacks/runs/r/0001/instances/i-b/result.json", &result("little\n", None)).await;
    put(&run, "logs/r/0002/mi-1.log", "only\none").await;
    insta::assert_snapshot!(stack.call(&["logs", "r", "fleet"]).await.shown(), @r"
    exit 0
    ── stdout
    i-a | one
    i-a | two
    i-b | little
    ── stderr
    ");
    insta::assert_snapshot!(stack.call(&["logs", "r", "-f"]).await.shown(), @r"
    exit 0
    ── stdout
    i-a | one
    i-a | two
    i-b | little
    only
    one── stderr
    ── 0001 fleet succeeded
    ── 0002 alone succeeded
    ");
}

/// An order of an older run is made to look like one that ran on instances.
async fn make_ssm(stack: &Stack, number: &str) {
    let request = stack.aws.dynamodb().update_item().table_name(ORDERS);
    let request = request
        .key("pk", AttributeValue::S(format!("r:{number}")))
        .update_expression("SET execution_target = :ssm")
        .expression_attribute_values(":ssm", AttributeValue::S("ssm".to_owned()));
    request.send().await.unwrap();
}

async fn put(run: &Run<'_>, key: &str, body: &str) {
    run.stack.put_object(INTERNAL, key, body).await;
}

fn result(log: &str, location: Option<&str>) -> String {
    json!({"status": "succeeded", "log": log, "log_location": location}).to_string()
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r", &job().order("build").order("release")).await;
    expect_success(&run).await;
    for verb in ["logs", "cancel"] {
        for id in ["no-such-run", "not/an/id"] {
            let said = stack.call(&[verb, id]).await;
            let wanted = format!(
                "exit 2\n── stdout\n── stderr\nerror[AES0401]: there is no run `{id}`\nhint: a run is named by the `run_id` that its \
                 submission answered with; this looked at `{}`\n",
                stack.endpoint()
            );
            assert_eq!(said.shown(), wanted);
        }
        let (near, far) = (stack.call(&[verb, "r", "biuld"]).await, stack.call(&[verb, "r", "3"]).await);
        insta::allow_duplicates! {
            insta::assert_snapshot!(near.shown(), @r"
            exit 2
            ── stdout
            ── stderr
            error[AES0402]: the run `r` has no order `biuld`; did you mean `build`?
            hint: its orders are `build`, `release`
            ");
            insta::assert_snapshot!(far.shown(), @r"
            exit 2
            ── stdout
            ── stderr
            error[AES0402]: the run `r` has no order `3`
            hint: its orders are `build`, `release`
            ");
        }
    }
}

#[tokio::test]
async fn without_an_embedded_aws_it_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["logs", "cancel"] {
        let mut nobody = command(folder.path(), &[verb, "r"]);
        nobody.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
        let said = call(nobody).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.shown(), @r"
            exit 4
            ── stdout
            ── stderr
            error[AES0201]: no embedded AWS answers at `http://127.0.0.1:9`
            hint: start one with `aws-exe local`, or name another with `--endpoint URL`, or a deployed stack with `--stack FILE`
            ");
        }
        let said = call(command(folder.path(), &[verb, "r", "--endpoint", "127.0.0.1"])).await;
        assert_eq!(said.stderr, "error[AES0202]: the endpoint `127.0.0.1` must begin with `http://` or `https://`\n");
        assert_eq!(said.code, 2);
    }
}

#[tokio::test]
async fn a_run_that_is_being_submitted_has_no_logs_yet() {
    let stack = Stack::start().faults([at("s3", "PutObject").by("init_job").delayed(3_600_000)]).await;
    let body = json!({"run_id": "r", "job": job().order("a").document()});
    let submission = async { drop(stack.post("/init", &body).await) };
    let looking = async {
        wait::until("the run to be reserved", async || (stack.count("init_job", "PutItem").await > 0).then_some(()))
            .await;
        insta::assert_snapshot!(stack.call(&["logs", "r"]).await.shown(), @r"
        exit 0
        ── stdout
        ── stderr
        the run `r` is still being submitted: nothing has run yet
        ");
        insta::assert_snapshot!(stack.call(&["logs", "r", "a"]).await.shown(), @r"
        exit 2
        ── stdout
        ── stderr
        error[AES0403]: the run `r` is still being submitted, its orders are not known yet
        hint: try again in a moment
        ");
    };
    tokio::select! {
        () = looking => {}
        () = submission => panic!("the submission is held"),
    }
}
