//! What a worker is told by its dispatcher: where the order's bundle is and how to open it.

use common::{
    env::Environment,
    ids::{OrderNum, RunId},
};
use serde::Deserialize;

/// A dispatch: Lambda's payload, or the variables of a build.
#[derive(Clone, Debug, Deserialize)]
pub struct Dispatch {
    /// `s3://bucket/key` of the bundle.
    pub s3_location: String,
    /// The engine's bucket.
    pub internal_bucket: String,
    /// Parameter that holds the run's age identity.
    pub sops_key_ssm_path: String,
    /// The run.
    pub run_id: RunId,
    /// The order.
    pub order_num: OrderNum,
    /// SHA-256 of the bundle, in hex.
    pub bundle_sha256: String,
}

/// A build whose variables make no dispatch.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the dispatch: {0}")]
pub struct BadDispatch(String);

impl Dispatch {
    /// From the variables of a build.
    pub fn of_environment(environment: &Environment) -> Result<Self, BadDispatch> {
        let text = |name: &str| {
            environment.get(name).map(str::to_owned).ok_or_else(|| BadDispatch(format!("`{name}` is not set")))
        };
        Ok(Self {
            s3_location: text("S3_LOCATION")?,
            internal_bucket: text("INTERNAL_BUCKET")?,
            sops_key_ssm_path: text("SOPS_KEY_SSM_PATH")?,
            run_id: text("RUN_ID")?.parse().map_err(|error| BadDispatch(format!("`RUN_ID` {error}")))?,
            order_num: text("ORDER_NUM")?.parse().map_err(|error| BadDispatch(format!("`ORDER_NUM` {error}")))?,
            bundle_sha256: text("BUNDLE_SHA256")?,
        })
    }
}
