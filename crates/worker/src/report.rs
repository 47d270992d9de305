//! Reporting: `result.json`, by the signed URL from the bundle. A signed URL dies with the session that signed it, which
//! may be hours before a late order ends; then the worker's own role makes the same conditional PUT.

use std::time::Duration;

use common::{
    aws::AwsError,
    http::Http,
    ids::{OrderNum, RunId},
    keys,
    objects::Objects,
    outcome::OrderResult,
};

/// How long an answer to the signed PUT is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Delivers the result, unless another stands already: the first one counts.
pub(crate) async fn deliver(
    objects: Objects<'_>,
    run: &RunId,
    order: OrderNum,
    result: &OrderResult,
    url: Option<&str>,
) -> Result<(), AwsError> {
    let bytes = result.to_bytes().map_err(|error| AwsError::refused("write the result", error.to_string()))?;
    if let Some(url) = url
        && put_signed(url, bytes.clone()).await
    {
        return Ok(());
    }
    objects.put_first(&keys::result(run, order), bytes).await.map(drop)
}

/// Whether a result stands after a PUT to the signed URL.
async fn put_signed(url: &str, bytes: Vec<u8>) -> bool {
    let http = match Http::new(TIMEOUT) {
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
