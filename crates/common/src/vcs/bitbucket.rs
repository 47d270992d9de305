//! Bitbucket Cloud.
//!
//! Comments: <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/>. Statuses:
//! <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/>. Issues are gone since August
//! 2026.
//!
//! The token is an access token of a repository, project or workspace, or `email:API token` of a person, which is sent
//! as user and password. App passwords (`user:password`) have the same form; Atlassian turned them off in July 2026
//! (<https://community.atlassian.com/forums/Bitbucket-articles/Deprecation-notice-Bitbucket-Cloud-app-password-brownout/ba-p/3237429>).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Comment, CommitStatus, Repository, State, Subject, VcsError,
    pages::Next,
    provider::{Access, PER_PAGE, Provider, Request, read, shown_url},
};
use crate::{
    http::Headers,
    text::{sentence, shown},
};

/// Not in Atlassian's documents. Bitbucket Data Center says "less than 32768 characters"
/// (<https://github.com/jfrog/froggit-go/pull/133>), and clients of the Cloud keep to that as well.
const LONGEST_BODY: usize = 32_767;

/// As the API says when a key is longer: `Ensure this value has at most 40 characters`
/// (<https://github.com/buildbot/buildbot/issues/7049>).
const LONGEST_KEY: usize = 40;

/// Not in the documents; what clients keep to for names and descriptions
/// (<https://github.com/jenkinsci/bitbucket-branch-source-plugin/pull/928>).
const LONGEST_DESCRIPTION: usize = 255;

#[derive(Debug)]
pub(super) struct Bitbucket(pub(super) Repository);

#[derive(Deserialize)]
struct Page {
    values: Vec<PullRequestComment>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct PullRequestComment {
    id: u64,
    /// Deleted comments stay in lists.
    deleted: Option<bool>,
    content: Option<Content>,
    user: Option<User>,
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Content {
    raw: Option<String>,
}

#[derive(Deserialize)]
struct User {
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Links {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

impl PullRequestComment {
    fn standing(self) -> Option<Comment> {
        (self.deleted != Some(true)).then(|| Comment {
            id: self.id,
            url: shown_url(self.links.and_then(|links| links.html).map(|link| link.href)),
            author: self.user.and_then(|user| user.display_name).map(|name| shown(&name)),
            body: self.content.and_then(|content| content.raw).unwrap_or_default(),
        })
    }
}

impl Bitbucket {
    fn url(&self, rest: &str) -> String {
        self.0.url(&format!("/repositories/{}/{rest}", self.0.name()))
    }

    /// There are only pull requests: [`Subject::check`] refuses all else.
    fn comments_url(&self, subject: Subject) -> String {
        let (Subject::PullRequest(number) | Subject::Issue(number)) = subject;
        self.url(&format!("pullrequests/{number}/comments"))
    }

    fn comment_url(&self, subject: Subject, id: u64) -> String {
        format!("{}/{id}", self.comments_url(subject))
    }
}

impl Provider for Bitbucket {
    fn repository(&self) -> &Repository {
        &self.0
    }

    fn authorization(&self, token: &SecretString) -> (&'static str, SecretString) {
        let token = token.expose_secret();
        let value = if token.contains(':') {
            format!("Basic {}", BASE64_STANDARD.encode(token))
        } else {
            format!("Bearer {token}")
        };
        ("authorization", value.into())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/json")]
    }

    fn needs(&self, access: Access) -> &'static str {
        match access {
            Access::Comments => {
                "the permission `Pull requests`: write (`pullrequest:write`; of an API token, \
                 `write:pullrequest:bitbucket`)"
            }
            Access::Statuses => {
                "the permission `Repositories`: write (`repository:write`; of an API token, \
                 `write:repository:bitbucket`)"
            }
        }
    }

    fn longest_body(&self) -> usize {
        LONGEST_BODY
    }

    fn list(&self, subject: Subject) -> Request {
        Request::get(format!("{}?pagelen={PER_PAGE}&sort=created_on", self.comments_url(subject)))
    }

    fn page(&self, _subject: Subject, body: &[u8], _headers: &Headers) -> Result<(Vec<Comment>, Next), String> {
        let page: Page = read(body)?;
        let comments = page.values.into_iter().filter_map(PullRequestComment::standing).collect();
        Ok((comments, page.next.map_or(Next::End, Next::At)))
    }

    fn create(&self, subject: Subject, body: &str) -> Request {
        Request::send("POST", self.comments_url(subject), json!({"content": {"raw": body}}))
    }

    fn update(&self, subject: Subject, id: u64, body: &str) -> Request {
        Request::send("PUT", self.comment_url(subject, id), json!({"content": {"raw": body}}))
    }

    fn look(&self, subject: Subject, id: u64) -> Request {
        Request::get(self.comment_url(subject, id))
    }

    fn delete(&self, subject: Subject, id: u64) -> Request {
        Request::delete(self.comment_url(subject, id))
    }

    fn comment(&self, _subject: Subject, body: &[u8]) -> Result<Option<Comment>, String> {
        let comment: PullRequestComment = read(body)?;
        Ok(comment.standing())
    }

    fn status(&self, commit: &str, status: &CommitStatus) -> Result<Request, VcsError> {
        let state = match status.state {
            State::Pending => "INPROGRESS",
            State::Success => "SUCCESSFUL",
            State::Failure => "FAILED",
        };
        // A status must lead somewhere; without a place of its own, to the commit.
        let commit_url = || format!("https://bitbucket.org/{}/commits/{commit}", self.0.name());
        let url = status.target_url.clone().unwrap_or_else(commit_url);
        let body = json!({
            "key": key(&status.context),
            "name": status.context,
            "state": state,
            "description": sentence(&status.description, LONGEST_DESCRIPTION),
            // Braces would be read as variables of Bitbucket's.
            "url": url.replace('{', "%7B").replace('}', "%7D"),
        });
        Ok(Request::send("POST", self.url(&format!("commit/{commit}/statuses/build")), body))
    }
}

/// The context as a key: the same for the same context, and another for another.
fn key(context: &str) -> String {
    if context.chars().count() <= LONGEST_KEY {
        return context.to_owned();
    }
    // 48 bits tell the checks of one commit apart.
    let hash = hex::encode(&Sha256::digest(context)[..6]);
    let begin: String = context.chars().take(LONGEST_KEY - hash.len() - 1).collect();
    format!("{begin}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_context_is_a_key_of_its_own() {
        assert_eq!(key("aws-exe/deploy"), "aws-exe/deploy");
        let (one, other) = (key(&format!("{}a", "é".repeat(60))), key(&format!("{}b", "é".repeat(60))));
        assert_ne!(one, other);
        assert!(one.starts_with("éé") && one.chars().count() == LONGEST_KEY, "{one}");
    }
}
