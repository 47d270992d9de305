//! A submission from its arrival to its answer: the steps in their order, and what is taken back when one fails.

use serde_json::Value;

use super::{
    answer::{self, NotAccepted, accepted, flow_id},
    digest, earlier,
    kick_off::{kick_off, wake},
    package::{Reuse, Run, RunKey, package},
    request::{self, Arrival, Envelope, JobSource, MAX_JOB_BYTES, Refusal, RunIds},
    reserve::{Reserved, answer_of, reserve},
    settings::Settings,
    shape::{Meant, similar},
    upload::{delete_key, upload},
    validate::validate,
};
use crate::{
    aws::{Aws, Class},
    clock::Timestamp,
    ids::{RunId, fresh_nonce},
    keys,
    objects::Objects,
    order::Job,
    plan::{Plan, SCHEMA_VERSION},
    run_item::{NewRun, RunItem, RunItems, Written},
    telemetry::{Place, Span},
    text::shown,
};

/// Handles one event of an entry point; gives what the function returns.
///
/// # Errors
/// For a notification that was not accepted and may be later: Lambda delivers it again, under the same run id.
pub async fn submit(aws: &Aws, settings: &Settings, event: Value, request_id: &str) -> Result<Value, NotAccepted> {
    let submission = request::arrive(event, request_id);
    let (outcome, ids) = match submission.body {
        Err(Refusal::Method(method)) => (Err(NotAccepted::Method(method)), RunIds::default()),
        Err(Refusal::Body(problem)) => (Err(NotAccepted::Invalid(vec![problem])), RunIds::default()),
        Ok(body) => {
            let (ids, envelope) =
                request::read_envelope(body, submission.default_run_id.as_deref(), &settings.done_bucket);
            match envelope {
                Err(problems) => (Err(NotAccepted::Invalid(problems)), ids),
                Ok(envelope) => (accept(aws, settings, envelope).await, ids),
            }
        }
    };
    let run_id = ids.run_id.as_ref().map(RunId::as_str);
    match outcome {
        Err(error) if submission.arrival == Arrival::Sns && error.is_passing() => return Err(error),
        Err(ref error) => tracing::warn!(run_id, %error, "not accepted"),
        Ok(_) => tracing::info!(run_id, "accepted"),
    }
    Ok(answer::render(&submission.arrival, outcome, &ids))
}

async fn accept(aws: &Aws, settings: &Settings, envelope: Envelope) -> Result<Value, NotAccepted> {
    let document = match envelope.job {
        JobSource::Inline(document) => document,
        JobSource::S3 { bucket, key } => read_payload(aws, settings, &bucket, &key).await?,
    };
    let job = validate(&document, &settings.rules).map_err(NotAccepted::Invalid)?;
    let rerun = envelope.rerun.as_ref();
    let from = rerun.and_then(|rerun| rerun.from.as_deref()).map(|from| rerun_from(&job, from)).transpose()?;
    let now = settings.clock.now();
    let (submit_id, digest_key) = (fresh_nonce(), fresh_nonce());
    let run = Run {
        run_id: &envelope.run_id,
        trace_id: &envelope.trace_id,
        created_at: now,
        deadline: now.plus(std::time::Duration::from_secs(job.job_timeout)),
        digest_key: &digest_key,
    };
    let answer = accepted(&job, run.run_id, run.trace_id, settings);
    let item = RunItem::submitting(
        NewRun {
            run_id: run.run_id,
            trace_id: run.trace_id,
            flow_id: &flow_id(&job, run.trace_id),
            orders: job.orders.len(),
            deadline: run.deadline,
            submit_id: &submit_id,
            digest_key: &digest_key,
            job_digest: &digest::of_job(&document, settings.rules.entry, rerun),
            answer: &answer.to_string(),
        },
        now,
    );
    let items = RunItems::new(aws, &settings.locks_table);
    match reserve(items, &item, now).await? {
        Reserved::Before(answer) => return Ok(answer),
        Reserved::Ours => {}
    }
    let rerun_of = rerun.map(|rerun| (&rerun.of, from));
    let answered = match submit_reserved(aws, settings, &job, run, &submit_id, rerun_of).await {
        Ok(()) => Ok(answer),
        Err(error) => take_back(aws, settings, run, &submit_id, error).await,
    };
    if answered.is_ok() {
        let span = || Span::of(run.run_id, Place::Submit, now, settings.clock.now());
        settings.telemetry.record(|| [span().number("aws_exe.orders", job.orders.len())]);
    }
    answered
}

