//! `aws-exe run`: what a person sees, exit codes, where jobs and secrets come from, and that nothing is left.

use std::{io::Write as _, path::Path, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Stack,
    aws_exe::{Said, Speaking, call, command, processes_of},
    faults::at,
    job,
    job::Job,
    stack::{INTERNAL, ORDERS},
    wait,
};

/// A folder with this job in it as `job.json`.
fn folder_with(job: &Job) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("job.json"), job.document().to_string()).unwrap();
    folder
}

async fn run(job: &Job) -> Said {
    let folder = folder_with(job);
    call(command(folder.path(), &["run", "job.json"])).await
}

/// Without what differs from run to run, and with the lines of progress in order: orders run side by side.
fn steady(said: &Said) -> String {
    let mut lines: Vec<String> = said.stderr.lines().map(without_times).collect();
    lines.retain(|line| !line.ends_with(" queued") && !line.ends_with(" running"));
    lines.sort();
    format!("exit {}\n{}\n{}", said.code, lines.join("\n"), said.stdout)
}

/// `after 0.1 s` as `after … s`.
fn without_times(line: &str) -> String {
    match line.split_once(" after ") {
        Some((before, rest)) => format!("{before} after …{}", &rest[rest.find(" s").unwrap_or(0)..]),
        None => line.to_owned(),
    }
}

