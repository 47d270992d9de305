//! Requests for one purpose: sent with the token, waited for when the host is busy, sent again where that is safe, and
//! their refusals sorted by what the caller can do.
//!
//! A busy host (429, or 403 with a limit in its headers or words) has done nothing, so any request may be sent again
//! once it has time. After a 5xx or no answer at all only questions are asked again: whether anything else was done is
//! *unclear*, and a second POST might make a second comment.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{VcsError, provider::Request};
use crate::{
    clock::{Clock, Timestamp},
    http::{Answer, Headers, Http},
    text::sentence,
};

/// Most that is waited for one purpose, in all. A person or a job stands by.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often a busy host is asked again for one request.
const BUSY_ATTEMPTS: u32 = 4;

/// What to wait when a busy host names no time: "wait for at least one minute before retrying"
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
const UNNAMED_WAIT: Duration = Duration::from_secs(60);

/// How often a question is asked that gets a 5xx, or no answer.
const ATTEMPTS: u32 = 3;

/// Before the second time; twice as much before the third.
const PAUSE: Duration = Duration::from_secs(1);

/// Largest answer: a page of a hundred comments of GitHub's longest, in characters of four bytes, and some for all
/// else.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Most of what a host says that is repeated in an error, in characters.
const MAX_SAID: usize = 300;

/// Sends requests to one API with one token.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) http: Http,
    pub(super) clock: Clock,
    /// By which name messages call the host.
    pub(super) host: String,
    pub(super) token: SecretString,
    /// The header that shows the token.
    pub(super) authorization: (&'static str, SecretString),
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// What is done for one purpose.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    sender: &'a Sender,
    /// Completes "failed to …".
    action: String,
    /// What the token must be allowed.
    needs: &'static str,
    waited: Duration,
}

impl Sender {
    pub(super) fn errand(&self, action: String, needs: &'static str) -> Errand<'_> {
        Errand { sender: self, action, needs, waited: Duration::ZERO }
    }

    async fn send(&self, request: &Request) -> Result<(Answer, Headers), String> {
        let agent = concat!("aws-exe/", env!("CARGO_PKG_VERSION"));
        let (name, value) = &self.authorization;
        // GitHub refuses requests without a user agent.
        let mut headers = vec![("user-agent", agent), (*name, value.expose_secret())];
        headers.extend(self.headers);
        let body = match &request.body {
            Some(body) => {
                headers.push(("content-type", "application/json"));
                body.to_string().into_bytes()
            }
            None => Vec::new(),
        };
        let sent = self.http.exchange(request.method, &request.url, &headers, body, MAX_ANSWER_BYTES).await;
        sent.map_err(|error| self.clean(&error.to_string()))
    }

    /// A text of others for a message: without the token, in any form that it was sent in.
    fn clean(&self, text: &str) -> String {
        let (token, shown) = (self.token.expose_secret(), self.authorization.1.expose_secret());
        let parts = token.split(':').chain(shown.split(' ')).chain([token]);
        // What is as short as `me` or `Basic` is no secret, and is part of many words.
        let mut secrets: Vec<&str> = parts.filter(|part| part.len() >= 8).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let without = secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
        sentence(&without, MAX_SAID)
    }
}

impl Errand<'_> {
    /// Sends a request until it gets an answer that another attempt would get as well. The answer is a success.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(Answer, Headers), VcsError> {
        let (mut asked, mut failed) = (1, 1);
        loop {
            let said = match self.sender.send(request).await {
                Ok((answer, headers)) if (200..300).contains(&answer.status) => return Ok((answer, headers)),
                Ok((answer, headers)) if is_busy(&answer, &headers) => {
                    let pause = pause(&headers, Clock::REAL.now());
                    if asked == BUSY_ATTEMPTS || !self.wait(pause.unwrap_or(UNNAMED_WAIT)).await {
                        return Err(self.busy(pause));
                    }
                    asked += 1;
                    continue;
                }
                Ok((answer, headers)) if answer.status < 500 => return Err(self.refusal(&answer, &headers)),
                Ok((answer, _)) => format!("it answers {}: {}", answer.status, self.said(&answer.body)),
                Err(said) => said,
            };
            if request.method != "GET" {
                return Err(self.unclear(said));
            }
            if failed == ATTEMPTS || !self.wait(PAUSE * failed).await {
                return Err(VcsError::Unreachable { action: self.action.clone(), host: self.host(), said });
            }
            failed += 1;
        }
    }

    /// Waits, unless that would be too long in all.
    pub(super) async fn wait(&mut self, pause: Duration) -> bool {
        let waited = self.waited.saturating_add(pause);
        if waited > LONGEST_WAIT {
            return false;
        }
        tracing::info!(host = %self.sender.host, seconds = pause.as_secs(), "waiting before a request is sent again");
        self.sender.clock.sleep(pause).await;
        self.waited = waited;
        true
    }

    /// An answer to a question that is not as documented.
    pub(super) fn other(&self, status: u16, said: String) -> VcsError {
        VcsError::Other { action: self.action.clone(), host: self.host(), status, said: self.sender.clean(&said) }
    }

    /// Nobody knows whether it was done.
    pub(super) fn unclear(&self, said: String) -> VcsError {
        VcsError::Unclear { action: self.action.clone(), host: self.host(), said: self.sender.clean(&said) }
    }

    /// The next page is where the token may not go.
    pub(super) fn elsewhere(&self, to: String) -> VcsError {
        VcsError::Elsewhere { action: self.action.clone(), host: self.host(), to: self.sender.clean(&to) }
    }

    /// The token may not do this.
    pub(super) fn refused(&self, status: u16, said: String) -> VcsError {
        VcsError::Refused { action: self.action.clone(), host: self.host(), status, needs: self.needs, said }
    }

    fn busy(&self, pause: Option<Duration>) -> VcsError {
        VcsError::Busy { action: self.action.clone(), host: self.host(), pause, waited: self.waited }
    }

    fn refusal(&self, answer: &Answer, headers: &Headers) -> VcsError {
        let (action, host, said) = (self.action.clone(), self.host(), self.said(&answer.body));
        match answer.status {
            status @ (401 | 403) => self.refused(status, said),
            // 410: GitHub's word for an issue that was deleted.
            404 | 410 => VcsError::NotFound { action, host, said },
            301 | 302 | 307 | 308 => {
                let to = headers.get("location").map(|to| self.sender.clean(to));
                VcsError::Moved { action, host, to }
            }
            status => VcsError::Other { action, host, status, said },
        }
    }

    fn host(&self) -> String {
        self.sender.host.clone()
    }

    fn said(&self, body: &[u8]) -> String {
        said(body).map_or_else(|| "it says nothing about it".to_owned(), |said| self.sender.clean(&said))
    }
}

