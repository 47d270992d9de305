//! What can be typed to the roles of machines, and to the verbs that start an embedded AWS.

#[cfg(feature = "local")]
use std::path::PathBuf;

use clap::ValueEnum;
use common::stack::Function;

#[cfg(feature = "local")]
use super::shared::JobArgs;

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

/// Arguments of `run`.
#[cfg(feature = "local")]
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Send this folder as the code of every order that names none; `.gitignore` says what stays
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
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
