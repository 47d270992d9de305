//! What is commented on, and comments as hosts have them.

use super::{Host, VcsError, repository::bad};

/// What is commented on, by its number in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pull request; GitLab's merge request.
    PullRequest(u64),
    /// An issue. Bitbucket Cloud has none any more.
    Issue(u64),
}

impl Subject {
    /// What a job with these numbers is about: its pull request, else its issue.
    pub fn of_job(pr_number: Option<u64>, issue_number: Option<u64>) -> Option<Self> {
        pr_number.map(Self::PullRequest).or(issue_number.map(Self::Issue))
    }

    /// As a host's people call it.
    pub(super) fn shown(self, host: Host) -> String {
        match (self, host) {
            (Self::PullRequest(number), Host::GitLab) => format!("merge request {number}"),
            (Self::PullRequest(number), _) => format!("pull request {number}"),
            (Self::Issue(number), _) => format!("issue {number}"),
        }
    }

    /// Whether there can be such a thing.
    pub(super) fn check(self, host: Host) -> Result<(), VcsError> {
        let what = || format!("{} of {}", self.shown(host), host.name());
        match (self, host) {
            (Self::PullRequest(0) | Self::Issue(0), _) => Err(bad(what(), "numbers begin at 1")),
            // https://community.atlassian.com/forums/Bitbucket-articles/Announcing-sunset-of-Bitbucket-Issues-and-Wikis/ba-p/3193882
            (Self::Issue(_), Host::Bitbucket) => {
                Err(bad(what(), "Atlassian removed issues and their API in August 2026; comment on a pull request"))
            }
            _ => Ok(()),
        }
    }
}

/// A comment at its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The host's number for it.
    pub id: u64,
    /// Where people read it, if the host tells.
    pub url: Option<String>,
    /// Who wrote it, by the host's name for them. Not checked against the token: see [`super`].
    pub author: Option<String>,
    /// Its text as it is stored, with the marker.
    pub body: String,
}

/// What [`super::Vcs::upsert`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The comment that has the text now.
    pub comment: Comment,
    /// What was done for that.
    pub change: Change,
    /// How many further comments have the same tag. They stand as they were.
    pub others: usize,
}

/// What was done so that a comment has a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none.
    Created,
    /// It had another text.
    Updated,
    /// It had the text already.
    Unchanged,
}
