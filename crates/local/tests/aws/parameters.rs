//! Parameter Store and Secrets Manager through the SDKs.

use std::time::Duration;

use crate::support::{World, eventually, world};
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use common::clock::Clock;
use secrecy::SecretString;

fn put(
    world: &World,
    name: &str,
    value: &str,
) -> aws_sdk_ssm::operation::put_parameter::builders::PutParameterFluentBuilder {
    world.ssm().put_parameter().name(name).value(value).r#type(ParameterType::SecureString)
}

async fn code(put: aws_sdk_ssm::operation::put_parameter::builders::PutParameterFluentBuilder) -> String {
    put.send().await.unwrap_err().into_service_error().meta().code().unwrap().to_owned()
}

#[tokio::test]
async fn parameters_follow_the_rules_of_the_store() {
    let world = world(|_| {}).await;
    for name in ["/aws/key", "ssm-key", "/SSM/x", "AWSkey", "a b", "/a//b"] {
        assert_eq!(code(put(&world, name, "v")).await, "ValidationException", "{name}");
    }
    assert_eq!(code(put(&world, &"/a".repeat(16), "v")).await, "HierarchyLevelLimitExceededException");
    put(&world, "/exe-sys/sops-keys/r1", "secret").send().await.unwrap();
    assert_eq!(code(put(&world, "/exe-sys/sops-keys/r1", "other")).await, "ParameterAlreadyExists");

    let get = |decrypt| world.ssm().get_parameter().name("/exe-sys/sops-keys/r1").with_decryption(decrypt);
    let open = get(true).send().await.unwrap().parameter.unwrap();
    assert_eq!((open.value(), open.version()), (Some("secret"), 1));
    let sealed = get(false).send().await.unwrap().parameter.unwrap();
    assert!(!sealed.value().unwrap().contains("secret"));

    // 4 KB in the standard tier, 8 KB in the advanced one.
    let (large, larger) = ("x".repeat(4097), "x".repeat(8193));
    assert_eq!(code(put(&world, "/l", &large)).await, "ValidationException");
    assert_eq!(code(put(&world, "/l", &larger).tier(ParameterTier::Advanced)).await, "ValidationException");
    let tiered = put(&world, "/l", &large).tier(ParameterTier::IntelligentTiering).send().await.unwrap();
    assert_eq!(tiered.tier(), Some(&ParameterTier::Advanced));

    for name in ["/p/a", "/p/b/c", "/pq"] {
        put(&world, name, "v").send().await.unwrap();
    }
    let below = |recursive| world.ssm().get_parameters_by_path().path("/p").recursive(recursive).send();
    let names =
        |found: Vec<aws_sdk_ssm::types::Parameter>| found.into_iter().filter_map(|p| p.name).collect::<Vec<_>>();
    assert_eq!(names(below(false).await.unwrap().parameters.unwrap()), ["/p/a"]);
    assert_eq!(names(below(true).await.unwrap().parameters.unwrap()), ["/p/a", "/p/b/c"]);
    let several = world.ssm().get_parameters().names("/p/a").names("/none").with_decryption(true).send().await.unwrap();
    assert_eq!((several.parameters().len(), several.invalid_parameters()), (1, ["/none".to_owned()].as_slice()));
    world.ssm().delete_parameter().name("/p/a").send().await.unwrap();
    let gone = world.ssm().delete_parameter().name("/p/a").send().await.unwrap_err();
    assert!(gone.into_service_error().is_parameter_not_found());
}

#[tokio::test]
async fn a_parameter_vanishes_when_its_policy_says() {
    let clock = Clock::sped_up(1000);
    let world = world(|options| options.clock = clock).await;
    let expiration = |after: Duration| {
        // The store's own notation for an instant of engine time.
        let seconds = i64::try_from(clock.now().plus(after).secs()).unwrap();
        let at = aws_sdk_ssm::primitives::DateTime::from_secs(seconds);
        let at = at.fmt(aws_sdk_ssm::primitives::DateTimeFormat::DateTime).unwrap();
        format!(r#"[{{"Type":"Expiration","Version":"1.0","Attributes":{{"Timestamp":"{at}"}}}}]"#)
    };
    let soon = expiration(Duration::from_mins(10));
    assert_eq!(code(put(&world, "/k", "v").policies(&soon)).await, "ValidationException");
    let year = expiration(Duration::from_hours(24 * 365));
    put(&world, "/long", "v").tier(ParameterTier::Advanced).policies(year).send().await.unwrap();
    put(&world, "/k", "v").tier(ParameterTier::Advanced).policies(&soon).send().await.unwrap();
    let error = eventually(|| async { world.ssm().get_parameter().name("/k").send().await.err() }).await;
    assert!(error.into_service_error().is_parameter_not_found());
    world.ssm().get_parameter().name("/long").send().await.unwrap();
}

#[tokio::test]
async fn secrets_have_versions() {
    let world = world(|_| {}).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&world.config);
    let made = secrets.create_secret().name("team/db").secret_string("one").send().await.unwrap();
    let again = secrets.create_secret().name("team/db").secret_string("x").send().await.unwrap_err();
    assert!(again.into_service_error().is_resource_exists_exception());
    world.aws.put_secret("team/db", SecretString::from("two")).await.unwrap();
    let get = |id: &str| secrets.get_secret_value().secret_id(id);
    assert_eq!(get("team/db").send().await.unwrap().secret_string(), Some("two"));
    assert_eq!(get(made.arn().unwrap()).send().await.unwrap().secret_string(), Some("two"));
    let previous = get("team/db").version_stage("AWSPREVIOUS").send().await.unwrap();
    assert_eq!((previous.secret_string(), previous.version_id()), (Some("one"), made.version_id()));
    let described = secrets.describe_secret().secret_id("team/db").send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap()[made.version_id().unwrap()], ["AWSPREVIOUS"]);
    secrets.update_secret().secret_id("team/db").secret_string("three").send().await.unwrap();
    assert_eq!(get("team/db").send().await.unwrap().secret_string(), Some("three"));
    secrets.delete_secret().secret_id("team/db").force_delete_without_recovery(true).send().await.unwrap();
    assert!(get("team/db").send().await.unwrap_err().into_service_error().is_resource_not_found_exception());

    world.aws.put_parameter("/team/key", SecretString::from("k")).await.unwrap();
    let refused = world.aws.put_parameter("/aws/key", SecretString::from("k")).await.unwrap_err();
    assert!(refused.to_string().contains("/aws/key") && !refused.to_string().contains("`k`"), "{refused}");
}
