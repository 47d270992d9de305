//! The status of a commit: what checks show beside it.

use url::Url;

use super::{VcsError, repository::bad};
use crate::text::{is_hidden, shown};

/// How far a check of a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not done.
    Pending,
    /// It went well.
    Success,
    /// It did not.
    Failure,
}

/// The status of a commit. A later one with the same context takes the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// Which check it is: a short name, the same each time. Bitbucket's key; at most 255 characters.
    pub context: String,
    /// How far it is.
    pub state: State,
    /// A sentence about it. Hosts keep 140 to 255 characters; a longer one is cut.
    pub description: String,
    /// Where to read more: an http or https URL.
    pub target_url: Option<String>,
}

/// Longest context: GitLab's and Bitbucket's names have room for as much, GitHub names no limit.
const MAX_CONTEXT: usize = 255;

impl CommitStatus {
    /// Whether hosts could take it.
    pub(super) fn check(&self) -> Result<(), VcsError> {
        let length = self.context.chars().count();
        if self.context.trim().is_empty() || length > MAX_CONTEXT || self.context.contains(is_hidden) {
            let reason = format!("it must have 1 to {MAX_CONTEXT} characters, none of them hidden");
            return Err(bad(format!("`{}` as the context of a status", shown(&self.context)), &reason));
        }
        match self.target_url.as_deref().map(Url::parse) {
            None => Ok(()),
            Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => Ok(()),
            Some(_) => Err(bad("this target URL of a status".to_owned(), "it is no http or https URL")),
        }
    }
}

/// Whether a text can be the full id of a commit. Abbreviated ids, branches and tags mean different things at each
/// host, or nothing.
pub(super) fn check_commit(commit: &str) -> Result<(), VcsError> {
    // SHA-1 and SHA-256 in hexadecimal.
    if matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(bad(format!("`{}` as a commit", shown(commit)), "it is not a full commit id of 40 or 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_host_takes_is_refused_before_it_is_sent() {
        let sound = CommitStatus {
            context: "aws-exe".to_owned(),
            state: State::Pending,
            description: String::new(),
            target_url: Some("https://example.com/run".to_owned()),
        };
        sound.check().unwrap();
        for context in ["", " ", "a\nb", &"a".repeat(256)] {
            assert!(CommitStatus { context: context.to_owned(), ..sound.clone() }.check().is_err(), "{context:?}");
        }
        for url in ["", "run", "javascript:alert(1)", "/run"] {
            assert!(CommitStatus { target_url: Some(url.to_owned()), ..sound.clone() }.check().is_err(), "{url:?}");
        }
        check_commit(&"a1".repeat(20)).unwrap();
        check_commit(&"A1".repeat(32)).unwrap();
        for commit in ["", "main", "a1b2c3d", &"g".repeat(40), &"é".repeat(20)] {
            assert!(check_commit(commit).is_err(), "{commit:?}");
        }
    }
}
