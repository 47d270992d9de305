//! What a build has of this machine: a folder of its own, a shell for each phase, variables, credentials, a log.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use common::env as variables;
use tokio::process::Command;

use crate::{
    child,
    codebuild::{
        CALLER,
        buildspec::{self, Buildspec},
        record::{PhaseKind, Record, Status},
    },
    lambda::process::{Running, end_processes, inside},
    options::FunctionLogs,
    sessions::Sessions,
    tasks::{Ended, Tasks},
    timeline::Timeline,
};

/// Where containers come from.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) port: u16,
    /// What builds find as `aws-exe`.
    pub(crate) binary: PathBuf,
    pub(crate) timeline: Timeline,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) function_env: Vec<(String, String)>,
    pub(crate) logs: FunctionLogs,
    /// Folder of the log files.
    pub(crate) log_dir: PathBuf,
    /// Folder of the builds' folders.
    pub(crate) scratch_dir: PathBuf,
}

/// A build's own.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) running: Arc<Running>,
    tasks: Arc<Tasks>,
    id: String,
    folder: PathBuf,
    variables: Vec<(OsString, OsString)>,
    logs: FunctionLogs,
    log: PathBuf,
}

impl Host {
    /// Where a build has its files: among our own, which nobody else can enter, unless its commands run as another
    /// user.
    fn folder(&self, build: &Record) -> PathBuf {
        let user = build.variables.iter().find(|variable| variable.name == variables::COMMAND_USER.name);
        if user.is_some_and(|user| !user.value.is_empty()) {
            env::temp_dir().join(format!("codebuild-{}", build.uuid))
        } else {
            self.scratch_dir.join(&build.uuid)
        }
    }

    /// Makes a build's container.
    pub(crate) fn provide(&self, build: &Record, spec: &Buildspec) -> io::Result<Container> {
        let folder = self.folder(build);
        let part = |name: &str| folder.join(name);
        // Others may pass through to what they are let into further down, and see nothing here.
        fs::DirBuilder::new().mode(0o711).create(&folder)?;
        for name in ["bin", "home", "src", "tmp"] {
            fs::DirBuilder::new().mode(0o711).create(part(name))?;
        }
        std::os::unix::fs::symlink(&self.binary, part("bin").join("aws-exe"))?;

        let running = Arc::new(Running::new(CALLER));
        running.set_request(Some(build.id()));
        let session = self.sessions.open(Arc::clone(&running));
        let mut all: Vec<(OsString, OsString)> = child::inherited().collect();
        let programs = all.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let programs = programs.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let mut path = part("bin").into_os_string();
        path.push(":");
        path.push(programs);
        all.push(("PATH".into(), path));
        all.extend(child::access(self.port, &session, self.timeline.clock()));
        // On AWS the project has them. Here nobody sees them who asks for the project or a build: headers may be among
        // them.
        let traces = || variables::OPEN_TELEMETRY.iter().chain([&variables::OTLP_HEADERS_PARAMETER]);
        let is_for_workers = |name: &str| name == "RUST_LOG" || traces().any(|variable| variable.name == name);
        let settings = self.function_env.iter().filter(|(name, _)| is_for_workers(name));
        all.extend(settings.map(|(name, value)| (name.into(), value.into())));
        for (name, value) in [
            ("CODEBUILD_BUILD_ID", build.id().into()),
            ("CODEBUILD_BUILD_ARN", build.arn().into()),
            ("CODEBUILD_BUILD_NUMBER", build.number.to_string().into()),
            ("CODEBUILD_SRC_DIR", part("src").into_os_string()),
            ("HOME", part("home").into_os_string()),
            ("TMPDIR", part("tmp").into_os_string()),
        ] {
            all.push((name.into(), value));
        }
        // The last one of a name counts: the request's and the project's before the buildspec's, as on AWS.
        all.extend(spec.variables().iter().map(|(name, value)| (name.into(), value.into())));
        all.extend(
            build.variables.iter().map(|variable| (variable.name.as_str().into(), variable.value.as_str().into())),
        );
        Ok(Container {
            running,
            tasks: Arc::clone(&self.tasks),
            id: build.id(),
            folder,
            variables: all,
            logs: self.logs,
            log: self.log_dir.join(format!("{}.log", build.uuid)),
        })
    }

    /// Ends and removes what an earlier process has left of a build.
    pub(crate) async fn clear(&self, build: &Record) {
        let folder = self.folder(build);
        end_processes(&inside(&folder)).await;
        remove(&folder).await;
    }
}

impl Container {
    /// Starts the shell that runs the commands of a phase; `so_far` is how the phases before it ended.
    pub(crate) fn start(&self, kind: PhaseKind, commands: &[String], so_far: Status) -> io::Result<Ended> {
        let script = self.folder.join(format!("{kind:?}.sh"));
        fs::write(&script, buildspec::script(commands, &self.place()))?;
        let mut command = Command::new("/bin/sh");
        command
            .arg(script)
            .env_clear()
            .env("CODEBUILD_BUILD_SUCCEEDING", if so_far == Status::Succeeded { "1" } else { "0" })
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.join("src"))
            .stdin(Stdio::null())
            .stdout(child::output(self.logs, &self.log)?)
            .stderr(child::output(self.logs, &self.log)?);
        self.tasks.start(&self.id, &self.running, command, self.folder.clone())
    }

    /// The command that the last shell was at.
    pub(crate) fn last_command<'c>(&self, commands: &'c [String]) -> &'c str {
        let place = fs::read_to_string(self.place()).ok().and_then(|number| number.parse::<usize>().ok());
        commands.get(place.unwrap_or_default()).map_or("", String::as_str)
    }

    /// Removes its folder.
    pub(crate) async fn remove(self) {
        remove(&self.folder).await;
    }

    fn place(&self) -> PathBuf {
        self.folder.join("command")
    }
}

async fn remove(folder: &Path) {
    match tokio::fs::remove_dir_all(folder).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, folder = %folder.display(), "a build's folder could not be removed"),
    }
}
