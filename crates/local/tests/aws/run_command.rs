//! Run Command through the SDK: real processes on instances that are folders.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Duration,
};

use crate::support::{INTERNAL, World, config, eventually, options, world};
use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use aws_sdk_ssm::{
    error::ProvideErrorMetadata,
    operation::{get_command_invocation::GetCommandInvocationOutput, send_command::builders::SendCommandFluentBuilder},
    types::{
        CommandFilter, CommandFilterKey, CommandInvocationStatus as Status, DocumentFormat,
        InstanceInformationStringFilter, Target,
    },
};
use common::clock::Clock;
use local::{EmbeddedAws, StartError, faults::Script};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SHELL: &str = "shell";
const OWN: &str = "exe-sys-run-commands";

/// A document that runs the lines it is given.
const SHELL_CONTENT: &str = r#"{
  "schemaVersion": "2.2",
  "description": "Runs lines.",
  "parameters": {
    "Lines": {"type": "StringList"},
    "Timeout": {"type": "String", "default": "3600", "allowedPattern": "^[0-9]+$"},
    "Word": {"type": "String", "default": "a", "allowedValues": ["a", "b"]}
  },
  "mainSteps": [{
    "action": "aws:runShellScript", "name": "lines",
    "inputs": {"runCommand": "{{ Lines }}", "timeoutSeconds": "{{ Timeout }}"}
  }]
}"#;

/// An embedded AWS with these instances and the document.
async fn fleet(yaml: Option<String>, change: impl FnOnce(&mut local::Options)) -> World {
    let file = tempfile::NamedTempFile::new().unwrap();
    let world = world(|options| {
        if let Some(yaml) = yaml {
            fs::write(file.path(), yaml).unwrap();
            options.instances = Some(file.path().to_owned());
        }
        change(options);
    })
    .await;
    create_shell(&world).await;
    world
}

async fn create_shell(world: &World) {
    world.ssm().create_document().name(SHELL).content(SHELL_CONTENT).send().await.unwrap();
}

