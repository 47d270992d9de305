//! Submitting again: the same job under the same run id is one run, another job is refused.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Stack, StartLog,
    expect::{expect_success, nobody_ticked},
    faults::at,
    job,
    lease::expire_reservation,
    stack::INTERNAL,
    wait,
};

#[tokio::test]
async fn the_same_job_again_gets_the_same_answer_and_no_second_run() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job().with("pr_comment_search_tag", "tag").order("a").cmds([starts.start()]);
    let run = stack.submit_as("mine", &job).await;
    let early = stack.submit_as("mine", &job).await;
    expect_success(&run).await;
    let late = stack.submit_as("mine", &job).await;
    assert_eq!((&early.answer, &late.answer), (&run.answer, &run.answer));
    assert_eq!(run.answer["pr_search_tag"], "tag");
    assert_eq!(run.answer["init_pr_comment"], Value::Null);
    assert_eq!(run.answer["flow_id"], format!("tester:{}-exec", run.trace_id()));
    assert_eq!(run.answer["done_endpt"], "s3://exe-sys-done/mine/done");
    starts.each_once(["a"]);
    expect_success(&run).await;
}

#[tokio::test]
async fn another_job_under_a_taken_run_id_is_refused() {
    let stack = Stack::start().await;
    let run = stack.submit_as("mine", &job().order("a")).await;
    expect_success(&run).await;
    let answer = stack.post("/init", &json!({"job": job().order("b").document(), "run_id": "mine"})).await;
    assert_eq!(answer.status, 409);
    let answer = answer.json();
    assert_eq!(answer["error"], "the run id `mine` is taken by another job; choose another `run_id`");
    assert_eq!((&answer["status"], &answer["run_id"]), (&"error".into(), &"mine".into()));
    expect_success(&run).await;
}

#[tokio::test]
async fn submissions_at_the_same_time_under_one_run_id_make_one_run() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").cmds([starts.start()]).order("b").after(["a"]).cmds([starts.start()]);
    let body = json!({"job": job.document(), "run_id": "race", "trace_id": "0a1b2c3d"});
    let answers = join_all((0..8).map(|_| stack.post("/init", &body))).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    for answer in &answers {
        let told = answer.json();
        match answer.status {
            200 => assert_eq!(told["run_id"], "race"),
            409 => assert_eq!(told["error"], "the run `race` is being submitted right now; ask again in a moment"),
            status => panic!("{status} {told}"),
        }
    }
    let run = stack.submit_as("race", &job).await;
    expect_success(&run).await;
    starts.each_once(["a", "b"]);
}

#[tokio::test]
async fn a_run_that_is_being_submitted_says_so() {
    let stack = Stack::start().faults([at("ssm", "PutParameter").by("init_job").delayed(1_500)]).await;
    let job = job().order("a");
    let body = json!({"job": job.document(), "run_id": "slow"});
    let second = async {
        wait::until("the reservation", async || stack.items("exe-sys-locks").await.pop()).await;
        stack.post("/init", &body).await
    };
    let (first, second) = tokio::join!(stack.post("/init", &body), second);
    assert_eq!((first.status, second.status), (200, 409), "{}", second.text());
    assert!(second.text().contains("is being submitted right now"));
    expect_success(&stack.run(first.json(), &job)).await;
}

