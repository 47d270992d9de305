//! Comments and commit statuses at the hosts of repositories: GitHub, GitLab and Bitbucket Cloud.
//!
//! For the command line alone. The engine's functions do not use it: the engine is silent on pull requests and issues,
//! and a run's numbers of them are carried along for whoever asks.
//!
//! ```text
//!  Repository ─▶ connect ─▶ Vcs ── find · upsert · create · update · delete · set_status
//!                            │
//!            Provider ◀──────┴──────▶ Errand
//!    which request does it, what      sends it: token, waiting, what
//!    an answer says (github,          may be sent twice, refusals by
//!    gitlab, bitbucket; pure)         what the caller can do
//! ```
//!
//! # A comment is found by its tag
//!
//! Each comment that is written here is marked with a [`Tag`], in a line that nobody sees. [`Vcs::upsert`] keeps *one*
//! comment of a tag up to date: it finds the first, the oldest, and gives it the text, or writes it. It is safe to
//! repeat, also after a crash and after an answer that was lost. What it does not have is a lock, as no host has a
//! conditional write of comments:
//!
//! - Two callers at once that both find none leave two comments. The next caller updates the first of them, tells how
//!   many others there are, and deletes none.
//! - A POST whose answer is lost is looked for before another is sent. If it is stored later than that look, there are
//!   two.
//!
//! Whoever may comment may write a marker too. A comment of a stranger's that has one is updated only where the host
//! lets this token do so; where it doesn't, it is passed over. In the first case the text stands under the stranger's
//! name, who can change it. So nothing may be decided from a comment; for that there is [`Vcs::set_status`], which
//! needs a right to write.
//!
//! # The token
//!
//! It is sent in a header to the API's own address and to no other, never in a URL, and is taken out of whatever a
//! host says before that becomes part of an error. Redirections are not followed.

mod bitbucket;
mod comment;
mod errand;
mod error;
mod github;
mod gitlab;
mod pages;
mod provider;
mod repository;
mod status;
mod tag;
mod upsert;

use std::time::Duration;

pub use comment::{Change, Comment, Posted, Subject};
use errand::{Errand, Sender};
pub use error::VcsError;
use pages::Next;
use provider::{Access, Provider, Request};
pub use repository::{Host, Repository};
use secrecy::{ExposeSecret as _, SecretString};
pub use status::{CommitStatus, State};
pub use tag::Tag;

use crate::{clock::Clock, http::Http};

/// Most pages of comments that are read, of a hundred comments each. GitHub takes 2,500 comments on one thing
/// (`Commenting is disabled on issues with more than 2500 comments`), GitLab 5,000
/// (<https://docs.gitlab.com/administration/instance_limits/#number-of-comments-per-issue-merge-request-or-commit>).
const MAX_PAGES: usize = 100;

/// How a host is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What waits are taken by. In tests it is faster than the machine's.
    pub clock: Clock,
    /// How long an answer is waited for. GitHub gives up on a request after 10 s.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::REAL, patience: Duration::from_secs(30) }
    }
}

/// A repository at its host, with a token for it.
#[derive(Debug)]
pub struct Vcs {
    provider: Box<dyn Provider>,
    sender: Sender,
}

/// Makes ready to speak to a repository's host. Nothing is sent.
///
/// The token is an access token of the host: for GitLab that of a person, group or project, as the token of a CI job
/// can't write comments; for Bitbucket Cloud an access token, or `email:API token`.
pub fn connect(repository: Repository, token: Option<SecretString>, options: Options) -> Result<Vcs, VcsError> {
    let host = repository.authority();
    let provider: Box<dyn Provider> = match repository.host() {
        Host::GitHub => Box::new(github::GitHub(repository)),
        Host::GitLab => Box::new(gitlab::GitLab(repository)),
        Host::Bitbucket => Box::new(bitbucket::Bitbucket(repository)),
    };
    // Stored secrets often end with a line.
    let token = token.map(|token| token.expose_secret().trim().to_owned()).filter(|token| !token.is_empty());
    let no_token =
        || VcsError::NoToken { host: provider.repository().host().name(), needs: provider.needs(Access::Comments) };
    let token = SecretString::from(token.ok_or_else(no_token)?);
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(repository::bad("this token".to_owned(), "it has characters that no token has"));
    }
    let http =
        Http::new(options.patience).map_err(|error| repository::bad("this machine".to_owned(), &error.to_string()))?;
    let authorization = provider.authorization(&token);
    let headers = provider.headers();
    Ok(Vcs { sender: Sender { http, clock: options.clock, host, token, authorization, headers }, provider })
}

