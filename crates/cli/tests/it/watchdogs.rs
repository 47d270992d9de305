//! What a watchdog execution takes: two steps of its state machine where the order has ended when its first wait is over,
//! and looks of `watchdog_check` where it has not, or where S3 does not say.

use serde_json::{Value, json};

use crate::support::{
    Stack, StartLog, Succeeded, expect,
    expect::expect_success,
    faults::{Fault, at, delivery_to},
    job,
    run::Run,
    stack::INTERNAL,
    wait,
};

const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog";
/// An execution that needs no look.
const IN_TIME: [&str; 2] = ["WaitFirst", "HasResult"];
/// One that needs a single one.
const ONE_LOOK: [&str; 5] = ["WaitFirst", "HasResult", "Check", "IsDone", "Done"];

/// An execution that has ended well: its input, and the states that it went through.
struct Execution {
    arn: String,
    input: Value,
    states: Vec<String>,
}

/// The executions of a run, that of the run itself first; waits until they have ended.
async fn executions(run: &Run<'_>) -> Vec<Execution> {
    run.stack.settle().await;
    let sfn = run.stack.aws.sfn();
    let mut all = Vec::new();
    for (name, input) in run.stack.executions().await {
        if !name.starts_with(&format!("{}-", run.id)) {
            continue;
        }
        let arn = format!("{}:{name}", MACHINE.replace(":stateMachine:", ":execution:"));
        let described = sfn.describe_execution().execution_arn(&arn).send().await.unwrap();
        assert_eq!(described.status.as_str(), "SUCCEEDED", "{name}: {:?}", described.cause);
        let mut events = sfn.get_execution_history().execution_arn(&arn).into_paginator().items().send();
        let mut states = Vec::new();
        while let Some(event) = events.next().await {
            states.extend(event.unwrap().state_entered_event_details.map(|entered| entered.name));
        }
        all.push((name, Execution { arn, input: serde_json::from_str(&input).unwrap(), states }));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.into_iter().map(|(_, execution)| execution).collect()
}

/// How often an execution called this.
fn calls(stack: &Stack, execution: &Execution, operation: &str) -> usize {
    let is_its = |call: &&Value| {
        call["function"] == "states" && call["parent"] == execution.arn.as_str() && call["operation"] == operation
    };
    stack.recorded().iter().filter(is_its).count()
}

#[tokio::test]
async fn an_order_that_ended_in_time_takes_two_steps_and_no_look() {
    let stack = Stack::start().skip_idle().record().await;
    let run = stack.submit(&job().order("a").order("b").after(["a"]).cmds([":"])).await;
    expect_success(&run).await;
    let all = executions(&run).await;
    assert_eq!(all.len(), 3);
    for order in &all[1..] {
        assert_eq!(order.states, IN_TIME);
        assert_eq!((calls(&stack, order, "HeadObject"), calls(&stack, order, "Invoke")), (1, 0));
    }
    // Of the run: asked about what nobody writes, then looked at.
    assert_eq!(all[0].states, ONE_LOOK);
    assert_eq!((calls(&stack, &all[0], "HeadObject"), calls(&stack, &all[0], "Invoke")), (1, 1));
    let key = all[0].input["result_key"].as_str().unwrap();
    assert_eq!(stack.object(INTERNAL, key).await, None, "{key}");
}

#[tokio::test]
async fn an_order_that_has_not_ended_is_looked_at() {
    let stack = Stack::start().skip_idle().record().await;
    let starts = StartLog::of(&stack);
    let gate = stack.path("gate");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let job = job().order("a").its("start_timeout", 1).timeout(120).cmds([starts.start(), held]);
    let run = stack.submit(&job).await;
    wait::until("the first look", async || (stack.count("states", "Invoke").await >= 1).then_some(())).await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    starts.each_once(["a"]);
    let order = &executions(&run).await[1];
    let again = ["WaitFirst", "HasResult", "Check", "IsDone", "WaitAgain", "Check", "IsDone", "Done"];
    assert_eq!(order.states, again);
    assert_eq!(calls(&stack, order, "HeadObject"), 1, "later looks are of watchdog_check alone");
}

#[tokio::test]
async fn where_s3_does_not_say_watchdog_check_looks() {
    let asked = || at("s3", "HeadObject").by("states").about("/0001/").times(10);
    let faults: [Fault; 6] = [
        asked().refused("InternalError"),
        asked().refused("SlowDown"),
        asked().refused("AccessDenied"),
        asked().then("error_after"),
        asked().then("cut_before"),
        // Longer than the task's own limit of 10 s.
        asked().delayed(60_000),
    ];
    let stack = Stack::start().skip_idle().record().await;
    for fault in faults {
        stack.script(&json!([Value::from(fault)])).await;
        let run = stack.submit(&job().order("a")).await;
        expect_success(&run).await;
        let order = &executions(&run).await[1];
        assert_eq!(order.states, ONE_LOOK);
        assert_eq!(calls(&stack, order, "Invoke"), 1);
    }
}

/// An update may reach the state machine before the functions, which then start executions without a key.
#[tokio::test]
async fn an_input_of_an_earlier_release_is_looked_at() {
    let stack = Stack::start().skip_idle().record().await;
    let run = stack.submit(&job().order("a")).await;
    expect_success(&run).await;
    for execution in executions(&run).await {
        let mut input = execution.input;
        input.as_object_mut().unwrap().remove("result_key").unwrap();
        let number = input["order_num"].as_str().unwrap();
        let start = stack.aws.sfn().start_execution().state_machine_arn(MACHINE).input(input.to_string());
        start.name(format!("{}-{number}-earlier", run.id)).send().await.unwrap();
    }
    let all = executions(&run).await;
    let earlier: Vec<_> = all.iter().filter(|execution| execution.arn.ends_with("-earlier")).collect();
    assert_eq!(earlier.len(), 2);
    for execution in earlier {
        assert_eq!(execution.states, ONE_LOOK);
        assert_eq!((calls(&stack, execution, "HeadObject"), calls(&stack, execution, "Invoke")), (0, 1));
    }
}

/// The wake-up that it writes is there from the beginning, and must not end it: here nothing but the tick wakes the run.
#[tokio::test]
async fn the_tick_goes_on_until_the_run_is_completed() {
    let lost = delivery_to("orchestrator").times(3).then("drop");
    let stack = Stack::start().skip_idle().faults([lost]).record().await;
    let starts = StartLog::of(&stack);
    let run = stack.submit(&job().order("a").cmds([starts.start()])).await;
    expect(&run, Succeeded, [("a", Succeeded)]).await;
    starts.each_once(["a"]);
    let tick = &executions(&run).await[0];
    let count = |state: &str| tick.states.iter().filter(|name| *name == state).count();
    assert_eq!((count("HasResult"), count("Done")), (1, 1), "{:?}", tick.states);
    // The message that kicks off and two wake-ups were lost; the third tick's came, and one found the run completed.
    assert!(count("Check") >= 4, "{:?}", tick.states);
}
