//! A CodeBuild order: one build of the worker's project.

use aws_sdk_codebuild::types::{EnvironmentVariable, EnvironmentVariableType};
use common::{aws::AwsError, claim::REPORT_ALLOWANCE, keys, plan::PlannedOrder};

use super::Starting;
use crate::pass::Pass;

/// What CodeBuild takes as a build's timeout, in minutes.
const BUILD_MINUTES: std::ops::RangeInclusive<u64> = 5..=2_160;
/// What CodeBuild takes as the time in its queue, in minutes.
const QUEUE_MINUTES: std::ops::RangeInclusive<u64> = 5..=480;
/// For fetching the image and the code before the worker claims the order.
const FETCH_SECS: u64 = 300;

impl Pass<'_> {
    pub(super) async fn start_build(&self, starting: Starting<'_>) -> Result<String, AwsError> {
        let action = "start a build";
        let Starting { order, planned } = starting;
        let (run, bucket) = (&self.item.run_id, &self.settings.internal_bucket);
        let variables = [
            ("S3_LOCATION", format!("s3://{bucket}/{}", keys::bundle(run, order))),
            ("INTERNAL_BUCKET", bucket.clone()),
            ("SOPS_KEY_SSM_PATH", self.plan.sops_key_ssm_path.clone()),
            ("RUN_ID", run.to_string()),
            ("ORDER_NUM", order.to_string()),
            ("BUNDLE_SHA256", planned.bundle_sha256.clone()),
        ];
        let mut request = self
            .aws
            .codebuild()
            .start_build()
            .project_name(&self.settings.codebuild_project)
            .timeout_in_minutes_override(build_minutes(planned))
            .queued_timeout_in_minutes_override(queue_minutes(planned))
            // CodeBuild forgets it after five minutes; until then a repeat gives the same build.
            .idempotency_token(keys::execution(run, order, &self.plan.submit_id));
        for (name, value) in variables {
            let variable =
                EnvironmentVariable::builder().name(name).value(value).r#type(EnvironmentVariableType::Plaintext);
            let variable = variable.build().map_err(|error| AwsError::refused(action, error.to_string()))?;
            request = request.environment_variables_override(variable);
        }
        let answer = request.send().await.map_err(|error| AwsError::of(action, error))?;
        let arn = answer.build_value.and_then(|build| build.arn).unwrap_or_default();
        Ok(build_url(&arn).unwrap_or_else(|| self.execution_url(planned.target)))
    }
}

/// A little past what the order may take from its dispatch on: the worker ends it by itself, and this ends what hangs.
fn build_minutes(planned: &PlannedOrder) -> i32 {
    let own = planned.timeout + planned.stop_grace + REPORT_ALLOWANCE.as_secs();
    minutes(own + planned.start_timeout + FETCH_SECS, &BUILD_MINUTES)
}

/// How long the build may wait for a place.
fn queue_minutes(planned: &PlannedOrder) -> i32 {
    minutes(planned.start_timeout, &QUEUE_MINUTES)
}

fn minutes(seconds: u64, range: &std::ops::RangeInclusive<u64>) -> i32 {
    i32::try_from(seconds.div_ceil(60).clamp(*range.start(), *range.end())).unwrap_or(i32::MAX)
}

/// The console's page of a build, from its ARN `arn:aws:codebuild:<region>:<account>:build/<project>:<uuid>`.
fn build_url(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, _, region, account, resource] = parts[..] else { return None };
    let id = resource.strip_prefix("build/")?;
    let project = id.split(':').next()?;
    let id = id.replace(':', "%3A");
    Some(format!(
        "https://{region}.console.aws.amazon.com/codesuite/codebuild/{account}/projects/{project}/build/{id}/?region={region}"
    ))
}

#[cfg(test)]
mod tests {
    use common::target::Target;

    use super::*;

    fn planned(timeout: u64, start_timeout: u64) -> PlannedOrder {
        PlannedOrder {
            name: "a".parse().unwrap(),
            dependencies: Vec::new(),
            must_succeed: true,
            target: Target::Codebuild,
            timeout,
            start_timeout,
            stop_grace: 30,
            bundle_sha256: String::new(),
            digest: None,
            reused_from: None,
            ssm: None,
        }
    }

    #[test]
    fn a_build_outlasts_its_order_within_the_services_limits() {
        assert_eq!(build_minutes(&planned(600, 3600)), 76);
        assert_eq!(build_minutes(&planned(1, 1)), 7);
        assert_eq!(build_minutes(&planned(129_000, 79_200)), 2_160);
        assert_eq!([1, 3600, 79_200].map(|start| queue_minutes(&planned(1, start))), [5, 60, 480]);
    }

    #[test]
    fn the_url_names_the_build() {
        let url = build_url("arn:aws:codebuild:eu-west-1:123456789012:build/exe-sys-worker:9b1c").unwrap();
        assert!(url.ends_with("/123456789012/projects/exe-sys-worker/build/exe-sys-worker%3A9b1c/?region=eu-west-1"));
        assert_eq!(build_url("nonsense"), None);
    }
}