/// Whether the host has no time for now.
fn is_busy(answer: &Answer, headers: &Headers) -> bool {
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|text| text.trim() == "0");
    // GitHub's second kind of limit may have no header, only words.
    let worded = || said(&answer.body).is_some_and(|said| said.to_ascii_lowercase().contains("rate limit"));
    match answer.status {
        429 => true,
        403 => headers.contains_key("retry-after") || spent || worded(),
        _ => false,
    }
}

/// How long a busy host asks to wait, when it tells. Never nothing, as that would be asking at once.
fn pause(headers: &Headers, now: Timestamp) -> Option<Duration> {
    let number = |name: &str| headers.get(name).and_then(|text| text.trim().parse().ok());
    let after = number("retry-after").map(Duration::from_secs);
    // GitHub's name for it, and GitLab's. Rounded up, as a second too early is another refusal.
    let reset = number("x-ratelimit-reset").or_else(|| number("ratelimit-reset")).map(Timestamp::from_secs);
    let until = reset.map(|reset| now.until(reset).saturating_add(Duration::from_secs(1)));
    after.or(until).map(|pause| pause.max(Duration::from_secs(1)))
}

/// What the host says about a refusal, in any of the forms that the three have for it.
fn said(body: &[u8]) -> Option<String> {
    let body: Value = super::provider::read(body).ok()?;
    // GitHub and GitLab: `message`; GitLab's OAuth: `error`; Bitbucket: `error.message`.
    let error = &body["error"];
    let message = [&error["message"], &body["message"], &body["error_description"], error];
    let message = message.into_iter().find(|message| !message.is_null())?;
    let details = [&body["errors"], &error["detail"], &error["fields"]];
    let texts = [message].into_iter().chain(details).filter(|value| !value.is_null());
    Some(
        texts
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Whether a host is busy, and for how many seconds by its own words, when a thousand have passed.
    fn busy_for(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> (bool, Option<u64>) {
        let mut map = Headers::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        let answer = Answer { status, body: Bytes::from_static(body.as_bytes()) };
        (is_busy(&answer, &map), pause(&map, Timestamp::from_secs(1_000)).map(|pause| pause.as_secs()))
    }

    #[test]
    fn a_busy_host_is_told_from_one_that_refuses() {
        let words = r#"{"message": "You have exceeded a secondary rate limit."}"#;
        assert_eq!(busy_for(429, &[], ""), (true, None));
        assert_eq!(busy_for(429, &[("retry-after", "30")], ""), (true, Some(30)));
        assert_eq!(busy_for(429, &[("retry-after", "0")], ""), (true, Some(1)));
        assert_eq!(busy_for(429, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], ""), (true, None));
        assert_eq!(busy_for(429, &[("ratelimit-reset", "1020")], ""), (true, Some(21)));
        assert_eq!(busy_for(403, &[("retry-after", "5"), ("x-ratelimit-reset", "1500")], ""), (true, Some(5)));
        let spent = ("x-ratelimit-remaining", "0");
        assert_eq!(busy_for(403, &[spent, ("x-ratelimit-reset", "1010")], ""), (true, Some(11)));
        assert_eq!(busy_for(403, &[spent, ("x-ratelimit-reset", "900")], ""), (true, Some(1)));
        assert_eq!(busy_for(403, &[], words), (true, None));
        assert_eq!(busy_for(403, &[("x-ratelimit-remaining", "4999")], r#"{"message": "Forbidden"}"#), (false, None));
        assert_eq!(busy_for(404, &[spent], words), (false, None));
        assert_eq!(busy_for(200, &[spent], ""), (false, None));
    }

    #[test]
    fn what_each_host_says_is_found() {
        let table = [
            (r#"{"message": "Bad credentials", "status": "401"}"#, "Bad credentials"),
            (
                r#"{"message": "Validation Failed", "errors": [{"field": "body"}]}"#,
                r#"Validation Failed [{"field":"body"}]"#,
            ),
            (r#"{"message": {"note": ["is too long"]}}"#, r#"{"note":["is too long"]}"#),
            (r#"{"error": "insufficient_scope", "error_description": "needs api"}"#, "needs api"),
            (r#"{"error": "404 Not Found"}"#, "404 Not Found"),
            (r#"{"type": "error", "error": {"message": "Not here", "detail": "at all"}}"#, "Not here at all"),
        ];
        for (body, text) in table {
            assert_eq!(said(body.as_bytes()).as_deref(), Some(text), "{body}");
        }
        for body in ["", "<html>", "[]", "{}", "null", "7"] {
            assert_eq!(said(body.as_bytes()), None, "{body}");
        }
    }
}
