//! Sending a submission until it is accepted or refused. A 5xx, a cut connection and a 409 of a run that is still being
//! submitted are followed by the same request again: the run id makes it the same submission, never a second run.

use std::time::Duration;

use common::{
    clock::{Clock, Timestamp},
    env::Environment,
    telemetry::{Place, Span, Telemetry},
    text::sentence,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{Submission, payload};
use crate::{
    code::Code,
    engine::{Engine, NoAnswer},
    failure::Failure,
    output::{Event, Output},
};

/// How long the same is asked again: the submission's own function is ended after 300 s, and one that died holds the
/// run id for 360 s.
const PATIENCE: Duration = Duration::from_secs(380);
/// How long an engine is asked again that says itself that it failed, or that nobody answers for: both pass at once or
/// not at all.
const SHORT_PATIENCE: Duration = Duration::from_secs(20);
/// The first pause, and the longest that it grows to.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Characters of one problem that are shown: far more than the engine writes.
const LONGEST_PROBLEM: usize = 2_000;

/// What the engine, or the API before it, says of a job that is not accepted.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
    /// What API Gateway itself says.
    #[serde(default)]
    message: Option<String>,
}

/// What an answer means for its sender.
enum Verdict {
    Accepted(Value),
    Refused(Failure),
    /// The same again, for so long; and what was said.
    Again(Duration, String),
}

/// Submits, and waits until the job is accepted; gives the answer.
pub(crate) async fn send(engine: &Engine, submission: &Submission, output: &Output) -> Result<Value, Failure> {
    let body = payload::body(engine, submission, output).await?;
    let (began, sent_at) = (Instant::now(), Clock::REAL.now());
    let mut pause = FIRST_PAUSE;
    let mut was_told = String::new();
    loop {
        let verdict = match engine.api.post(submission.entry, body.clone()).await {
            Ok(answer) => judge(answer.status, &answer.body, submission),
            Err(NoAnswer::NotSent(failure)) => return Err(failure),
            Err(NoAnswer::Unclear(error)) => Verdict::Again(SHORT_PATIENCE, error.to_string()),
        };
        match verdict {
            Verdict::Accepted(answer) => {
                traced(submission, sent_at).await;
                let rerun_of = submission.rerun_of.as_ref().map(common::ids::RunId::as_str);
                output.event(&Event::Submitted { run_id: submission.run_id.as_str(), rerun_of })?;
                return Ok(answer);
            }
            Verdict::Refused(failure) => return Err(failure),
            Verdict::Again(patience, why) if began.elapsed() < patience => {
                if why != was_told {
                    output.note(&format!("not accepted yet: {why}; asking again"))?;
                    was_told = why;
                }
            }
            Verdict::Again(_, why) => {
                return Err(Failure::new(Code::NotSubmitted, format!("failed to submit the job: {why}")).hint(format!(
                    "it may still be accepted: `aws-exe status {run}` tells; the same again with `--run-id {run}` makes \
                     no second run",
                    run = submission.run_id
                )));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The submission as its sender saw it, where a collector is named: docs/TRACING.md.
async fn traced(submission: &Submission, sent_at: Timestamp) {
    let telemetry = Telemetry::load(&Environment::of_process(), "client");
    telemetry.record(|| [Span::of(&submission.run_id, Place::Client, sent_at, Clock::REAL.now())]);
    telemetry.flush(None, None).await;
}

fn judge(status: u16, body: &[u8], submission: &Submission) -> Verdict {
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let said = told.as_ref().and_then(|told| told.error.as_deref().or(told.message.as_deref())).map_or_else(
        || format!("the API answered {status}"),
        |text| format!("{} ({status})", sentence(text, LONGEST_PROBLEM)),
    );
    let errors = told.map(|told| told.errors).unwrap_or_default();
    match status {
        200 => match serde_json::from_slice(body) {
            Ok(answer) => Verdict::Accepted(answer),
            Err(error) => Verdict::Again(SHORT_PATIENCE, format!("the answer is no JSON: {error}")),
        },
        400 if !errors.is_empty() => {
            let count = errors.len();
            let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
            let failure = Failure::new(Code::JobRefused, format!("the engine refuses the job: {problems}"));
            Verdict::Refused(failure.problems(errors.iter().map(|error| sentence(error, LONGEST_PROBLEM)).collect()))
        }
        401 | 403 => Verdict::Refused(
            Failure::new(Code::AccessDenied, format!("the API denies access: {said}"))
                .hint("the policy `submitter` of the stack allows it; `aws-exe doctor` says who you are"),
        ),
        // Which of the two stands in words alone.
        409 if said.contains("being submitted") => Verdict::Again(PATIENCE, said),
        409 => Verdict::Refused(
            Failure::new(Code::RunIdTaken, format!("the run id `{}` is taken by another job", submission.run_id))
                .hint("leave `--run-id` out, or choose another one"),
        ),
        500 => Verdict::Again(SHORT_PATIENCE, said),
        // Throttled; or API Gateway stopped waiting for the function, which goes on.
        429 | 502..=504 => Verdict::Again(PATIENCE, said),
        _ => Verdict::Refused(Failure::new(Code::NotSubmitted, format!("failed to submit the job: {said}"))),
    }
}
