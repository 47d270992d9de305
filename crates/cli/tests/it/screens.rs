//! What a person sees of each verb: success, failure, nothing, a thousand orders, on a narrow terminal, with colours and
//! without. What the live view draws is pinned beside it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Cancelled, Failed, Stack, Succeeded,
    aws_exe::{call, command},
    expect, job,
    job::Job,
    terminal::Terminal,
};

/// Build, then tests, then a release; and a tolerated check.
fn pipeline(test: &str) -> Job {
    job()
        .order("build")
        .cmds(["echo built"])
        .order("test")
        .after(["build"])
        .cmds(["echo testing", test])
        .order("lint")
        .tolerated()
        .cmds(["echo '3 warnings'; exit 3"])
        .order("release")
        .after(["test"])
        .cmds(["echo released"])
}

#[tokio::test]
async fn a_run_that_succeeds() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r-1", &pipeline("true")).await;
    let ended = [("build", Succeeded), ("test", Succeeded), ("lint", Failed), ("release", Succeeded)];
    expect(&run, Succeeded, ended).await;
    insta::assert_snapshot!(stack.screen(&["status", "r-1"]).await, @r"
    exit 0
    ── stdout
    run r-1  succeeded
    by tester  flow tester:<trace>-exec  submitted <time>
    ✓ 0001 build    lambda     succeeded <took>
    ✓ 0002 test     lambda     succeeded <took>
    ✗ 0003 lint     lambda     failed <took>  command 1 of 1 exited with 3
    ✓ 0004 release  lambda     succeeded <took>
    4 orders: 3 succeeded, 1 failed
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["list"]).await, @r"
    exit 0
    ── stdout
    r-1  succeeded  <time>  <took>  tester
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["graph", "r-1"]).await, @r"
    exit 0
    ── stdout
    r-1: 4 orders
    ├─ ✓ build    lambda  succeeded <took>
    │↓ ✓ test     lambda  succeeded <took>
    │↓ ✓ release  lambda  succeeded <took>
    └─ ✗ lint     lambda  failed     may fail, command 1 of 1 exited with 3
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["logs", "r-1", "--failed"]).await, @r"
    exit 0
    ── stdout
    3 warnings
    ── stderr
    ── 0003 lint failed: command 1 of 1 exited with 3
    ");
    insta::assert_snapshot!(stack.screen(&["events", "r-1", "build"]).await, @r"
    exit 0
    ── stdout
    <time>  build  dispatched  running
    <time>  build  completed   succeeded
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["status", "-f", "r-1"]).await, @r"
    exit 0
    ── stdout

    ── lint failed: command 1 of 1 exited with 3
    3 warnings

    the job succeeded: 1 failed, 3 succeeded of 4 orders
    ── stderr
    ✓ build succeeded after <took>: built
    ✓ test succeeded after <took>: testing
    ✗ lint failed after <took>: command 1 of 1 exited with 3
    ✓ release succeeded after <took>: released
    ");
}

#[tokio::test]
async fn a_run_that_fails() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r-2", &pipeline("echo 'no such table' >&2; exit 1")).await;
    expect(&run, Failed, [("build", Succeeded), ("test", Failed), ("lint", Failed), ("release", Failed)]).await;
    insta::assert_snapshot!(stack.screen(&["status", "r-2"]).await, @r"
    exit 0
    ── stdout
    run r-2  failed
    by tester  flow tester:<trace>-exec  submitted <time>
    ✓ 0001 build    lambda     succeeded <took>
    ✗ 0002 test     lambda     failed <took>  command 2 of 2 exited with 1
    ✗ 0003 lint     lambda     failed <took>  command 1 of 1 exited with 3
    ✗ 0004 release  lambda     failed                `test` did not succeed
    4 orders: 1 succeeded, 3 failed
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["logs", "r-2", "--failed"]).await, @r"
    exit 0
    ── stdout
    testing
    no such table
    3 warnings
    ── stderr
    ── 0002 test failed: command 2 of 2 exited with 1
    ── 0003 lint failed: command 1 of 1 exited with 3
    ── 0004 release failed: `test` did not succeed
    ");
    insta::assert_snapshot!(stack.screen(&["graph", "r-2"]).await, @r"
    exit 0
    ── stdout
    r-2: 4 orders
    ├─ ✓ build    lambda  succeeded <took>
    │↓ ✗ test     lambda  failed     command 2 of 2 exited with 1
    │↓ ✗ release  lambda  failed     `test` did not succeed
    └─ ✗ lint     lambda  failed     may fail, command 1 of 1 exited with 3
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["events", "r-2", "release"]).await, @r"
    exit 0
    ── stdout
    <time>  release  dependency_failed  failed     `test` did not succeed
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["list", "--status", "failed", "--user", "tester", "--since", "1h"]).await, @r"
    exit 0
    ── stdout
    r-2  failed     <time>  <took>  tester
    ── stderr
    ");
    for forms in [["--status", "succeeded"], ["--user", "nobody"]] {
        let said = stack.call(&["list", forms[0], forms[1]]).await;
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", "no run was found\n"), "{forms:?}");
    }
}

