//! What a caller sent: the ways in which a submission arrives, and the body that they share.
//!
//! The job inside is still a plain JSON value here; [`super::validate`] turns it into an accepted job.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::shape::{Meant, Problems, nearest};
use crate::{
    ids::{RunId, TraceId, fresh_nonce, is_name},
    json,
    text::shown,
};

/// Largest job document, packed or not: what fits in memory many times over and no honest job reaches.
pub const MAX_JOB_BYTES: usize = 10 * 1024 * 1024;
/// Most values of a request or job document, which bounds the memory that it takes: fifty for each of 9,999 orders.
pub const MAX_JOB_VALUES: usize = 500_000;

/// How a submission arrived, which decides how it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Over HTTP (API Gateway v1 or v2, a Function URL): answered with a proxy response.
    Http,
    /// A direct invoke: answered with the bare object.
    Direct,
    /// An SNS notification: nobody reads the answer, and what can be tried again must fail for Lambda to do so.
    Sns,
}

/// A submission as it arrived.
#[derive(Debug)]
pub struct Submission {
    /// How it arrived.
    pub arrival: Arrival,
    /// The body, parsed; or what is wrong with the request before its body counts.
    pub body: Result<Value, Refusal>,
    /// The run id to use when the body names none, so that a repeated delivery makes no second run.
    pub default_run_id: Option<String>,
}

/// A request that is refused before its body is looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another method than POST.
    Method(String),
    /// A body that is not JSON, or not base64 where it says so.
    Body(String),
}

/// Takes an event apart. `request_id` is the Lambda request id, which repeats on each delivery of one event.
pub fn arrive(event: Value, request_id: &str) -> Submission {
    let v2_method = event.pointer("/requestContext/http/method").and_then(Value::as_str);
    let v1_method = event.get("httpMethod").and_then(Value::as_str);
    if let Some(method) = v2_method.or(v1_method) {
        let body = if method == "POST" { http_body(&event) } else { Err(Refusal::Method(shown(method))) };
        return Submission { arrival: Arrival::Http, body, default_run_id: None };
    }
    if let Some(sns) = event.pointer("/Records/0/Sns") {
        let body = text_body(sns.get("Message").and_then(Value::as_str).unwrap_or_default());
        let id = sns.get("MessageId").and_then(Value::as_str).map(str::to_owned);
        return Submission { arrival: Arrival::Sns, body, default_run_id: id };
    }
    Submission { arrival: Arrival::Direct, body: Ok(event), default_run_id: Some(request_id.to_owned()) }
}

fn http_body(event: &Value) -> Result<Value, Refusal> {
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    if event.get("isBase64Encoded").and_then(Value::as_bool) != Some(true) {
        return text_body(body);
    }
    let bytes = BASE64_STANDARD.decode(body).map_err(|_| Refusal::Body("the body is not base64".to_owned()))?;
    text_body(&String::from_utf8(bytes).map_err(|_| Refusal::Body("the body is not UTF-8".to_owned()))?)
}

fn text_body(text: &str) -> Result<Value, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Body(
            "the body is empty; send an object with `job`, `job_parameters_b64` or `payload_s3_uri`".to_owned(),
        ));
    }
    json::read(text.as_bytes(), MAX_JOB_VALUES).map_err(|error| Refusal::Body(format!("the body is not JSON: {error}")))
}

/// Where the job is.
#[derive(Debug, PartialEq)]
pub enum JobSource {
    /// In the request.
    Inline(Value),
    /// In S3: bucket and key.
    S3 {
        /// Bucket, the internal one or a source bucket.
        bucket: String,
        /// Key of the JSON document.
        key: String,
    },
}

/// The envelope of a submission.
#[derive(Debug)]
pub struct Envelope {
    /// The run's id.
    pub run_id: RunId,
    /// The run's trace.
    pub trace_id: TraceId,
    /// The job, or where it is.
    pub job: JobSource,
    /// Whose successes count, if another run's do.
    pub rerun: Option<Rerun>,
}

/// What succeeded in another run counts as succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// That run.
    pub of: RunId,
    /// An order of the new job, as the caller names it, that runs again with everything that depends on it.
    pub from: Option<String>,
}

/// Fields of the envelope.
const KNOWN: [&str; 8] =
    ["job", "job_parameters_b64", "payload_s3_uri", "run_id", "trace_id", "done_endpt", "rerun_of", "rerun_from"];

