//! What processes of the engine's binary have in common, functions and builds alike: how they reach this embedded AWS,
//! what they get from the environment of this process, where their output goes, and how their end is described.

use std::{
    env,
    ffi::OsString,
    fs::OpenOptions,
    io,
    os::fd::AsFd as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
};

use common::{clock::Clock, env as variables};

use crate::{REGION, options::FunctionLogs, sessions::Session};

/// Variables by which SDKs find this endpoint with the credentials of `session`, and the engine its clock.
pub(crate) fn access(port: u16, session: &Session, clock: Clock) -> Vec<(OsString, OsString)> {
    let all = [
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", session.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", session.secret.clone()),
        ("AWS_SESSION_TOKEN", session.token.clone().unwrap_or_default()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        // The address of the endpoint is no place for virtual-hosted buckets or for the instance metadata service.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        (variables::CLOCK.name, clock.to_string()),
    ];
    all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What a process gets from the environment of this one: where programs are, and how https is reached from here.
pub(crate) fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    let wanted = |name: &OsString| name == "PATH" || variables::HTTPS_SETTINGS.iter().any(|setting| name == setting);
    env::vars_os().filter(move |(name, _)| wanted(name))
}

/// Where a process writes: to the end of `file`, or to this process's standard error.
pub(crate) fn output(logs: FunctionLogs, file: &Path) -> io::Result<Stdio> {
    match logs {
        FunctionLogs::Inherit => io::stderr().as_fd().try_clone_to_owned().map(Stdio::from),
        FunctionLogs::File => OpenOptions::new().create(true).append(true).open(file).map(Stdio::from),
    }
}

/// How a process ended, in AWS's words.
pub(crate) fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(9)) => "signal: killed".to_owned(),
            (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
        },
        Err(error) => error.to_string(),
    }
}