impl Vcs {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        self.provider.repository()
    }

    /// The longest text that a comment with this tag can have at this host, in characters (Unicode scalar values). On
    /// GitLab each line that begins with `/` counts one more.
    pub fn longest_text(&self, tag: &Tag) -> usize {
        self.provider.longest_body() - tag.room()
    }

    /// All comments with the tag, the oldest first.
    pub async fn find(&self, subject: Subject, tag: &Tag) -> Result<Vec<Comment>, VcsError> {
        let mut errand = self.comments("find the comment on", subject)?;
        self.tagged(&mut errand, subject, tag).await
    }

    /// Writes a comment, whether or not there is one with the tag. After [`VcsError::Unclear`] it may be there.
    pub async fn create(&self, subject: Subject, tag: &Tag, text: &str) -> Result<Comment, VcsError> {
        let body = self.body(tag, text)?;
        let mut errand = self.comments("comment on", subject)?;
        self.written(&mut errand, subject, &self.provider.create(subject, &body)).await
    }

    /// Gives a comment another text. Safe to repeat.
    pub async fn update(&self, subject: Subject, id: u64, tag: &Tag, text: &str) -> Result<Comment, VcsError> {
        let body = self.body(tag, text)?;
        let mut errand = self.comments("update the comment on", subject)?;
        self.written(&mut errand, subject, &self.provider.update(subject, id, &body)).await
    }

    /// Deletes a comment; gives whether it was there. Safe to repeat.
    pub async fn delete(&self, subject: Subject, id: u64) -> Result<bool, VcsError> {
        let mut errand = self.comments("delete the comment on", subject)?;
        let said = match errand.send(&self.provider.delete(subject, id)).await {
            Ok(_) => return Ok(true),
            Err(VcsError::NotFound { said, .. }) => said,
            Err(error) => return Err(error),
        };
        // Hosts say the same of what is gone and of what may not be deleted. What can be read is not gone.
        match errand.send(&self.provider.look(subject, id)).await {
            Err(VcsError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
            Ok((answer, _)) => match self.provider.comment(subject, &answer.body) {
                Ok(None) => Ok(false),
                Ok(Some(_)) => Err(errand.refused(403, said)),
                Err(said) => Err(errand.other(answer.status, said)),
            },
        }
    }

    /// Sets the status of a commit, by its full id. Safe to repeat, also after [`VcsError::Unclear`].
    pub async fn set_status(&self, commit: &str, status: &CommitStatus) -> Result<(), VcsError> {
        status::check_commit(commit)?;
        status.check()?;
        let request = self.provider.status(commit, status)?;
        let action = format!("set the status of the commit {commit} of `{}`", self.repository());
        let mut errand = self.sender.errand(action, self.provider.needs(Access::Statuses));
        let Err(refusal) = errand.send(&request).await else { return Ok(()) };
        let Some(question) = self.provider.standing(commit, status, &refusal) else { return Err(refusal) };
        let (answer, _) = errand.send(&question).await?;
        if self.provider.stands(status, &answer.body) { Ok(()) } else { Err(refusal) }
    }

    /// A purpose that has to do with comments on something.
    fn comments(&self, what: &str, subject: Subject) -> Result<Errand<'_>, VcsError> {
        let host = self.repository().host();
        subject.check(host)?;
        let action = format!("{what} {} of `{}`", subject.shown(host), self.repository());
        Ok(self.sender.errand(action, self.provider.needs(Access::Comments)))
    }

    /// What is sent for a text.
    fn body(&self, tag: &Tag, text: &str) -> Result<String, VcsError> {
        // Hosts read other ends of lines as one end, and none of them keeps a NUL.
        let plain = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
        let body = tag.mark(&self.provider.harmless(plain));
        let (length, limit) = (body.chars().count(), self.provider.longest_body());
        if length > limit {
            let (what, host) = ("this text as a comment", self.repository().host().name());
            return Err(VcsError::TooLong { what, length, limit, host });
        }
        Ok(body)
    }

    /// Sends what writes a comment.
    async fn written(&self, errand: &mut Errand<'_>, subject: Subject, request: &Request) -> Result<Comment, VcsError> {
        let (answer, _) = errand.send(request).await?;
        match self.provider.comment(subject, &answer.body) {
            Ok(Some(comment)) => Ok(comment),
            Ok(None) => Err(errand.unclear("the comment was deleted at once".to_owned())),
            Err(said) => Err(errand.unclear(said)),
        }
    }

    /// Reads all pages, and keeps the comments with the tag.
    async fn tagged(&self, errand: &mut Errand<'_>, subject: Subject, tag: &Tag) -> Result<Vec<Comment>, VcsError> {
        let mut found = Vec::new();
        let mut request = self.provider.list(subject);
        for _ in 0..MAX_PAGES {
            let (answer, headers) = errand.send(&request).await?;
            let status = answer.status;
            let (comments, next) =
                self.provider.page(subject, &answer.body, &headers).map_err(|said| errand.other(status, said))?;
            found.extend(comments.into_iter().filter(|comment| tag.marks(&comment.body)));
            let url = match next {
                Next::End => {
                    found.sort_by_key(|comment| comment.id);
                    return Ok(found);
                }
                Next::Number(number) => pages::numbered(&request.url, number),
                Next::At(url) => pages::follow(self.repository().api(), &request.url, &url),
            };
            request = Request::get(url.map_err(|place| errand.elsewhere(place))?);
        }
        Err(errand.other(200, format!("it has more than {} comments there", MAX_PAGES * provider::PER_PAGE)))
    }
}
