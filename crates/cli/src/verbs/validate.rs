//! `aws-exe validate JOB`: every problem of a job, as a submission would name it. Nothing is sent or fetched.

use common::{
    env::{self, Environment},
    git,
    intake::validate::{Entry, Rules, validate as check},
    stack::Stack,
};

use crate::{
    args::ValidateArgs,
    exit::{Exit, Failure},
    job_file,
};

/// Checks a job.
pub(crate) fn validate(args: &ValidateArgs) -> Result<Exit, Failure> {
    let environment = Environment::of_process();
    let document = job_file::read(args.job.as_deref(), &environment)?;
    let rules = rules(&environment)?;
    match check(&document, &rules) {
        Ok(job) => {
            let count = job.orders.len();
            println!("the job is valid: {count} {}", if count == 1 { "order" } else { "orders" });
            Ok(Exit::Success)
        }
        Err(problems) => Err(Failure { exit: Exit::BadInput, problems, hint: None }),
    }
}

/// The rules of the deployment that the environment describes, or of the embedded AWS.
pub(crate) fn rules(environment: &Environment) -> Result<Rules, Failure> {
    let mut reader = environment.reader();
    let bucket = environment.get(env::INTERNAL_BUCKET.name);
    let rules = Rules {
        entry: Entry::Init,
        max_job_timeout: reader.parsed(env::MAX_JOB_TIMEOUT, 0),
        ssm_prefix: reader.text(env::SSM_PREFIX),
        internal_bucket: bucket.map_or_else(|| Stack::embedded().internal_bucket(), str::to_owned),
        source_buckets: reader.list(env::SOURCE_BUCKETS),
        git: git::Rules { hosts: reader.list(env::GIT_HOSTS), local_sources: bucket.is_none() },
    };
    reader.finish(rules).map_err(|error| Failure::input(error.to_string()))
}
