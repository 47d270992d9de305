//! A worker with a role of its own. It reports by the signed URL from the bundle; a signed URL dies with the session that
//! signed it, which may be hours before a late order ends, and then the role makes the same conditional PUT.

use std::{path::Path, time::Duration};

use common::{
    aws::AwsError,
    claim::{Claim, Claims, StopRequest},
    http::LazyHttp,
    ids::OrderNum,
    keys::{self, Share},
    outcome::OrderResult,
};

use super::to_bytes;

/// How long an answer to the signed PUT is waited for.
pub(crate) const ANSWER: Duration = Duration::from_secs(20);
/// How often an unclear claim is tried again. The nonce makes it the same claim.
const CLAIM_ATTEMPTS: usize = 5;

/// The desk of a whole order.
#[derive(Debug)]
pub(crate) struct RoleDesk<'a> {
    pub(crate) claims: Claims<'a>,
    pub(crate) order: OrderNum,
    pub(crate) http: &'a LazyHttp,
}

impl RoleDesk<'_> {
    pub(super) async fn take(&self, claim: &Claim) -> Result<bool, AwsError> {
        let mut attempt = 1;
        loop {
            match self.claims.take(&self.share(), claim).await {
                Err(error) if attempt == CLAIM_ATTEMPTS => return Err(error),
                Err(error) => tracing::warn!(%error, attempt, "the claim is unclear"),
                taken => return taken,
            }
            attempt += 1;
        }
    }

    pub(super) async fn stop_request(&self) -> Result<Option<StopRequest>, AwsError> {
        self.claims.stop_request(&self.share()).await
    }

    pub(super) async fn put_log(&self, file: &Path) -> Result<(), AwsError> {
        self.claims.objects().put_file(&self.log_key(), file).await
    }

    pub(super) fn log_key(&self) -> String {
        keys::log(self.claims.run(), self.order)
    }

    pub(super) async fn deliver(&self, result: &OrderResult, url: Option<&str>) -> Result<(), AwsError> {
        let bytes = to_bytes(result)?;
        if let Some(url) = url
            && put_signed(self.http, url, bytes.clone()).await
        {
            return Ok(());
        }
        self.claims.objects().put_first(&keys::result(self.claims.run(), self.order), bytes).await.map(drop)
    }

    fn share(&self) -> Share {
        self.order.into()
    }
}

/// Whether a result stands after a PUT to the signed URL.
async fn put_signed(http: &LazyHttp, url: &str, bytes: Vec<u8>) -> bool {
    let http = match http.get() {
        Ok(http) => http,
        Err(error) => {
            tracing::warn!(%error, "the signed URL is not used");
            return false;
        }
    };
    match http.send("PUT", url, &[("if-none-match", "*")], bytes).await {
        // 412: a result stands, ours from an attempt whose answer was lost, or another.
        Ok(answer) if matches!(answer.status, 200 | 412) => true,
        Ok(answer) => {
            tracing::info!(status = answer.status, "the signed URL was refused; the worker's own role is used");
            false
        }
        Err(error) => {
            tracing::info!(%error, "the signed URL was not answered; the worker's own role is used");
            false
        }
    }
}