#[tokio::test]
async fn a_job_that_succeeds_exits_with_0() {
    let said =
        run(&job().order("build").cmds(["echo built"]).order("lint").tolerated().cmds(["echo bad; exit 3"])).await;
    insta::assert_snapshot!(steady(&said), @r"
    exit 0
    ✓ build succeeded after … s: built
    ✗ lint failed after … s: command 1 of 1 exited with 3

    ── lint failed: command 1 of 1 exited with 3
    bad

    the job succeeded: 1 failed, 1 succeeded of 2 orders
    ");
}

#[tokio::test]
async fn a_job_that_fails_exits_with_1_and_shows_the_log_of_what_failed() {
    let said =
        run(&job().order("build").cmds(["echo building; echo broken >&2; exit 2"]).order("release").after(["build"]))
            .await;
    insta::assert_snapshot!(steady(&said), @r"
    exit 1
    ✗ build failed after … s: command 1 of 1 exited with 2
    ✗ release failed: `build` did not succeed

    ── build failed: command 1 of 1 exited with 2
    building
    broken

    ── release failed: `build` did not succeed

    the job failed: 2 failed of 2 orders
    ");
}

#[tokio::test]
async fn a_job_that_times_out_exits_with_3() {
    let said = run(&job().order("slow").timeout(1).stop_grace(0).cmds(["echo begun; sleep 60"])).await;
    insta::assert_snapshot!(steady(&said), @r"
    exit 3
    ⧖ slow timed_out after … s: command 1 of 1 was stopped: its timeout of 1 s is over

    ── slow timed_out: command 1 of 1 was stopped: its timeout of 1 s is over
    begun

    the job timed out: 1 timed out of 1 order
    ");
}

#[tokio::test]
async fn bad_input_exits_with_2_and_names_every_problem() {
    let said = run(&job().with("pr_number", "x").order("a").timeout(5000)).await;
    insta::assert_snapshot!(said.shown(), @r#"
    exit 2
    ── stdout
    ── stderr
    error[AES0301]: the engine refuses the job: 2 problems
      --> job.json:1:138
       |
     1 | …get":"lambda","order_name":"a","ssm_paths":["/team/canary"],"timeout":5000}],"pr_number":"x","username":"tester"}
       |                                                                        ^^^^
       |         orders[0].timeout: 5000 and `stop_grace` 10 are together more than the 840 s that a `lambda` order may take
       |                                                                                           ^^^
       |                                                                         pr_number: must be an integer, not a string
    "#);
    let folder = tempfile::tempdir().unwrap();
    let said = call(command(folder.path(), &["run", "none.json"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0102]: failed to open the job `none.json`: No such file or directory (os error 2)
    ");
    let said = call(command(folder.path(), &["run"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0101]: no job is given
    hint: name a file, or `-` for standard input, or set `AWS_EXE_SYS_JOB_JSON`
    ");
    std::fs::write(folder.path().join("no.json"), "{no").unwrap();
    let said = call(command(folder.path(), &["run", "no.json"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0104]: `no.json` is not JSON
      --> no.json:1:2
       |
     1 | {no
       |  ^ key must be a string
    ");
}

#[tokio::test]
async fn json_lines_can_be_read_one_by_one() {
    let folder = folder_with(&job().order("a").cmds(["echo hi; exit 1"]));
    let said = call(command(folder.path(), &["run", "job.json", "--json"])).await;
    assert_eq!(said.code, 1);
    let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["version"] == 1), "{lines:?}");
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "submitted");
    assert_eq!(kinds[kinds.len() - 3..], ["failure", "done", "result"]);
    assert!(kinds[1..kinds.len() - 3].iter().all(|kind| *kind == "order"));
    let [failure, done, result] = &lines[lines.len() - 3..] else { unreachable!("there are more") };
    assert_eq!(failure["log"], "hi\n");
    let summary = json!({"status": "failed", "summary": {"succeeded": 0, "failed": 1, "timed_out": 0}});
    assert_eq!(done["done"], summary);
    assert_eq!((&result["ok"], &result["error"]["code"]), (&json!(false), &json!("AES0701")));
    assert_eq!(result["result"], json!({"run_id": lines[0]["run_id"], "done": summary}));
}

#[tokio::test]
async fn a_job_comes_from_yaml_standard_input_and_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "username: me\norders:\n- order_name: a\n  execution_target: lambda\n  timeout: 60\n  cmds:\n  - echo \"from $ORDER_ID\"\n";
    std::fs::write(folder.path().join("job.yaml"), yaml).unwrap();
    let said = call(command(folder.path(), &["run", "job.yaml"])).await;
    assert!(said.code == 0 && said.stderr.contains("from a"), "{}", said.shown());

    let mut input = command(folder.path(), &["run", "-"]);
    input.stdin(Stdio::piped());
    let mut child = input.spawn().unwrap();
    child.stdin.take().unwrap().write_all(job().order("b").document().to_string().as_bytes()).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success());

    let mut variable = command(folder.path(), &["run"]);
    variable.env("AWS_EXE_SYS_JOB_JSON", job().order("c").document().to_string());
    assert_eq!(call(variable).await.code, 0);
}

#[tokio::test]
async fn values_are_filled_into_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "username: me\norders:\n- order_name: a\n  execution_target: lambda\n  timeout: ${var.SECONDS}\n  cmds:\n  - echo \"${var.WHAT}\" '$${var.WHAT}'\n";
    std::fs::write(folder.path().join("job.yaml"), yaml).unwrap();
    let mut given = command(folder.path(), &["run", "job.yaml", "--var", "SECONDS=60", "--var", "WHAT"]);
    given.env("WHAT", "it's ${ORDER_ID}");
    let said = call(given).await;
    // The shell's part is the shell's, and what is escaped is written as it is.
    assert!(said.code == 0 && said.stderr.contains("it's a ${var.WHAT}"), "{}", said.shown());
    let said = call(command(folder.path(), &["run", "job.yaml", "--var", "WHAT=x", "--var", "SECOND=60"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0106]: the job cannot be filled in: 2 problems
      --> job.yaml:5:12
       |
     5 |   timeout: ${var.SECONDS}
       |            ^^^^^^^^^^^^^^ orders[0].timeout: `${var.SECONDS}` has no value; did you mean `SECOND`?
       |
       = `--var SECOND` is used nowhere in the job
    hint: give it with `--var SECONDS=VALUE`, or with `--var SECONDS` if the environment has a variable of that name
    ");
    let said = call(command(folder.path(), &["validate", "job.yaml", "--var", "WHAT", "--var", "1=2"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0106]: the values of `--var` cannot be used: 2 problems
      = `--var WHAT` takes the environment's variable, which is not set or is empty
      = `--var` takes NAME=VALUE or NAME, and `1` is no name
    ");
}

#[tokio::test]
async fn secrets_come_from_files_and_variables_and_never_from_the_command_line() {
    let job = job()
        .order("a")
        .its("ssm_paths", ["/app/user"].to_vec())
        .its("secret_manager_paths", ["app"].to_vec())
        .cmds(["[ \"$USER|$TOKEN\" = 'from-a-variable|from-a-file' ] && echo \"$TOKEN\""]);
    let folder = folder_with(&job);
    std::fs::write(folder.path().join("secret.json"), r#"{"TOKEN": "from-a-file"}"#).unwrap();
    let mut good = command(
        folder.path(),
        &["run", "job.json", "--secret", "app=@secret.json", "--parameter", "/app/user=env:THE_USER"],
    );
    good.env("THE_USER", "from-a-variable");
    let said = call(good).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    assert!(!said.stderr.contains("from-a-file"), "{}", said.shown());
    for (arguments, part) in [
        (["--secret", "app=hunter2"], "a value itself is never given on the command line"),
        (["--secret", "app=@none.json"], "failed to read `none.json`"),
        (["--parameter", "/app/user=env:NOT_SET_ANYWHERE"], "the variable `NOT_SET_ANYWHERE` is not set"),
        (["--parameter", "aws/x=env:PATH"], "`--parameter aws/x`"),
    ] {
        let said = call(command(folder.path(), &[&["run", "job.json"], &arguments[..]].concat())).await;
        assert!(said.code == 2 && said.stderr.contains(part), "{}", said.shown());
        assert!(!said.stderr.contains("hunter2"), "{}", said.shown());
    }
}

#[tokio::test]
async fn what_a_run_left_can_be_kept() {
    let folder = folder_with(&job().order("a"));
    let said = call(command(folder.path(), &["run", "job.json", "--keep", "kept"])).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    let kept = folder.path().join("kept");
    assert!(kept.join("lambda/exe-sys-worker.log").exists());
    let stack = Stack::start().data(&kept).await;
    let keys = stack.keys(INTERNAL).await;
    assert!(keys.iter().any(|key| key.ends_with("/0001/result.json")), "{keys:?}");
    assert_eq!(stack.items(ORDERS).await[0]["status"], "succeeded");
    // Without it nothing is left, in the folder for temporary files neither.
    let other = folder_with(&job().order("a"));
    assert_eq!(call(command(other.path(), &["run", "job.json"])).await.code, 0);
    assert_eq!(files_below(other.path()), ["job.json"]);
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn ctrl_c_stops_the_commands_kindly_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let (began, tidied) = (folder.path().join("began"), folder.path().join("tidied"));
    let command_line = format!(
        "tidy() {{ echo > '{}'; exit 1; }}; trap tidy INT; echo > '{}'; while :; do sleep 0.02; done",
        tidied.display(),
        began.display()
    );
    let document = job().order("a").cmds([command_line]).order("b").after(["a"]).document();
    std::fs::write(folder.path().join("job.json"), document.to_string()).unwrap();
    let child = command(folder.path(), &["run", "job.json", "--clock-speed", "10"]).spawn().unwrap();
    let id = Pid::from_raw(child.id().try_into().unwrap());
    wait::until("the command to begin", async || began.exists().then_some(())).await;
    assert!(processes_of(folder.path()).len() >= 3, "the marker finds processes");
    kill(id, Signal::SIGINT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tidied.exists());
    assert_eq!(processes_of(folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn a_second_ctrl_c_ends_at_once_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let began = folder.path().join("began");
    // Neither asked kindly nor by a timeout would it end within the limit of the test.
    let command_line = format!("trap '' INT; echo > '{}'; sleep 600 & wait; sleep 600", began.display());
    let document = job().order("a").cmds([command_line]).stop_grace(300).timeout(500).document();
    std::fs::write(folder.path().join("job.json"), document.to_string()).unwrap();
    let speaking = Speaking::start(command(folder.path(), &["run", "job.json"]));
    wait::until("the command to begin", async || began.exists().then_some(())).await;
    speaking.signal(Signal::SIGINT);
    speaking.until_stderr("interrupted: stopping the run").await;
    speaking.signal(Signal::SIGINT);
    let said = speaking.end().await;
    assert_eq!(said.code, 130, "{}", said.shown());
    assert!(said.stderr.ends_with("interrupted again: killing the commands\n"), "{}", said.shown());
    assert_eq!(processes_of(folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn ctrl_c_before_the_job_is_accepted_starts_nothing() {
    let folder = folder_with(&job().order("a"));
    let held = [Value::from(at("s3", "PutObject").by("init_job").delayed(3_600_000))];
    std::fs::write(folder.path().join("faults.json"), serde_json::to_vec(&held).unwrap()).unwrap();
    let arguments = ["run", "job.json", "--faults", "faults.json", "--record", "calls.jsonl", "--keep", "kept"];
    let speaking = Speaking::start(command(folder.path(), &arguments));
    let calls = folder.path().join("calls.jsonl");
    wait::until("the run to be reserved", async || {
        std::fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("PutItem")).then_some(())
    })
    .await;
    speaking.signal(Signal::SIGINT);
    let said = speaking.end().await;
    assert_eq!(said.code, 130, "{}", said.shown());
    assert_eq!(processes_of(folder.path()), [] as [String; 0]);
    // Whoever looks after the run later, in what was kept, finds that it was cancelled.
    let stack = Stack::start().data(&folder.path().join("kept")).await;
    let keys = stack.keys(INTERNAL).await;
    assert!(keys.iter().all(|key| key.ends_with("/_cancel/0000/result.json")) && keys.len() == 1, "{keys:?}");
}

#[tokio::test]
async fn the_example_of_the_readme_runs() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello.json");
    let said = call(command(folder.path(), &["run", example])).await;
    // The run's id is a UUID.
    let words: Vec<&str> = said.stderr.split_whitespace().filter(|word| word.len() == 36).collect();
    let shown = words.iter().fold(steady(&said), |shown, id| shown.replace(id, "…"));
    insta::assert_snapshot!(shown, @r"
    exit 0
    ✓ build succeeded after … s: building on Linux
    ✓ release succeeded after … s: releasing run …
    ✓ test-integration succeeded after … s: running the integration tests
    ✓ test-unit succeeded after … s: running the unit tests
    ✗ lint failed after … s: command 2 of 2 exited with 3

    ── lint failed: command 2 of 2 exited with 3
    this order fails, and need not succeed

    the job succeeded: 1 failed, 4 succeeded of 5 orders
    ");
}
