//! `aws-exe`: every role of the engine in one binary. Here the verb is chosen and its exit code is returned; each verb
//! has a file of its own under `verbs`.

mod args;
mod code;
mod columns;
mod drawing;
mod engine;
mod exit;
mod failure;
mod job_file;
mod logging;
mod lookup;
mod output;
mod price;
mod progress;
mod signs;
mod state;
mod stored;
mod submission;
mod terminal;
mod times;
mod verbs;
mod watch;

#[cfg(feature = "local")]
mod embedded;

use std::process::ExitCode;

use clap::Parser as _;
use common::env::Environment;
use tokio::runtime::Builder;

use crate::{
    args::{Args, Verb},
    code::Code,
    exit::Exit,
    failure::Failure,
    output::Output,
};

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.json);
    let ended = match runtime(&args.verb).enable_all().build() {
        Ok(runtime) => runtime.block_on(choose(args.verb, &output)),
        Err(error) => Err(Failure::new(Code::MachineFailed, format!("failed to start: {error}"))),
    };
    output.end(ended)
}

/// A function does one thing at a time and waits for AWS most of it; on AWS it has one processor or less. With a thread for
/// that and others for its connections, each answer would have to wake one after the other.
fn runtime(verb: &Verb) -> Builder {
    match verb {
        Verb::Function { .. } | Verb::Worker(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    }
}

async fn choose(verb: Verb, output: &Output) -> Result<Exit, Failure> {
    let environment = &Environment::of_process();
    match verb {
        Verb::Validate(args) => verbs::validate::validate(&args, environment, output),
        Verb::Explain(args) => verbs::explain::explain(&args, environment, output),
        Verb::Graph(args) => Box::pin(verbs::graph::graph(args, environment, output)).await,
        #[cfg(feature = "local")]
        Verb::Run(args) => Box::pin(verbs::run::run(args, environment, output)).await,
        Verb::Submit(args) => Box::pin(verbs::submit::submit(args, environment, output)).await,
        Verb::Status(args) => Box::pin(verbs::status::status(args, environment, output)).await,
        Verb::List(args) => Box::pin(verbs::list::list(args, environment, output)).await,
        Verb::Logs(args) => Box::pin(verbs::logs::logs(args, environment, output)).await,
        Verb::Events(args) => Box::pin(verbs::events::events(args, environment, output)).await,
        Verb::Cancel(args) => Box::pin(verbs::cancel::cancel(args, environment, output)).await,
        Verb::Rerun(args) => Box::pin(verbs::rerun::rerun(args, environment, output)).await,
        Verb::Init(args) => verbs::init::init(&args, output),
        Verb::Comment(args) => Box::pin(verbs::comment::comment(args, environment, output)).await,
        Verb::Doctor(args) => Box::pin(verbs::doctor::doctor(args, environment, output)).await,
        Verb::Schema => verbs::schema::schema(output),
        Verb::Completions(args) => verbs::completions::completions(&args, output),
        #[cfg(feature = "local")]
        Verb::Local(args) => Box::pin(verbs::local::local(args, output)).await,
        #[cfg(feature = "local")]
        Verb::Trace(args) => verbs::trace::trace(&args, output),
        Verb::Function { name } => Box::pin(verbs::function::function(name)).await,
        Verb::Worker(args) => Box::pin(verbs::worker::worker(args)).await,
    }
}
