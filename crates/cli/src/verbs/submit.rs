//! `aws-exe submit JOB`: submits a job to an engine that is up; and, for `rerun` as well, what follows: nothing, waiting, or
//! watching.

use common::{env::Environment, ids::RunId};
use serde_json::{Value, json};

use crate::{
    args::{JobArgs, SubmitArgs, SubmitOptions},
    code::Code,
    engine::{Engine, Entry},
    exit::Exit,
    failure::Failure,
    job_file::{self, JobFile},
    output::Output,
    submission::{self, Submission, source},
    verbs::validate,
    watch::{OnInterrupt, Watch},
};

/// Submits a job.
pub(crate) async fn submit(args: SubmitArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    if args.dry_run {
        return dry_run(&args, environment, output);
    }
    let again = Again { of: None, from: None };
    perform(&args.job, &args.options, &args.engine, again, environment, output).await
}

/// What counts from another run.
pub(crate) struct Again {
    pub(crate) of: Option<RunId>,
    pub(crate) from: Option<String>,
}

/// Submits, and waits or watches as asked for.
pub(crate) async fn perform(
    job: &JobArgs,
    options: &SubmitOptions,
    engine: &crate::args::EngineArgs,
    again: Again,
    environment: &Environment,
    output: &Output,
) -> Result<Exit, Failure> {
    let file = job_file::read(job, environment)?;
    let run_id = submission::run_id(options.run_id.as_deref())?;
    let packed = options.source.as_deref().map(|folder| source::pack(folder, output)).transpose()?;
    let engine = Engine::connect(engine, environment).await?;
    let mut document = file.document.clone();
    if let Some(packed) = &packed {
        source::put(&engine, packed, &mut document, output).await?;
    }
    let submission =
        Submission { entry: entry(job), run_id, job: document, rerun_of: again.of, rerun_from: again.from };
    if !options.wait && !options.follow {
        let answer = submission::send(&engine, &submission, output).await.map_err(|failure| placed(failure, file))?;
        let run = &submission.run_id;
        output.note(&format!("submitted: `aws-exe status -f {run}` watches it"))?;
        output.finish(&answer, || format!("{run}\n"))?;
        return Ok(Exit::Success);
    }
    let mut watch = Watch::new(&engine, &submission.run_id, output, OnInterrupt::StopWatching, options.wait)?;
    let accepted = Box::pin(watch.submit(&submission)).await.map_err(|failure| placed(failure, file))?;
    if !accepted {
        return watch.interrupted();
    }
    output.note(&format!("submitted: the run `{}`", submission.run_id))?;
    Box::pin(watch.until_the_end()).await
}

/// The route of a job.
pub(crate) fn entry(job: &JobArgs) -> Entry {
    if job.ssm { Entry::Ssm } else { Entry::Init }
}

/// What the engine refuses of a job, shown where it stands in the job's file.
pub(crate) fn placed(mut failure: Failure, file: JobFile) -> Failure {
    if failure.code == Code::JobRefused && !failure.problems.is_empty() {
        let shown = Failure::from(file.invalid(std::mem::take(&mut failure.problems)));
        let told = Failure::headline(shown.code, &shown.message);
        let excerpt = shown
            .excerpt
            .map(|excerpt| excerpt.replacen(&told, &Failure::headline(Code::JobRefused, &failure.message), 1));
        return Failure { code: Code::JobRefused, message: failure.message, excerpt, ..shown };
    }
    failure
}

/// Says what would be submitted.
fn dry_run(args: &SubmitArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let (file, job) = validate::accepted(&args.job, environment)?;
    let run_id = submission::run_id(args.options.run_id.as_deref())?;
    if let Some(folder) = &args.options.source {
        source::pack(folder, output)?;
    }
    let bytes = file.document.to_string().len();
    let count = job.orders.len();
    let result: Value = json!({"run_id": run_id, "orders": count, "bytes": bytes, "submitted": false});
    output.finish(&result, || {
        let orders = if count == 1 { "order" } else { "orders" };
        format!("the job is valid: {count} {orders}, {bytes} bytes; nothing was submitted\n")
    })?;
    Ok(Exit::Success)
}
