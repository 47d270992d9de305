//! The HTTP API, and who may talk to the port at all.

use crate::support::{config, world};
use serde_json::Value;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn submissions_reach_the_function_behind_the_path() {
    let world = world(|_| {}).await;
    let (status, body) = world.raw("POST", "/init?a=b", &[JSON, ("x-who", "me")], b"{\"job\":1}").await;
    let seen: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, seen["function"].as_str()), (200, Some("init_job")));
    let event = &seen["event"];
    assert_eq!(event["version"], "2.0");
    assert_eq!((event["routeKey"].as_str(), event["rawQueryString"].as_str()), (Some("POST /init"), Some("a=b")));
    assert_eq!((event["body"].as_str(), event["headers"]["x-who"].as_str()), (Some("{\"job\":1}"), Some("me")));

    let (_, body) = world.raw("POST", "/ssm", &[JSON], b"{}").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["function"], "ssm_config");
    let (_, body) = world.raw("GET", "/init", &[], b"").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["event"]["requestContext"]["http"]["method"], "GET");
    assert_eq!(world.raw("POST", "/other", &[JSON], b"{}").await, (404, "{\"message\":\"Not Found\"}".to_owned()));
    assert_eq!(world.probed().len(), 3);
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_web_page_reaches_anything() {
    let world = world(|_| {}).await;
    for host in ["evil.example", "127.0.0.1.evil.example", "[::2]:80"] {
        assert_eq!(world.raw("POST", "/init", &[JSON, ("host", host)], b"{}").await.0, 403, "{host}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(world.raw("POST", "/init", &[("content-type", kind)], b"{}").await.0, 415, "{kind}");
        assert_eq!(world.raw("POST", "/_embedded/faults", &[("content-type", kind)], b"[]").await.0, 415, "{kind}");
    }
    assert_eq!(world.raw("POST", "/init", &[], b"{}").await.0, 415);
    assert_eq!(world.raw("POST", "/init", &[JSON], &vec![b' '; 10 * 1024 * 1024 + 1]).await.0, 413);
    assert!(world.probed().is_empty());
    assert_eq!(world.raw("GET", "/_embedded/ready", &[("host", "localhost:1")], b"").await.0, 200);
}

/// Code of a refusal in the JSON protocols.
fn json_code(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
}

#[tokio::test]
async fn unsigned_calls_are_refused_in_each_shape() {
    let world = world(|_| {}).await;
    for target in [
        "DynamoDB_20120810.ListTables",
        "AWSStepFunctions.ListStateMachines",
        "AmazonSSM.DescribeParameters",
        "secretsmanager.ListSecrets",
        "CodeBuild_20161006.ListBuilds",
    ] {
        let (status, body) = world.raw("POST", "/", &[("x-amz-target", target)], b"{}").await;
        assert_eq!((status, json_code(&body).as_str()), (400, "MissingAuthenticationTokenException"), "{target}");
    }
    assert_eq!(world.raw("GET", "/2015-03-31/functions/", &[], b"").await.0, 403);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (status, body) = world.raw("POST", "/", &[form], b"Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(status == 403 && body.contains("<Code>MissingAuthenticationToken</Code>"), "{body}");
    let (status, body) = world.raw("GET", "/exe-sys-internal/key", &[], b"").await;
    assert!(status == 403 && body.contains("<Code>AccessDenied</Code>"), "{body}");
}

#[tokio::test]
async fn wrong_signatures_are_refused_in_each_shape() {
    let world = world(|_| {}).await;
    let endpoint = world.aws.endpoint();
    let wrong = config(&endpoint, "test", "guess").await;
    let unknown = config(&endpoint, "nobody", "test").await;
    macro_rules! codes {
        ($client:path, $operation:ident) => {{
            let code = async |config| {
                let error = <$client>::new(config).$operation().send().await.unwrap_err();
                error.into_service_error().meta().code().unwrap().to_owned()
            };
            (code(&wrong).await, code(&unknown).await)
        }};
    }
    let json = ("InvalidSignatureException".to_owned(), "UnrecognizedClientException".to_owned());
    assert_eq!(codes!(aws_sdk_dynamodb::Client, list_tables), json);
    assert_eq!(codes!(aws_sdk_sfn::Client, list_state_machines), json);
    assert_eq!(codes!(aws_sdk_ssm::Client, describe_parameters), json);
    assert_eq!(codes!(aws_sdk_secretsmanager::Client, list_secrets), json);
    assert_eq!(codes!(aws_sdk_lambda::Client, list_functions), json);
    assert_eq!(
        codes!(aws_sdk_sts::Client, get_caller_identity),
        ("SignatureDoesNotMatch".to_owned(), "InvalidClientTokenId".to_owned())
    );
    assert_eq!(
        codes!(aws_sdk_s3::Client, list_buckets),
        ("SignatureDoesNotMatch".to_owned(), "InvalidAccessKeyId".to_owned())
    );
    let identity = aws_sdk_sts::Client::new(&world.config).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some("000000000000"));
}

#[tokio::test]
async fn unknown_operations_are_answered_in_each_shape() {
    let world = world(|_| {}).await;
    let ssm = world.ssm().list_associations().send().await.unwrap_err();
    assert_eq!(ssm.into_service_error().meta().code(), Some("UnknownOperationException"));
    let states = world.states().list_activities().send().await.unwrap_err();
    assert_eq!(states.into_service_error().meta().code(), Some("UnknownOperationException"));
    let dynamodb = world.dynamodb().list_backups().send().await.unwrap_err();
    assert_eq!(dynamodb.into_service_error().meta().code(), Some("UnknownOperationException"));
    let sts = aws_sdk_sts::Client::new(&world.config).get_session_token().send().await.unwrap_err();
    assert_eq!(sts.into_service_error().meta().code(), Some("InvalidAction"));
    let s3 = world.s3().get_bucket_policy().bucket("exe-sys-done").send().await.unwrap_err();
    assert_eq!(s3.into_service_error().meta().code(), Some("NotImplemented"));
}
