//! `aws-exe`: every role of the engine in one binary. Here the verb is chosen and its exit code is returned; each verb
//! has a file of its own under `verbs`.

mod args;
mod exit;
mod job_file;
mod logging;
mod lookup;
mod remote;
mod state;
mod verbs;

#[cfg(feature = "local")]
mod embedded;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Args, Verb},
    exit::{Exit, Failure},
};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&Failure::machine(format!("failed to start: {error}"))),
    };
    match runtime.block_on(choose(args)) {
        Ok(exit) => exit.into(),
        Err(failure) => exit::report(&failure),
    }
}

async fn choose(args: Args) -> Result<Exit, Failure> {
    match args.verb {
        #[cfg(feature = "local")]
        Verb::Run(run) => Box::pin(verbs::run::run(run)).await,
        #[cfg(feature = "local")]
        Verb::Local(local) => Box::pin(verbs::local::local(local)).await,
        Verb::Logs(logs) => Box::pin(verbs::logs::logs(logs)).await,
        Verb::Cancel(cancel) => Box::pin(verbs::cancel::cancel(cancel)).await,
        Verb::Validate(validate) => verbs::validate::validate(&validate),
        #[cfg(feature = "local")]
        Verb::Trace(trace) => verbs::trace::trace(&trace),
        Verb::Schema => verbs::schema::schema(),
        Verb::Function { name } => Box::pin(verbs::function::function(name)).await,
        Verb::Worker(worker) => Box::pin(verbs::worker::worker(worker)).await,
    }
}
