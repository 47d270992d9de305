//! An SSM order: its instances are found and pinned, what they need is put into the dispatch document, and a command is
//! sent that carries nothing but the signed URL of it.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_ssm::{operation::send_command::builders::SendCommandFluentBuilder, types::Target as CommandTarget};
use common::{
    aws::AwsError,
    bundle::{self, Bundle, Sealed},
    claim::REPORT_ALLOWANCE,
    credentials,
    fleet::{
        Fleet, Targets,
        document::{Document, ShareUrls},
    },
    ids::InstanceId,
    intake::validate::ssm::BATCH,
    keys::{self, Share},
    order::{SsmOrder, SsmTargets},
    plan::{PlannedOrder, SCHEMA_VERSION},
};

use super::{Starting, resolve::resolve};
use crate::pass::Pass;

/// Longest life of a signed URL that S3 takes.
const MAX_SIGNED_SECS: u64 = 604_800;
/// What a command may take on an instance beyond its order: fetching the worker, the bundle and the code, and reporting.
const FETCH_SECS: u64 = 300;
/// What `SendCommand` takes as the time to reach an instance.
const DELIVERY_SECS: std::ops::RangeInclusive<u64> = 30..=2_592_000;
/// Far above the few lines of `worker/binaries.json`.
const MAX_BINARIES_BYTES: usize = 64 * 1024;

