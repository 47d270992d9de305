//! Documents of the wrong shape: each field with each kind of JSON that it cannot have.

use common::intake::request::{Arrival, MAX_JOB_BYTES, MAX_JOB_VALUES, Refusal, arrive, parse_job, read_envelope};
use serde_json::{Value, json};

use crate::{assert_refused, job, order};

/// A value of each kind, beside null, with the kind's name. What has no fraction is a whole number.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("bool", json!(true)),
        ("integer", json!(-1)),
        ("integer", json!(u64::MAX)),
        ("number", json!(1.5)),
        ("number", json!(1e300)),
        ("string", json!("text")),
        ("list", json!([])),
        ("list", json!([null])),
        ("list", json!([[[]]])),
        ("object", json!({})),
        ("object", json!({"\u{1b}[2J": {"a": [1]}})),
    ]
}

/// Fields of a job and of an order, with the kind that each is.
const JOB: [(&str, &str); 13] = [
    ("username", "string"),
    ("orders", "list"),
    ("git_repo", "string"),
    ("commit_hash", "string"),
    ("git_token_location", "string"),
    ("git_ssh_key_location", "string"),
    ("flow_label", "string"),
    ("job_timeout", "integer"),
    ("max_parallel", "integer"),
    ("presign_expiry", "integer"),
    ("pr_comment_search_tag", "string"),
    ("sops_key_ssm_path", "string"),
    ("unheard_of", "none"),
];
const ORDER: [(&str, &str); 16] = [
    ("order_name", "string"),
    ("queue_id", "string"),
    ("cmds", "list"),
    ("timeout", "integer"),
    ("stop_grace", "integer"),
    ("must_succeed", "bool"),
    ("dependencies", "list"),
    ("execution_target", "string"),
    ("env_vars", "object"),
    ("ssm_paths", "list"),
    ("secret_manager_paths", "list"),
    ("sops_key", "string"),
    ("git_repo", "string"),
    ("git_folder", "string"),
    ("s3_location", "string"),
    ("ssm_targets", "object"),
];

#[test]
fn fields_of_every_wrong_kind() {
    let mut refused = 0;
    for (kind, value) in kinds() {
        for (field, _) in JOB.iter().filter(|(_, own)| *own != kind) {
            assert_refused(&job(json!({*field: value})), field, &format!("{field}: {value}"));
            refused += 1;
        }
        for (field, _) in ORDER.iter().filter(|(_, own)| *own != kind) {
            assert_refused(&order(json!({*field: value})), &format!("orders[0].{field}"), &format!("{field}: {value}"));
            refused += 1;
        }
        let mut envelope = json!({"job": job(json!({}))});
        for (field, own) in
            [("run_id", "string"), ("trace_id", "string"), ("done_endpt", "string"), ("unheard", "none")]
        {
            if own != kind {
                envelope[field] = value.clone();
                let problems = read_envelope(envelope.clone(), None, "exe-sys-done").1.unwrap_err();
                assert!(problems.iter().any(|problem| problem.starts_with(field)), "{field}: {value}: {problems:?}");
                envelope.as_object_mut().unwrap().remove(field);
                refused += 1;
            }
        }
    }
    println!("{refused} refused");
    assert!(refused >= 200);
}

#[test]
fn a_document_over_the_limit_is_not_read() {
    let document = |length: usize| [b"{\"username\":\"".as_slice(), &vec![b'a'; length - 15], b"\"}"].concat();
    assert_eq!(document(MAX_JOB_BYTES).len(), MAX_JOB_BYTES);
    parse_job(&document(MAX_JOB_BYTES)).unwrap();
    assert_eq!(parse_job(&document(MAX_JOB_BYTES + 1)).unwrap_err(), "is larger than 10485760 bytes");
    let values = |count: usize| format!("[{}]", vec!["0"; count].join(",")).into_bytes();
    parse_job(&values(MAX_JOB_VALUES - 1)).unwrap();
    assert_eq!(parse_job(&values(MAX_JOB_VALUES)).unwrap_err(), "is not JSON: has more than 500000 values");
}

#[test]
fn bodies_that_are_no_requests() {
    let deep = ["[", "{\"a\":", "{\"job\":{\"orders\":["].map(|part| part.repeat(100_000));
    let texts = [
        "",
        " ",
        "\0",
        "null",
        "nul",
        "true",
        "3",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{]",
        "{\"job\":}",
        "{\"job\":{}",
        "{'job':{}}",
        "{\"job\":{},}",
        "{job:{}}",
        "\u{feff}{}",
        "{\"job\":1e999}",
        "{\"job\":-}",
        "{\"job\":01}",
        "{\"job\":\"\\ud800\"}",
        "{\"job\":\"\\x\"}",
        "{\"job\":\"\n\"}",
        "// {}",
        "{}{}",
        "{}x",
        "job=1",
        "<job/>",
        "--boundary",
        "%7B%7D",
        "{\"job\":NaN}",
        "{\"job\":Infinity}",
    ];
    for text in texts.map(str::to_owned).into_iter().chain(deep) {
        for event in [
            json!({"httpMethod": "POST", "body": text}),
            json!({"requestContext": {"http": {"method": "POST"}}, "body": text}),
            json!({"Records": [{"Sns": {"Message": text, "MessageId": "m"}}]}),
        ] {
            let submission = arrive(event, "request");
            assert_ne!(submission.arrival, Arrival::Direct);
            let told = match submission.body {
                Err(Refusal::Body(told) | Refusal::Method(told)) => told,
                Ok(body) => read_envelope(body, None, "exe-sys-done").1.expect_err(&text).join("; "),
            };
            assert!(!told.is_empty() && told.len() < 1_000 && !told.contains(char::is_control), "{told:?}");
        }
        if serde_json::from_str::<Value>(&text).is_err() {
            assert!(parse_job(text.as_bytes()).unwrap_err().starts_with("is not JSON: "), "{text:.40}");
        }
    }
}
