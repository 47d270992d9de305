//! The body of a submission: the job itself, or where it was put when it is too large for a request.

use common::intake::{digest, validate};
use serde_json::{Value, json};

use super::Submission;
use crate::{engine::Engine, failure::Failure, output::Output};

/// Largest job that travels in the request. Lambda takes 6 MB for an event
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>), and the body is a text inside of it.
const MAX_INLINE_BYTES: usize = 4_000_000;
/// Largest such text, with what it takes to write it inside another JSON document: room is left for the event's headers.
const MAX_ESCAPED_BYTES: usize = 5_500_000;

/// The body, after the job was put into the internal bucket if it has to be.
pub(super) async fn body(engine: &Engine, submission: &Submission, output: &Output) -> Result<Vec<u8>, Failure> {
    let whole = envelope(submission, "job", submission.job.clone()).to_string();
    if whole.len() <= MAX_INLINE_BYTES && escaped(&whole) <= MAX_ESCAPED_BYTES {
        return Ok(whole.into_bytes());
    }
    // Named by what it is: whoever submits another job under the same run id does not exchange this one's.
    let key = format!("jobs/uploads/{}.json", digest::of_job(&submission.job, validate::Entry::Init, None));
    let bytes = submission.job.to_string().into_bytes();
    let bucket = &engine.names.internal_bucket;
    output.note(&format!("the job has {} bytes: it goes by `s3://{bucket}/{key}`", bytes.len()))?;
    engine.objects().put(&key, bytes).await?;
    let uri = format!("s3://{bucket}/{key}");
    Ok(envelope(submission, "payload_s3_uri", uri.into()).to_string().into_bytes())
}

fn envelope(submission: &Submission, field: &str, job: Value) -> Value {
    let mut body = json!({"run_id": submission.run_id});
    body[field] = job;
    if let Some(run) = &submission.rerun_of {
        body["rerun_of"] = json!(run);
    }
    if let Some(order) = &submission.rerun_from {
        body["rerun_from"] = json!(order);
    }
    body
}

/// Bytes of a text inside a JSON document. Control characters do not stand raw in JSON that is already written.
fn escaped(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}
