//! What can be typed: the verbs. What several of them take alike is in `shared`; what only one takes stands here.

mod machine;
mod shared;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use machine::{FunctionName, WorkerArgs};
#[cfg(feature = "local")]
pub(crate) use machine::{LocalArgs, RunArgs, TestingArgs, TraceArgs};
pub(crate) use shared::{EngineArgs, JobArgs, SubmitOptions};

/// Runs jobs of shell commands in dependency order, on AWS or on this machine.
#[derive(Debug, Parser)]
#[command(name = "aws-exe", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 succeeded, 1 the job failed, 2 bad input, 3 timed out, 4 this machine or AWS failed, \
                  130 interrupted.\n`aws-exe explain AES0105` explains the code of an error."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Print JSON, one object a line; the last one says how it ended
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a job to start from
    Init(InitArgs),
    /// Check a job and say everything that is wrong with it
    Validate(ValidateArgs),
    /// Say what a job would do and what it may cost, order by order; nothing is sent
    Explain(ExplainArgs),
    /// Draw the orders of a job or of a run, each below what it waits for
    Graph(GraphArgs),
    /// Run a job on this machine and watch it
    #[cfg(feature = "local")]
    Run(RunArgs),
    /// Submit a job to an engine that is up
    Submit(SubmitArgs),
    /// Say how a run stands, order by order
    Status(StatusArgs),
    /// List recent runs
    List(ListArgs),
    /// Print what the commands of a run wrote, and follow it while they run
    Logs(LogsArgs),
    /// Print what happened to a run and its orders
    Events(EventsArgs),
    /// Cancel a run, or one order with what depends on it
    Cancel(CancelArgs),
    /// Run again what did not succeed in a run, or what has changed since
    Rerun(RerunArgs),
    /// Post the orders of a run as a comment on its pull request, or update it
    Comment(CommentArgs),
    /// Check what the command line needs and say how to mend what is missing
    Doctor(DoctorArgs),
    /// Print the JSON Schema of a job
    Schema,
    /// Print what makes a shell complete this command line
    Completions(CompletionsArgs),
    /// Keep the embedded AWS up, for any AWS client
    #[cfg(feature = "local")]
    Local(LocalArgs),
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

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The file to write, YAML or JSON by the end of its name; `-` prints YAML
    #[arg(default_value = "job.yaml")]
    pub(crate) file: PathBuf,
    /// Write the JSON Schema of jobs beside it, as job.schema.json, for editors
    #[arg(long)]
    pub(crate) schema: bool,
    /// Overwrite what is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed")]
pub(crate) struct GraphArgs {
    /// A job (a file, or `-`), or a run by its `run_id`; without it the variable `AWS_EXE_SYS_JOB_JSON`
    #[arg(value_name = "JOB|RUN")]
    pub(crate) subject: Option<PathBuf>,
    /// A value for `${var.NAME}` in the job's texts; NAME alone takes the environment's variable; may be given again
    #[arg(long = "var", value_name = "NAME[=VALUE]")]
    pub(crate) vars: Vec<String>,
    /// Orders without a target run on instances, as `POST /ssm` has it
    #[arg(long)]
    pub(crate) ssm: bool,
    /// For Graphviz
    #[arg(long, group = "form")]
    pub(crate) dot: bool,
    /// For Mermaid
    #[arg(long, group = "form")]
    pub(crate) mermaid: bool,
    /// A picture
    #[arg(long, group = "form")]
    pub(crate) svg: bool,
    /// Every order on a line of its own, also where many are alike
    #[arg(long, conflicts_with = "form")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `submit`.
#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) options: SubmitOptions,
    /// Say what would be submitted, and submit nothing
    #[arg(long, conflicts_with_all = ["wait", "follow"])]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The run, by its `run_id`
    pub(crate) run: String,
    /// Watch it until it has ended, and exit with its code as `run` does
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only runs of this user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Only runs that stand so
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<ListStatus>,
    /// Only runs that began so long ago at most, as `90m`, `12h` or `7d`
    #[arg(long, value_name = "AGE", value_parser = shared::parse_age)]
    pub(crate) since: Option<std::time::Duration>,
    /// Most runs
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// How a run of a list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ListStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
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
    /// Only orders that did not succeed
    #[arg(long, conflicts_with = "order")]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `events`.
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// The run, by its `run_id`
    pub(crate) run: String,
    /// Only those of one order, by its number, name or queue id
    pub(crate) order: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
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
    pub(crate) engine: EngineArgs,
}

/// Arguments of `rerun`.
#[derive(Debug, clap::Args)]
pub(crate) struct RerunArgs {
    /// The run whose succeeded orders count, by its `run_id`
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Run what did not succeed there or has changed, and what depends on it; so it is without it too
    #[arg(long)]
    pub(crate) failed: bool,
    /// Run this order again whatever became of it, with what depends on it
    #[arg(long, value_name = "ORDER", conflicts_with = "failed")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) options: SubmitOptions,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `comment`.
#[derive(Debug, clap::Args)]
pub(crate) struct CommentArgs {
    /// The run, by its `run_id`
    pub(crate) run: String,
    /// The repository, as a job names it: `org/repo` or a URL; default the run's own
    #[arg(long, value_name = "REPO")]
    pub(crate) repo: Option<String>,
    /// The pull request
    #[arg(long, value_name = "NUMBER", group = "subject")]
    pub(crate) pr: Option<u64>,
    /// The issue
    #[arg(long, value_name = "NUMBER", group = "subject")]
    pub(crate) issue: Option<u64>,
    /// What the comment is found by again; default the job's `pr_comment_search_tag`, or else its `flow_label`
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// The variable that has the token
    #[arg(long, value_name = "VARIABLE", default_value = "VCS_TOKEN")]
    pub(crate) token_env: String,
    /// The code host, where its name does not tell
    #[arg(long, value_name = "HOST")]
    pub(crate) provider: Option<Provider>,
    /// The URL of its API, where its name does not tell
    #[arg(long, value_name = "URL", requires = "provider")]
    pub(crate) api: Option<String>,
    /// Set the status of this commit as well
    #[arg(long, value_name = "SHA")]
    pub(crate) commit: Option<String>,
    /// Print the comment, and post nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// A kind of code host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    Github,
    Gitlab,
    Bitbucket,
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
