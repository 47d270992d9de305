//! What can be typed. Each verb takes its arguments from here, as typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use common::stack::Function;

use crate::remote::DEFAULT_ENDPOINT;

/// Runs jobs of shell commands in dependency order, on AWS or on this machine.
#[derive(Debug, Parser)]
#[command(name = "aws-exe", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 succeeded, 1 the job failed, 2 bad input, 3 timed out, 4 this machine or AWS failed, 130 interrupted."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a job on this machine and watch it
    #[cfg(feature = "local")]
    Run(RunArgs),
    /// Keep the embedded AWS up, for any AWS client
    #[cfg(feature = "local")]
    Local(LocalArgs),
    /// Print what the commands of a run wrote, and follow it while they run
    Logs(LogsArgs),
    /// Cancel a run, or one order with what depends on it
    Cancel(CancelArgs),
    /// Check a job and say everything that is wrong with it
    Validate(ValidateArgs),
    /// Print the JSON Schema of a job
    Schema,
    /// Print the calls that `--record` wrote, each invocation below what caused it
    #[cfg(feature = "local")]
    #[command(hide = true)]
    Trace(TraceArgs),
    /// Serve as one of the Lambda functions (machine role)
    Function {
        /// Which function
        name: FunctionName,
    },
    /// Run one order, as the entry of a build container or on an instance (machine role)
    Worker(WorkerArgs),
}

/// Arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Run this instance's share of the order whose dispatch document stands on standard input
    #[arg(long)]
    pub(crate) instance: bool,
}

/// Arguments of `trace`.
#[cfg(feature = "local")]
#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    /// What `--record` wrote
    pub(crate) record: PathBuf,
}

/// A function, as Lambda's command override names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum FunctionName {
    InitJob,
    SsmConfig,
    Orchestrator,
    WatchdogCheck,
    Worker,
}

impl From<FunctionName> for Function {
    fn from(name: FunctionName) -> Self {
        match name {
            FunctionName::InitJob => Self::InitJob,
            FunctionName::SsmConfig => Self::SsmConfig,
            FunctionName::Orchestrator => Self::Orchestrator,
            FunctionName::WatchdogCheck => Self::WatchdogCheck,
            FunctionName::Worker => Self::Worker,
        }
    }
}

/// Which engine a verb speaks to.
#[derive(Debug, clap::Args)]
pub(crate) struct EndpointArgs {
    /// The embedded AWS that has the run
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", default_value = DEFAULT_ENDPOINT)]
    pub(crate) endpoint: String,
}

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// The run, by its `run_id`
    pub(crate) run: String,
    /// One order, by its number, name or queue id; without it every order's log, one after the other
    pub(crate) order: Option<String>,
    /// Go on printing what is new until the order, or the run, has ended
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// The run, by its `run_id`
    pub(crate) run: String,
    /// One order, by its number, name or queue id, and what depends on it; without it every order that has not ended
    pub(crate) order: Option<String>,
    /// Wait until it has ended, and exit with its code as `run` does
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    /// The job, JSON or YAML; `-` reads standard input; without it the variable `AWS_EXE_SYS_JOB_JSON`
    pub(crate) job: Option<PathBuf>,
}

/// Arguments of `run`.
#[cfg(feature = "local")]
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The job, JSON or YAML; `-` reads standard input; without it the variable `AWS_EXE_SYS_JOB_JSON`
    pub(crate) job: Option<PathBuf>,
    /// Print one JSON event a line instead of the live view
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep everything that the run left (objects, tables, function logs) in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// A secret for the job: NAME=@FILE or NAME=env:VARIABLE; may be given again
    #[arg(long = "secret", value_name = "NAME=@FILE|env:VAR")]
    pub(crate) secrets: Vec<String>,
    /// A parameter for the job: PATH=@FILE or PATH=env:VARIABLE; may be given again
    #[arg(long = "parameter", value_name = "PATH=@FILE|env:VAR")]
    pub(crate) parameters: Vec<String>,
    /// Most orders at once
    #[arg(long, value_name = "N", default_value_t = default_concurrency(), value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: u16,
    /// Instances for `ssm` orders, a YAML list of {id, tags, online, bare, directory}; without it there is one, i-local
    #[arg(long, value_name = "FILE")]
    pub(crate) instances: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) testing: TestingArgs,
}

/// Arguments of `local`.
#[cfg(feature = "local")]
#[derive(Debug, clap::Args)]
pub(crate) struct LocalArgs {
    /// Port on the loopback; 0 takes a free one
    #[arg(long, default_value_t = 4566)]
    pub(crate) port: u16,
    /// Keep everything in this folder, for the next start; without it nothing survives
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Print the variables that point other AWS clients here, as shell exports, and exit
    #[arg(long)]
    pub(crate) env: bool,
    /// Most orders at once
    #[arg(long, value_name = "N", default_value_t = default_concurrency(), value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: u16,
    /// Instances for Run Command, a YAML list of {id, tags, online, bare, directory}; without it there is one, i-local
    #[arg(long, value_name = "FILE")]
    pub(crate) instances: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) testing: TestingArgs,
}

/// For tests of the engine itself.
#[cfg(feature = "local")]
#[derive(Debug, clap::Args)]
pub(crate) struct TestingArgs {
    /// Engine time passes so many times as fast
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clock_speed: u32,
    /// Time is skipped while nobody has anything to do
    #[arg(long, hide = true)]
    pub(crate) skip_idle: bool,
    /// Faults to inject, a JSON script
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Record every call, one JSON object a line
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Keep all bytes that come in, a file a connection
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub(crate) capture: Option<PathBuf>,
}

/// Four times the cores: orders mostly wait for something else.
#[cfg(feature = "local")]
fn default_concurrency() -> u16 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    u16::try_from(cores * 4).unwrap_or(u16::MAX)
}
