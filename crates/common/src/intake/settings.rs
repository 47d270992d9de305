//! What both entry points need from their environment.

use super::validate::{Entry, Rules};
use crate::{
    clock::Clock,
    env::{self, BadSettings, Environment},
    git,
    stack::Function,
    target::TargetLimits,
    telemetry::Telemetry,
};

/// Settings of the intake.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Table of rows.
    pub orders_table: String,
    /// Table of run items.
    pub locks_table: String,
    /// The engine's bucket.
    pub internal_bucket: String,
    /// Bucket of `done` objects.
    pub done_bucket: String,
    /// ARN of the watchdog's state machine.
    pub watchdog_sfn: String,
    /// Key of KMS for the keys of runs; none for AWS's own.
    pub kms_key_arn: Option<String>,
    /// What jobs may do.
    pub rules: Rules,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// Time.
    pub clock: Clock,
}

impl Settings {
    /// Reads them; all that is missing is named at once.
    pub fn load(environment: &Environment, entry: Entry) -> Result<Self, BadSettings> {
        let function = match entry {
            Entry::Init => Function::InitJob,
            Entry::Ssm => Function::SsmConfig,
        };
        let clock = environment.clock()?;
        let mut reader = environment.reader();
        let internal_bucket = reader.text(env::INTERNAL_BUCKET);
        // Not used here, but a deployment whose limits cannot be read should fail at the door, not in the middle of a run.
        let _: TargetLimits = reader.parsed(env::MAX_PARALLEL, TargetLimits::default());
        let settings = Self {
            orders_table: reader.text(env::ORDERS_TABLE),
            locks_table: reader.text(env::LOCKS_TABLE),
            done_bucket: reader.text(env::DONE_BUCKET),
            watchdog_sfn: reader.text(env::WATCHDOG_SFN),
            kms_key_arn: Some(reader.text(env::KMS_KEY_ARN)).filter(|arn| !arn.is_empty()),
            rules: Rules {
                entry,
                max_job_timeout: reader.parsed(env::MAX_JOB_TIMEOUT, 0),
                ssm_prefix: reader.text(env::SSM_PREFIX),
                internal_bucket: internal_bucket.clone(),
                account: Some(reader.text(env::ACCOUNT_ID)),
                source_buckets: reader.parsed_list(env::SOURCE_BUCKETS),
                git: git::Rules {
                    hosts: reader.list(env::GIT_HOSTS),
                    local_sources: environment.get(env::LOCAL_SOURCES.name).is_some(),
                },
            },
            internal_bucket,
            telemetry: Telemetry::load(environment, function.name()),
            clock,
        };
        reader.finish(settings)
    }
}
