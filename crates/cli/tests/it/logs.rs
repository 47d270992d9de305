//! What commands write: the head and the tail in the result, the whole in an object of its own.

use crate::support::{Failed, Stack, StartLog, Succeeded, expect, expect::expect_success, job};

/// Most bytes of a log in a result.
const KEPT: usize = 256 * 1024;

#[tokio::test]
async fn a_long_log_is_whole_in_s3_and_has_its_head_and_tail_in_the_result() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["seq 1 90000"])).await;
    let ended = expect_success(&run).await;
    let mut wanted = (1..=90_000).map(|number: u32| number.to_string()).collect::<Vec<_>>().join("\n");
    wanted.push('\n');
    assert!(wanted.len() > 500_000);
    let whole = run.log("a").await.unwrap();
    assert!(whole == wanted.as_bytes(), "{} bytes, not the {} that were written", whole.len(), wanted.len());
    let result = run.result_of("a").await;
    let log = result["log"].as_str().unwrap();
    // Between its parts a line says how much is left out.
    let (head, rest) = log.split_once("\n… ").unwrap();
    let (left_out, tail) = rest.split_once(" bytes left out …\n").unwrap();
    assert!((KEPT - 8..=KEPT).contains(&(head.len() + tail.len())), "{} bytes", log.len());
    assert_eq!(head.len() + tail.len() + left_out.parse::<usize>().unwrap(), wanted.len());
    assert!(wanted.starts_with(head) && wanted.ends_with(tail));
    assert_eq!(result["log_truncated"], true);
    let key = format!("logs/{}/0001.log", run.id);
    assert_eq!((&result["log_location"], &ended.rows[0]["log_location"]), (&key.clone().into(), &key.into()));
}

#[tokio::test]
async fn a_short_log_is_in_the_result_alone() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["echo one", "printf two"])).await;
    let ended = expect_success(&run).await;
    assert_eq!(run.result_of("a").await["log"], "one\ntwo");
    assert!(run.log("a").await.is_none());
    assert!(ended.rows[0].get("log_location").is_none());
}

#[tokio::test]
async fn an_order_that_takes_its_time_has_its_log_in_s3_while_it_runs() {
    let stack = Stack::start().speed(20).await;
    let gate = stack.path("go");
    let held = format!("echo waiting; until [ -e '{}' ]; do sleep 0.02; done; echo over", gate.display());
    let run = stack.submit(&job().order("a").cmds([held])).await;
    run.until("the log of a running order", async || (run.log("a").await? == b"waiting\n").then_some(())).await;
    assert!(run.result("0001").await.is_none());
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    assert_eq!(run.log("a").await.unwrap(), b"waiting\nover\n");
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_break_the_result() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds([r"printf 'a\377\000b\033[31mred\n'"])).await;
    expect_success(&run).await;
    let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
    assert!(log.starts_with('a') && log.contains('b') && log.contains("red"), "{log:?}");
}

#[tokio::test]
async fn a_background_process_neither_holds_the_order_nor_outlives_it() {
    let stack = Stack::start().await;
    let pid = stack.path("pid");
    let run = stack.submit(&job().order("a").cmds([format!("sleep 600 & echo $! > '{}'", pid.display())])).await;
    expect_success(&run).await;
    let pid = std::fs::read_to_string(pid).unwrap().trim().to_owned();
    let is_alive = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("sleep"));
    assert!(!is_alive, "process {pid} is left");
}

#[tokio::test]
async fn an_invocation_leaves_nothing_to_the_next() {
    let stack = Stack::start().concurrency(1).await;
    let job = job()
        .order("first")
        .its("env_vars", serde_json::json!({"LEFT": "over"}))
        .cmds(["echo left > $HOME/left; echo left > $TMPDIR/left; echo left > left; export LEFT2=over"])
        .order("second")
        .after(["first"])
        .cmds(["[ -z \"$LEFT$LEFT2\" ]", "[ -z \"$(ls -A . $HOME $TMPDIR | grep left)\" ]"]);
    let run = stack.submit(&job).await;
    expect(&run, Succeeded, [("first", Succeeded), ("second", Succeeded)]).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["no-such-program --here"])).await;
    expect(&run, Failed, [("a", Failed)]).await;
    let result = run.result_of("a").await;
    assert_eq!(result["exit_code"], 127);
    assert!(result["log"].as_str().unwrap().contains("no-such-program"), "{result:#}");
}

#[tokio::test]
async fn a_log_of_100_mb_costs_the_worker_little_memory() {
    let stack = Stack::start().concurrency(1).await;
    let starts = StartLog::of(&stack);
    let peak = |pid: &str| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    expect_success(&stack.submit(&job().order("small").cmds([starts.note("$PPID")])).await).await;
    let worker = starts.lines()[0].clone();
    let before = peak(&worker);
    // Long enough to be put while it grows.
    let half = "head -c 50000000 /dev/zero | tr '\\0' x | fold -w 99";
    let run = stack.submit(&job().order("large").cmds([half, "sleep 4", half])).await;
    expect_success(&run).await;
    let more = peak(&worker) - before;
    println!("a log of 100 MB: {more} KiB more than a worker that ran `echo`, {before} KiB");
    assert!(more < 32 * 1024, "{more} KiB");
    assert!(run.log("large").await.unwrap().len() > 100_000_000);
}
