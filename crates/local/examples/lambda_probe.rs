//! A function for the tests of this crate: does what its event's field `probe` says, and writes each invocation as a
//! JSON line to the file that `PROBE_LOG` names.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    time::Duration,
};

use common::env::Environment;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    let role = std::env::args().nth(2).unwrap_or_default();
    if environment.get("PROBE_INIT").is_some_and(|init| init == "exit") {
        std::process::exit(3);
    }
    lambda_runtime::run(service_fn(|event| handle(&environment, &role, event))).await
}

async fn handle(environment: &Environment, role: &str, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    let record = json!({"function": role, "request": context.request_id, "pid": std::process::id(), "event": payload});
    let earlier = log(environment, &record, &context.request_id)?;
    match payload.get("probe").and_then(Value::as_str).unwrap_or("echo") {
        "fail" => Err("asked to fail".into()),
        // Fails until the event has come this often.
        "fail_until" if earlier < payload["times"].as_u64().unwrap_or_default() => Err("asked to fail at first".into()),
        "exit" => std::process::exit(7),
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(payload["ms"].as_u64().unwrap_or_default())).await;
            Ok(record)
        }
        // Leaves a process behind, in a group of its own, as the worker's commands are.
        "leave" => {
            let child = std::process::Command::new("sleep").arg("600").process_group(0).spawn()?;
            Ok(json!({"pid": std::process::id(), "left": child.id()}))
        }
        "environment" => {
            let variables: serde_json::Map<String, Value> =
                std::env::vars().map(|(name, value)| (name, value.into())).collect();
            Ok(Value::Object(variables))
        }
        "done" => Ok(json!({"done": earlier >= payload["after"].as_u64().unwrap_or_default(), "wait_seconds": 30})),
        "status" => Ok(json!({"statusCode": 418, "body": "short and stout"})),
        "put" => {
            let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
            let field = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
            let put = aws_sdk_s3::Client::new(&config).put_object().bucket(field("bucket")).key(field("key"));
            put.body(Vec::new().into()).send().await?;
            Ok(record)
        }
        // Uses a presigned URL, with no credentials of its own.
        "upload" => {
            let field = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
            let mut stream = std::net::TcpStream::connect(field("host"))?;
            let (path, host) = (field("path"), field("host"));
            let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(json!({"answer": answer}))
        }
        "deadline" => Ok(json!({"deadline": context.deadline})),
        _ => Ok(record),
    }
}

/// Appends the record; says how many there were of this request before.
fn log(environment: &Environment, record: &Value, request: &str) -> Result<u64, Error> {
    let Some(path) = environment.get("PROBE_LOG") else { return Ok(0) };
    let earlier = match std::fs::read_to_string(path) {
        Ok(lines) => lines.lines().filter(|line| line.contains(request)).count(),
        Err(_) => 0,
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{record}\n").as_bytes())?;
    Ok(u64::try_from(earlier)?)
}