/// Reads the envelope. The ids come back even when something is wrong, for the answer.
pub fn read_envelope(
    body: Value,
    default_run_id: Option<&str>,
    done_bucket: &str,
) -> (RunIds, Result<Envelope, Vec<String>>) {
    let mut problems = Problems::default();
    let is_object = body.is_object();
    let mut fields = match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    if !is_object {
        problems.add("", "the body must be an object with `job`, `job_parameters_b64` or `payload_s3_uri`");
    }
    for name in fields.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        let nearest = || nearest(name, KNOWN.into_iter());
        problems.add(shown(name), format_args!("is no known field{}", Meant(nearest)));
    }
    let text = |name: &str, problems: &mut Problems| match fields.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            problems.add(name, "must be a string");
            None
        }
    };
    let given = text("run_id", &mut problems);
    let run_id = match given.as_deref().map(str::parse::<RunId>) {
        Some(Ok(run_id)) => Some(run_id),
        Some(Err(error)) => {
            problems.add("run_id", error);
            None
        }
        // A foreign id that is no run id (which neither SNS nor Lambda sends) is not trusted to be unique either.
        None => Some(default_run_id.and_then(|id| id.parse().ok()).unwrap_or_else(fresh_run_id)),
    };
    let trace_id = match text("trace_id", &mut problems).as_deref().map(str::parse::<TraceId>) {
        Some(Ok(trace_id)) => Some(trace_id),
        Some(Err(error)) => {
            problems.add("trace_id", error);
            None
        }
        None => Some(TraceId::fresh()),
    };
    if let (Some(done), Some(run_id)) = (text("done_endpt", &mut problems), &run_id) {
        let ours = done_endpoint(done_bucket, run_id);
        if done != ours {
            problems.add("done_endpt", format_args!("must be `{ours}` or left out"));
        }
    }
    let (rerun_of, rerun_from) = (text("rerun_of", &mut problems), text("rerun_from", &mut problems));
    if rerun_from.is_some() && fields.get("rerun_of").is_none_or(Value::is_null) {
        problems.add("rerun_from", "needs `rerun_of`, the run whose successes count");
    }
    let rerun = rerun_of.and_then(|of| read_rerun(&of, rerun_from, run_id.as_ref(), &mut problems));
    // A body that is no object was told so already.
    let job = if is_object { read_job(&mut fields, &mut problems) } else { None };
    let ids = RunIds { run_id: run_id.clone(), trace_id: trace_id.clone() };
    let envelope = match (run_id, trace_id, job) {
        (Some(run_id), Some(trace_id), Some(job)) if problems.is_empty() => {
            Ok(Envelope { run_id, trace_id, job, rerun })
        }
        _ => Err(problems.into_vec()),
    };
    (ids, envelope)
}

fn read_rerun(of: &str, from: Option<String>, run_id: Option<&RunId>, problems: &mut Problems) -> Option<Rerun> {
    // Whether there is such an order shows when the job is known.
    if from.as_ref().is_some_and(|from| !is_name(from, 128)) {
        problems.add("rerun_from", "must be an order's name, queue id or number: 1 to 128 of `A-Z a-z 0-9 . _ -`");
    }
    match of.parse::<RunId>() {
        Ok(of) if Some(&of) == run_id => {
            problems.add("rerun_of", "names the run itself; name an earlier one, or leave it out to run every order");
            None
        }
        Ok(of) => Some(Rerun { of, from }),
        Err(error) => {
            problems.add("rerun_of", error);
            None
        }
    }
}

/// The ids that an answer names, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct RunIds {
    /// The run's id.
    pub run_id: Option<RunId>,
    /// The run's trace.
    pub trace_id: Option<TraceId>,
}

/// Where the run's `done` object will be.
pub fn done_endpoint(done_bucket: &str, run_id: &RunId) -> String {
    format!("s3://{done_bucket}/{}", crate::keys::done(run_id))
}

fn fresh_run_id() -> RunId {
    fresh_nonce().parse().expect("a UUID is a run id")
}

fn read_job(fields: &mut Map<String, Value>, problems: &mut Problems) -> Option<JobSource> {
    let mut given = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    match (given("job"), given("job_parameters_b64"), given("payload_s3_uri")) {
        (Some(job), None, None) => Some(JobSource::Inline(job)),
        (None, Some(packed), None) => match decode_job(&packed) {
            Ok(job) => Some(JobSource::Inline(job)),
            Err(problem) => {
                problems.add("job_parameters_b64", problem);
                None
            }
        },
        (None, None, Some(uri)) => {
            let location = uri.as_str().and_then(parse_s3_uri);
            if location.is_none() {
                problems.add("payload_s3_uri", "must be of the form `s3://bucket/key`");
            }
            location.map(|(bucket, key)| JobSource::S3 { bucket, key })
        }
        (None, None, None) => {
            problems.add("", "one of `job`, `job_parameters_b64` and `payload_s3_uri` is needed");
            None
        }
        _ => {
            problems.add("", "only one of `job`, `job_parameters_b64` and `payload_s3_uri` may be given");
            None
        }
    }
}

fn decode_job(packed: &Value) -> Result<Value, String> {
    let text = packed.as_str().ok_or("must be a string")?;
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = BASE64_STANDARD.decode(compact).map_err(|error| format!("is not base64: {error}"))?;
    parse_job(&bytes)
}

/// Reads a job document.
pub fn parse_job(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > MAX_JOB_BYTES {
        return Err(format!("is larger than {MAX_JOB_BYTES} bytes"));
    }
    json::read(bytes, MAX_JOB_VALUES).map_err(|error| format!("is not JSON: {error}"))
}

