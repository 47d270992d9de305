//! Why something could not be done at a host, by what the caller can do about it.

use std::time::Duration;

/// Why something could not be done. Each text completes "failed to …". Texts of the host are escaped, short, and free
/// of the token.
#[derive(Debug, thiserror::Error)]
pub enum VcsError {
    /// Give something else: nothing was sent.
    #[error("use {what}: {reason}")]
    BadInput {
        /// What was given, with its value where that is no secret.
        what: String,
        /// What is wrong with it, and the way out.
        reason: String,
    },
    /// Shorten it: nothing was sent.
    #[error("use {what}: it has {length} characters, and {host} takes {limit}")]
    TooLong {
        /// What was given.
        what: &'static str,
        /// How long it is, in characters.
        length: usize,
        /// How long it may be, in characters.
        limit: usize,
        /// Whose limit it is.
        host: &'static str,
    },
    /// Give a token: nothing was sent.
    #[error("find a token for {host}: none was given, or an empty one; it needs {needs}")]
    NoToken {
        /// Which host.
        host: &'static str,
        /// What the token must be allowed.
        needs: &'static str,
    },
    /// Give a token that is valid, or one that may do this.
    #[error("{action}: {host} refuses the token ({status}): {said}; {}", way_out(*status, needs))]
    Refused {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// 401: the token is not valid; 403: it may not do this.
        status: u16,
        /// What the token must be allowed.
        needs: &'static str,
        /// What the host said.
        said: String,
    },
    /// Look at the repository and the number, or give a token that sees them. Hosts answer alike for both.
    #[error("{action}: {host} has no such thing, or hides it from this token (404): {said}")]
    NotFound {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// What the host said.
        said: String,
    },
    /// Name the repository as it is called now. Nothing was done.
    #[error("{action}: {host} says that it has moved{}", place(to.as_deref()))]
    Moved {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// Where it went, when the host tells.
        to: Option<String>,
    },
    /// Come back later: too many requests were made with this token. Nothing was done.
    #[error(
        "{action}: {host} takes no more requests for now{}, and {} s were waited already",
        pause.map(|pause| format!(" and asks to wait for {} s", pause.as_secs())).unwrap_or_default(),
        waited.as_secs()
    )]
    Busy {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// How long the host asks to wait, when it tells.
        pause: Option<Duration>,
        /// How long was waited.
        waited: Duration,
    },
    /// Do it again: the host answered nothing usable to a question, several times. Nothing was changed.
    #[error("{action}: {host} can't be reached: {said}")]
    Unreachable {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// What went wrong.
        said: String,
    },
    /// Look first: whether it was done is not known. [`super::Vcs::upsert`] has looked already, and tried again.
    #[error("{action}: whether {host} did it is not known: {said}")]
    Unclear {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// What went wrong.
        said: String,
    },
    /// Distrust the host, or the API's address: its answer leads to another place, and the token goes to none but its
    /// own.
    #[error("{action}: the next page of {host} is at `{to}`, which is another place; the token is not sent there")]
    Elsewhere {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// Where the answer leads.
        to: String,
    },
    /// Anything else that a host answers, with what it said.
    #[error("{action}: {host} answers {status}: {said}")]
    Other {
        /// What was tried.
        action: String,
        /// Where.
        host: String,
        /// The answer's status.
        status: u16,
        /// What the host said, or what is wrong with it.
        said: String,
    },
}

fn place(to: Option<&str>) -> String {
    to.map(|to| format!(" to `{to}`")).unwrap_or_default()
}

fn way_out(status: u16, needs: &str) -> String {
    match status {
        401 => format!("it is wrong, expired or of another host, and must have {needs}"),
        _ => format!("it needs {needs}"),
    }
}
