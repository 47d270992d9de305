//! Stands in for the engine's binary in the tests of this crate. As a function it does what its event's field `probe`
//! says, as a worker in a build what the variable `PROBE` says, and as a worker on an instance it prints what it was given.
//! Functions and builds write each invocation as a JSON line to the file that `PROBE_LOG` names.

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
    if std::env::args().nth(1).is_some_and(|verb| verb == "worker") {
        return if role == "--instance" { instance() } else { worker(&environment).await };
    }
    if environment.get("PROBE_INIT").is_some_and(|init| init == "exit") {
        std::process::exit(3);
    }
    lambda_runtime::run(service_fn(|event| handle(&environment, &role, event))).await
}

/// The worker on an instance: prints arguments, environment and standard input as JSON.
fn instance() -> Result<(), Error> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let variables: serde_json::Map<String, Value> =
        std::env::vars().map(|(name, value)| (name, value.into())).collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", json!({"arguments": arguments, "environment": variables, "input": input}));
    Ok(())
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
            let field = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
            put(field("bucket"), field("key")).await?;
            Ok(record)
        }
        "upload" => {
            let field = |name: &str| payload[name].as_str().unwrap_or_default();
            Ok(json!({"answer": upload(field("host"), field("path"))?}))
        }
        "deadline" => Ok(json!({"deadline": context.deadline})),
        _ => Ok(record),
    }
}

/// Puts an empty object with the credentials of this process.
async fn put(bucket: String, key: String) -> Result<(), Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let put = aws_sdk_s3::Client::new(&config).put_object().bucket(bucket).key(key);
    put.body(Vec::new().into()).send().await?;
    Ok(())
}

/// Uses a presigned URL, with no credentials of its own.
fn upload(host: &str, path: &str) -> Result<String, Error> {
    let mut stream = std::net::TcpStream::connect(host)?;
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The worker of a build.
async fn worker(environment: &Environment) -> Result<(), Error> {
    let variable = |name: &str| environment.get(name).unwrap_or_default();
    let build = variable("CODEBUILD_BUILD_ID");
    // In a group of its own, as the worker's commands are.
    let left = (variable("PROBE") == "hold")
        .then(|| std::process::Command::new("sleep").arg("600").process_group(0).spawn())
        .transpose()?;
    let variables: serde_json::Map<String, Value> =
        std::env::vars().map(|(name, value)| (name, value.into())).collect();
    let record = json!({
        "function": "codebuild", "request": build, "order": variable("ORDER_NUM"), "pid": std::process::id(),
        "left": left.map(|child| child.id()), "event": variables,
    });
    log(environment, &record, build)?;
    println!("the worker of {build} was here");
    match variable("PROBE") {
        "exit" => std::process::exit(variable("PROBE_CODE").parse()?),
        "kill" => nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?,
        "hold" => std::future::pending().await,
        // Until the test makes the file.
        "await" => {
            while !std::path::Path::new(variable("PROBE_GATE")).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        "put" => put(variable("PROBE_BUCKET").to_owned(), variable("PROBE_KEY").to_owned()).await?,
        "upload" => println!("{}", upload(variable("PROBE_HOST"), variable("PROBE_PATH"))?),
        _ => {}
    }
    Ok(())
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
