//! What differs from host to host: which request does a thing, and what its answer says. Nothing is sent here.

use std::fmt::Debug;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Comment, CommitStatus, Repository, Subject, VcsError, pages::Next};
use crate::{http::Headers, json};

/// Most values that an answer may have: a hundred comments, with a hundred fields each, ten times over.
const MAX_VALUES: usize = 100_000;

/// Comments asked for at once: the most that each of the hosts gives.
pub(super) const PER_PAGE: usize = 100;

/// A request to an API, without the token.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: Option<Value>,
}

impl Request {
    pub(super) fn get(url: String) -> Self {
        Self { method: "GET", url, body: None }
    }

    pub(super) fn delete(url: String) -> Self {
        Self { method: "DELETE", url, body: None }
    }

    pub(super) fn send(method: &'static str, url: String, body: Value) -> Self {
        Self { method, url, body: Some(body) }
    }
}

/// What a token must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read and write comments.
    Comments,
    /// Set the status of commits.
    Statuses,
}

/// One kind of host.
pub(super) trait Provider: Debug + Send + Sync {
    /// The repository that requests are about.
    fn repository(&self) -> &Repository;

    /// The header that shows the token, by name and value.
    fn authorization(&self, token: &SecretString) -> (&'static str, SecretString);

    /// Headers of each request, besides those that all hosts get.
    fn headers(&self) -> &'static [(&'static str, &'static str)];

    /// The permission that a token needs, in the host's own words.
    fn needs(&self, access: Access) -> &'static str;

    /// Longest comment, in characters.
    fn longest_body(&self) -> usize;

    /// The text as the host must get it so that it is nothing but text.
    fn harmless(&self, text: String) -> String {
        text
    }

    /// The first page of a subject's comments, oldest first.
    fn list(&self, subject: Subject) -> Request;

    /// The comments on a page that people see, and where the next one is.
    fn page(&self, subject: Subject, body: &[u8], headers: &Headers) -> Result<(Vec<Comment>, Next), String>;

    /// Writes a comment.
    fn create(&self, subject: Subject, body: &str) -> Request;

    /// Gives a comment another text.
    fn update(&self, subject: Subject, id: u64, body: &str) -> Request;

    /// Asks for a comment.
    fn look(&self, subject: Subject, id: u64) -> Request;

    /// Removes a comment.
    fn delete(&self, subject: Subject, id: u64) -> Request;

    /// A comment in an answer to one of these; `None`: it was deleted.
    fn comment(&self, subject: Subject, body: &[u8]) -> Result<Option<Comment>, String>;

    /// Sets the status of a commit.
    fn status(&self, commit: &str, status: &CommitStatus) -> Result<Request, VcsError>;

    /// A refusal to set a status that may only mean that it is set already: what to ask then.
    fn standing(&self, _commit: &str, _status: &CommitStatus, _refusal: &VcsError) -> Option<Request> {
        None
    }

    /// Whether the answer to that says that the status is set.
    fn stands(&self, _status: &CommitStatus, _body: &[u8]) -> bool {
        false
    }
}

/// Reads an answer.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    json::read(body, MAX_VALUES).map_err(|error| format!("its answer is not what is documented: {error}"))
}

/// A URL of a host's that people may be shown.
pub(super) fn shown_url(url: Option<String>) -> Option<String> {
    url.filter(|url| url.starts_with("https://") || url.starts_with("http://"))
        .filter(|url| url.len() < 2_000 && url.bytes().all(|byte| byte.is_ascii_graphic()))
}