/// `count` instances whose tag `Parity` is `even` or `odd`.
fn many(count: usize) -> String {
    let parity = |n: usize| if n.is_multiple_of(2) { "even" } else { "odd" };
    let lines = (0..count).map(|n| format!("- {{id: i-{n:03}, tags: {{Parity: {}}}}}", parity(n)));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn send(world: &World, script: &str) -> SendCommandFluentBuilder {
    let command = world.ssm().send_command().document_name(SHELL);
    command.parameters("Lines", script.lines().map(str::to_owned).collect())
}

fn tagged(key: &str, value: &str) -> Target {
    Target::builder().key(format!("tag:{key}")).values(value).build()
}

async fn started(command: SendCommandFluentBuilder) -> String {
    command.send().await.unwrap().command.unwrap().command_id.unwrap()
}

async fn get(world: &World, command: &str, instance: &str) -> GetCommandInvocationOutput {
    world.ssm().get_command_invocation().command_id(command).instance_id(instance).send().await.unwrap()
}

/// The command as a whole, which ends a moment after the last of its invocations.
async fn command_until(world: &World, id: &str, details: &str) -> aws_sdk_ssm::types::Command {
    eventually(|| async {
        let listed = world.ssm().list_commands().command_id(id).send().await.unwrap();
        listed.commands.unwrap_or_default().into_iter().find(|command| command.status_details() == Some(details))
    })
    .await
}

/// Waits until an invocation stands so.
async fn until(world: &World, command: &str, instance: &str, status: Status) -> GetCommandInvocationOutput {
    eventually(|| async {
        let found = get(world, command, instance).await;
        let over = ![Status::Pending, Status::InProgress].contains(found.status().unwrap());
        assert!(!over || found.status() == Some(&status), "{found:?}");
        (found.status() == Some(&status)).then_some(found)
    })
    .await
}

/// How often each status is there among the invocations of a command, once all are over.
async fn until_over(world: &World, command: &str) -> Vec<(String, usize)> {
    eventually(|| async {
        let listed = world.ssm().list_command_invocations().command_id(command).into_paginator().items().send();
        let all = listed.collect::<Result<Vec<_>, _>>().await.unwrap();
        let of = |detail: &str| all.iter().filter(|found| found.status_details() == Some(detail)).count();
        let details: BTreeSet<_> = all.iter().filter_map(|found| found.status_details()).collect();
        let over = !details.contains("Pending") && !details.contains("InProgress");
        over.then(|| details.iter().map(|&detail| (detail.to_owned(), of(detail))).collect())
    })
    .await
}

/// Command and status of the events that `watchdog_check` got about commands that are over.
fn told(world: &World) -> Vec<(String, String, String)> {
    let text = |record: &Value, path: &str| record.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let events = world.probed().into_iter().filter(|record| record["event"]["source"] == "aws.ssm");
    let events = events.map(|record| {
        let of = |name: &str| text(&record, &format!("/event/detail/{name}"));
        (of("command-id"), of("instance-id"), of("status"))
    });
    events.filter(|(_, _, status)| status != "InProgress").collect()
}

fn alive(pid: &str) -> bool {
    // A process that has ended and was not waited for has no memory.
    fs::read_to_string(format!("/proc/{}/statm", pid.trim())).is_ok_and(|memory| !memory.starts_with("0 "))
}

fn code(error: impl ProvideErrorMetadata) -> String {
    error.code().unwrap_or_default().to_owned()
}

fn count(world: &World, function: &str, operation: &str) -> u64 {
    let calls = world.aws.calls();
    let wanted = calls.iter().filter(|call| call.function == function && call.operation == operation);
    wanted.map(|call| call.count).sum()
}

#[tokio::test]
async fn a_command_runs_as_the_agent_would_run_it() {
    let world = fleet(None, |options| options.function_env.push(("RUST_LOG".into(), "debug".into()))).await;
    let script = "echo \"$0\"; env; pwd; echo oops >&2; echo kept > \"$HOME/kept\"; touch here";
    let sent = send(&world, script).instance_ids("i-local").comment("r:0001").send().await.unwrap().command.unwrap();
    assert_eq!((sent.document_name(), sent.comment()), (Some(SHELL), Some("r:0001")));
    assert_eq!((sent.target_count, sent.max_concurrency(), sent.max_errors()), (1, Some("50"), Some("0")));
    let id = sent.command_id().unwrap();
    let done = until(&world, id, "i-local", Status::Success).await;
    assert_eq!((done.response_code, done.status_details()), (0, Some("Success")));
    assert_eq!(
        (done.comment(), done.document_name(), done.plugin_name()),
        (Some("r:0001"), Some(SHELL), Some("lines"))
    );
    assert_eq!(done.standard_error_content(), Some("oops\n"));
    assert!(done.execution_start_date_time().unwrap().ends_with('Z'));
    let output = done.standard_output_content().unwrap();
    let instance = world.aws.data().join("instances/i-local");
    let shown = |path: &str| instance.join(path).display().to_string();
    let script = format!("document/orchestration/{id}/lines/_script.sh");
    assert_eq!(output.lines().next(), Some(shown(&script).as_str()));
    let variables: BTreeSet<_> = output.lines().filter_map(|line| line.split_once('=')).collect();
    for (name, value) in [
        ("AWS_SSM_INSTANCE_ID", "i-local"),
        ("AWS_SSM_REGION_NAME", "us-east-1"),
        ("SSM_COMMAND_ID", id),
        ("HOME", &shown("")[..shown("").len() - 1]),
        ("XDG_CACHE_HOME", &shown("cache")),
        ("TMPDIR", &shown(&format!("tmp/{id}"))),
        ("RUST_LOG", "debug"),
    ] {
        assert!(variables.contains(&(name, value)), "{name}: {output}");
    }
    let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
    for part in ["ACCESS_KEY", "SECRET", "TOKEN", "ENDPOINT", "PROBE", "TABLE", "BUCKET"] {
        assert!(!names.iter().any(|name| name.contains(part)), "{part}: {output}");
    }
    // What the instance keeps, and what it does not.
    assert!(instance.join("kept").exists());
    eventually(|| async { (!instance.join("tmp").join(id).exists()).then_some(()) }).await;
    let whole = instance.join(format!("document/orchestration/{id}/lines/stdout"));
    assert_eq!(fs::read_to_string(whole).unwrap(), output);
    assert_eq!(fs::metadata(&instance).unwrap().permissions().mode() & 0o777, 0o700);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_code_of_a_script_that_fails_is_told() {
    let world = fleet(None, |_| {}).await;
    let id = started(send(&world, "echo before\nexit 41\necho after").instance_ids("i-local")).await;
    let failed = until(&world, &id, "i-local", Status::Failed).await;
    assert_eq!((failed.response_code, failed.standard_output_content()), (41, Some("before\n")));
    // The shell that started the script may have become it, or be there to say what happened.
    let id = started(send(&world, "kill -9 $$").instance_ids("i-local")).await;
    let killed = until(&world, &id, "i-local", Status::Failed).await;
    assert!([-1, 137].contains(&killed.response_code), "{killed:?}");

    let id = started(send(&world, "head -c 30000 /dev/zero | tr '\\0' x; seq 9000 >&2").instance_ids("i-local")).await;
    let long = until(&world, &id, "i-local", Status::Success).await;
    assert_eq!(long.standard_output_content().unwrap().len(), 24_000);
    assert_eq!(long.standard_error_content().unwrap().len(), 8_000);
    let listed = world.ssm().list_command_invocations().command_id(&id).details(true).send().await.unwrap();
    let plugins = listed.command_invocations()[0].command_plugins();
    assert_eq!((plugins[0].name(), plugins[0].output().unwrap().len()), (Some("lines"), 2_500));
    command_until(&world, &id, "Success").await;

    // Events come by a queue, at least once.
    eventually(|| async {
        let statuses: BTreeSet<_> = told(&world).into_iter().map(|(_, _, status)| status).collect();
        (statuses == BTreeSet::from(["Failed".to_owned(), "Success".to_owned()])).then_some(())
    })
    .await;
    let events = world.until_probed(3, |record| record["event"]["detail"]["instance-id"] == "i-local").await;
    let event = &events[0]["event"];
    assert_eq!(events[0]["function"], "watchdog_check");
    assert_eq!(event["detail-type"], "EC2 Command Invocation Status-change Notification");
    assert_eq!(event["resources"], json!(["arn:aws:ec2:us-east-1:000000000000:instance/i-local"]));
    assert_eq!(event["detail"]["document-name"], SHELL);
    assert!(event["detail"]["requested-date-time"].as_str().unwrap().ends_with('Z'));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn steps_run_one_after_the_other() {
    let world = fleet(None, |_| {}).await;
    let content = r#"
schemaVersion: "2.2"
mainSteps:
  - {action: "aws:runShellScript", name: first, inputs: {runCommand: ["echo one > $HOME/steps", exit 3]}}
  - action: aws:runShellScript
    name: second
    inputs: {runCommand: ["pwd; cat $HOME/steps"], workingDirectory: /}
"#;
    let create = world.ssm().create_document().name("steps").content(content).document_format(DocumentFormat::Yaml);
    create.send().await.unwrap();
    let id = started(world.ssm().send_command().document_name("steps").instance_ids("i-local")).await;
    let whole = until(&world, &id, "i-local", Status::Failed).await;
    assert_eq!((whole.plugin_name(), whole.response_code), (Some(""), -1));
    let step =
        |name: &str| world.ssm().get_command_invocation().command_id(&id).instance_id("i-local").plugin_name(name);
    assert_eq!(step("first").send().await.unwrap().response_code, 3);
    let second = step("second").send().await.unwrap();
    assert_eq!((second.status(), second.standard_output_content()), (Some(&Status::Success), Some("/\none\n")));
    assert_eq!(code(step("third").send().await.unwrap_err()), "InvalidPluginName");
    world.aws.shutdown().await.unwrap();
}

/// A script that starts a process in its group and one in a session of its own, and tells their numbers.
const BROOD: &str =
    "sleep 600 & echo $! > $HOME/pids; setsid sleep 600 & echo $! >> $HOME/pids; touch $HOME/ready; wait";

async fn brood(world: &World) -> Vec<String> {
    let home = world.aws.data().join("instances/i-local");
    eventually(|| async { home.join("ready").exists().then_some(()) }).await;
    let pids: Vec<String> = fs::read_to_string(home.join("pids")).unwrap().lines().map(str::to_owned).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| alive(pid)), "{pids:?}");
    pids
}

#[tokio::test]
async fn what_is_cancelled_is_killed_with_all_that_it_started() {
    let world = fleet(None, |_| {}).await;
    let id = started(send(&world, BROOD).instance_ids("i-local")).await;
    let pids = brood(&world).await;
    assert_eq!(get(&world, &id, "i-local").await.standard_output_content(), Some(""));
    let cancel = world.ssm().cancel_command().command_id(&id).instance_ids("i-other").send().await.unwrap_err();
    assert_eq!(code(cancel), "InvalidInstanceId");
    world.ssm().cancel_command().command_id(&id).instance_ids("i-local").send().await.unwrap();
    let cancelled = until(&world, &id, "i-local", Status::Cancelled).await;
    assert_eq!((cancelled.response_code, cancelled.status_details()), (137, Some("Cancelled")));
    eventually(|| async { (!pids.iter().any(|pid| alive(pid))).then_some(()) }).await;
    // What is over stays as it is.
    world.ssm().cancel_command().command_id(&id).send().await.unwrap();
    command_until(&world, &id, "Cancelled").await;
    let expected = (id, "i-local".to_owned(), "Cancelled".to_owned());
    eventually(|| async { (told(&world) == [expected.clone()]).then_some(()) }).await;
    let unknown = world.ssm().cancel_command().command_id("0".repeat(36)).send().await.unwrap_err();
    assert_eq!(code(unknown), "InvalidCommandId");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_runs_too_long_is_killed_with_all_that_it_started() {
    let world = fleet(None, |options| options.clock = Clock::sped_up(60)).await;
    let started = send(&world, BROOD).instance_ids("i-local").parameters("Timeout", vec!["120".to_owned()]);
    let id = self::started(started).await;
    let pids = brood(&world).await;
    let late = until(&world, &id, "i-local", Status::TimedOut).await;
    assert_eq!((late.response_code, late.status_details()), (137, Some("ExecutionTimedOut")));
    eventually(|| async { (!pids.iter().any(|pid| alive(pid))).then_some(()) }).await;
    command_until(&world, &id, "ExecutionTimedOut").await;
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn who_is_offline_gets_a_command_by_tag_and_never_runs_it() {
    let yaml = "- {id: i-up, tags: {Role: web}}\n- {id: i-down, tags: {Role: web}, online: false}\n";
    let world = fleet(Some(yaml.to_owned()), |options| options.clock = Clock::sped_up(60)).await;
    let id = started(send(&world, "true").targets(tagged("Role", "web")).timeout_seconds(120)).await;
    until(&world, &id, "i-up", Status::Success).await;
    let late = until(&world, &id, "i-down", Status::TimedOut).await;
    assert_eq!((late.response_code, late.status_details()), (-1, Some("DeliveryTimedOut")));
    assert_eq!(late.execution_start_date_time(), Some(""));
    assert_eq!(command_until(&world, &id, "DeliveryTimedOut").await.delivery_timed_out_count, 1);

    // Before its time is over it can be cancelled.
    let id = started(send(&world, "true").targets(tagged("Role", "web"))).await;
    until(&world, &id, "i-up", Status::Success).await;
    assert_eq!(get(&world, &id, "i-down").await.status(), Some(&Status::Pending));
    world.ssm().cancel_command().command_id(&id).send().await.unwrap();
    assert_eq!(get(&world, &id, "i-down").await.status(), Some(&Status::Cancelled));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    let world = fleet(Some("- id: i-up\n- {id: i-down, online: false}\n".to_owned()), |_| {}).await;
    let up = || send(&world, "true").instance_ids("i-up");
    let lines = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let fifty_one = (0..51).map(|n| format!("i-{n}")).collect();
    let target = |key: &str, values| Target::builder().key(key).set_values(values).build();
    let wrong = vec![
        (up().instance_ids("i-gone"), "InvalidInstanceId"),
        (up().instance_ids("i-down"), "InvalidInstanceId"),
        (up().instance_ids("i-up"), "DuplicateInstanceId"),
        (send(&world, "true").set_instance_ids(Some(fifty_one)), "ValidationException"),
        (send(&world, "true"), "ValidationException"),
        (up().targets(tagged("a", "b")), "ValidationException"),
        (send(&world, "true").targets(target("resource-groups:Name", Some(lines(&["a"])))), "ValidationException"),
        (send(&world, "true").targets(target("tag:a", Some(vec!["x".to_owned(); 51]))), "ValidationException"),
        (send(&world, "true").targets(target("tag:a", None)), "ValidationException"),
        (send(&world, "true").set_targets(Some(vec![tagged("a", "b"); 6])), "ValidationException"),
        (up().document_name("shel"), "InvalidDocument"),
        (up().document_version("2"), "InvalidDocumentVersion"),
        (up().parameters("Line", lines(&["true"])), "InvalidParameters"),
        (up().set_parameters(None), "InvalidParameters"),
        (up().parameters("Timeout", lines(&["1h"])), "InvalidParameters"),
        (up().parameters("Timeout", lines(&["60", "61"])), "InvalidParameters"),
        (up().parameters("Word", lines(&["c"])), "InvalidParameters"),
        (
            up().document_name(OWN).set_parameters(None).parameters("Dispatch", lines(&["http://a/'b"])),
            "InvalidParameters",
        ),
        (up().timeout_seconds(29), "ValidationException"),
        (up().timeout_seconds(2_592_001), "ValidationException"),
        (up().comment("x".repeat(101)), "ValidationException"),
        (up().max_concurrency("0"), "ValidationException"),
        (up().max_errors("101%"), "ValidationException"),
    ];
    for (wrong, expected) in wrong {
        let what = format!("{:?}", wrong.as_input());
        let error = wrong.send().await.unwrap_err();
        assert_eq!(error.code(), Some(expected), "{what}: {error:?}");
    }
    let error = up().instance_ids("i-down").send().await.unwrap_err();
    let message = error.message().unwrap();
    assert_eq!(message, "Instances [[i-down]] not in a valid state for account 000000000000");
    assert!(world.ssm().list_commands().send().await.unwrap().commands().is_empty());

    let id = started(send(&world, "true").targets(tagged("No", "one"))).await;
    command_until(&world, &id, "NoInstancesInTag").await;
    let get = world.ssm().get_command_invocation().command_id(&id).instance_id("i-up").send().await.unwrap_err();
    assert_eq!(code(get), "InvocationDoesNotExist");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn instances_are_found_by_tag_and_state_page_by_page() {
    let others = "- {id: mi-lab, tags: {Name: lab}}\n- {id: i-down, tags: {Parity: even}, online: false}\n";
    let world = fleet(Some(many(60) + others), |_| {}).await;
    let ssm = world.ssm();
    let filter = |key: &str, values: &[&str]| {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        InstanceInformationStringFilter::builder().key(key).set_values(Some(values)).build().unwrap()
    };
    let found = |filters: Vec<InstanceInformationStringFilter>, size| {
        let describe = ssm.describe_instance_information().set_filters(Some(filters)).max_results(size);
        async move {
            let pages = describe.into_paginator().send().collect::<Result<Vec<_>, _>>().await.unwrap();
            let lengths: Vec<_> = pages.iter().map(|page| page.instance_information_list().len()).collect();
            let all = pages.iter().flat_map(|page| page.instance_information_list().to_vec());
            (lengths, all.collect::<Vec<_>>())
        }
    };
    let (pages, all) = found(vec![], 50).await;
    assert_eq!(pages, [50, 12]);
    let ids: BTreeSet<_> = all.iter().filter_map(|instance| instance.instance_id()).collect();
    assert_eq!(ids.len(), 62);
    assert_eq!(found(vec![filter("tag:Parity", &["even"])], 7).await.0, [7, 7, 7, 7, 3]);
    assert_eq!(found(vec![filter("tag:Parity", &["even", "odd"])], 50).await.1.len(), 61);
    assert_eq!(found(vec![filter("tag-key", &["Name"])], 5).await.1[0].name(), Some("lab"));
    let (_, two) = found(vec![filter("InstanceIds", &["i-down", "mi-lab", "i-gone"])], 50).await;
    let states: Vec<_> = two.iter().map(|found| found.ping_status().unwrap().as_str()).collect();
    assert_eq!(states, ["ConnectionLost", "Online"]);
    let kinds: Vec<_> = two.iter().map(|found| found.resource_type().unwrap().as_str()).collect();
    assert_eq!(kinds, ["EC2Instance", "ManagedInstance"]);
    assert_eq!(found(vec![filter("PingStatus", &["ConnectionLost"])], 5).await.1.len(), 1);
    assert_eq!(found(vec![filter("PlatformTypes", &["Windows"])], 5).await.1.len(), 0);

    let describe = || ssm.describe_instance_information();
    for (wrong, expected) in [
        (describe().max_results(4), "ValidationException"),
        (describe().max_results(51), "ValidationException"),
        (describe().next_token("?"), "InvalidNextToken"),
        (describe().filters(filter("Colour", &["blue"])), "InvalidFilterKey"),
        (describe().filters(filter("tag:a", &["b"])).filters(filter("InstanceIds", &["i-a"])), "InvalidFilterKey"),
        (describe().filters(filter("tag:a", &[])), "InvalidInstanceInformationFilterValue"),
    ] {
        assert_eq!(code(wrong.send().await.unwrap_err()), expected);
    }

    // Both targets have to mean an instance, so it is 25: more than run at once, and than are listed on a page.
    let targets = [tagged("Parity", "odd"), Target::builder().key("InstanceIds").set_values(Some(ids_of(50))).build()];
    let id = started(send(&world, "true").set_targets(Some(targets.to_vec()))).await;
    assert_eq!(until_over(&world, &id).await, [("Success".to_owned(), 25)]);
    let invocations = ssm.list_command_invocations().command_id(&id).max_results(10).send().await.unwrap();
    assert!(invocations.next_token().is_some() && invocations.command_invocations().len() == 10);
    let of_one = ssm.list_command_invocations().instance_id("i-001").send().await.unwrap();
    assert_eq!(of_one.command_invocations().len(), 1);

    let second = started(send(&world, "exit 1").instance_ids("i-000")).await;
    until(&world, &second, "i-000", Status::Failed).await;
    let commands = |key, value: &str| {
        let filter = CommandFilter::builder().key(key).value(value).build().unwrap();
        let list = ssm.list_commands().filters(filter).max_results(1);
        async move {
            let all = list.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
            all.into_iter().map(|command| command.command_id.unwrap()).collect::<Vec<_>>()
        }
    };
    assert_eq!(commands(CommandFilterKey::DocumentName, SHELL).await, [second.clone(), id.clone()]);
    assert_eq!(commands(CommandFilterKey::Status, "Failed").await, [second]);
    assert_eq!(commands(CommandFilterKey::ExecutionStage, "Executing").await, [""; 0]);
    assert_eq!(commands(CommandFilterKey::InvokedAfter, "2100-01-01T00:00:00Z").await, [""; 0]);
    world.aws.shutdown().await.unwrap();
}

fn ids_of(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("i-{n:03}")).collect()
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let world = fleet(Some(many(18)), |_| {}).await;
    let counts = world.folder.path().join("running");
    fs::create_dir(&counts).unwrap();
    // Each leaves a mark while it runs, and tells how many it saw.
    let script = format!(
        "touch {0}/$AWS_SSM_INSTANCE_ID\nsleep 0.1\nls {0} | wc -l\nrm {0}/$AWS_SSM_INSTANCE_ID",
        counts.display()
    );
    let most = |id: String| {
        let world = &world;
        async move {
            until_over(world, &id).await;
            let mut most = 0;
            for instance in ids_of(18) {
                let done = get(world, &id, &instance).await;
                assert_eq!(done.status(), Some(&Status::Success), "{done:?}");
                most = most.max(done.standard_output_content().unwrap().trim().parse().unwrap());
            }
            most
        }
    };
    let all = || send(&world, &script).set_instance_ids(Some(ids_of(18)));
    assert_eq!(most(started(all().max_concurrency("1")).await).await, 1);
    assert!(most(started(all().max_concurrency("25%")).await).await <= 4);
    // AWS would run all of them; here they share a machine.
    assert!(most(started(all()).await).await <= 16);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn after_too_many_errors_no_more_are_sent() {
    let world = fleet(Some(many(10)), |_| {}).await;
    let send = |errors: &str| {
        let command = send(&world, "exit 1").set_instance_ids(Some(ids_of(10)));
        started(command.max_concurrency("1").max_errors(errors))
    };
    let of = |failed, terminated| vec![("Failed".to_owned(), failed), ("Terminated".to_owned(), terminated)];
    let id = send("0").await;
    assert_eq!(until_over(&world, &id).await, of(1, 9));
    let never = get(&world, &id, "i-009").await;
    assert_eq!((never.status(), never.response_code), (Some(&Status::Cancelled), -1));
    let id = send("30%").await;
    assert_eq!(until_over(&world, &id).await, of(4, 6));
    let id = send("10").await;
    assert_eq!(until_over(&world, &id).await, [("Failed".to_owned(), 10)]);
    let command = command_until(&world, &id, "Incomplete").await;
    assert_eq!((command.error_count, command.completed_count), (10, 10));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn documents_are_made_described_and_deleted() {
    let world = fleet(None, |_| {}).await;
    let ssm = world.ssm();
    let own = ssm.describe_document().name(OWN).send().await.unwrap().document.unwrap();
    assert_eq!((own.schema_version(), own.document_format()), (Some("2.2"), Some(&DocumentFormat::Yaml)));
    let names: Vec<_> = own.parameters().iter().map(|parameter| parameter.name().unwrap()).collect();
    assert_eq!(names, ["Dispatch", "ExecutionTimeout"]);
    assert_eq!(own.parameters()[1].default_value(), Some("3600"));
    let content = ssm.get_document().name(OWN).document_format(DocumentFormat::Yaml).send().await.unwrap();
    let deployed = include_str!("../../../../infra/02-deploy/run-commands.yaml");
    assert_eq!(content.content(), Some(deployed));
    assert_eq!(own.hash(), Some(hex::encode(Sha256::digest(deployed)).as_str()));
    let as_json = ssm.get_document().name(OWN).send().await.unwrap();
    let as_json: Value = serde_json::from_str(as_json.content().unwrap()).unwrap();
    assert_eq!(as_json["mainSteps"][0]["action"], "aws:runShellScript");

    let shell = ssm.describe_document().name(SHELL).send().await.unwrap().document.unwrap();
    assert_eq!((shell.description(), shell.parameters().len()), (Some("Runs lines."), 3));
    let create = |name: &str, content: &str| ssm.create_document().name(name).content(content);
    let large = SHELL_CONTENT.replace("Runs lines.", &"x".repeat(64 * 1024));
    for (wrong, expected) in [
        (create(SHELL, SHELL_CONTENT), "DocumentAlreadyExists"),
        (create("AWS-Shell", SHELL_CONTENT), "ValidationException"),
        (create("amazonShell", SHELL_CONTENT), "ValidationException"),
        (create("amzn.shell", SHELL_CONTENT), "ValidationException"),
        (create("a b", SHELL_CONTENT), "ValidationException"),
        (create("bad", "{"), "InvalidDocumentContent"),
        (create("bad", &SHELL_CONTENT.replace("aws:runShellScript", "aws:runDocument")), "InvalidDocumentContent"),
        (create("bad", &SHELL_CONTENT.replace("\"2.2\"", "\"0.3\"")), "InvalidDocumentSchemaVersion"),
        (create("bad", &large), "MaxDocumentSizeExceeded"),
    ] {
        assert_eq!(code(wrong.send().await.unwrap_err()), expected);
    }
    let listed = ssm.list_documents().max_results(1).into_paginator().items().send();
    let listed = listed.collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(listed.iter().filter_map(|document| document.name()).collect::<Vec<_>>(), [OWN, SHELL]);
    ssm.delete_document().name(SHELL).send().await.unwrap();
    assert_eq!(code(ssm.describe_document().name(SHELL).send().await.unwrap_err()), "InvalidDocument");
    assert_eq!(code(ssm.delete_document().name(SHELL).send().await.unwrap_err()), "InvalidDocument");
    world.aws.shutdown().await.unwrap();
}

/// Presigned URLs of a dispatch document with the worker that the deployment has, changed by `change`.
async fn dispatch(world: &World, change: impl FnOnce(String) -> String) -> String {
    let s3 = world.s3();
    let expiring = || PresigningConfig::expires_in(Duration::from_mins(5)).unwrap();
    let binaries = s3.get_object().bucket(INTERNAL).key("worker/binaries.json").send().await.unwrap();
    let binaries: Value = serde_json::from_slice(&binaries.body.collect().await.unwrap().to_vec()).unwrap();
    let arch = std::env::consts::ARCH;
    let sha256 = binaries[arch].as_str().unwrap();
    let key = format!("worker/{sha256}");
    let url = s3.get_object().bucket(INTERNAL).key(key).presigned(expiring()).await.unwrap();
    let document = json!({
        "run_id": "r",
        format!("worker_{arch}_url"): url.uri(),
        format!("worker_{arch}_sha256"): sha256,
    });
    let body = change(format!("{document:#}")).into_bytes();
    let key = "tmp/exec/r/0001/dispatch.json";
    s3.put_object().bucket(INTERNAL).key(key).body(ByteStream::from(body)).send().await.unwrap();
    s3.get_object().bucket(INTERNAL).key(key).presigned(expiring()).await.unwrap().uri().to_owned()
}

/// Runs the stack's own document, and returns the invocation when it is over.
async fn run_own(world: &World, instance: &str, url: &str, status: Status) -> GetCommandInvocationOutput {
    let command = world.ssm().send_command().document_name(OWN).instance_ids(instance);
    let command = command.parameters("Dispatch", vec![url.to_owned()]).comment("r:0001");
    until(world, &started(command).await, instance, status).await
}

#[tokio::test]
async fn the_stacks_document_fetches_the_worker_once() {
    let world = fleet(Some("- {id: i-bare, bare: true}\n- id: i-baked\n".to_owned()), |_| {}).await;
    // Asked for instances, the deployment is complete.
    world.ssm().describe_instance_information().send().await.unwrap();
    let url = dispatch(&world, |document| document).await;
    for (instance, fetched) in [("i-bare", 2), ("i-bare", 3), ("i-baked", 4)] {
        let done = run_own(&world, instance, &url, Status::Success).await;
        let printed: Value = serde_json::from_str(done.standard_output_content().unwrap()).unwrap();
        assert_eq!(printed["arguments"], json!(["worker", "--instance"]));
        assert_eq!(printed["environment"]["SSM_COMMAND_ID"].as_str(), done.command_id());
        assert!(printed["input"].as_str().unwrap().contains("\"run_id\": \"r\""));
        // The dispatch document each time, the worker the first time; as calls of the instance.
        assert_eq!(count(&world, "instance", "GetObject"), fetched, "{instance}");
        let script = world.aws.data().join(format!("instances/{instance}/document/orchestration"));
        assert!(script.join(done.command_id().unwrap()).join("run/_script.sh").exists());
    }
    let cache = |instance: &str| world.aws.data().join(format!("instances/{instance}/cache/aws-exe"));
    for instance in ["i-bare", "i-baked"] {
        let kept: Vec<PathBuf> = fs::read_dir(cache(instance)).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [worker] = kept.as_slice() else { panic!("{kept:?}") };
        let hash = hex::encode(Sha256::digest(fs::read(worker).unwrap()));
        assert_eq!(worker.file_name().unwrap().to_str(), Some(hash.as_str()));
    }
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_stacks_document_says_what_is_wrong() {
    let world = fleet(Some("- {id: i-bare, bare: true}\n".to_owned()), |_| {}).await;
    world.ssm().describe_instance_information().send().await.unwrap();
    let zeros = "0".repeat(64);
    let other_hash = |document: String| {
        let lines = document.lines().map(|line| match line.split_once("_sha256\": ") {
            Some((name, _)) => format!("{name}_sha256\": \"{zeros}\""),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let url = dispatch(&world, other_hash).await;
    let failed = run_own(&world, "i-bare", &url, Status::Failed).await;
    let error = failed.standard_error_content().unwrap();
    assert_eq!(failed.response_code, 4);
    assert!(error.starts_with("run-commands: the worker's SHA-256 is ") && error.contains(&zeros), "{error}");
    let cache = world.aws.data().join("instances/i-bare/cache/aws-exe");
    assert_eq!(fs::read_dir(cache).unwrap().count(), 0);

    let url = dispatch(&world, |document| document.replace(std::env::consts::ARCH, "vax")).await;
    let failed = run_own(&world, "i-bare", &url, Status::Failed).await;
    let error = failed.standard_error_content().unwrap();
    assert!(failed.response_code == 4 && error.contains("there is no worker for this machine"), "{error}");

    let url = url.replace("dispatch.json", "nothing.json");
    let failed = run_own(&world, "i-bare", &url, Status::Failed).await;
    let error = failed.standard_error_content().unwrap();
    assert!(
        failed.response_code == 4 && error.ends_with("run-commands: failed to fetch the dispatch document\n"),
        "{error}"
    );
    assert!(!error.contains("Signature"), "{error}");

    // A fault for what the script fetches.
    world.aws.set_faults(
        serde_json::from_value::<Script>(json!([{
            "function": "instance", "operation": "GetObject", "key": "worker/",
            "action": {"error_before": {"code": "AccessDenied"}},
        }]))
        .unwrap(),
    );
    let url = dispatch(&world, |document| document).await;
    let failed = run_own(&world, "i-bare", &url, Status::Failed).await;
    assert!(failed.standard_error_content().unwrap().ends_with("run-commands: failed to fetch the worker\n"));
    run_own(&world, "i-bare", &url, Status::Success).await;
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_script_finds_the_command_in_its_own_path() {
    let world = fleet(None, |_| {}).await;
    world.ssm().describe_instance_information().send().await.unwrap();
    let url = dispatch(&world, |document| document).await;
    let done = run_own(&world, "i-local", &url, Status::Success).await;
    let home = world.aws.data().join("instances/i-local");
    let script = home.join("document/orchestration").join(done.command_id().unwrap()).join("run/_script.sh");
    // As an older agent runs it, without the variable.
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&script).env_clear().env("PATH", "/usr/bin:/bin").env("XDG_CACHE_HOME", home.join("cache"));
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["environment"]["SSM_COMMAND_ID"].as_str(), done.command_id());
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn commands_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join("instances.yaml");
    fs::write(
        &yaml,
        "- {id: i-a, tags: {All: y}}\n- {id: i-b, tags: {All: y}}\n- {id: i-c, tags: {All: y}, online: false}\n",
    )
    .unwrap();
    let data = folder.path().join("data with a blank");
    let start = |folder: tempfile::TempDir| {
        let (yaml, data) = (yaml.clone(), data.clone());
        async move {
            let mut options = options(&folder);
            (options.instances, options.data) = (Some(yaml), Some(data));
            let aws = EmbeddedAws::start(options).await.unwrap();
            let config = config(&aws.endpoint(), "test", "test").await;
            World { aws, config, folder }
        }
    };
    let world = start(folder).await;
    create_shell(&world).await;
    let over = started(send(&world, "echo done").instance_ids("i-a").comment("over")).await;
    until(&world, &over, "i-a", Status::Success).await;
    // Runs on the first instance, so that the others wait.
    let script = "test $AWS_SSM_INSTANCE_ID != i-a || { touch \"$HOME/ready\"; sleep 600; }";
    let under_way = send(&world, script).targets(tagged("All", "y")).max_concurrency("1").max_errors("1");
    let under_way = started(under_way.timeout_seconds(2_592_000)).await;
    let ready = data.join("instances/i-a/ready");
    eventually(|| async { ready.exists().then_some(()) }).await;

    let World { aws, folder, .. } = world;
    aws.shutdown().await.unwrap();
    let world = start(folder).await;
    let done = get(&world, &over, "i-a").await;
    assert_eq!((done.status(), done.standard_output_content()), (Some(&Status::Success), Some("done\n")));
    assert_eq!(done.comment(), Some("over"));
    let lost = get(&world, &under_way, "i-a").await;
    assert_eq!((lost.status(), lost.status_details(), lost.response_code), (Some(&Status::Failed), Some("Failed"), -1));
    assert!(!data.join("instances/i-a/tmp").join(&under_way).exists());
    until(&world, &under_way, "i-b", Status::Success).await;
    assert_eq!(get(&world, &under_way, "i-c").await.status(), Some(&Status::Pending));
    let expected = (under_way.clone(), "i-a".to_owned(), "Failed".to_owned());
    eventually(|| async { told(&world).contains(&expected).then_some(()) }).await;
    assert!(world.ssm().describe_document().name(SHELL).send().await.is_ok());
    let listed = world.ssm().list_commands().send().await.unwrap();
    assert_eq!(
        listed.commands().iter().filter_map(|command| command.command_id()).collect::<Vec<_>>(),
        [under_way, over]
    );
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_file_of_instances_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instances.yaml");
    for (yaml, part) in [("- id: web\n", "[0].id"), ("- {id: i-a, colour: red}\n", "colour"), ("", "No such file")] {
        // The last one is not there.
        let written = if yaml.is_empty() { fs::remove_file(&file) } else { fs::write(&file, yaml) };
        written.unwrap();
        let mut options = options(&folder);
        options.instances = Some(file.clone());
        let error = EmbeddedAws::start(options).await.err().unwrap();
        assert!(matches!(error, StartError::Instances { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("instances.yaml") && error.contains(part), "{error}");
    }
}
