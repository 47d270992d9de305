//! The ways in which a job arrives: HTTP in all its forms, a direct invoke, an SNS notification.

use aws_sdk_lambda::{operation::RequestId as _, primitives::Blob};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{Stack, StartLog, expect::expect_success, http, job};

impl Stack {
    /// Invokes a function and waits; gives its answer and the request id.
    async fn invoke(&self, function: &str, payload: &Value) -> (Value, String) {
        let request = self.aws.lambda().invoke().function_name(function).payload(Blob::new(payload.to_string()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.function_error(), None);
        let id = answer.request_id().unwrap().to_owned();
        (serde_json::from_slice(answer.payload.unwrap().as_ref()).unwrap(), id)
    }
}

#[tokio::test]
async fn a_job_comes_packed_as_base64() {
    let stack = Stack::start().await;
    let job = job().order("a");
    let packed = BASE64_STANDARD.encode(job.document().to_string());
    let answer = stack.post("/init", &json!({"job_parameters_b64": packed, "trace_id": "0a1b2c3d"})).await;
    let run = stack.run(answer.json(), &job);
    assert_eq!(run.trace_id(), "0a1b2c3d");
    expect_success(&run).await;
}

#[tokio::test]
async fn a_direct_invoke_gets_the_bare_answer_and_its_request_id_as_run_id() {
    let stack = Stack::start().await;
    let job = job().order("a");
    let (answer, request_id) = stack.invoke("exe-sys-init-job", &json!({"job": job.document()})).await;
    assert_eq!(answer["run_id"], request_id.as_str());
    expect_success(&stack.run(answer, &job)).await;
    let (refused, _) = stack.invoke("exe-sys-init-job", &json!({"job": {}})).await;
    assert_eq!((&refused["status"], &refused["error"]), (&"error".into(), &"username: is missing".into()), "{refused}");
}

#[tokio::test]
async fn an_sns_notification_that_comes_twice_makes_one_run() {
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    let job = job().order("a").cmds([starts.start()]);
    let message = json!({"job": job.document()}).to_string();
    let event =
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "5f0a-mess-age", "Message": message}}]});
    let (first, _) = stack.invoke("exe-sys-init-job", &event).await;
    let (second, _) = stack.invoke("exe-sys-init-job", &event).await;
    assert_eq!(first, second);
    assert_eq!(first["run_id"], "5f0a-mess-age");
    expect_success(&stack.run(first, &job)).await;
    starts.each_once(["a"]);
}

#[tokio::test]
async fn a_version_1_proxy_event_gets_a_proxy_response() {
    let stack = Stack::start().await;
    let job = job().order("a");
    let body = BASE64_STANDARD.encode(json!({"job": job.document()}).to_string());
    let event = json!({"httpMethod": "POST", "isBase64Encoded": true, "body": body});
    let (answer, _) = stack.invoke("exe-sys-init-job", &event).await;
    assert_eq!(answer["statusCode"], 200);
    let answer = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    expect_success(&stack.run(answer, &job)).await;
}

#[tokio::test]
async fn only_json_posts_from_this_machine_reach_the_engine() {
    let stack = Stack::start().await;
    let url = format!("{}/init", stack.endpoint());
    let get = http::send("GET", &url, &[], b"").await;
    assert_eq!(get.status, 405);
    assert_eq!(get.json()["error"], "the method `GET` is not allowed; use POST");
    let (status, head) = stack.raw("GET /init HTTP/1.1", "").await;
    assert!(status == 405 && head.to_lowercase().contains("\r\nallow: post\r\n"), "{head}");
    let body = json!({"job": job().order("a").document()}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(http::send("POST", &url, &[("content-type", kind)], body.as_bytes()).await.status, 415, "{kind}");
    }
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        let head = format!("POST /init HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json");
        assert_eq!(stack.raw(&head, &body).await.0, 403, "{host}");
    }
    assert_eq!(stack.items("exe-sys-locks").await, [] as [Value; 0]);
}
