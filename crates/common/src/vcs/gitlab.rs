//! GitLab: gitlab.com, and GitLab that somebody runs.
//!
//! Comments are *notes* there: <https://docs.gitlab.com/api/notes/>. Statuses:
//! <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>.
//!
//! The token is a personal, group or project access token. The token of a CI job (`CI_JOB_TOKEN`) can read notes of
//! merge requests and write none: <https://docs.gitlab.com/ci/jobs/ci_job_token/#job-token-access>.

use secrecy::SecretString;
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

/// "Limited to 1,000,000 characters": <https://docs.gitlab.com/api/notes/#create-new-merge-request-note>.
const LONGEST_BODY: usize = 1_000_000;

/// "Must be 255 characters or fewer", of description and target URL alike:
/// <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>.
const LONGEST_DESCRIPTION: usize = 255;

#[derive(Debug)]
pub(super) struct GitLab(pub(super) Repository);

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: Option<String>,
    /// Written by GitLab itself, about a change.
    system: Option<bool>,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    username: String,
}

/// The status of a commit, as the list of them has it.
#[derive(Deserialize)]
struct Standing {
    name: String,
    status: String,
}

impl GitLab {
    fn url(&self, rest: &str) -> String {
        // https://docs.gitlab.com/api/rest/#namespaced-paths
        self.0.url(&format!("/projects/{}/{rest}", self.0.name().replace('/', "%2F")))
    }

    fn notes_url(&self, subject: Subject) -> String {
        match subject {
            Subject::PullRequest(number) => self.url(&format!("merge_requests/{number}/notes")),
            Subject::Issue(number) => self.url(&format!("issues/{number}/notes")),
        }
    }

    fn note_url(&self, subject: Subject, id: u64) -> String {
        format!("{}/{id}", self.notes_url(subject))
    }

    fn comment_of(&self, subject: Subject, note: Note) -> Comment {
        let (kind, number) = match subject {
            Subject::PullRequest(number) => ("merge_requests", number),
            Subject::Issue(number) => ("issues", number),
        };
        // Notes do not say where people read them; the pages are where the API is.
        let pages = self.0.api().as_str().strip_suffix("/api/v4");
        let url = pages.map(|pages| format!("{pages}/{}/-/{kind}/{number}#note_{}", self.0.name(), note.id));
        Comment {
            id: note.id,
            url: shown_url(url),
            author: note.author.map(|author| shown(&author.username)),
            body: note.body.unwrap_or_default(),
        }
    }
}

impl Provider for GitLab {
    fn repository(&self) -> &Repository {
        &self.0
    }

    fn authorization(&self, token: &SecretString) -> (&'static str, SecretString) {
        ("private-token", token.clone())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("accept", "application/json")]
    }

    fn needs(&self, access: Access) -> &'static str {
        match access {
            Access::Comments => {
                "the scope `api` and a role in the project that may comment; the token of a CI job can't comment"
            }
            Access::Statuses => "the scope `api` and the role Developer in the project; the token of a CI job won't do",
        }
    }

    fn longest_body(&self) -> usize {
        LONGEST_BODY
    }

    /// A line that begins with `/` is a command to GitLab, such as `/close` or `/merge`, unless there is a blank
    /// before it: <https://docs.gitlab.com/user/project/quick_actions/>. One blank changes nothing in what people see.
    fn harmless(&self, text: String) -> String {
        let lines =
            text.split('\n').map(|line| if line.starts_with('/') { format!(" {line}") } else { line.to_owned() });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn list(&self, subject: Subject) -> Request {
        let query = format!("per_page={PER_PAGE}&order_by=created_at&sort=asc");
        Request::get(format!("{}?{query}", self.notes_url(subject)))
    }

    fn page(&self, subject: Subject, body: &[u8], headers: &Headers) -> Result<(Vec<Comment>, Next), String> {
        let notes: Vec<Note> = read(body)?;
        let comments =
            notes.into_iter().filter(|note| note.system != Some(true)).map(|note| self.comment_of(subject, note));
        // The number comes first: behind a proxy, links may name a host that is only known inside
        // (https://docs.gitlab.com/api/rest/#pagination).
        let next = match headers.get("x-next-page").map(str::trim) {
            Some("") => Next::End,
            Some(number) => number.parse().map(Next::Number).map_err(|_| "its next page has no number".to_owned())?,
            None => linked(headers),
        };
        Ok((comments.collect(), next))
    }

    fn create(&self, subject: Subject, body: &str) -> Request {
        Request::send("POST", self.notes_url(subject), json!({"body": body}))
    }

    fn update(&self, subject: Subject, id: u64, body: &str) -> Request {
        Request::send("PUT", self.note_url(subject, id), json!({"body": body}))
    }

    fn look(&self, subject: Subject, id: u64) -> Request {
        Request::get(self.note_url(subject, id))
    }

    fn delete(&self, subject: Subject, id: u64) -> Request {
        Request::delete(self.note_url(subject, id))
    }

    fn comment(&self, subject: Subject, body: &[u8]) -> Result<Option<Comment>, String> {
        Ok(Some(self.comment_of(subject, read(body)?)))
    }

    fn status(&self, commit: &str, status: &CommitStatus) -> Result<Request, VcsError> {
        let state = match status.state {
            State::Pending => "pending",
            State::Success => "success",
            State::Failure => "failed",
        };
        let mut body = json!({
            "state": state,
            "name": status.context,
            "description": sentence(&status.description, LONGEST_DESCRIPTION),
        });
        if let Some(url) = &status.target_url {
            let length = url.chars().count();
            if length > LONGEST_DESCRIPTION {
                let (what, limit) = ("this target URL of a status", LONGEST_DESCRIPTION);
                return Err(VcsError::TooLong { what, length, limit, host: self.0.host().name() });
            }
            body["target_url"] = url.as_str().into();
        }
        Ok(Request::send("POST", self.url(&format!("statuses/{commit}")), body))
    }

    /// GitLab refuses to make pending what is pending or running (400, `Cannot transition status via :enqueue from
    /// :pending`), see `Ci::CreateCommitStatusService` in its source:
    /// <https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807>.
    fn standing(&self, commit: &str, status: &CommitStatus, refusal: &VcsError) -> Option<Request> {
        let may_stand = status.state == State::Pending && matches!(refusal, VcsError::Other { status: 400, .. });
        // With a name, the list has this check alone.
        let name: String = url::form_urlencoded::byte_serialize(status.context.as_bytes()).collect();
        let path = format!("repository/commits/{commit}/statuses?name={name}&per_page={PER_PAGE}");
        may_stand.then(|| Request::get(self.url(&path)))
    }

    fn stands(&self, status: &CommitStatus, body: &[u8]) -> bool {
        let standing: Vec<Standing> = read(body).unwrap_or_default();
        let is_under_way = |one: &Standing| one.name == status.context && matches!(&*one.status, "pending" | "running");
        standing.iter().any(is_under_way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        let gitlab = GitLab(Repository::parse("git@gitlab.com:group/sub/project.git").unwrap());
        let text = "see\n/close\n  /merge\n- /label\n//x\n";
        assert_eq!(gitlab.harmless(text.to_owned()), "see\n /close\n  /merge\n- /label\n //x\n");
        assert_eq!(gitlab.harmless("plain\n\ntext".to_owned()), "plain\n\ntext");
    }
}
