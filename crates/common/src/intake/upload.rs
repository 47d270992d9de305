//! Upload: the key, the code and the bundles go to their places; then the rows and, last, the plan.

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::ExposeSecret as _;

use super::{
    answer::NotAccepted,
    package::{Package, RunKey},
    settings::Settings,
};
use crate::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    ids::{OrderNum, RunId},
    keys,
    objects::{Objects, PARALLEL},
    order::Job,
    plan::Plan,
    rows::{self, Rows},
};

/// The key outlives the job's deadline by so much: the last order's stop and report, and the ticks that delete it.
const KEY_KEPT_SECS: u64 = 2 * 3600;

/// Uploads a packaged run.
pub async fn upload(
    aws: &Aws,
    settings: &Settings,
    job: &Job,
    plan: &Plan,
    package: &Package,
) -> Result<(), NotAccepted> {
    let objects = Objects::new(aws, &settings.internal_bucket);
    if let RunKey::Own(identity) = &package.key {
        let kms_key = settings.kms_key_arn.as_deref();
        put_key(aws, kms_key, &plan.sops_key_ssm_path, identity.secret().expose_secret(), plan.deadline).await?;
    }
    for (sha256, path) in &package.code {
        objects.put_file(&keys::code(&plan.run_id, sha256), path).await?;
    }
    stream::iter(package.bundles())
        .map(|(order, bundle)| put_bundle(objects, &plan.run_id, order, bundle))
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await?;
    Rows::new(aws, &settings.orders_table).create(rows::rows(job, plan, &settings.internal_bucket)?).await?;
    let bytes = serde_json::to_vec(plan).map_err(|error| NotAccepted::Machine(format!("write the plan: {error}")))?;
    objects.put(&keys::plan(&plan.run_id), bytes).await?;
    Ok(())
}

async fn put_bundle(objects: Objects<'_>, run: &RunId, order: OrderNum, bundle: &[u8]) -> Result<(), AwsError> {
    objects.put(&keys::bundle(run, order), bundle.to_vec()).await
}

async fn put_key(
    aws: &Aws,
    kms_key: Option<&str>,
    path: &str,
    secret: &str,
    deadline: Timestamp,
) -> Result<(), AwsError> {
    let expires =
        aws_smithy_types::DateTime::from_secs(i64::try_from(deadline.secs() + KEY_KEPT_SECS).unwrap_or(i64::MAX));
    let action = "put the run's key";
    let at = expires
        .fmt(aws_smithy_types::date_time::Format::DateTime)
        .map_err(|error| AwsError::refused(action, error.to_string()))?;
    let policy = format!(r#"[{{"Type":"Expiration","Version":"1.0","Attributes":{{"Timestamp":"{at}"}}}}]"#);
    let request = aws
        .ssm()
        .put_parameter()
        .name(path)
        .value(secret)
        .r#type(ParameterType::SecureString)
        .set_key_id(kms_key.map(str::to_owned))
        // Only advanced parameters take an expiration policy.
        .tier(ParameterTier::Advanced)
        .policies(policy)
        // A submission that takes over what an earlier one left may find its key.
        .overwrite(true);
    request.send().await.map(drop).map_err(|error| AwsError::of(action, error))
}

/// Removes the run's own key; that it is gone already is success.
pub async fn delete_key(aws: &Aws, path: &str) -> Result<(), AwsError> {
    match aws.ssm().delete_parameter().name(path).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = AwsError::of("delete the run's key", error);
            if error.is("ParameterNotFound") { Ok(()) } else { Err(error) }
        }
    }
}
