//! Submitting a rerun: what is refused and leaves nothing behind, what comes again, and what it costs.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::{
    rerun::rerun_body,
    support::{
        Failed, Stack, StartLog, Succeeded, expect,
        expect::expect_success,
        faults::at,
        job,
        job::Job,
        stack::{DONE, EVENTS, INTERNAL, LOCKS, ORDERS},
    },
};

/// Everything that is stored, but for what a run that goes on by itself changes.
async fn stored(stack: &Stack) -> Value {
    let mut all = BTreeMap::new();
    for table in [LOCKS, ORDERS, EVENTS] {
        let mut items: Vec<String> = stack.items(table).await.iter().map(Value::to_string).collect();
        items.sort();
        all.insert(table, json!(items));
    }
    for bucket in [INTERNAL, DONE] {
        all.insert(bucket, json!(stack.keys(bucket).await));
    }
    let mut executions: Vec<_> = stack.executions().await.into_iter().map(|(name, _)| name).collect();
    executions.sort();
    all.insert("executions", json!(executions));
    all.insert("parameters", json!(stack.parameters().await));
    json!(all)
}

/// Two orders, of which the second fails.
fn broken() -> Job {
    job().order("build").order("deploy").its("queue_id", "last").after(["build"]).cmds(["exit 1"])
}

async fn first(stack: &Stack) {
    let run = stack.submit_as("first", &broken()).await;
    expect(&run, Failed, [("build", Succeeded), ("deploy", Failed)]).await;
    // Its tick has a last look.
    stack.settle().await;
}

/// Changes a field of the run item of the first run.
async fn set(stack: &Stack, field: &str, value: AttributeValue) {
    let request = stack.aws.dynamodb().update_item().table_name(LOCKS);
    let request = request.key("pk", AttributeValue::S("lock:first".to_owned()));
    let request = request.update_expression("SET #field = :value").expression_attribute_names("#field", field);
    request.expression_attribute_values(":value", value).send().await.unwrap();
}

const PLAN: &str = "tmp/exec/first/plan.json";

#[tokio::test]
async fn what_cannot_be_a_rerun_is_refused_by_name_and_leaves_nothing() {
    let stack = Stack::start().skip_idle().await;
    first(&stack).await;
    let before = stored(&stack).await;
    for (envelope, problem) in [
        (json!({"rerun_of": 7}), "rerun_of: must be a string"),
        (
            json!({"rerun_of": "no/run"}),
            "rerun_of: must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit",
        ),
        (
            json!({"rerun_of": "first", "run_id": "first"}),
            "rerun_of: names the run itself; name an earlier one, or leave it out to run every order",
        ),
        (json!({"rerun_of": "second"}), "rerun_of: there is no run `second`; leave `rerun_of` out to run every order"),
        (json!({"rerun_from": "build"}), "rerun_from: needs `rerun_of`, the run whose successes count"),
        (json!({"rerun_of": "first", "rerun_from": 2}), "rerun_from: must be a string"),
        (
            json!({"rerun_of": "first", "rerun_from": "a b"}),
            "rerun_from: must be an order's name, queue id or number: 1 to 128 of `A-Z a-z 0-9 . _ -`",
        ),
        (
            json!({"rerun_of": "first", "rerun_from": "dploy"}),
            "rerun_from: `dploy` is no order's name, queue id or number; did you mean `deploy`?",
        ),
        (json!({"rerun_of": "first", "rerun_from": "3"}), "rerun_from: `3` is no order's name, queue id or number"),
        (json!({"rerun_of": "first", "rerun_from": "0"}), "rerun_from: `0` is no order's name, queue id or number"),
    ] {
        let mut body = json!({"job": broken().document()});
        body.as_object_mut().unwrap().extend(envelope.as_object().unwrap().clone());
        let told = stack.refused(&body).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(problem), "{told:?}");
        assert_eq!(stored(&stack).await, before, "{problem}");
    }
}

#[tokio::test]
async fn a_run_of_which_too_little_is_left_or_known_is_refused() {
    let stack = Stack::start().skip_idle().await;
    first(&stack).await;
    let plan = stack.object(INTERNAL, PLAN).await.unwrap();
    let newer = |plan: &[u8]| {
        let mut plan: Value = serde_json::from_slice(plan).unwrap();
        plan["schema_version"] = 2.into();
        plan.to_string()
    };
    let body = rerun_body(&broken(), "second", "first");
    let refused = async |problem: &str| {
        let before = stored(&stack).await;
        let told = stack.refused(&body).await;
        assert_eq!(told, [format!("rerun_of: {problem}; leave `rerun_of` out to run every order")]);
        assert_eq!(stored(&stack).await, before, "{problem}");
    };
    stack.put_object(INTERNAL, PLAN, newer(&plan)).await;
    refused("the run `first` is of version 2, which this release does not know").await;
    stack.put_object(INTERNAL, PLAN, "{").await;
    let told = stack.refused(&body).await;
    assert!(told[0].starts_with("rerun_of: what is stored of the run `first` cannot be read: "), "{told:?}");
    stack.aws.s3().delete_object().bucket(INTERNAL).key(PLAN).send().await.unwrap();
    refused("the plan of the run `first` is gone, which is kept for about a day from its submission").await;
    stack.put_object(INTERNAL, PLAN, plan).await;
    set(&stack, "schema_version", AttributeValue::N("2".to_owned())).await;
    refused("the run `first` is of version 2, which this release does not know").await;
    set(&stack, "schema_version", AttributeValue::N("1".to_owned())).await;
    set(&stack, "status", AttributeValue::S("submitting".to_owned())).await;
    refused("the run `first` is still being submitted, nothing of it has run").await;
    set(&stack, "status", AttributeValue::S("completed".to_owned())).await;
    // The run id is as free as it was.
    let second = stack.accepted(&broken(), &body).await;
    expect(&second, Failed, [("build", Succeeded), ("deploy", Failed)]).await;
}

