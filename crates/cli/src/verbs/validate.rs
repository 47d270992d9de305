//! `aws-exe validate JOB`: every problem of a job, as a submission would name it. Nothing is sent or fetched.

use common::{
    env::{self, Environment},
    git,
    intake::validate::{Entry, Rules, validate as check},
    order::Job,
    stack::Stack,
};
use serde_json::json;

use crate::{
    args::{JobArgs, ValidateArgs},
    code::Code,
    exit::Exit,
    failure::Failure,
    job_file::{self, JobFile},
    output::Output,
};

/// Checks a job.
pub(crate) fn validate(args: &ValidateArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let (_, job) = accepted(&args.job, environment)?;
    let count = job.orders.len();
    output.finish(&json!({"orders": count}), || {
        format!("the job is valid: {count} {}\n", if count == 1 { "order" } else { "orders" })
    })?;
    Ok(Exit::Success)
}

/// Reads a job and accepts it as a submission would.
pub(crate) fn accepted(args: &JobArgs, environment: &Environment) -> Result<(JobFile, Job), Failure> {
    let file = job_file::read(args, environment)?;
    let rules = rules(environment, args.ssm)?;
    match check(&file.document, &rules) {
        Ok(job) => Ok((file, job)),
        Err(problems) => Err(file.invalid(problems).into()),
    }
}

/// The rules of the deployment that the environment describes, or of the embedded AWS.
pub(crate) fn rules(environment: &Environment, ssm: bool) -> Result<Rules, Failure> {
    let mut reader = environment.reader();
    let bucket = environment.get(env::INTERNAL_BUCKET.name);
    let rules = Rules {
        entry: if ssm { Entry::Ssm } else { Entry::Init },
        max_job_timeout: reader.parsed(env::MAX_JOB_TIMEOUT, 0),
        ssm_prefix: reader.text(env::SSM_PREFIX),
        internal_bucket: bucket.map_or_else(|| Stack::embedded().internal_bucket(), str::to_owned),
        account: environment.get(env::ACCOUNT_ID.name).map(str::to_owned),
        source_buckets: reader.parsed_list(env::SOURCE_BUCKETS),
        git: git::Rules { hosts: reader.list(env::GIT_HOSTS), local_sources: bucket.is_none() },
    };
    reader.finish(rules).map_err(|error| Failure::new(Code::SettingsWrong, error.to_string()))
}
