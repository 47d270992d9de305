//! `aws-exe worker`: runs one order, as the entry of a build container. Its exit code is the order's outcome.

use common::{aws::Aws, env::Environment, status::Outcome};
use worker::{Dispatch, Report};

use crate::{
    exit::{Exit, Failure},
    logging,
};

/// What CodeBuild sets for the build.
const BUILD_ID: &str = "CODEBUILD_BUILD_ID";

/// Runs the order that the environment names.
pub(crate) async fn worker() -> Result<Exit, Failure> {
    logging::start();
    let environment = Environment::of_process();
    let dispatch = Dispatch::of_environment(&environment).map_err(|error| Failure::input(error.to_string()))?;
    let build = environment
        .get(BUILD_ID)
        .ok_or_else(|| Failure::input(format!("`{BUILD_ID}` is not set: this role is started by a build")))?;
    let settings = worker::Settings::load(&environment).map_err(|error| Failure::input(error.to_string()))?;
    worker::harden().map_err(|error| Failure::machine(format!("failed to protect the worker's memory: {error}")))?;
    let aws = Aws::load().await;
    let by = format!("codebuild:{build}");
    let report = Box::pin(worker::handle(&aws, &settings, &dispatch, by, None)).await;
    match report.map_err(|error| Failure::machine(error.to_string()))? {
        Report::NotMine | Report::Ended(Outcome::Succeeded) => Ok(Exit::Success),
        Report::Ended(outcome) => Ok(outcome.into()),
    }
}
