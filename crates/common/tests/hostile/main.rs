//! Hostile input at every door: texts in the fields of a request, names of sources, documents of the wrong shape, results.
//! Each is refused with an error that names its field, and nothing panics. Zips have theirs in `src/archive/tests.rs`.

mod fields;
mod requests;
mod results;
mod sources;

use common::{
    git,
    intake::validate::{Entry, Rules, validate},
};
use serde_json::{Value, json};

/// What a deployment allows that is like any other.
pub(crate) fn rules(entry: Entry) -> Rules {
    Rules {
        entry,
        max_job_timeout: 86_400,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "exe-sys-internal".to_owned(),
        account: None,
        source_buckets: vec!["sources".parse().unwrap()],
        git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
    }
}

/// A job of one order with these fields.
pub(crate) fn order(fields: Value) -> Value {
    let mut order = json!({"order_name": "a", "cmds": ["true"], "timeout": 60, "execution_target": "lambda"});
    order.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"username": "me", "orders": [order]})
}

/// A job with these fields, and one order.
pub(crate) fn job(fields: Value) -> Value {
    let mut job = order(json!({}));
    job.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    job
}

/// Holds that a job is refused for exactly this field, in a message that people can read.
#[track_caller]
pub(crate) fn assert_refused(document: &Value, path: &str, what: &str) {
    let problems = validate(document, &rules(Entry::Init)).map(drop).expect_err(what);
    let is_readable = |problem: &String| problem.len() < 1_000 && !problem.contains(char::is_control);
    assert!(problems.iter().any(|problem| problem.starts_with(path)), "{what}: {problems:?}");
    assert!(problems.iter().all(is_readable), "{what}: {problems:?}");
}
