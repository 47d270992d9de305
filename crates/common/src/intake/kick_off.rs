//! Kick-off: the run's tick is started, then the run item flips from `submitting` to `idle`. That flip is the commit
//! point: before it nothing can run, after it the run will. The first message only makes it begin at once.

use super::{answer::NotAccepted, settings::Settings};
use crate::{
    aws::Aws,
    ids::{OrderNum, RunId},
    keys,
    objects::Objects,
    plan::Plan,
    run_item::{RunItems, Written},
    target::Target,
    watchdog::{self, TICK_SECS, Watch},
};

/// What wakes the orchestrator without telling it anything; the tick writes the same.
pub const WAKE: &str = r#"{"status":"init","log":""}"#;

/// Starts the run.
pub async fn kick_off(aws: &Aws, settings: &Settings, plan: &Plan, job_timeout: u64) -> Result<(), NotAccepted> {
    let watch = Watch {
        run_id: plan.run_id.clone(),
        order_num: OrderNum::RUN,
        timeout: job_timeout,
        start_timeout: 0,
        stop_grace: 0,
        start_time: plan.created_at.secs(),
        internal_bucket: settings.internal_bucket.clone(),
        result_key: keys::watched(&plan.run_id, OrderNum::RUN),
        locks_table: settings.locks_table.clone(),
        target: Target::Lambda,
        wait_seconds: TICK_SECS.min(job_timeout),
    };
    watchdog::start(aws, &settings.watchdog_sfn, &plan.submit_id, &watch).await?;
    flip(RunItems::new(aws, &settings.locks_table), plan).await?;
    wake(aws, settings, &plan.run_id).await;
    Ok(())
}

/// Wakes the run for the first time. The job is accepted: everything is durable, and without this the tick wakes it.
pub(super) async fn wake(aws: &Aws, settings: &Settings, run: &RunId) {
    let objects = Objects::new(aws, &settings.internal_bucket);
    if let Err(error) = objects.put(&keys::result(run, OrderNum::RUN), WAKE).await {
        tracing::warn!(%error, run_id = %run, "the run begins with its first tick");
    }
}

async fn flip(items: RunItems<'_>, plan: &Plan) -> Result<(), NotAccepted> {
    let Plan { run_id: run, submit_id, .. } = plan;
    let error = match items.flip(run, submit_id, &plan.ledger().letters()).await {
        Ok(Written::Yes(_)) => return Ok(()),
        Ok(Written::No(_)) => NotAccepted::BeingSubmitted(run.clone()),
        Err(error) => error.into(),
    };
    // Unclear, or the SDK's second attempt met the first one's work: what stands decides.
    match items.get(run).await? {
        Some(item) if item.is_submitted_by(submit_id) => Ok(()),
        _ => Err(error),
    }
}
