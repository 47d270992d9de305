//! A worker on an instance: everything goes by the signed URLs of the dispatch document, and there is nothing else. Each
//! request is tried again as the SDK would; a refusal is final, because nobody can sign another URL here.

use std::{path::Path, time::Duration};

use common::{
    aws::{AwsError, Class},
    claim::{Claim, Ending, StopRequest},
    fleet::document::{Document, ShareUrls},
    http::{Answer, Http, HttpError},
    keys::{self, Share},
    outcome::OrderResult,
};
use serde::de::DeserializeOwned;

use super::to_bytes;

/// Attempts of one request, the first included: some seven minutes, because nobody else does what this worker has begun,
/// and throttling must not fail its order.
const ATTEMPTS: u32 = 26;
/// Pause before the second attempt, in machine time; it doubles with each, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Claims and requests to stop are far smaller.
const MAX_BYTES: usize = 64 * 1024;

/// The desk of an instance's share.
#[derive(Debug)]
pub(crate) struct SignedDesk<'a> {
    pub(crate) http: Http,
    pub(crate) document: &'a Document,
    pub(crate) share: Share,
    pub(crate) urls: &'a ShareUrls,
}

impl SignedDesk<'_> {
    pub(super) async fn take(&self, claim: &Claim) -> Result<bool, AwsError> {
        let action = "claim the order's share";
        let bytes = serde_json::to_vec(claim).map_err(|error| AwsError::refused(action, error.to_string()))?;
        // An attempt may have been applied though its answer was lost: then the claim that stands has our nonce.
        let put = || self.http.send("PUT", &self.urls.claim_url, &[("if-none-match", "*")], bytes.clone());
        let answer = tried(action, put).await?;
        match answer.status {
            200 => Ok(true),
            412 => {
                let stands: Option<Claim> = self.read("read the claim", &self.urls.claim_get_url).await?;
                Ok(stands.is_some_and(|stands| stands.nonce == claim.nonce))
            }
            status => Err(refused(action, status)),
        }
    }

    pub(super) async fn ended(&self) -> Result<Option<Ending>, AwsError> {
        let claim: Option<Claim> = self.read("look at the order's claim", &self.document.order_claim_url).await?;
        Ok(claim.and_then(|claim| claim.ending()))
    }

    pub(super) async fn stop_request(&self) -> Result<Option<StopRequest>, AwsError> {
        self.read("look for a request to stop", &self.urls.stop_url).await
    }

    pub(super) async fn put_log(&self, file: &Path) -> Result<(), AwsError> {
        let action = "put the log";
        let answer = tried(action, || self.http.upload(&self.urls.log_url, file)).await?;
        if answer.status == 200 { Ok(()) } else { Err(refused(action, answer.status)) }
    }

    pub(super) fn log_key(&self) -> String {
        keys::log(&self.document.run_id, self.share.clone())
    }

    pub(super) async fn deliver(&self, result: &OrderResult) -> Result<(), AwsError> {
        let action = "put the result";
        let bytes = to_bytes(result)?;
        let put = || self.http.send("PUT", &self.urls.result_url, &[("if-none-match", "*")], bytes.clone());
        let answer = tried(action, put).await?;
        // 412: a result stands, ours from an attempt whose answer was lost, or another.
        if matches!(answer.status, 200 | 412) { Ok(()) } else { Err(refused(action, answer.status)) }
    }

    /// An object, if there is one.
    async fn read<T: DeserializeOwned>(&self, action: &str, url: &str) -> Result<Option<T>, AwsError> {
        let answer = tried(action, || self.http.get(url, MAX_BYTES)).await?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|error| AwsError::refused(action, error.to_string())),
            404 => Ok(None),
            status => Err(refused(action, status)),
        }
    }
}

/// Sends a request until it gets an answer that another attempt would get as well.
pub(crate) async fn tried<F>(action: &str, mut send: impl FnMut() -> F) -> Result<Answer, AwsError>
where
    F: Future<Output = Result<Answer, HttpError>>,
{
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let last = match send().await {
            // 409: a racing write was in the way and nothing landed.
            Ok(answer) if !matches!(answer.status, 409 | 429 | 500..) => return Ok(answer),
            Ok(answer) => AwsError { class: Class::Unclear, ..refused(action, answer.status) },
            Err(error) => {
                AwsError { action: action.to_owned(), code: None, message: error.to_string(), class: Class::Unclear }
            }
        };
        if attempt == ATTEMPTS {
            return Err(last);
        }
        tracing::info!(error = %last, attempt, "a request is sent again");
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        attempt += 1;
    }
}

/// An answer that is neither success nor worth another attempt.
pub(crate) fn refused(action: &str, status: u16) -> AwsError {
    let why = if status == 403 { "the signed URL is refused; it may have expired" } else { "S3 refused" };
    AwsError::refused(action, format!("{why} (status {status})"))
}