#[tokio::test]
async fn nothing_there() {
    let stack = Stack::start().await;
    insta::assert_snapshot!(stack.screen(&["list"]).await, @r"
    exit 0
    ── stdout
    ── stderr
    no run was found
    ");
    for verb in ["status", "events", "graph"] {
        let said = stack.call(&[verb, "no-such-run"]).await.steady();
        insta::allow_duplicates! { insta::assert_snapshot!(said, @r"
        exit 2
        ── stdout
        ── stderr
        error[AES0401]: there is no run `no-such-run`
        hint: a run is named by the `run_id` that its submission answered with; this looked at `<endpoint>`
        "); }
    }
    insta::assert_snapshot!(stack.screen(&["doctor"]).await, @r"
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
    let nobody = stack.call(&["doctor", "--endpoint", "http://127.0.0.1:9"]).await;
    insta::assert_snapshot!(nobody.steady(), @r"
    exit 1
    ── stdout
    ✓ aws-exe  <version>
    ✓ git      git version <version>
    ✗ engine   no embedded AWS answers at `<endpoint>`
               hint: start one with `aws-exe local`, or name another with `--endpoint URL`, or a deployed stack with `--stack FILE`
    ── stderr
    ");
}

#[tokio::test]
async fn a_cancelled_run() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r-3", &job().order("a").cmds(["sleep 600"]).order("b").after(["a"])).await;
    let said = stack.call(&["cancel", "r-3", "--wait"]).await;
    assert_eq!(said.code, 1, "{}", said.shown());
    expect(&run, Cancelled, [("a", Cancelled), ("b", Cancelled)]).await;
    insta::assert_snapshot!(stack.screen(&["list", "--status", "cancelled"]).await, @r"
    exit 0
    ── stdout
    r-3  cancelled  <time>  <took>  tester
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["cancel", "r-3"]).await, @r"
    exit 0
    ── stdout
    the run `r-3` has ended already: cancelled
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["--json", "cancel", "r-3"]).await, @r#"
    exit 0
    ── stdout
    {"ok":true,"result":{"asked":false,"order_num":null,"outcome":"cancelled","run_id":"r-3"},"type":"result","version":1}
    ── stderr
    "#);
}

#[tokio::test]
async fn a_job_before_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let job = json!({"username": "tester", "job_timeout": 1800, "max_parallel": 2, "orders": [
        {"order_name": "plan", "cmds": ["terraform plan"], "timeout": 300, "execution_target": "auto",
         "git_repo": "org/infra", "commit_hash": "main", "git_folder": "prod", "secret_manager_paths": ["prod/deploy"],
         "env_vars": {"REGION": "eu-west-1"}},
        {"order_name": "apply", "cmds": ["terraform init", "terraform apply"], "timeout": 3600, "execution_target": "auto",
         "s3_location": "s3://exe-sys-internal/sources/infra.zip", "dependencies": ["plan"], "ssm_paths": ["/prod/key"]},
        {"order_name": "tell", "cmds": ["true"], "timeout": 60, "must_succeed": false, "dependencies": ["apply"]},
    ]});
    fs::write(folder.path().join("job.json"), job.to_string()).unwrap();
    let say = async |arguments: &[&str]| call(command(folder.path(), arguments)).await.steady();
    insta::assert_snapshot!(say(&["explain", "job.json"]).await, @r"
    exit 0
    ── stdout
    3 orders for tester, at most 2 at once
    the whole job has 30m 00s, then what has not ended is timed out

    0001 plan
      target    lambda (auto: timeout and `stop_grace` together, 310 s, fit into 840 s)
      waits for nothing
      code      git `org/infra` at `main`, folder `prod`
      runs      1 command
      variables REGION
      reads     secrets prod/deploy
      limits    5m 00s for its commands, 1h 00m to start, 10 s to stop
      at most   0.0103 USD

    0002 apply
      target    codebuild (auto: timeout and `stop_grace` together, 3630 s, are above 840 s)
      waits for plan
      code      `s3://exe-sys-internal/sources/infra.zip`
      runs      2 commands, until one fails
      reads     parameters /prod/key
      limits    1h 00m for its commands, 1h 00m to start, 30 s to stop
      at most   0.15 USD

    0003 tell
      target    codebuild (by default)
      waits for apply
      tolerated it runs also when what it waits for failed, and its failure does not fail the job
      code      none: commands alone
      runs      1 command
      limits    1m 00s for its commands, 1h 00m to start, 30 s to stop
      at most   0.0100 USD

    at most 0.18 USD if every order takes all its time: list prices of us-east-1, default machines
    ── stderr
    ");
    insta::assert_snapshot!(say(&["graph", "job.json"]).await, @r"
    exit 0
    ── stdout
    job.json: 3 orders
    └─ plan   lambda
     ↓ apply  codebuild
     ↓ tell   codebuild  may fail
    ── stderr
    ");
    insta::assert_snapshot!(say(&["submit", "--dry-run", "--run-id", "r", "job.json"]).await, @r"
    exit 0
    ── stdout
    the job is valid: 3 orders, 604 bytes; nothing was submitted
    ── stderr
    ");
    insta::assert_snapshot!(say(&["validate", "--json", "job.json"]).await, @r#"
    exit 0
    ── stdout
    {"ok":true,"result":{"orders":3},"type":"result","version":1}
    ── stderr
    "#);
    fs::write(folder.path().join("bad.json"), json!({"username": "tester", "orders": []}).to_string()).unwrap();
    for verb in ["explain", "graph", "validate"] {
        let said = say(&[verb, "bad.json"]).await;
        insta::allow_duplicates! { insta::assert_snapshot!(said, @r#"
        exit 2
        ── stdout
        ── stderr
        error[AES0105]: the job is not valid: 1 problem
          --> bad.json:1:2
           |
         1 | {"orders":[],"username":"tester"}
           |  ^^^^^^^^ orders: must not be empty
        "#); }
    }
    insta::assert_snapshot!(say(&["validate", "--json", "bad.json"]).await, @r#"
    exit 2
    ── stdout
    {"error":{"code":"AES0105","message":"the job is not valid: 1 problem","problems":[{"column":2,"line":1,"message":"orders: must not be empty"}]},"ok":false,"type":"result","version":1}
    ── stderr
    "#);
}

#[tokio::test]
async fn a_thousand_orders() {
    let folder = tempfile::tempdir().unwrap();
    let order = |number: usize| {
        let name = if number == 999 { "join".to_owned() } else { format!("shard-{number:03}") };
        let all = || (0..999).map(|number| format!("shard-{number:03}")).collect::<Vec<_>>();
        let dependencies = if number == 999 { all() } else { Vec::new() };
        json!({"order_name": name, "cmds": ["true"], "timeout": 60, "dependencies": dependencies})
    };
    let job = json!({"username": "tester", "orders": (0..1_000).map(order).collect::<Vec<Value>>()});
    fs::write(folder.path().join("job.json"), job.to_string()).unwrap();
    let say = async |arguments: &[&str]| call(command(folder.path(), arguments)).await;
    insta::assert_snapshot!(say(&["graph", "job.json"]).await.steady(), @r"
    exit 0
    ── stdout
    job.json: 1000 orders
    └─ shard-000 … shard-998  codebuild  999 orders
     ↓ join                   codebuild
    ── stderr
    ");
    assert_eq!(say(&["graph", "--all", "job.json"]).await.stdout.lines().count(), 1_001);
    let explained = say(&["explain", "job.json"]).await;
    insta::assert_snapshot!(explained.stdout.lines().rev().take(9).collect::<Vec<_>>().join("\n"), @r"
    at most 10.28 USD if every order takes all its time: list prices of us-east-1, default machines

      at most   0.0100 USD
      limits    1m 00s for its commands, 1h 00m to start, 30 s to stop
      runs      1 command
      code      none: commands alone
      waits for shard-000, shard-001, shard-002, shard-003, shard-004, shard-005, shard-006, shard-007 and 991 more
      target    codebuild (by default)
    1000 join
    ");
    for form in ["--dot", "--mermaid", "--svg"] {
        let said = say(&["graph", form, "job.json"]).await;
        assert!(said.code == 0 && said.stdout.contains("shard-500"), "{form}");
    }
    let mut bad = job;
    for order in bad["orders"].as_array_mut().unwrap() {
        order["timeout"] = json!(0);
    }
    fs::write(folder.path().join("bad.json"), serde_json::to_string_pretty(&bad).unwrap()).unwrap();
    let said = say(&["validate", "bad.json"]).await;
    assert_eq!(said.code, 2);
    assert!(said.stderr.lines().count() < 200, "{} lines", said.stderr.lines().count());
    insta::assert_snapshot!(said.stderr.lines().take(6).collect::<Vec<_>>().join("\n"), @r#"
    error[AES0105]: the job is not valid: more than 200 problems
        --> bad.json:9:18
         |
       9 |       "timeout": 0
         |                  ^ orders[0].timeout: must be at least 1, not 0
    ...
    "#);
}

#[tokio::test]
async fn a_run_of_a_thousand_orders() {
    let stack = Stack::start().await;
    let mut job = job().order("build").cmds(["echo 'out of memory'; exit 9"]);
    for number in 1..1_000 {
        job = job.order(&format!("shard-{number:03}")).after(["build"]);
    }
    let run = stack.submit_as("r-1000", &job).await;
    run.done().await;
    let said = stack.call(&["status", "r-1000"]).await.steady();
    let lines: Vec<&str> = said.lines().collect();
    let (first, last) = (lines[..6].join("\n"), lines[lines.len() - 4..].join("\n"));
    assert_eq!(lines.len(), 2 + 2 + 1_000 + 1 + 1);
    insta::assert_snapshot!(format!("{first}\n...\n{last}"), @r"
    exit 0
    ── stdout
    run r-1000  failed
    by tester  flow tester:<trace>-exec  submitted <time>
    ✗ 0001 build      lambda     failed <took>  command 1 of 1 exited with 9
    ✗ 0002 shard-001  lambda     failed                `build` did not succeed
    ...
    ✗ 0999 shard-998  lambda     failed                `build` did not succeed
    ✗ 1000 shard-999  lambda     failed                `build` did not succeed
    1000 orders: 1000 failed
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["graph", "r-1000"]).await, @r"
    exit 0
    ── stdout
    r-1000: 1000 orders
    └─ ✗ build                  lambda  failed  command 1 of 1 exited with 9
     ↓ ✗ shard-001 … shard-999  lambda  failed  999 orders, `build` did not succeed
    ── stderr
    ");
    let logs = stack.call(&["logs", "r-1000", "--failed"]).await;
    insta::assert_snapshot!(logs.steady(), @r"
    exit 0
    ── stdout
    out of memory
    ── stderr
    ── 0001 build failed: command 1 of 1 exited with 9
    ── 999 orders failed: `build` did not succeed (shard-001 … shard-999)
    ");
    let watched = stack.call(&["status", "-f", "r-1000"]).await;
    insta::assert_snapshot!(watched.stdout.lines().take(5).collect::<Vec<_>>().join("\n"), @r"
    ── build failed: command 1 of 1 exited with 9
    out of memory

    ── 999 orders failed: `build` did not succeed (shard-001 … shard-999)
    ");
    insta::assert_snapshot!(watched.stdout.lines().last().unwrap_or_default(), @"the job failed: 1000 failed of 1000 orders");
    assert_eq!(stack.call(&["events", "r-1000"]).await.stdout.lines().count(), 1_003);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal() {
    let stack = Stack::start().await;
    let run = stack.submit_as("r-4", &pipeline("echo 'no such table' >&2; exit 1")).await;
    expect(&run, Failed, [("build", Succeeded), ("test", Failed), ("lint", Failed), ("release", Failed)]).await;
    let see = async |terminal: Terminal, arguments: &[&str]| {
        let said = terminal.call(stack.verb(arguments)).await;
        let widest = said.stdout.lines().map(|line| plain(line).chars().count()).max().unwrap_or_default();
        assert!(widest <= terminal.columns.into(), "{widest} columns of {}: {}", terminal.columns, said.shown());
        said.steady().replace('\u{1b}', "␛")
    };
    let narrow = Terminal { columns: 48, colours: false };
    insta::assert_snapshot!(see(narrow, &["status", "r-4"]).await, @r"
    exit 0
    ── stdout
    run r-4  failed
    by tester  flow tester:<trace>-exec  submitted…
    ✓ 0001 build <took>
    ✗ 0002 test <took>  command 2 of 2 exited w…
    ✗ 0003 lint <took>  command 1 of 1 exited w…
    ✗ 0004 release          `test` did not succeed
    4 orders: 1 succeeded, 3 failed
    ── stderr
    ");
    insta::assert_snapshot!(see(narrow, &["list"]).await, @r"
    exit 0
    ── stdout
    r-4  failed     <time>  <took>  …
    ── stderr
    ");
    insta::assert_snapshot!(see(narrow, &["events", "r-4", "release"]).await, @r"
    exit 0
    ── stdout
    <time>  release  dependency_failed  `test` di…
    ── stderr
    ");
    insta::assert_snapshot!(see(narrow, &["graph", "r-4"]).await, @r"
    exit 0
    ── stdout
    r-4: 4 orders
    ├─ ✓ build    lambda  succeeded <took>
    │↓ ✗ test     lambda  failed     command 2 of 2…
    │↓ ✗ release  lambda  failed     `test` did not…
    └─ ✗ lint     lambda  failed     may fail, comm…
    ── stderr
    ");
    let coloured = Terminal { columns: 100, colours: true };
    insta::assert_snapshot!(see(coloured, &["status", "r-4"]).await, @r"
    exit 0
    ── stdout
    ␛[1mrun r-4␛[0m␛[31m  failed␛[0m
    ␛[2mby tester  flow tester:<trace>-exec  submitted <time>␛[0m
    ␛[32m✓ 0001 build  ␛[0m␛[2m  lambda     ␛[0m␛[32msucceeded␛[0m <took>
    ␛[31m✗ 0002 test   ␛[0m␛[2m  lambda     ␛[0m␛[31mfailed   ␛[0m <took>  command 2 of 2 exited with 1
    ␛[31m✗ 0003 lint   ␛[0m␛[2m  lambda     ␛[0m␛[31mfailed   ␛[0m <took>  command 1 of 1 exited with 3
    ␛[31m✗ 0004 release␛[0m␛[2m  lambda     ␛[0m␛[31mfailed   ␛[0m             `test` did not succeed
    4 orders: 1 succeeded, 3 failed
    ── stderr
    ");
    insta::assert_snapshot!(see(coloured, &["list"]).await, @r"
    exit 0
    ── stdout
    r-4  ␛[31mfailed     ␛[0m␛[2m<time>  ␛[0m  <took>  tester
    ── stderr
    ");
    insta::assert_snapshot!(see(coloured, &["events", "r-4", "release"]).await, @r"
    exit 0
    ── stdout
    ␛[2m<time>  ␛[0mrelease  ␛[31mdependency_failed  failed     ␛[0m`test` did not succeed
    ── stderr
    ");
    stack.job_file(&job().order("a").cmds(["true"]).order("b").after(["a"]));
    insta::assert_snapshot!(see(coloured, &["explain", "job.json"]).await, @r"
    exit 0
    ── stdout
    2 orders for tester, as many at once as the stack allows for each target
    the whole job has 1h 00m, then what has not ended is timed out

    ␛[1m0001 a␛[0m
    ␛[2m  target    ␛[0mlambda (as it says)
    ␛[2m  waits for ␛[0mnothing
    ␛[2m  code      ␛[0mnone: commands alone
    ␛[2m  runs      ␛[0m1 command
    ␛[2m  reads     ␛[0mparameters /team/canary
    ␛[2m  limits    ␛[0m10m 00s for its commands, 1h 00m to start, 10 s to stop
    ␛[2m  at most   ␛[0m0.0203 USD

    ␛[1m0002 b␛[0m
    ␛[2m  target    ␛[0mlambda (as it says)
    ␛[2m  waits for ␛[0ma
    ␛[2m  code      ␛[0mnone: commands alone
    ␛[2m  runs      ␛[0m1 command
    ␛[2m  reads     ␛[0mparameters /team/canary
    ␛[2m  limits    ␛[0m10m 00s for its commands, 1h 00m to start, 10 s to stop
    ␛[2m  at most   ␛[0m0.0203 USD

    at most 0.0457 USD if every order takes all its time: list prices of us-east-1, default machines
    ── stderr
    ");
}

/// A line without what the terminal takes for colours.
fn plain(line: &str) -> String {
    regex_lite::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(line, "").into_owned()
}

#[tokio::test]
async fn a_pipe_that_is_closed_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let binary = crate::support::aws_exe::BINARY;
    for verb in ["schema", "completions bash", "--help", "explain AES0105"] {
        let mut shell = std::process::Command::new("bash");
        shell.current_dir(folder.path()).arg("-c").arg(format!("set -o pipefail; {binary} {verb} | head -c 1"));
        shell.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        shell.stderr(std::process::Stdio::piped());
        let said = call(shell).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{verb}: {}", said.shown());
    }
}