async fn submit_reserved(
    aws: &Aws,
    settings: &Settings,
    job: &Job,
    run: Run<'_>,
    submit_id: &str,
    rerun_of: Option<(&RunId, Option<usize>)>,
) -> Result<(), NotAccepted> {
    let reuse = match rerun_of {
        Some((of, from)) => Some(Reuse { earlier: earlier::read(aws, settings, of).await?, from }),
        None => None,
    };
    let package = package(aws, settings, job, run, reuse.as_ref()).await?;
    if let Some((of, _)) = rerun_of {
        tracing::info!(run_id = %run.run_id, rerun_of = %of, reused = package.reused(), "what succeeded before counts");
    }
    let own_key = keys::sops_key(&settings.rules.ssm_prefix, run.run_id);
    let plan = Plan {
        schema_version: SCHEMA_VERSION,
        run_id: run.run_id.clone(),
        trace_id: run.trace_id.clone(),
        flow_id: flow_id(job, run.trace_id),
        submit_id: submit_id.to_owned(),
        created_at: run.created_at,
        deadline: run.deadline,
        sops_key_ssm_path: match &package.key {
            RunKey::Own(_) => own_key,
            RunKey::Given(_) => job.sops_key_ssm_path.clone().unwrap_or_default(),
        },
        done_endpt: request::done_endpoint(&settings.done_bucket, run.run_id),
        carried: job.carried(),
        rerun_of: rerun_of.map(|(of, _)| of.clone()),
        max_parallel: job.max_parallel,
        topological_order: job.topological_order.clone(),
        orders: Plan::orders_of(job, package.prepared()),
    };
    upload(aws, settings, job, &plan, &package).await?;
    kick_off(aws, settings, &plan, job.job_timeout).await
}

/// Index of the order from which on everything runs again.
fn rerun_from(job: &Job, from: &str) -> Result<usize, NotAccepted> {
    job.find(from).ok_or_else(|| {
        let names = || job.orders.iter().flat_map(|order| [order.name.as_str(), order.queue_id.as_str()]);
        let near = Meant(|| similar(from, names()));
        let problem = format!("rerun_from: `{}` is no order's name, queue id or number{near}", shown(from));
        NotAccepted::Invalid(vec![problem])
    })
}

/// A submission that failed gives the run id free again, so that the same request can be sent again at once. If the
/// run item turns out to have been flipped after all, the job is accepted.
///
/// What it put in place lies where the next submission's will lie. So it takes the item away from itself first: then its
/// own flip comes too late, should that still be under way, and nobody comes next before the item is gone. A submission
/// that was taken over has nothing to take back: what lies there is its successor's.
async fn take_back(
    aws: &Aws,
    settings: &Settings,
    run: Run<'_>,
    submit_id: &str,
    error: NotAccepted,
) -> Result<Value, NotAccepted> {
    let items = RunItems::new(aws, &settings.locks_table);
    let fence = fresh_nonce();
    let (fenced, stands) = match items.fence(run.run_id, submit_id, &fence).await {
        Ok(Written::Yes(_)) => (true, None),
        Ok(Written::No(item)) => (false, item.map(|item| *item)),
        Err(unclear) => {
            let stands = items.get(run.run_id).await.unwrap_or_else(|error| {
                tracing::warn!(%unclear, %error, "the reservation stays until its lease runs out");
                None
            });
            (false, stands)
        }
    };
    if let Some(item) = stands.as_ref().filter(|item| item.is_submitted_by(submit_id)) {
        wake(aws, settings, run.run_id).await;
        return answer_of(item);
    }
    // The SDK's second attempt may have met the first one's work.
    if !fenced && stands.is_none_or(|item| item.submit_id != fence) {
        return Err(error);
    }
    let removed = match delete_key(aws, &keys::sops_key(&settings.rules.ssm_prefix, run.run_id)).await {
        Ok(()) => items.abandon(run.run_id, &fence).await,
        // It may still be removed: nobody else's key may be there before the lease has run out.
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(%error, "the reservation stays until its lease runs out");
    }
    Err(error)
}

async fn read_payload(aws: &Aws, settings: &Settings, bucket: &str, key: &str) -> Result<Value, NotAccepted> {
    let invalid = |problem: String| NotAccepted::Invalid(vec![format!("payload_s3_uri: {problem}")]);
    settings.rules.check_source(bucket, key).map_err(invalid)?;
    match Objects::new(aws, bucket).owned_by(settings.rules.owner_of(bucket)).get(key, MAX_JOB_BYTES + 1).await {
        Ok(Some(object)) => request::parse_job(&object.body).map_err(invalid),
        Ok(None) => Err(invalid(format!("there is no `s3://{bucket}/{key}`"))),
        Err(error) if error.class == Class::Refused => Err(invalid(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// When a run that was never submitted to its end is given up by its tick.
pub fn given_up_at(deadline: Timestamp) -> Timestamp {
    deadline.plus(crate::run_item::SUBMIT_LEASE)
}
