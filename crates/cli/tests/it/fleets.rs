//! SSM orders: which instances they run on, how their shares become one result, and what is refused.

use serde_json::{Value, json};

use crate::support::{
    Cancelled, Failed, Stack, StartLog, Succeeded, TimedOut, expect, expect::expect_success, faults::at, job,
    stack::INTERNAL, wait,
};

/// Three web servers, and one that is away.
const FLEET: &str = "
- {id: i-web-1, tags: {Role: web}}
- {id: i-web-2, tags: {Role: web}}
- {id: i-web-3, tags: {Role: web}}
- {id: i-away, tags: {Role: away}, online: false}
";

/// So many instances with one tag.
fn large_fleet(count: usize) -> String {
    let instance = |number| format!("- {{id: i-{number:03}, tags: {{Fleet: large}}}}");
    (0..count).map(instance).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_line_for_each_of_the_instances_behind_a_tag() {
    let stack = Stack::start().instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let hello = "echo hello from $AWS_SSM_INSTANCE_ID$ORDER_ID";
    let [begin, end] = starts.commands();
    let run = stack.submit(&job().order("a").on_tagged("Role", "web").cmds([begin, hello.to_owned(), end])).await;
    expect_success(&run).await;
    assert_eq!(starts.counts()["a"], 3);
    let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
    assert!(log.starts_with("i-web-1 succeeded\ni-web-2 succeeded\ni-web-3 succeeded\n"), "{log}");
    assert!(log.contains("── i-web-2 ──\nhello from a\n"), "the commands see nothing of the agent's: {log}");
    for instance in ["i-web-1", "i-web-2", "i-web-3"] {
        let claim = run.claim(&format!("0001/{instance}")).await.unwrap();
        let share = run.result(&format!("0001/instances/{instance}")).await.unwrap();
        assert_eq!(claim["by"], share["writer"]);
    }
    let pinned = stack.object(INTERNAL, &format!("tmp/exec/{}/0001/targets.json", run.id)).await.unwrap();
    let pinned: Value = serde_json::from_slice(&pinned).unwrap();
    assert_eq!(pinned["instances"], json!(["i-web-1", "i-web-2", "i-web-3"]));
}

#[tokio::test]
async fn one_of_three_that_fails_fails_the_order() {
    let stack = Stack::start().instances(FLEET).await;
    let folder = stack.path("first");
    // Whoever makes the folder first fails.
    let racing = format!("if mkdir '{}'; then echo me; exit 3; fi", folder.display());
    let run = stack.submit(&job().order("a").on_tagged("Role", "web").cmds([racing])).await;
    let ended = expect(&run, Failed, [("a", Failed)]).await;
    let reason = ended.rows[0]["failure_reason"].as_str().unwrap();
    assert!(reason.starts_with("1 of 3 instances did not succeed: `i-web-"), "{reason}");
    assert!(reason.ends_with("failed: command 1 of 1 exited with 3"), "{reason}");
}

#[tokio::test]
async fn what_is_unknown_offline_or_nobody_fails_at_once() {
    let stack = Stack::start().instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let order = |job: crate::support::job::Job| job.cmds([starts.start()]);
    let job = order(job().order("unknown").on_instances(["i-web-1", "i-nobody"]));
    let job = order(job.order("offline").on_instances(["i-web-1", "i-away"]));
    let job = order(job.order("offline-by-tag").on_tagged("Role", "away"));
    let job = order(job.order("no-such-tag").on_tagged("Role", "database"));
    let run = stack.submit(&job).await;
    let all = ["unknown", "offline", "offline-by-tag", "no-such-tag"].map(|name| (name, Failed));
    let ended = expect(&run, Failed, all).await;
    starts.each_once([]);
    for (row, told) in ended.rows.iter().zip([
        "`i-nobody` is not known to Systems Manager",
        "`i-away` is not online",
        "`i-away` is not online",
        "no instance has the tag `Role` = `database`",
    ]) {
        let reason = row["failure_reason"].as_str().unwrap();
        assert!(reason.ends_with(told), "{reason}");
    }
}

#[tokio::test]
async fn a_resolver_that_answers_differently_the_second_time_changes_nothing() {
    // The pass dies after it pinned the instances and before the command was sent.
    let dies = at("ssm", "SendCommand").by("orchestrator").then("kill_before");
    let stack = Stack::start().speed(20).instances(FLEET).faults([dies]).record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").on_tagged("Role", "web").cmds([starts.start()])).await;
    expect_success(&run).await;
    assert_eq!(starts.counts()["a"], 3);
    let asked = stack.recorded().iter().filter(|call| call["operation"] == "DescribeInstanceInformation").count();
    assert_eq!(asked, 1, "what is pinned is not asked for again");
}

#[tokio::test]
async fn pinned_instances_stand_whatever_the_tags_say_now() {
    let stack = Stack::start().instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let id = common::ids::fresh_nonce();
    let targets = json!({"schema_version": 1, "instances": ["i-web-2"]}).to_string();
    stack.put_object(INTERNAL, &format!("tmp/exec/{id}/0001/targets.json"), targets).await;
    // The embedded AWS puts the worker into its place when instances are first asked for.
    stack.aws.ssm().describe_instance_information().send().await.unwrap();
    let run = stack.submit_as(&id, &job().order("a").on_tagged("Role", "web").cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    assert!(run.claim("0001/i-web-2").await.is_some() && run.claim("0001/i-web-1").await.is_none());
}

#[tokio::test]
async fn cancelling_stops_every_instance() {
    let stack = Stack::start().speed(10).instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let told = starts.note("stopped");
    let trap =
        format!("stopped() {{ {told}; exit 1; }}; trap stopped INT; {}; while :; do sleep 0.02; done", starts.start());
    let run = stack.submit(&job().order("a").on_tagged("Role", "web").cmds([trap])).await;
    wait::until("all three to run", async || (starts.counts().get("a") == Some(&3)).then_some(())).await;
    run.cancel("0000").await;
    expect(&run, Cancelled, [("a", Cancelled)]).await;
    assert_eq!(starts.counts()["stopped"], 3);
    assert_eq!(run.claim("0001").await.unwrap()["by"], "engine");
}

#[tokio::test]
async fn an_instance_that_comes_after_the_engine_ended_the_order_runs_nothing() {
    // The command is sent, and the agent gets it only after the order was cancelled.
    let late = at("s3", "GetObject").by("instance").about("exec.zip").delayed(60_000);
    let stack = Stack::start().speed(20).faults([late]).await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").on("ssm").cmds([starts.start()])).await;
    run.until_row("a", "running").await;
    run.cancel("0001").await;
    expect(&run, Failed, [("a", Cancelled)]).await;
    starts.each_once([]);
}

#[tokio::test]
async fn max_concurrency_is_handed_on() {
    let stack = Stack::start().instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let lock = stack.path("lock");
    // Two at once would find the folder there.
    let alone = format!("mkdir '{0}' && sleep 0.2 && rmdir '{0}'", lock.display());
    let mut job = job().order("a").on_tagged("Role", "web").cmds([starts.start(), alone]);
    job = job.its("ssm_targets", json!({"tags": {"Role": "web"}, "max_concurrency": "1", "max_errors": "0"}));
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    assert_eq!(starts.counts()["a"], 3);
}

#[tokio::test]
async fn after_max_errors_the_rest_is_cancelled() {
    let stack = Stack::start().instances(FLEET).await;
    let starts = StartLog::of(&stack);
    let mut job = job().order("a").on_tagged("Role", "web").cmds([starts.start(), "exit 1".to_owned()]);
    job = job.its("ssm_targets", json!({"tags": {"Role": "web"}, "max_concurrency": "1", "max_errors": "0"}));
    let run = stack.submit(&job).await;
    expect(&run, Failed, [("a", Failed)]).await;
    assert_eq!(starts.counts()["a"], 1);
    let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
    assert_eq!(log.lines().filter(|line| line.contains(" cancelled")).count(), 2, "{log}");
}

#[tokio::test]
async fn an_instance_that_never_starts_times_out_and_the_others_count() {
    // The command reaches the instance, and its worker never gets its dispatch document.
    let silent = at("s3", "GetObject").by("instance").about("dispatch.json").delayed(3_600_000);
    let stack = Stack::start().skip_idle().instances(FLEET).faults([silent]).await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").on_tagged("Role", "web").timeout(60).its("start_timeout", 120).cmds([starts.start()]);
    let run = stack.submit(&job).await;
    expect(&run, TimedOut, [("a", TimedOut)]).await;
    assert_eq!(starts.counts()["a"], 2);
}

#[tokio::test]
async fn the_ssm_entry_point_takes_ssm_orders_alone() {
    let stack = Stack::start().await;
    let default = job().order("a").on("ssm").anywhere();
    let answer = stack.post("/ssm", &json!({"job": default.document()})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["flow_id"].as_str().unwrap().ends_with("-ssm"));
    expect_success(&stack.run(answer.json(), &default)).await;
    let refused = stack.post("/ssm", &json!({"job": job().order("a").document()})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("must be `ssm` at `/ssm`"), "{}", refused.text());
}

#[tokio::test]
async fn a_document_that_does_not_exist_is_refused_at_the_door() {
    let stack = Stack::start().await;
    let job = job().order("a").on("ssm").its("ssm_document_name", "no-such-document");
    let answer = stack.post("/init", &json!({"job": job.document()})).await;
    assert_eq!(answer.status, 400);
    let problem = "orders[0].ssm_document_name: there is no SSM document `no-such-document`";
    assert_eq!(answer.json()["errors"], json!([problem]));
    assert!(stack.items("exe-sys-locks").await.is_empty());
}

#[tokio::test]
async fn a_bare_instance_fetches_the_worker_once() {
    let stack = Stack::start().instances("- {id: i-bare, bare: true}").record().await;
    let job = || job().order("a").on_instances(["i-bare"]).order("b").after(["a"]).on_instances(["i-bare"]);
    expect_success(&stack.submit(&job()).await).await;
    let is_fetch = |call: &Value| {
        let key = call["key"].as_str().unwrap_or_default();
        call["operation"] == "GetObject" && key.contains("/worker/") && !key.ends_with("binaries.json")
    };
    assert_eq!(stack.recorded().iter().filter(|call| is_fetch(call)).count(), 1);
}

#[tokio::test]
async fn two_hundred_instances_in_one_order() {
    let stack = Stack::start().instances(&large_fleet(200)).await;
    let starts = StartLog::of(&stack);
    let began = common::clock::Clock::REAL.now();
    let run = stack.submit(&job().order("a").on_tagged("Fleet", "large").cmds([starts.start()])).await;
    expect(&run, Succeeded, [("a", Succeeded)]).await;
    println!("200 instances in one order: {:?}", began.until(common::clock::Clock::REAL.now()));
    assert_eq!(starts.counts()["a"], 200);
    assert_eq!(stack.count("orchestrator", "SendCommand").await, 4);
}

#[tokio::test]
async fn concurrency_over_more_than_a_batch_is_counted_by_one_command_by_tag() {
    let stack = Stack::start().instances(&large_fleet(60)).await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").on_tagged("Fleet", "large").cmds([starts.start()]);
    let job = job.its("ssm_targets", json!({"tags": {"Fleet": "large"}, "max_concurrency": "20%"}));
    expect_success(&stack.submit(&job).await).await;
    assert_eq!(starts.counts()["a"], 60);
    assert_eq!(stack.count("orchestrator", "SendCommand").await, 1);
}