impl Pass<'_> {
    pub(super) async fn start_commands(&self, starting: Starting<'_>) -> Result<String, AwsError> {
        let Starting { order, planned } = starting;
        let missing = || AwsError::refused("start the target", "the plan has no instances for it");
        let ssm = planned.ssm.as_ref().ok_or_else(missing)?;
        let fleet = Fleet::new(self.claims(), order);
        // A repeat may find other instances behind the same tags; the first answer stands.
        let targets = match fleet.targets().await? {
            Some(targets) => targets,
            None => fleet.pin(Targets::of(resolve(self.aws, &ssm.targets).await?)).await?,
        };
        let document = self.document(starting, &targets).await?;
        let key = keys::dispatch(&self.item.run_id, order);
        let bytes = document.to_bytes().map_err(|error| AwsError::refused("write the dispatch", error.to_string()))?;
        self.objects().put(&key, bytes).await?;
        // Whoever records the result deletes the document. One that is written later would stay: then it is for us to do.
        if self.objects().exists(&keys::result(&self.item.run_id, order)).await? {
            self.objects().delete(&key).await?;
            return Ok(self.execution_url(planned.target));
        }
        let url = self.signed_get(&key, planned).await?;
        let mut first = None;
        for command in self.commands(starting, ssm, &targets, &url) {
            let sent = command.send().await.map_err(|error| AwsError::of("send a command", error))?;
            first = first.or_else(|| sent.command?.command_id);
        }
        let region = self.region();
        Ok(match first {
            Some(id) => {
                format!("https://{region}.console.aws.amazon.com/systems-manager/run-command/{id}?region={region}")
            }
            None => self.execution_url(planned.target),
        })
    }

    /// One command for all by tag where concurrency or errors are to be counted over all of them, else one for each batch.
    fn commands(
        &self,
        starting: Starting<'_>,
        ssm: &SsmOrder,
        targets: &Targets,
        url: &str,
    ) -> Vec<SendCommandFluentBuilder> {
        let Starting { order, planned } = starting;
        let seconds = planned.timeout + planned.stop_grace + REPORT_ALLOWANCE.as_secs() + FETCH_SECS;
        let delivery = planned.start_timeout.clamp(*DELIVERY_SECS.start(), *DELIVERY_SECS.end());
        let command = self
            .aws
            .ssm()
            .send_command()
            .document_name(ssm.document.as_ref().unwrap_or(&self.settings.ssm_document))
            .parameters("Dispatch", vec![url.to_owned()])
            .parameters("ExecutionTimeout", vec![seconds.to_string()])
            .timeout_seconds(i32::try_from(delivery).unwrap_or(i32::MAX))
            // By this the command's end finds its order again.
            .comment(format!("{}:{order}", self.item.run_id))
            .set_max_concurrency(ssm.max_concurrency.clone())
            .set_max_errors(ssm.max_errors.clone());
        let is_counted = ssm.max_concurrency.is_some() || ssm.max_errors.is_some();
        match &ssm.targets {
            SsmTargets::Tags(tags) if is_counted && targets.instances.len() > BATCH => {
                let by_tag = tags.iter().map(|(key, values)| {
                    CommandTarget::builder().key(format!("tag:{key}")).set_values(Some(values.clone())).build()
                });
                vec![command.set_targets(Some(by_tag.collect()))]
            }
            _ => {
                let batches = targets.instances.chunks(BATCH);
                let ids = |batch: &[InstanceId]| batch.iter().map(ToString::to_string).collect();
                batches.map(|batch| command.clone().set_instance_ids(Some(ids(batch)))).collect()
            }
        }
    }

    /// What the instances need and have no role for.
    async fn document(&self, starting: Starting<'_>, targets: &Targets) -> Result<Document, AwsError> {
        let Starting { order, planned } = starting;
        let run = &self.item.run_id;
        let bundle = self.sealed(starting).await?;
        let identity = credentials::run_key(self.aws, &self.plan.sops_key_ssm_path).await?;
        let variables =
            bundle.open(&identity).map_err(|error| AwsError::refused("open the bundle", error.to_string()))?;
        let code_url = match &bundle.manifest.code {
            Some(code) => Some(self.signed_get(&code.key, planned).await?),
            None => None,
        };
        let mut document = Document {
            schema_version: SCHEMA_VERSION,
            run_id: run.clone(),
            order_num: order,
            workers: BTreeMap::new(),
            bundle_url: self.signed_get(&keys::bundle(run, order), planned).await?,
            bundle_sha256: planned.bundle_sha256.clone(),
            code_url,
            order_claim_url: self.signed_get(&keys::claim(run, order), planned).await?,
            variables: Document::in_clear(&variables),
            instances: BTreeMap::new(),
        };
        for (machine, sha256) in self.worker_binaries().await? {
            let url = self.signed_get(&keys::worker_binary(&sha256), planned).await?;
            document.add_worker(&machine, url, &sha256);
        }
        for instance in &targets.instances {
            let share = Share::of_instance(order, instance.clone());
            let urls = ShareUrls {
                claim_url: self.signed_put(&keys::claim(run, share.clone()), true, planned).await?,
                claim_get_url: self.signed_get(&keys::claim(run, share.clone()), planned).await?,
                stop_url: self.signed_get(&keys::stop(run, share.clone()), planned).await?,
                result_url: self.signed_put(&keys::result(run, share.clone()), true, planned).await?,
                log_url: self.signed_put(&keys::log(run, share), false, planned).await?,
            };
            document.instances.insert(instance.clone(), urls);
        }
        Ok(document)
    }

    async fn sealed(&self, starting: Starting<'_>) -> Result<Sealed, AwsError> {
        let key = keys::bundle(&self.item.run_id, starting.order);
        let damaged = |problem: String| AwsError::refused(format!("read `{key}`"), problem);
        let zip = self.objects().get(&key, bundle::MAX_BYTES).await?;
        let zip = zip.ok_or_else(|| damaged("it is not there; bundles are kept for a day".to_owned()))?;
        Bundle::read(&zip.body, &starting.planned.bundle_sha256).map_err(|error| damaged(error.to_string()))
    }

    /// SHA-256 of the worker binaries, by machine.
    async fn worker_binaries(&self) -> Result<BTreeMap<String, String>, AwsError> {
        let key = keys::WORKER_BINARIES;
        let refused = |problem: String| AwsError::refused(format!("read `{key}`"), problem);
        let object = self.objects().get(key, MAX_BINARIES_BYTES).await?;
        let object = object.ok_or_else(|| refused("this deployment has no worker for instances".to_owned()))?;
        serde_json::from_slice(&object.body).map_err(|error| refused(error.to_string()))
    }

    async fn signed_get(&self, key: &str, planned: &PlannedOrder) -> Result<String, AwsError> {
        let request = self.aws.s3().get_object().bucket(&self.settings.internal_bucket).key(key);
        let signed = request.presigned(self.signing(planned)?).await;
        Ok(signed.map_err(|error| AwsError::of(format!("sign a URL for `{key}`"), error))?.uri().to_owned())
    }

    async fn signed_put(&self, key: &str, is_first: bool, planned: &PlannedOrder) -> Result<String, AwsError> {
        let request = self.aws.s3().put_object().bucket(&self.settings.internal_bucket).key(key);
        let request = if is_first { request.if_none_match("*") } else { request };
        let signed = request.presigned(self.signing(planned)?).await;
        Ok(signed.map_err(|error| AwsError::of(format!("sign a URL for `{key}`"), error))?.uri().to_owned())
    }

    /// URLs live until the last worker must have reported.
    fn signing(&self, planned: &PlannedOrder) -> Result<PresigningConfig, AwsError> {
        let end = self.plan.deadline.plus(Duration::from_secs(planned.stop_grace) + 2 * REPORT_ALLOWANCE);
        let seconds = self.now().until(end).as_secs().clamp(60, MAX_SIGNED_SECS);
        PresigningConfig::expires_in(Duration::from_secs(seconds))
            .map_err(|error| AwsError::refused("sign URLs", error.to_string()))
    }
}
