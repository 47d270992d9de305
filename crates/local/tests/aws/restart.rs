//! What a data folder keeps.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{INTERNAL, World, eventually, options, restart, world};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sfn::types::ExecutionStatus;
use common::clock::Clock;
use local::{EmbeddedAws, StartError};
use secrecy::SecretString;
use serde_json::json;

async fn durable() -> World {
    let world = world(|_| {}).await;
    restart(world, |_| {}).await
}

#[tokio::test]
async fn tables_objects_parameters_and_secrets_survive() {
    let world = durable().await;
    let item = world.dynamodb().put_item().table_name("exe-sys-locks").item("pk", AttributeValue::S("lock:r".into()));
    item.send().await.unwrap();
    for body in ["first", "second"] {
        let put = world.s3().put_object().bucket(INTERNAL).key("a/b").content_type("x/y").metadata("m", "v");
        put.body(ByteStream::from(body.as_bytes().to_vec())).send().await.unwrap();
    }
    world.s3().put_object().bucket(INTERNAL).key("gone").body(ByteStream::from_static(b"x")).send().await.unwrap();
    world.s3().delete_object().bucket(INTERNAL).key("gone").send().await.unwrap();
    let large = vec![7_u8; 2 * 1024 * 1024];
    world.s3().put_object().bucket(INTERNAL).key("large").body(large.clone().into()).send().await.unwrap();
    world.aws.put_parameter("/team/key", SecretString::from("p")).await.unwrap();
    world.aws.put_secret("db", SecretString::from("s")).await.unwrap();

    for file in ["ssm/parameters.json", "secretsmanager/secrets.json"] {
        let path = world.aws.data().join(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
    let world = restart(world, |_| {}).await;
    let item = world.dynamodb().get_item().table_name("exe-sys-locks").key("pk", AttributeValue::S("lock:r".into()));
    assert!(item.send().await.unwrap().item.is_some());
    let object = world.s3().get_object().bucket(INTERNAL).key("a/b").send().await.unwrap();
    assert_eq!((object.content_type(), object.metadata().unwrap()["m"].as_str()), (Some("x/y"), "v"));
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"second");
    let object = world.s3().get_object().bucket(INTERNAL).key("large").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), large);
    assert_eq!(world.s3().list_objects_v2().bucket(INTERNAL).send().await.unwrap().key_count(), Some(2));
    let parameter = world.ssm().get_parameter().name("/team/key").with_decryption(true).send().await.unwrap();
    assert_eq!(parameter.parameter().unwrap().value(), Some("p"));
    let secrets = aws_sdk_secretsmanager::Client::new(&world.config);
    assert_eq!(secrets.get_secret_value().secret_id("db").send().await.unwrap().secret_string(), Some("s"));
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn accepted_events_and_executions_go_on() {
    let world = durable().await;
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog";
    let input = json!({"wait_seconds": 150, "probe": "done", "after": 0}).to_string();
    let start = world.states().start_execution().state_machine_arn(machine).name("e").input(input);
    let execution = start.send().await.unwrap().execution_arn;
    // Held up in a function that takes longer than the process is allowed to live on.
    let invoke = world.lambda().invoke().function_name("exe-sys-worker").invocation_type(InvocationType::Event);
    let event = json!({"probe": "sleep", "ms": 600_000}).to_string();
    invoke.payload(Blob::new(event)).send().await.unwrap();
    let first = world.until_probed(1, |record| record["function"] == "worker").await;

    // The rest of the wait passes in a second and a half.
    let world = restart(world, |options| options.clock = Clock::sped_up(100)).await;
    let second = world.until_probed(2, |record| record["function"] == "worker").await;
    assert_eq!(first[0]["request"], second[1]["request"]);
    let output = eventually(|| async {
        let described = world.states().describe_execution().execution_arn(&execution).send().await.unwrap();
        (described.status == ExecutionStatus::Succeeded).then_some(described.output)
    })
    .await;
    assert!(output.unwrap().contains("\"done\":true"));
    let history = world.states().get_execution_history().execution_arn(&execution).send().await.unwrap();
    assert_eq!(history.events().len(), 16, "what happened before the restart is part of the history");
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_user() {
    let world = durable().await;
    let mut second = options(&world.folder);
    second.data = Some(world.folder.path().join("data"));
    let refused = EmbeddedAws::start(second.clone()).await.err().unwrap();
    assert!(matches!(refused, StartError::InUse(_)), "{refused}");
    world.aws.shutdown().await.unwrap();
    EmbeddedAws::start(second).await.unwrap().shutdown().await.unwrap();
}
