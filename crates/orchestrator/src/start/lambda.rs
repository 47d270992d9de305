//! A Lambda order: one asynchronous invoke of the worker function.

use aws_sdk_lambda::{primitives::Blob, types::InvocationType};
use common::{aws::AwsError, keys};
use serde_json::json;

use super::Starting;
use crate::pass::Pass;

impl Pass<'_> {
    pub(super) async fn start_lambda(&self, starting: Starting<'_>) -> Result<String, AwsError> {
        let bucket = &self.settings.internal_bucket;
        let payload = json!({
            "s3_location": format!("s3://{bucket}/{}", keys::bundle(&self.item.run_id, starting.order)),
            "internal_bucket": bucket,
            "sops_key_ssm_path": self.plan.sops_key_ssm_path,
            "run_id": self.item.run_id,
            "order_num": starting.order,
            "bundle_sha256": starting.planned.bundle_sha256,
        });
        let request = self
            .aws
            .lambda()
            .invoke()
            .function_name(&self.settings.worker_lambda)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload.to_string()));
        request.send().await.map_err(|error| AwsError::of("invoke the worker", error))?;
        Ok(self.lambda_url())
    }

    pub(super) fn lambda_url(&self) -> String {
        let region = self.region();
        let function = self.settings.worker_lambda.rsplit(':').next().unwrap_or_default();
        format!(
            "https://{region}.console.aws.amazon.com/lambda/home?region={region}#/functions/{function}?tab=monitoring"
        )
    }
}