#[tokio::test]
async fn a_run_that_goes_on_is_refused_until_it_has_ended() {
    let stack = Stack::start().await;
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let job = job().order("a").order("b").cmds([held]);
    let first = stack.submit_as("first", &job).await;
    first.until_row("a", "succeeded").await;
    let body = rerun_body(&job, "second", "first");
    let told = stack.refused(&body).await;
    assert_eq!(told, ["rerun_of: the run `first` has not ended; wait for its end, or cancel it"]);
    assert_eq!(stack.items(LOCKS).await.len(), 1);
    std::fs::write(gate, "").unwrap();
    expect_success(&first).await;
    expect_success(&stack.accepted(&job, &body).await).await;
}

#[tokio::test]
async fn a_rerun_that_comes_again_gets_its_answer_also_when_nothing_is_left_of_the_first_run() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").order("b").after(["a"]).cmds([starts.note("$RUN_ID"), "exit 1".to_owned()]);
    let ends = [("a", Succeeded), ("b", Failed)];
    expect(&stack.submit_as("first", &job).await, Failed, ends).await;
    let body = rerun_body(&job, "second", "first");
    let second = stack.accepted(&job, &body).await;
    assert_eq!(stack.accepted(&job, &body).await.answer, second.answer);
    expect(&second, Failed, ends).await;
    stack.aws.s3().delete_object().bucket(INTERNAL).key(PLAN).send().await.unwrap();
    set(&stack, "status", AttributeValue::S("idle".to_owned())).await;
    assert_eq!(stack.accepted(&job, &body).await.answer, second.answer);
    assert_eq!(starts.lines(), ["first", "second"]);
    // Another run to take over from, or another order to begin with, is another submission.
    let mut from = body.clone();
    from["rerun_from"] = "a".into();
    for other in [rerun_body(&job, "second", "third"), from, json!({"job": job.document(), "run_id": "second"})] {
        let answer = stack.post("/init", &other).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("is taken by another job"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_rerun_whose_first_run_cannot_be_read_for_now_can_come_again() {
    let plan = at("s3", "GetObject").by("init_job").about("/plan.json").refused("AccessDenied");
    let item = at("dynamodb", "GetItem").by("init_job").about("/lock:first").refused("AccessDeniedException");
    let stack = Stack::start().skip_idle().faults([plan, item]).await;
    first(&stack).await;
    let before = stored(&stack).await;
    let body = rerun_body(&broken(), "second", "first");
    for unreadable in ["failed to read the run item of `first`", "failed to read `s3://"] {
        let answer = stack.post("/init", &body).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().starts_with(unreadable), "{}", answer.text());
        assert_eq!(stored(&stack).await, before);
    }
    let second = stack.accepted(&broken(), &body).await;
    expect(&second, Failed, [("build", Succeeded), ("deploy", Failed)]).await;
}

#[tokio::test]
async fn a_rerun_costs_two_reads_more_and_a_submission_without_one_none() {
    let stack = Stack::start().await;
    let fan = ["a", "b", "c"].into_iter().fold(job(), Job::order);
    let job = fan.order("end").after(["a", "b", "c"]).cmds(["exit 1"]);
    let submitted = async |body: Value| {
        let calls = async || {
            let all = stack.calls().await.into_iter().filter(|(function, ..)| function == "init_job");
            all.map(|(_, operation, count)| (operation, count)).collect::<BTreeMap<_, _>>()
        };
        let before = calls().await;
        let run = stack.accepted(&job, &body).await;
        run.done().await;
        let mut made = calls().await;
        for (operation, count) in before {
            *made.get_mut(&operation).unwrap() -= count;
        }
        made.retain(|_, count| *count > 0);
        made
    };
    let of = |calls: &[(&str, u64)]| calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let plain: BTreeMap<String, u64> = of(&[
        // The reservation and the flip; the rows.
        ("PutItem", 1),
        ("UpdateItem", 1),
        ("BatchWriteItem", 1),
        // Four bundles, the plan, the first message.
        ("PutObject", 6),
        ("GetParameters", 1),
        ("PutParameter", 1),
        ("StartExecution", 1),
    ]);
    assert_eq!(submitted(json!({"job": job.document(), "run_id": "first"})).await, plain);
    let mut rerun = plain;
    rerun.extend([("GetItem".to_owned(), 1), ("GetObject".to_owned(), 1), ("PutObject".to_owned(), 3)]);
    assert_eq!(submitted(rerun_body(&job, "second", "first")).await, rerun);
}
