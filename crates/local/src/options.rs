//! What an embedded AWS is started with, and why it may not start.

use std::{io, path::PathBuf};

use common::clock::Clock;

use crate::faults::Script;

/// Settings of one embedded AWS.
#[derive(Clone, Debug)]
pub struct Options {
    /// TCP port on the loopback; 0 takes any free one.
    pub port: u16,
    /// Where everything is kept. Without one nothing survives: DynamoDB and small objects stay in memory, the rest in a
    /// temporary folder that is removed at the end.
    pub data: Option<PathBuf>,
    /// The engine's binary, run as `<binary> function <name>` for each function; `aws-exe` in builds, and the worker of the
    /// instances.
    pub binary: PathBuf,
    /// Most worker environments at once; async invokes beyond that wait.
    pub worker_concurrency: usize,
    /// Most builds of CodeBuild at once; further ones are queued.
    pub concurrent_builds: usize,
    /// Time for waits, retries, function timeouts and parameter expiry; handed to the functions as well.
    pub clock: Clock,
    /// Whether time is skipped while nobody has anything to do.
    pub skip_idle: bool,
    /// A YAML file that declares the managed instances; without one there is `i-local` alone.
    pub instances: Option<PathBuf>,
    /// Further variables for each function's environment.
    pub function_env: Vec<(String, String)>,
    /// Where the functions' output goes.
    pub function_logs: FunctionLogs,
    /// Scripted faults; none by default.
    pub faults: Script,
    /// A file that gets one JSON line a call.
    pub record: Option<PathBuf>,
    /// A folder that gets a file a connection, with all bytes that came in on it.
    pub capture: Option<PathBuf>,
}

impl Options {
    /// The usual [`Options::concurrent_builds`]: as few as worker environments, because all share one machine.
    pub const CONCURRENT_BUILDS: usize = 4;

    /// The usual: any port, in memory, real time, four workers, four builds, logs in files, no faults.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            port: 0,
            data: None,
            binary: binary.into(),
            worker_concurrency: 4,
            concurrent_builds: Self::CONCURRENT_BUILDS,
            instances: None,
            clock: Clock::REAL,
            skip_idle: false,
            function_env: Vec::new(),
            function_logs: FunctionLogs::File,
            faults: Script::default(),
            record: None,
            capture: None,
        }
    }
}

/// Where the standard output and error of functions and builds go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionLogs {
    /// `lambda/<function>.log` and `codebuild/<build>.log` under the data folder, one file a function or build.
    #[default]
    File,
    /// The standard error of this process.
    Inherit,
}

/// Why an embedded AWS did not start or could not do what its owner asked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data folder.
    #[error("`{}` is in use by another embedded AWS", .0.display())]
    InUse(PathBuf),
    /// The port is taken, or the loopback is not there.
    #[error("failed to listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be made, read or written.
    #[error("failed to use `{}`: {source}", path.display())]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is stored there cannot be read back.
    #[error("failed to read `{}`: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file that declares the instances cannot be read, or says something that cannot be.
    #[error("failed to read the instances in `{}`: {reason}", path.display())]
    Instances {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A table, bucket or state machine of the stack cannot be made.
    #[error("failed to create the stack: {0}")]
    Stack(String),
}

impl StartError {
    /// For `map_err` on file operations.
    pub(crate) fn files(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { path, source }
    }

    /// For `map_err` on what the file of instances says.
    pub(crate) fn instances(path: impl Into<PathBuf>) -> impl FnOnce(String) -> Self {
        let path = path.into();
        move |reason| Self::Instances { path, reason }
    }
}

/// Why a value could not be put into Parameter Store or Secrets Manager.
#[derive(Debug, thiserror::Error)]
#[error("failed to store `{name}`: {code}: {message}")]
pub struct PutError {
    /// Name of the parameter or secret.
    pub name: String,
    /// AWS's name for the error, e.g. `ValidationException`.
    pub code: String,
    /// What AWS says about it.
    pub message: String,
}