#[tokio::test]
async fn a_submission_that_aws_refuses_leaves_the_run_id_free() {
    let stack =
        Stack::start().faults([at("states", "StartExecution").by("init_job").refused("AccessDeniedException")]).await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").cmds([starts.start()]);
    let body = json!({"job": job.document(), "run_id": "again"});
    let answer = stack.post("/init", &body).await;
    assert_eq!(answer.status, 500);
    let told = answer.json();
    assert_eq!(told["status"], "error");
    assert!(told["error"].as_str().unwrap().starts_with("failed to start the watchdog"), "{told}");
    assert_eq!(stack.items("exe-sys-locks").await, [] as [Value; 0]);
    assert_eq!(stack.parameters().await, [] as [&str; 0]);
    expect_success(&stack.submit_as("again", &job).await).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn a_submission_whose_commit_point_was_passed_unheard_is_accepted_all_the_same() {
    let item = |operation: &str| at("dynamodb", operation).by("init_job").about("/lock:unheard");
    let stack = Stack::start()
        .faults([
            // The flip is applied and told failed; then neither what stands can be read nor the item be taken back.
            item("UpdateItem").then("error_after"),
            item("UpdateItem").nth(2).times(2).refused("AccessDeniedException"),
            item("GetItem").refused("AccessDeniedException"),
        ])
        .record()
        .await;
    let starts = StartLog::of(&stack);
    let run = stack.submit_as("unheard", &job().order("a").cmds([starts.start()])).await;
    expect_success(&run).await;
    starts.each_once(["a"]);
    assert_eq!((stack.count("init_job", "UpdateItem").await, stack.count("init_job", "GetItem").await), (3, 2));
    nobody_ticked(&stack);
}

#[tokio::test]
async fn a_submission_that_fails_takes_nothing_from_the_next_one() {
    let fails = at("states", "StartExecution").by("init_job").refused("AccessDeniedException");
    // Long enough for the next one to have put its key, if it could.
    let slow = at("ssm", "DeleteParameter").by("init_job").delayed(1_500);
    let stack = Stack::start().faults([fails, slow]).await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let job = job().order("a").cmds([starts.start(), held]).order("b").after(["a"]).cmds([starts.start()]);
    let body = json!({"job": job.document(), "run_id": "next"});
    let first = async {
        let answer = stack.post("/init", &body).await;
        std::fs::write(&gate, "").unwrap();
        answer
    };
    let next = async {
        wait::until("the first one's reservation", async || stack.items("exe-sys-locks").await.pop()).await;
        wait::until("the next one to be accepted", async || {
            let answer = stack.post("/init", &body).await;
            assert!(matches!(answer.status, 200 | 409), "{} {}", answer.status, answer.text());
            (answer.status == 200).then(|| answer.json())
        })
        .await
    };
    let (first, next) = tokio::join!(first, next);
    assert_eq!(first.status, 500, "{}", first.text());
    expect_success(&stack.run(next, &job)).await;
    starts.each_once(["a", "b"]);
}

#[tokio::test]
async fn a_submission_that_was_taken_over_changes_nothing_any_more() {
    let stack = Stack::start().skip_idle().concurrency(4).await;
    let starts = StartLog::of(&stack);
    // While somebody works no time is skipped: until this gate opens, what is delayed stands still. It is not delayed
    // for as long as a function may take.
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let other = stack.submit(&job().order("busy").cmds([held])).await;
    other.until_row("busy", "running").await;
    let flip = at("dynamodb", "UpdateItem").by("init_job").about("/lock:late").delayed(200_000);
    stack.script(&json!([Value::from(flip)])).await;
    let job = job().order("a").cmds([starts.start()]);
    let body = json!({"job": job.document(), "run_id": "late"});
    let successor = async {
        let plan = async || stack.object(INTERNAL, "tmp/exec/late/plan.json").await;
        wait::until("everything before the flip", plan).await;
        expire_reservation(&stack, "late").await;
        let run = stack.submit_as("late", &job).await;
        expect_success(&run).await;
        let stands = run.item().await;
        std::fs::write(&gate, "").unwrap();
        (run, stands)
    };
    let (first, (run, stands)) = tokio::join!(stack.post("/init", &body), successor);
    stack.settle().await;
    assert_eq!(run.item().await, stands);
    // The gateway does not wait for a function for longer than 30 s.
    assert!(matches!(first.status, 409 | 503), "{} {}", first.status, first.text());
    expect_success(&other).await;
    starts.each_once(["a"]);
}