/// Bucket and key of an `s3://bucket/key`.
pub fn parse_s3_uri(uri: &str) -> Option<(String, String)> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    let bucket_ok = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    let key_ok = (1..=1024).contains(&key.len()) && !key.chars().any(char::is_control);
    (bucket_ok && key_ok).then(|| (bucket.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(body: &Value) -> Result<Envelope, Vec<String>> {
        read_envelope(body.clone(), Some("3e1b0e8a-0000-4000-8000-000000000000"), "done").1
    }

    #[test]
    fn the_ways_in() {
        let v2 = arrive(json!({"requestContext": {"http": {"method": "POST"}}, "body": "{\"job\":1}"}), "r");
        assert_eq!((v2.arrival, v2.body.unwrap(), v2.default_run_id), (Arrival::Http, json!({"job": 1}), None));
        let v1 = arrive(json!({"httpMethod": "POST", "isBase64Encoded": true, "body": "eyJqb2IiOjF9"}), "r");
        assert_eq!(v1.body.unwrap(), json!({"job": 1}));
        let get = arrive(json!({"requestContext": {"http": {"method": "GET"}}}), "r");
        assert_eq!(get.body.unwrap_err(), Refusal::Method("GET".to_owned()));
        let sns = arrive(json!({"Records": [{"Sns": {"Message": "{\"job\":1}", "MessageId": "m-1"}}]}), "r");
        assert_eq!(
            (sns.arrival, sns.body.unwrap(), sns.default_run_id.as_deref()),
            (Arrival::Sns, json!({"job": 1}), Some("m-1"))
        );
        let direct = arrive(json!({"job": 1}), "r");
        assert_eq!((direct.body.unwrap(), direct.default_run_id.as_deref()), (json!({"job": 1}), Some("r")));
    }

    #[test]
    fn bodies_that_are_none() {
        for (body, part) in [("", "empty"), ("{", "not JSON"), ("\u{0}", "not JSON")] {
            let submission = arrive(json!({"httpMethod": "POST", "body": body}), "r");
            assert!(matches!(submission.body, Err(Refusal::Body(text)) if text.contains(part)), "{body:?}");
        }
    }

    #[test]
    fn a_run_id_is_kept_defaulted_or_drawn() {
        assert_eq!(envelope(&json!({"job": {}, "run_id": "mine"})).unwrap().run_id.as_str(), "mine");
        assert_eq!(envelope(&json!({"job": {}})).unwrap().run_id.as_str(), "3e1b0e8a-0000-4000-8000-000000000000");
        let (ids, _) = read_envelope(json!({"job": {}}), Some("not/an/id"), "done");
        assert_eq!(ids.run_id.unwrap().as_str().len(), 36);
    }

    #[test]
    fn a_rerun_names_another_run_and_maybe_an_order() {
        let of = |body: &Value| envelope(body).unwrap().rerun.map(|rerun| (rerun.of.as_str().to_owned(), rerun.from));
        assert_eq!(of(&json!({"job": {}})), None);
        assert_eq!(of(&json!({"job": {}, "rerun_of": null, "rerun_from": null})), None);
        assert_eq!(of(&json!({"job": {}, "rerun_of": "first"})), Some(("first".to_owned(), None)));
        let from = json!({"job": {}, "rerun_of": "first", "rerun_from": "0002"});
        assert_eq!(of(&from), Some(("first".to_owned(), Some("0002".to_owned()))));
    }

    #[test]
    fn envelopes_that_are_refused() {
        for (body, problem) in [
            (json!([]), "must be an object"),
            (json!({}), "is needed"),
            (json!({"job": {}, "payload_s3_uri": "s3://bucket/k"}), "only one"),
            (json!({"job_parameters_b64": "%%%"}), "job_parameters_b64: is not base64"),
            (json!({"job_parameters_b64": "e30", "x": 1}), "job_parameters_b64: is not base64"),
            (json!({"job_parameters_b64": "e3s="}), "job_parameters_b64: is not JSON"),
            (json!({"job": {}, "runid": "a"}), "runid: is no known field; did you mean `run_id`?"),
            (json!({"job": {}, "run_id": "a/b"}), "run_id: must have 1 to 64"),
            (json!({"job": {}, "trace_id": "XYZ"}), "trace_id: must be 8 hex digits"),
            (json!({"job": {}, "done_endpt": "s3://mine/x"}), "done_endpt: must be `s3://done/"),
            (json!({"payload_s3_uri": "s3://b"}), "payload_s3_uri: must be"),
            (json!({"job": {}, "rerun_of": 7}), "rerun_of: must be a string"),
            (json!({"job": {}, "rerun_of": "a/b"}), "rerun_of: must have 1 to 64"),
            (json!({"job": {}, "rerun_of": "a", "run_id": "a"}), "rerun_of: names the run itself"),
            (json!({"job": {}, "rerun_from": "build"}), "rerun_from: needs `rerun_of`"),
            (json!({"job": {}, "rerun_of": "a", "rerun_from": 7}), "rerun_from: must be a string"),
            (json!({"job": {}, "rerun_of": "a", "rerun_from": ""}), "rerun_from: must be an order's name"),
        ] {
            let problems = envelope(&body).unwrap_err();
            assert!(problems.iter().any(|p| p.contains(problem)), "{body} gave {problems:?}");
        }
    }
}
