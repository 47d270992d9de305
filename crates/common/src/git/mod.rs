//! Code from git repositories, by the real `git`, as strangers name them.
//!
//! [`check`] decides without any effect what may be fetched at all; [`fetch`] gets exactly one commit of that. Between
//! them stands [`Remote`], so nothing unchecked reaches a command line. `git` runs with an environment built from
//! nothing: no configuration of the machine or the user, no hooks, no credential helpers, no prompts, no submodules.
//! What a repository holds is counted before it is checked out: a few objects can name each other a million times. A
//! token travels in the environment and a key in a file that lasts as long as the fetch; neither is ever an argument
//! or part of an error.
//!
//! It ends at a checked out folder: which token belongs to a job, and how code is packed, is not known here.

mod fetch;
mod process;
mod size;
mod source;

use std::{io, time::Duration};

pub use fetch::fetch;
use secrecy::SecretString;
pub use source::{Remote, check, check_folder, enter_folder};

use crate::archive;

/// A repository and what to check out, as a job names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// `org/repo` (GitHub), an https or ssh URL, `git@host:path`, or in local mode a path or `file://` URL.
    pub repo: String,
    /// A commit, tag or branch; the remote's HEAD when there is none.
    pub commit: Option<String>,
}

/// What may be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Hosts that jobs may name, `host` or, for another port than the usual one, `host:port`.
    pub hosts: Vec<String>,
    /// Whether repositories may be folders of this machine.
    pub local_sources: bool,
}

/// How much fetching one repository may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For all of it, a second way of access included.
    pub time: Duration,
    /// Most files and folders of the commit.
    pub files: u64,
    /// Most bytes of these files together, and most that git may store on their way.
    pub bytes: u64,
}

impl Limits {
    /// For a submission: a hanging host is an error and not a lost submission, and what is checked out can be packed.
    pub const SUBMISSION: Self = Self {
        time: Duration::from_secs(180),
        files: archive::Limits::OWN.entries as u64,
        bytes: archive::Limits::OWN.bytes,
    };
}

/// How the engine shows who it is. With both, the token is tried first and the key when the token is refused.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// An access token, over https.
    Token(SecretString),
    /// A private key in OpenSSH's format, over ssh.
    SshKey(SecretString),
    /// Both.
    TokenThenSshKey(SecretString, SecretString),
}

/// Why code could not be fetched. Texts from the job or from git are escaped, and free of the secrets in use.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The repository is not named in a way that is allowed.
    #[error("`{repo}` is not a repository that can be fetched: {reason}")]
    BadRepo {
        /// As the job has it.
        repo: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A host outside [`Rules::hosts`].
    #[error("the host `{0}` is not one that code may be fetched from")]
    HostNotAllowed(String),
    /// A text that can't name a commit, tag or branch.
    #[error("`{commit}` is not a commit, tag or branch: {reason}")]
    BadCommit {
        /// As the job has it.
        commit: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A working folder that leaves the repository.
    #[error("`{folder}` is not a folder of a repository: {reason}")]
    BadFolder {
        /// As the job has it.
        folder: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no such repository, or it is hidden from who asks.
    #[error("the repository `{url}` was not found: {said}")]
    RepositoryNotFound {
        /// Where it was looked for.
        url: String,
        /// The end of what git said.
        said: String,
    },
    /// The token or key was refused, or one is needed.
    #[error("access to the repository `{url}` was refused: {said}")]
    AccessRefused {
        /// Where it was asked for.
        url: String,
        /// The end of what git said.
        said: String,
    },
    /// The repository has no such commit, tag or branch.
    #[error("the repository `{url}` has no commit, tag or branch `{commit}`")]
    CommitNotFound {
        /// Where it was looked for.
        url: String,
        /// What was looked for.
        commit: String,
    },
    /// It took too long and was stopped.
    #[error("fetching from `{url}` took longer than {} s", limit.as_secs())]
    Timeout {
        /// What was fetched.
        url: String,
        /// How long it may take.
        limit: Duration,
    },
    /// It is larger than [`Limits`] allow.
    #[error("the repository `{url}` is too large: {reason}")]
    TooLarge {
        /// What was fetched.
        url: String,
        /// What there is too much of.
        reason: String,
    },
    /// There is no `git` in the `PATH`.
    #[error("there is no `git` to fetch code with")]
    GitMissing,
    /// Anything else that git reports.
    #[error("fetching from `{url}` failed: {said}")]
    Failed {
        /// What was fetched.
        url: String,
        /// The end of what git said.
        said: String,
    },
    /// Files or processes of this machine.
    #[error("failed to {doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl GitError {
    /// Whether another commit, tag or branch would mend it, rather than another repository.
    pub fn is_about_the_commit(&self) -> bool {
        matches!(self, Self::BadCommit { .. } | Self::CommitNotFound { .. })
    }

    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// A text of a job for an error message: escaped, and not longer than a line.
fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}

#[cfg(test)]
mod tests;
