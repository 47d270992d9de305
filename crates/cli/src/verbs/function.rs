//! `aws-exe function NAME`: one of the Lambda functions. Reads its settings, then serves invocations until Lambda ends
//! the process.

use aws_lambda_events::event::s3::S3Event;
use common::{
    aws::{Aws, Patience},
    clock::Timestamp,
    env::{BadSettings, Environment, LOCAL_SOURCES},
    executor::Executor,
    outcome::UNDELIVERED,
    stack::Function,
};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use worker::WorkerError;

use crate::{args::FunctionName, code::Code, exit::Exit, failure::Failure, logging};

/// Serves as a function.
pub(crate) async fn function(name: FunctionName) -> Result<Exit, Failure> {
    logging::start();
    let environment = Environment::of_process();
    if environment.get("AWS_LAMBDA_RUNTIME_API").is_none() {
        let failure =
            Failure::new(Code::SettingsWrong, "`AWS_LAMBDA_RUNTIME_API` is not set: this role is started by Lambda");
        // The image's binary has no embedded AWS, and so cannot.
        let can_run = cfg!(feature = "local");
        return Err(if can_run { failure.hint("to run a job here use `aws-exe run JOB`") } else { failure });
    }
    if environment.get(LOCAL_SOURCES.name).is_some() {
        end_with_parent().map_err(|error| {
            Failure::new(Code::MachineFailed, format!("failed to follow the embedded AWS: {error}"))
        })?;
    }
    let served = match Function::from(name) {
        Function::InitJob => init_job(&environment).await,
        Function::SsmConfig => ssm_config(&environment).await,
        Function::Orchestrator => orchestrator(&environment).await,
        Function::WatchdogCheck => watchdog_check(&environment).await,
        Function::Worker => worker(&environment).await,
    };
    served.map(|()| Exit::Success)
}

/// On Lambda an environment ends as a whole. Here the embedded AWS may be killed without a chance to see to it. Elsewhere
/// than on Linux nothing is done.
fn end_with_parent() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    Ok(())
}

/// The clients of a function.
async fn aws(environment: &Environment, patience: Patience) -> Result<Aws, Failure> {
    Ok(Aws::load(environment.clock().map_err(refused)?, patience).await)
}

async fn init_job(environment: &Environment) -> Result<(), Failure> {
    let settings = init_job::load(environment).map_err(refused)?;
    let aws = aws(environment, Patience::Replaceable).await?;
    serve(lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        let LambdaEvent { payload, context } = event;
        let handled = Box::pin(init_job::handle(&aws, &settings, payload, &context.request_id)).await;
        settings.telemetry.flush(Some(&aws), Some(Timestamp::from_millis(context.deadline))).await;
        handled.inspect_err(|error| tracing::error!(%error, "the submission is to be tried again")).map_err(Error::from)
    })))
    .await
}

async fn ssm_config(environment: &Environment) -> Result<(), Failure> {
    let settings = ssm_config::load(environment).map_err(refused)?;
    let aws = aws(environment, Patience::Replaceable).await?;
    serve(lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        let LambdaEvent { payload, context } = event;
        let handled = Box::pin(ssm_config::handle(&aws, &settings, payload, &context.request_id)).await;
        settings.telemetry.flush(Some(&aws), Some(Timestamp::from_millis(context.deadline))).await;
        handled.inspect_err(|error| tracing::error!(%error, "the submission is to be tried again")).map_err(Error::from)
    })))
    .await
}

async fn orchestrator(environment: &Environment) -> Result<(), Failure> {
    let settings = orchestrator::Settings::load(environment).map_err(refused)?;
    let aws = aws(environment, Patience::Replaceable).await?;
    serve(lambda_runtime::run(service_fn(|event: LambdaEvent<S3Event>| async {
        let LambdaEvent { payload, context } = event;
        let deadline = Timestamp::from_millis(context.deadline);
        let handled = Box::pin(orchestrator::handle(&aws, &settings, payload, deadline)).await;
        settings.telemetry.flush(Some(&aws), Some(deadline)).await;
        handled.inspect_err(|error| tracing::error!(%error, "the wake-up failed")).map_err(Error::from)
    })))
    .await
}

async fn watchdog_check(environment: &Environment) -> Result<(), Failure> {
    let settings = watchdog_check::Settings::load(environment).map_err(refused)?;
    let aws = aws(environment, Patience::Replaceable).await?;
    serve(lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        let event = watchdog_check::Event::read(event.payload)?;
        let handled = Box::pin(watchdog_check::handle(&aws, &settings, &event)).await;
        handled.inspect_err(|error| tracing::error!(%error, "the look failed")).map_err(Error::from)
    })))
    .await
}

async fn worker(environment: &Environment) -> Result<(), Failure> {
    let settings = worker::Settings::load(environment).map_err(refused)?;
    worker::harden().map_err(|error| {
        Failure::new(Code::MachineFailed, format!("failed to protect the worker's memory: {error}"))
    })?;
    end_with_commands()?;
    let aws = aws(environment, Patience::Worker).await?;
    serve(lambda_runtime::run(service_fn(|event: LambdaEvent<worker::Dispatch>| async {
        let LambdaEvent { payload, context } = event;
        let by = Executor::Lambda(context.request_id);
        let deadline = Some(Timestamp::from_millis(context.deadline));
        let handled = Box::pin(worker::handle(&aws, &settings, &payload, &by, deadline)).await;
        settings.telemetry.flush(Some(&aws), deadline).await;
        handled
            .map(|report| report.to_string())
            .inspect_err(|error| tracing::error!(%error, "the order failed"))
            .map_err(diagnostic)
    })))
    .await
}

/// What Lambda's on-failure destination gets: the result itself where it could not be delivered.
fn diagnostic(error: WorkerError) -> Diagnostic {
    let undelivered = match &error {
        WorkerError::Undelivered { result, .. } => serde_json::to_string(result).ok(),
        WorkerError::Aws(_) | WorkerError::Leftovers(_) | WorkerError::Lowered | WorkerError::Machine(_) => None,
    };
    match undelivered {
        Some(result) => Diagnostic { error_type: UNDELIVERED.to_owned(), error_message: result },
        None => Diagnostic { error_type: "WorkerError".to_owned(), error_message: error.to_string() },
    }
}

/// A worker that is told to end takes its commands along.
pub(crate) fn end_with_commands() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let watch = signal(SignalKind::terminate());
    let mut terminate =
        watch.map_err(|error| Failure::new(Code::MachineFailed, format!("failed to watch for signals: {error}")))?;
    tokio::spawn(async move {
        terminate.recv().await;
        if let Err(error) = worker::leftovers::kill_leftovers().await {
            tracing::error!(%error, "commands are left behind");
        }
        // 128 and the number of SIGTERM, as shells have it.
        std::process::exit(143);
    });
    Ok(())
}

async fn serve(served: impl Future<Output = Result<(), Error>>) -> Result<(), Failure> {
    served.await.map_err(|error| Failure::new(Code::MachineFailed, format!("failed to serve invocations: {error}")))
}

fn refused(error: BadSettings) -> Failure {
    tracing::error!(%error, "cannot start");
    Failure::new(Code::SettingsWrong, error.to_string())
}
