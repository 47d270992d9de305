//! GitHub: github.com, GitHub Enterprise Cloud and Server.
//!
//! A pull request is an issue there, so both have their comments under `issues`:
//! <https://docs.github.com/en/rest/issues/comments>. Statuses: <https://docs.github.com/en/rest/commits/statuses>.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{
    Comment, CommitStatus, Repository, State, Subject, VcsError,
    pages::{Next, linked},
    provider::{Access, PER_PAGE, Provider, Request, read, shown_url},
};
use crate::{
    http::Headers,
    text::{sentence, shown},
};

/// Not in GitHub's documents; its API says so when a comment is longer (`Body is too long (maximum is 65536
/// characters)`, <https://github.com/orgs/community/discussions/27190>). What it measures is 262,144 bytes, four for
/// each of these (<https://github.com/dead-claudia/github-limits/pull/13>), so that as many characters always fit.
const LONGEST_BODY: usize = 65_536;

/// As the API says when it is longer: `description is too long (maximum is 140 characters)`.
const LONGEST_DESCRIPTION: usize = 140;

/// The version of the API that all servers know which know versions at all
/// (<https://docs.github.com/en/rest/about-the-rest-api/api-versions>).
const VERSION: (&str, &str) = ("x-github-api-version", "2022-11-28");

#[derive(Debug)]
pub(super) struct GitHub(pub(super) Repository);

#[derive(Deserialize)]
struct IssueComment {
    id: u64,
    body: Option<String>,
    html_url: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

impl From<IssueComment> for Comment {
    fn from(comment: IssueComment) -> Self {
        Self {
            id: comment.id,
            url: shown_url(comment.html_url),
            author: comment.user.map(|user| shown(&user.login)),
            body: comment.body.unwrap_or_default(),
        }
    }
}

impl GitHub {
    fn url(&self, rest: &str) -> String {
        self.0.url(&format!("/repos/{}/{rest}", self.0.name()))
    }

    fn comments_url(&self, subject: Subject) -> String {
        let (Subject::PullRequest(number) | Subject::Issue(number)) = subject;
        self.url(&format!("issues/{number}/comments"))
    }

    fn comment_url(&self, id: u64) -> String {
        self.url(&format!("issues/comments/{id}"))
    }
}

impl Provider for GitHub {
    fn repository(&self) -> &Repository {
        &self.0
    }

    fn authorization(&self, token: &SecretString) -> (&'static str, SecretString) {
        ("authorization", format!("Bearer {}", token.expose_secret()).into())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/vnd.github+json"), VERSION]
    }

    fn needs(&self, access: Access) -> &'static str {
        match access {
            Access::Comments => {
                "the repository permission `Pull requests` or `Issues`: write, or the scope `repo` (`public_repo` for \
                 a public repository)"
            }
            Access::Statuses => "the repository permission `Commit statuses`: write, or the scope `repo:status`",
        }
    }

    fn longest_body(&self) -> usize {
        LONGEST_BODY
    }

    fn list(&self, subject: Subject) -> Request {
        // Ordered by id without being asked.
        Request::get(format!("{}?per_page={PER_PAGE}", self.comments_url(subject)))
    }

    fn page(&self, _subject: Subject, body: &[u8], headers: &Headers) -> Result<(Vec<Comment>, Next), String> {
        let comments: Vec<IssueComment> = read(body)?;
        Ok((comments.into_iter().map(Comment::from).collect(), linked(headers)))
    }

    fn create(&self, subject: Subject, body: &str) -> Request {
        Request::send("POST", self.comments_url(subject), json!({"body": body}))
    }

    fn update(&self, _subject: Subject, id: u64, body: &str) -> Request {
        Request::send("PATCH", self.comment_url(id), json!({"body": body}))
    }

    fn look(&self, _subject: Subject, id: u64) -> Request {
        Request::get(self.comment_url(id))
    }

    fn delete(&self, _subject: Subject, id: u64) -> Request {
        Request::delete(self.comment_url(id))
    }

    fn comment(&self, _subject: Subject, body: &[u8]) -> Result<Option<Comment>, String> {
        let comment: IssueComment = read(body)?;
        Ok(Some(comment.into()))
    }

    fn status(&self, commit: &str, status: &CommitStatus) -> Result<Request, VcsError> {
        let state = match status.state {
            State::Pending => "pending",
            State::Success => "success",
            State::Failure => "failure",
        };
        let mut body = json!({
            "state": state,
            "context": status.context,
            "description": sentence(&status.description, LONGEST_DESCRIPTION),
        });
        if let Some(url) = &status.target_url {
            body["target_url"] = url.as_str().into();
        }
        Ok(Request::send("POST", self.url(&format!("statuses/{commit}")), body))
    }
}
