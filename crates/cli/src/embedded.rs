//! Starting the embedded AWS for a verb, and what is put into it first.

use std::{env, fs, path::PathBuf};

use common::{clock::Clock, env::Environment};
use local::{EmbeddedAws, FunctionLogs, Options, StartError, faults};
use secrecy::SecretString;

use crate::{
    args::TestingArgs,
    code::Code,
    engine::{CREDENTIAL, REGION},
    failure::Failure,
};

/// What a verb asks for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) port: u16,
    pub(crate) data: Option<PathBuf>,
    pub(crate) concurrency: u16,
    /// A file that declares the instances.
    pub(crate) instances: Option<PathBuf>,
    pub(crate) testing: &'a TestingArgs,
}

/// Starts it.
pub(crate) async fn start(wanted: Wanted<'_>) -> Result<EmbeddedAws, Failure> {
    let binary = env::current_exe()
        .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to find this program: {error}")))?;
    let faults = match &wanted.testing.faults {
        None => faults::Script::default(),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::new(Code::FileUnreadable, format!("failed to read `{}`: {error}", path.display()))
            })?;
            serde_json::from_str(&text)
                .map_err(|error| Failure::new(Code::FileUnreadable, format!("`{}`: {error}", path.display())))?
        }
    };
    let clock = match wanted.testing.clock_speed {
        1 => Clock::REAL,
        factor => Clock::sped_up(factor),
    };
    let options = Options {
        port: wanted.port,
        data: wanted.data,
        binary,
        worker_concurrency: usize::from(wanted.concurrency),
        concurrent_builds: Options::CONCURRENT_BUILDS,
        instances: wanted.instances,
        clock,
        skip_idle: wanted.testing.skip_idle,
        function_env: function_env(&Environment::of_process()),
        function_logs: FunctionLogs::File,
        faults,
        record: wanted.testing.record.clone(),
        capture: wanted.testing.capture.clone(),
    };
    local::orphans::adopt().map_err(|error| {
        Failure::new(Code::MachineFailed, format!("failed to look after what commands leave behind: {error}"))
    })?;
    EmbeddedAws::start(options).await.map_err(|error| match error {
        StartError::Instances { .. } => Failure::new(Code::FileUnreadable, error.to_string()),
        error => Failure::new(Code::EmbeddedFailed, format!("failed to start the embedded AWS: {error}")),
    })
}

/// Settings of the engine that a user may set for the functions on this machine.
fn function_env(environment: &Environment) -> Vec<(String, String)> {
    use common::env::{
        COMMAND_USER, EVENT_TTL_SECONDS, GIT_HOSTS, KMS_KEY_ARN, MAX_JOB_TIMEOUT, MAX_PARALLEL, OPEN_TELEMETRY,
        OTLP_HEADERS_PARAMETER, SOURCE_BUCKETS,
    };
    let own = [
        COMMAND_USER,
        EVENT_TTL_SECONDS,
        GIT_HOSTS,
        KMS_KEY_ARN,
        MAX_JOB_TIMEOUT,
        MAX_PARALLEL,
        OTLP_HEADERS_PARAMETER,
        SOURCE_BUCKETS,
    ];
    let passed = own.iter().chain(OPEN_TELEMETRY).map(|variable| variable.name);
    let set = passed.chain(["RUST_LOG"]).filter_map(|name| Some((name, environment.get(name)?)));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The shell exports that point other clients at an embedded AWS.
pub(crate) fn exports(port: u16) -> String {
    format!(
        "export AWS_ENDPOINT_URL=http://127.0.0.1:{port}\nexport AWS_ACCESS_KEY_ID={CREDENTIAL}\nexport AWS_SECRET_ACCESS_KEY={CREDENTIAL}\nexport AWS_REGION={REGION}\nexport AWS_DEFAULT_REGION={REGION}"
    )
}

/// A named value that comes from a file or a variable, never from the command line itself.
pub(crate) fn named_value(
    option: &str,
    text: &str,
    environment: &Environment,
) -> Result<(String, SecretString), Failure> {
    let usage = || {
        Failure::new(
            Code::OptionWrong,
            format!(
                "`{option}` takes NAME=@FILE or NAME=env:VARIABLE; a value itself is never given on the command line"
            ),
        )
    };
    let (name, from) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(usage)?;
    let value = if let Some(file) = from.strip_prefix('@') {
        let text = fs::read_to_string(file);
        text.map_err(|error| {
            Failure::new(Code::OptionWrong, format!("`{option} {name}`: failed to read `{file}`: {error}"))
        })?
    } else if let Some(variable) = from.strip_prefix("env:") {
        let value = environment.get(variable);
        value
            .ok_or_else(|| {
                Failure::new(Code::OptionWrong, format!("`{option} {name}`: the variable `{variable}` is not set"))
            })?
            .to_owned()
    } else {
        return Err(usage());
    };
    Ok((name.to_owned(), SecretString::from(value)))
}
