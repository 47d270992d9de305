//! The worker: runs one order on Lambda or in a build container, or an instance's share of one.
//!
//! ```text
//!  dispatch ─▶ fetch ─▶ unlock ─▶ claim ─▶ run ───────────────▶ report
//!              bundle,  key from  once,    commands one by one,  result.json by the signed URL,
//!              code     Parameter or quit  output masked,        else with the worker's own role;
//!                       Store              stop request watched  else by the way it ends
//! ```
//!
//! With a role it needs S3 and Parameter Store and nothing else; on an instance it needs nothing but the signed URLs of its
//! dispatch document ([`desk`]). Commands never see the worker's own credentials: their environment
//! is built from nothing, and the worker's memory cannot be read by them.

pub mod capture;
pub mod collect;
mod desk;
mod dispatch;
mod fetch;
mod group;
mod harden;
mod invocation;
pub mod leftovers;
mod log;
pub mod mask;
pub mod run;
mod run_key;
pub mod spool;
mod standing;
mod stop;
mod trace;
mod user;
pub mod workspace;

use std::{io, path::PathBuf};

use common::{
    clock::Clock,
    env::{self, BadSettings, Environment},
    http::LazyHttp,
    stack::Function,
    status::Outcome,
    telemetry::Telemetry,
};

pub use dispatch::{BadDispatch, Dispatch};
pub use invocation::{WorkerError, handle, handle_share};
pub use run_key::LastKey;
pub use spool::OwnSpool;
pub use user::CommandUser;

/// What the worker needs from its environment; the rest comes with each dispatch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where invocations get their folders.
    pub scratch: PathBuf,
    /// `PATH` of the commands: the worker's own.
    pub path: String,
    /// Whom the commands run as, if not the worker's own user.
    pub user: Option<CommandUser>,
    /// What signed URLs are used with, by a worker that has a role.
    pub http: LazyHttp,
    /// The key of the run that came last.
    pub last_key: LastKey,
    /// The file for the output of its orders.
    pub spool: OwnSpool,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// Time.
    pub clock: Clock,
}

impl Settings {
    /// Reads them.
    pub fn load(environment: &Environment) -> Result<Self, BadSettings> {
        let name = environment.get(env::COMMAND_USER.name);
        let user = name.map(CommandUser::find).transpose();
        let user = user.map_err(|error| BadSettings(vec![format!("`{}` {error}", env::COMMAND_USER.name)]))?;
        Ok(Self {
            // Lambda lets its functions write there and nowhere else.
            scratch: environment.get("TMPDIR").unwrap_or("/tmp").into(),
            path: environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin").to_owned(),
            user,
            http: LazyHttp::new(desk::ANSWER),
            last_key: LastKey::default(),
            spool: OwnSpool::default(),
            telemetry: Telemetry::load(environment, Function::Worker.name()),
            clock: environment.clock()?,
        })
    }
}

/// What came of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Somebody else has the order; nothing was run.
    NotMine,
    /// The order ended so, and its result stands.
    Ended(Outcome),
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotMine => f.write_str("not mine"),
            Self::Ended(outcome) => outcome.fmt(f),
        }
    }
}

/// Protects the worker before its first order: commands run as the same user and could read its memory otherwise, and
/// what they leave behind must become the worker's own to be found and killed.
pub fn harden() -> io::Result<()> {
    harden::hide_process()?;
    leftovers::adopt_orphans()
}
