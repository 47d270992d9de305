//! `aws-exe run JOB`: starts the embedded AWS, submits the job over HTTP like any client, shows it while it runs, and
//! ends with its summary, the logs of what failed, and an exit code.

use common::env::Environment;
use local::EmbeddedAws;
use secrecy::SecretString;

use crate::{
    args::RunArgs,
    code::Code,
    embedded::{self, Wanted},
    engine::Engine,
    exit::Exit,
    failure::Failure,
    job_file::{self, JobFile},
    output::Output,
    submission::{
        self, Submission,
        source::{self, Source},
    },
    verbs::submit::{entry, placed},
    watch::{OnInterrupt, Watch},
};

/// What the embedded AWS holds for the job.
struct Put {
    secrets: Vec<(String, SecretString)>,
    parameters: Vec<(String, SecretString)>,
    source: Option<Source>,
}

/// Runs a job.
pub(crate) async fn run(args: RunArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let file = job_file::read(&args.job, environment)?;
    let named = |option: &'static str, texts: &[String]| {
        texts.iter().map(|text| embedded::named_value(option, text, environment)).collect::<Result<Vec<_>, _>>()
    };
    let put = Put {
        secrets: named("--secret", &args.secrets)?,
        parameters: named("--parameter", &args.parameters)?,
        source: args.source.as_deref().map(|folder| source::pack(folder, output)).transpose()?,
    };
    let wanted = Wanted {
        port: 0,
        data: args.keep.clone(),
        concurrency: args.concurrency,
        instances: args.instances.clone(),
        testing: &args.testing,
    };
    let embedded = embedded::start(wanted).await?;
    let result = Box::pin(run_in(&embedded, &args, file, put, output)).await;
    let ended = embedded
        .shutdown()
        .await
        .map_err(|error| Failure::new(Code::EmbeddedFailed, format!("failed to end the embedded AWS: {error}")));
    let exit = result?;
    ended.map(|()| exit)
}

async fn run_in(
    embedded: &EmbeddedAws,
    args: &RunArgs,
    file: JobFile,
    put: Put,
    output: &Output,
) -> Result<Exit, Failure> {
    for (name, value) in put.secrets {
        let put = embedded.put_secret(&name, value).await;
        put.map_err(|error| Failure::new(Code::OptionWrong, format!("`--secret {name}`: {error}")))?;
    }
    for (name, value) in put.parameters {
        let put = embedded.put_parameter(&name, value).await;
        put.map_err(|error| Failure::new(Code::OptionWrong, format!("`--parameter {name}`: {error}")))?;
    }
    let engine = Engine::embedded(&embedded.endpoint());
    let mut job = file.document.clone();
    if let Some(source) = &put.source {
        source::put(&engine, source, &mut job, output).await?;
    }
    let run_id = submission::run_id(None)?;
    let submission =
        Submission { entry: entry(&args.job), run_id: run_id.clone(), job, rerun_of: None, rerun_from: None };
    let mut watch = Watch::new(&engine, &run_id, output, OnInterrupt::CancelTheRun, false)?;
    let accepted = Box::pin(watch.submit(&submission)).await.map_err(|failure| placed(failure, file))?;
    if !accepted {
        return watch.interrupted();
    }
    Box::pin(watch.until_the_end()).await
}
