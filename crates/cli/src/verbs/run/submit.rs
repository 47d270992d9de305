//! Submitting over HTTP, as any client does: always with a run id, so that asking again never makes a second run.

use std::time::Duration;

use common::{http::Http, ids::RunId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// How long after a 5xx or a 409 the same is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often: the submission's own function is ended after 300 s.
const ATTEMPTS: u32 = 700;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
}

/// Submits a job as this run and waits until it is accepted or refused.
pub(crate) async fn submit(endpoint: &str, run_id: &RunId, job: &Value) -> Result<(), Failure> {
    let machine = |error: &dyn std::fmt::Display| Failure::machine(format!("failed to submit the job: {error}"));
    // A little longer than the HTTP API's own limit of 30 s.
    let http = Http::new(Duration::from_secs(40)).map_err(|error| machine(&error))?;
    let body = json!({"job": job, "run_id": run_id}).to_string().into_bytes();
    let mut last = "it was not answered".to_owned();
    for _ in 0..ATTEMPTS {
        let sent =
            http.send("POST", &format!("{endpoint}/init"), &[("content-type", "application/json")], body.clone()).await;
        let answer = sent.map_err(|error| machine(&error))?;
        let told: Answer = serde_json::from_slice(&answer.body).unwrap_or(Answer { error: None, errors: Vec::new() });
        match answer.status {
            200 => return Ok(()),
            // Being submitted by the invocation before, which the HTTP API no longer waited for.
            409 | 503 => last = told.error.unwrap_or_else(|| format!("status {}", answer.status)),
            400..=499 => {
                let problems = if told.errors.is_empty() { told.error.into_iter().collect() } else { told.errors };
                return Err(Failure { exit: Exit::BadInput, problems, hint: None });
            }
            status => return Err(machine(&told.error.unwrap_or_else(|| format!("status {status}")))),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(machine(&last))
}
