//! What a submission is answered.

use serde_json::{Value, json};

use super::{
    request::{Arrival, RunIds, done_endpoint},
    settings::Settings,
};
use crate::{
    aws::AwsError,
    ids::{RunId, TraceId},
    order::Job,
};

/// Why a submission was not accepted, named by what its sender can do.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// Mend the document: every problem, with its path.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// Use another run id.
    #[error("the run id `{0}` is taken by another job; choose another `run_id`")]
    Taken(RunId),
    /// Ask again in a moment.
    #[error("the run `{0}` is being submitted right now; ask again in a moment")]
    BeingSubmitted(RunId),
    /// Use POST.
    #[error("the method `{0}` is not allowed; use POST")]
    Method(String),
    /// Try again; nothing runs.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Try again; nothing runs.
    #[error("failed to {0}")]
    Machine(String),
}

impl NotAccepted {
    /// Whether the same submission may be accepted a while later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Aws(_) | Self::Machine(_) | Self::BeingSubmitted(_))
    }

    const fn http_status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::Method(_) => 405,
            Self::Taken(_) | Self::BeingSubmitted(_) => 409,
            Self::Aws(_) | Self::Machine(_) => 500,
        }
    }
}

/// The answer to an accepted job.
pub fn accepted(job: &Job, run_id: &RunId, trace_id: &TraceId, settings: &Settings) -> Value {
    json!({
        "status": "ok",
        "run_id": run_id,
        "trace_id": trace_id,
        "flow_id": flow_id(job, trace_id),
        "done_endpt": done_endpoint(&settings.done_bucket, run_id),
        "pr_search_tag": job.pr_comment_search_tag,
        "init_pr_comment": null,
    })
}

/// `<username>:<trace_id>-<flow_label>`.
pub fn flow_id(job: &Job, trace_id: &TraceId) -> String {
    format!("{}:{trace_id}-{}", job.username, job.flow_label)
}

/// The answer in the form that its sender expects.
pub fn render(arrival: &Arrival, outcome: Result<Value, NotAccepted>, ids: &RunIds) -> Value {
    let (status, body) = match outcome {
        Ok(answer) => (200, answer),
        Err(error) => {
            let mut body = json!({"status": "error", "error": error.to_string()});
            if let NotAccepted::Invalid(problems) = &error {
                body["error"] = problems.first().cloned().unwrap_or_default().into();
                body["errors"] = problems.clone().into();
            }
            if !matches!(error, NotAccepted::Method(_)) {
                body["run_id"] = json!(ids.run_id);
                body["trace_id"] = json!(ids.trace_id);
            }
            (error.http_status(), body)
        }
    };
    match arrival {
        Arrival::Direct | Arrival::Sns => body,
        Arrival::Http => {
            let mut headers = json!({"content-type": "application/json"});
            if status == 405 {
                headers["allow"] = "POST".into();
            }
            json!({"statusCode": status, "headers": headers, "body": body.to_string(), "isBase64Encoded": false})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_in_the_answer() {
        let ids = RunIds { run_id: Some("r".parse().unwrap()), trace_id: Some("00000000".parse().unwrap()) };
        let problems = vec!["a: x".to_owned(), "b: y".to_owned()];
        let answer = render(&Arrival::Http, Err(NotAccepted::Invalid(problems.clone())), &ids);
        assert_eq!(answer["statusCode"], 400);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"status": "error", "error": "a: x", "errors": ["a: x", "b: y"], "run_id": "r", "trace_id": "00000000"})
        );
        assert_eq!(render(&Arrival::Direct, Err(NotAccepted::Invalid(problems)), &ids), body);
    }

    #[test]
    fn another_method_is_told_which_to_use() {
        let answer = render(&Arrival::Http, Err(NotAccepted::Method("GET".to_owned())), &RunIds::default());
        assert_eq!((&answer["statusCode"], &answer["headers"]["allow"]), (&json!(405), &json!("POST")));
    }
}
