//! The path that a user walks: explain, submit, see it fail, find out why, mend it, and run only the rest again.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Stack, StartLog,
    aws_exe::{Said, call, command},
    job,
    job::Job,
    terminal::Terminal,
};

/// A build, a test that needs a file, a check that may fail, and a release; each notes that it ran.
fn pipeline(starts: &StartLog, check: &str) -> Job {
    job()
        .order("build")
        .cmds([starts.start(), "echo built".to_owned()])
        .order("test")
        .after(["build"])
        .cmds([starts.start(), check.to_owned()])
        .order("release")
        .after(["test"])
        .cmds([starts.start(), "echo released".to_owned()])
}

fn result(said: &Said) -> Value {
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn from_a_failure_to_a_success_without_running_twice() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let ran = |expected: &[&str]| {
        let mut lines = starts.lines();
        lines.sort();
        assert_eq!(lines.len(), expected.len(), "{lines:?} and not {expected:?}");
    };
    stack.job_file(&pipeline(&starts, "echo 'no table' >&2; exit 4"));
    assert_eq!(stack.call(&["explain", "job.json"]).await.code, 0);
    assert_eq!(stack.call(&["submit", "job.json", "--run-id", "r-1", "--wait"]).await.code, 1);
    ran(&["build", "test"]);
    insta::assert_snapshot!(stack.screen(&["logs", "r-1", "--failed"]).await, @r"
    exit 0
    ── stdout
    no table
    ── stderr
    ── 0002 test failed: command 2 of 2 exited with 4
    ── 0003 release failed: `test` did not succeed
    ");

    stack.job_file(&pipeline(&starts, "true"));
    let said = stack.call(&["rerun", "r-1", "job.json", "--failed", "--run-id", "r-2", "--wait"]).await;
    insta::assert_snapshot!(said.steady(), @r"
    exit 0
    ── stdout

    the job succeeded: 3 succeeded of 3 orders (1 in an earlier run)
    ── stderr
    submitted: the run `r-2`
    ");
    ran(&["build", "test", "test", "release"]);
    insta::assert_snapshot!(stack.screen(&["status", "r-2"]).await, @r"
    exit 0
    ── stdout
    run r-2  succeeded
    by tester  flow tester:<trace>-exec  submitted <time>
    ✓ 0001 build    lambda     succeeded             in the run `r-1`
    ✓ 0002 test     lambda     succeeded <took>
    ✓ 0003 release  lambda     succeeded <took>
    3 orders: 3 succeeded
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["graph", "r-2"]).await, @r"
    exit 0
    ── stdout
    r-2: 3 orders
    └─ ✓ build    lambda  succeeded  reused, in the run `r-1`
     ↓ ✓ test     lambda  succeeded <took>
     ↓ ✓ release  lambda  succeeded <took>
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["logs", "r-2", "build"]).await, @r"
    exit 0
    ── stdout
    ── stderr
    `build` ran in the run `r-1`, whose success counts here: `aws-exe logs r-1 build` has its log
    ");
    let said = stack.call(&["logs", "r-2"]).await;
    assert!(said.code == 0 && said.stderr.contains("build succeeded, in the run `r-1`"), "{}", said.shown());

    let said = stack.call(&["rerun", "r-2", "job.json", "--from", "release", "--run-id", "r-3", "--wait"]).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    ran(&["build", "test", "test", "release", "release"]);
    // Everything counts: nothing runs.
    let said = stack.call(&["rerun", "r-3", "job.json", "--run-id", "r-4", "--wait", "--json"]).await;
    assert_eq!((said.code, &result(&said)["ok"]), (0, &json!(true)), "{}", said.shown());
    ran(&["build", "test", "test", "release", "release"]);

    for (arguments, part) in [
        (["rerun", "none", "job.json", "--wait", "--run-id", "x"], "rerun_of: there is no run `none`"),
        (["rerun", "r-3", "job.json", "--from", "relaese", "--wait"], "did you mean `release`?"),
    ] {
        let said = stack.call(&arguments).await;
        assert!(said.code == 2 && said.stderr.contains(part), "{}", said.shown());
    }
}

#[tokio::test]
async fn the_same_on_one_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready");
    let job = job().order("a").cmds([format!("echo looking; test -e {}", file.display())]);
    fs::write(folder.path().join("job.json"), job.document().to_string()).unwrap();
    let run = async || call(command(folder.path(), &["run", "job.json"])).await;
    let said = run().await;
    assert!(said.code == 1 && said.stdout.contains("looking"), "{}", said.shown());
    fs::write(file, "").unwrap();
    assert_eq!(run().await.code, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_gets_the_live_view() {
    let folder = tempfile::tempdir().unwrap();
    let job = job().order("a").cmds(["echo begun; sleep 1.2; echo ended"]).order("b").after(["a"]);
    fs::write(folder.path().join("job.json"), job.document().to_string()).unwrap();
    for colours in [true, false] {
        let began = std::time::Instant::now();
        let said = Terminal { columns: 70, colours }.call(command(folder.path(), &["run", "job.json"])).await;
        let took = began.elapsed();
        assert_eq!(said.code, 0, "{}", said.shown());
        // Drawn in place, and never more than ten times a second.
        let frames = said.stdout.matches("\u{1b}[?2026h").count();
        assert!(frames > 2 && frames as u64 <= 10 * (took.as_secs() + 1), "{frames} frames in {took:?}");
        assert_eq!(said.stdout.contains("\u{1b}[32m✓ a"), colours, "{:?}", said.stdout);
        let wide = said.stdout.lines().map(|line| line.rsplit('\u{1b}').next().unwrap_or(line));
        assert!(wide.clone().all(|line| line.chars().count() <= 76), "{:?}", wide.max_by_key(|line| line.len()));
        assert!(said.stdout.contains("2 of 2 ended"), "{:?}", said.stdout);
    }
}
