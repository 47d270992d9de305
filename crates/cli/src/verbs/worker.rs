//! `aws-exe worker`: runs one order as the entry of a build container, or with `--instance` the share of an order that the
//! dispatch document on standard input gives to this instance. The exit code is the order's outcome.

use std::io::{self, Read as _};

use common::{
    aws::{Aws, Patience},
    env::Environment,
    executor::Executor,
    fleet::document::Document,
    ids::InstanceId,
    worker_exit::WorkerExit,
};
use worker::{Dispatch, Report, Settings, WorkerError};

use crate::{args::WorkerArgs, code::Code, exit::Exit, failure::Failure, logging};

/// What CodeBuild sets for the build.
const BUILD_ID: &str = "CODEBUILD_BUILD_ID";
/// What the SSM agent sets for the command, or the document for older agents.
const COMMAND_ID: &str = "SSM_COMMAND_ID";
/// What the SSM agent sets for the instance.
const INSTANCE_ID: &str = "AWS_SSM_INSTANCE_ID";
/// A thousand instances with five URLs of two kilobytes each, and the variables.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Runs the order that the environment names, or the document.
pub(crate) async fn worker(args: WorkerArgs) -> Result<Exit, Failure> {
    logging::start();
    let environment = Environment::of_process();
    let settings =
        Settings::load(&environment).map_err(|error| Failure::new(Code::SettingsWrong, error.to_string()))?;
    worker::harden().map_err(|error| {
        Failure::new(Code::MachineFailed, format!("failed to protect the worker's memory: {error}"))
    })?;
    super::function::end_with_commands()?;
    let report =
        if args.instance { share(&environment, &settings).await? } else { order(&environment, &settings).await? };
    let exit = match report {
        Ok(Report::NotMine) => WorkerExit::NotMine,
        Ok(Report::Ended(outcome)) => WorkerExit::Delivered(outcome),
        Err(WorkerError::Undelivered { result, error }) => {
            eprintln!("error: the order ended as `{}`, and its result could not be delivered: {error}", result.status);
            WorkerExit::Undelivered(result.status)
        }
        Err(error) => return Err(Failure::new(Code::MachineFailed, error.to_string())),
    };
    Ok(Exit::Worker(exit))
}

type Ended = Result<Report, WorkerError>;

async fn order(environment: &Environment, settings: &Settings) -> Result<Ended, Failure> {
    let dispatch =
        Dispatch::of_environment(environment).map_err(|error| Failure::new(Code::SettingsWrong, error.to_string()))?;
    let by = Executor::Codebuild(set(environment, BUILD_ID, "this role is started by a build")?);
    let aws = Aws::load(settings.clock, Patience::Worker).await;
    let ended = Box::pin(worker::handle(&aws, settings, &dispatch, &by, None)).await;
    settings.telemetry.flush(Some(&aws), None).await;
    Ok(ended)
}

async fn share(environment: &Environment, settings: &Settings) -> Result<Ended, Failure> {
    let why = "this role is started by the engine's SSM document";
    let instance = set(environment, INSTANCE_ID, why)?;
    let instance: InstanceId =
        instance.parse().map_err(|error| Failure::new(Code::SettingsWrong, format!("`{INSTANCE_ID}` {error}")))?;
    let by = Executor::Ssm(set(environment, COMMAND_ID, why)?, instance.clone());
    let mut text = Vec::new();
    let read = io::stdin().lock().take(MAX_DOCUMENT_BYTES).read_to_end(&mut text);
    read.map_err(|error| Failure::new(Code::SettingsWrong, format!("failed to read the dispatch document: {error}")))?;
    // The parser's message could hold a part of the document.
    let document: Document = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::new(Code::SettingsWrong, format!("the dispatch document is damaged at line {line}, column {column}"))
    })?;
    Ok(Box::pin(worker::handle_share(settings, &document, &instance, &by)).await)
}

fn set(environment: &Environment, name: &str, why: &str) -> Result<String, Failure> {
    let value = environment.get(name).map(str::to_owned);
    value.ok_or_else(|| Failure::new(Code::SettingsWrong, format!("`{name}` is not set: {why}")))
}
