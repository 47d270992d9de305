//! Hostile texts in every field of a request: each is refused with an error that begins with its field, or the field is
//! one in which such a text is harmless, and says why.

use common::intake::{
    request,
    validate::{Entry, validate},
};
use serde_json::{Value, json};

use crate::{job, order, rules};

/// What shells, paths, terminals, logs, templates, URLs and people trip over.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "\0",
        "a\0b",
        "a\nb",
        "a\r\nSet-Cookie: b",
        "a\tb",
        "\u{1b}[2J\u{1b}]0;b\u{7}",
        "a\u{7f}",
        "a\u{85}b",
        "a\u{2028}b",
        "\u{202e}txt.exe",
        "a\u{200b}b",
        "\u{feff}a",
        "аdmin",
        "ｅxec",
        "e\u{301}",
        "{{ env.SECRET }}",
        "${{ secrets.TOKEN }}",
        "$(id)",
        "`id`",
        "; id",
        "| id",
        "&& id",
        "> /etc/passwd",
        "-rf",
        "--upload-pack=id",
        "../x",
        "a/../../b",
        "..",
        ".",
        "/etc/passwd",
        "~root",
        "\\\\host\\share",
        "C:\\x",
        "%2e%2e%2f",
        "file:///etc/passwd",
        "ext::sh -c id",
        "http://169.254.169.254/latest/meta-data",
        "s3://exe-sys-internal/tmp/exec/r/plan.json",
        "s3://exe-sys-internal/tmp/exec/r/0001/exec.zip",
        "arn:aws:ssm:us-east-1:123456789012:parameter/exe-sys/sops-keys/r",
        "/exe-sys/sops-keys/r",
        "//exe-sys/sops-keys/r",
        "*",
        "'\"",
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "__proto__",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(64 * 1024));
    texts.push("ü".repeat(32 * 1024));
    texts
}

fn instances(fields: Value) -> Value {
    order(json!({"execution_target": "ssm", "ssm_targets": fields}))
}

fn by_document(text: &str) -> Value {
    let mut job = instances(json!({"instance_ids": ["i-1"]}));
    job["orders"][0]["ssm_document_name"] = text.into();
    job
}

fn limits(field: &str, text: &str) -> Value {
    instances(json!({"instance_ids": ["i-1"], field: text}))
}

// Which texts are harmless in a field, as its documentation says it: the rules once more, in the simplest words.

fn nothing(_: &str) -> bool {
    false
}

/// So many of these characters, or letters and digits.
fn is_made_of(text: &str, most: usize, more: &str) -> bool {
    (1..=most).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

/// A name, which stands in keys and on screens.
fn name(text: &str) -> bool {
    is_made_of(text, 128, "._-")
}

/// Part of the flow id, whose parts `:` separates, and a variable of the commands.
fn username(text: &str) -> bool {
    is_made_of(text, 128, " !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~")
}

/// What could be a parameter that is not the engine's own; it is looked up by this name, whole.
fn parameter(text: &str) -> bool {
    is_made_of(text, 1011, "_.-/") && !text.contains("exe-sys/")
}

/// The same of a secret.
fn secret(text: &str) -> bool {
    is_made_of(text, 2048, "/_+=.@-")
}

/// What could be a document of Systems Manager.
fn document(text: &str) -> bool {
    is_made_of(text, 128, "_-.:/") && text.len() >= 3
}

fn variable(text: &str) -> bool {
    text == "__proto__"
}

/// A value for AWS to look for, or one that is carried along, as long as people see what it is.
fn seen(text: &str, most: usize) -> bool {
    let hides = |c: char| c.is_control() || "\u{200b}\u{2028}\u{202e}\u{feff}".contains(c);
    text.chars().count() <= most && !text.chars().any(hides)
}

/// An author's own script or value, which is run or set as it is. Only the kernel has something against it.
fn own(text: &str) -> bool {
    !text.contains('\0')
}

/// What could be a branch or tag, in any language; git gets it as one argument that is no option.
fn commit(text: &str) -> bool {
    ["аdmin", "ｅxec", "e\u{301}", "$(id)", "`id`", "%2e%2e%2f", "'\"", "<script>alert(1)</script>", "__proto__"]
        .contains(&text)
}

/// What could be a folder of a repository; it is entered only if it is there and lies inside.
fn folder(text: &str) -> bool {
    let parts = || text.split('/');
    seen(text, 1024)
        && !text.is_empty()
        && !text.contains('\\')
        && !text.starts_with('/')
        && !parts().any(|p| p == "..")
}

type IsHarmless = fn(&str) -> bool;

/// The path in errors, a job with this text there, and which of the texts are harmless.
type Field = (&'static str, fn(&str) -> Value, IsHarmless);

const SOURCES: &[Field] = &[
    ("git_repo", |text| job(json!({"git_repo": text})), nothing),
    ("commit_hash", |text| job(json!({"git_repo": "o/r", "commit_hash": text})), commit),
    ("git_token_location", |text| job(json!({"git_token_location": text})), parameter),
    ("git_ssh_key_location", |text| job(json!({"git_ssh_key_location": text})), parameter),
    ("orders[0].git_repo", |text| order(json!({"git_repo": text})), nothing),
    ("orders[0].commit_hash", |text| order(json!({"git_repo": "o/r", "commit_hash": text})), commit),
    ("orders[0].git_folder", |text| order(json!({"git_repo": "o/r", "git_folder": text})), folder),
    ("orders[0].s3_location", |text| order(json!({"s3_location": text})), nothing),
];

const OTHERS: &[Field] = &[
    ("username", |text| job(json!({"username": text})), username),
    ("flow_label", |text| job(json!({"flow_label": text})), name),
    ("pr_comment_search_tag", |text| job(json!({"pr_comment_search_tag": text})), |text| seen(text, 1024)),
    ("sops_key_ssm_path", |text| job(json!({"sops_key_ssm_path": text})), parameter),
    ("orders[0].order_name", |text| order(json!({"order_name": text})), name),
    ("orders[0].queue_id", |text| order(json!({"queue_id": text})), name),
    ("orders[0].dependencies", |text| order(json!({"dependencies": [text]})), nothing),
    ("orders[0].cmds", |text| order(json!({"cmds": [text]})), |text| own(text) && !text.is_empty()),
    ("orders[0].execution_target", |text| order(json!({"execution_target": text})), nothing),
    ("orders[0].env_vars", |text| order(json!({"env_vars": {text: "value"}})), variable),
    ("orders[0].env_vars.NAME", |text| order(json!({"env_vars": {"NAME": text}})), own),
    ("orders[0].ssm_paths", |text| order(json!({"ssm_paths": [text]})), parameter),
    ("orders[0].secret_manager_paths", |text| order(json!({"secret_manager_paths": [text]})), secret),
    ("orders[0].sops_key", |text| order(json!({"sops_key": text})), nothing),
    ("orders[0].ssm_document_name", by_document, document),
    ("orders[0].ssm_targets.instance_ids", |text| instances(json!({"instance_ids": [text]})), nothing),
    (
        "orders[0].ssm_targets.tags",
        |text| instances(json!({"tags": {text: "x"}})),
        |text| seen(text, 128) && !text.is_empty(),
    ),
    ("orders[0].ssm_targets.tags.role", |text| instances(json!({"tags": {"role": text}})), |text| seen(text, 256)),
    ("orders[0].ssm_targets.max_concurrency", |text| limits("max_concurrency", text), nothing),
    ("orders[0].ssm_targets.max_errors", |text| limits("max_errors", text), nothing),
];

/// Holds every text against every field; gives how many were refused.
fn refused(fields: &[Field]) -> usize {
    let mut refused = 0;
    for (path, document, is_harmless) in fields {
        for text in hostile() {
            let shown: String = text.chars().take(40).collect();
            match validate(&document(&text), &rules(Entry::Init)) {
                Ok(_) => assert!(is_harmless(&text), "{path} takes {shown:?}"),
                Err(problems) => {
                    assert!(!is_harmless(&text), "{path} refuses {shown:?}: {problems:?}");
                    let problem = &problems[0];
                    assert!(problem.starts_with(path) && problem.len() < 1_000, "{path}, {shown:?}: {problem}");
                    assert!(seen(problem, 1_000), "{problem:?}");
                    refused += 1;
                }
            }
        }
    }
    refused
}

#[test]
fn hostile_sources_are_refused_by_the_name_of_their_field() {
    let refused = refused(SOURCES);
    println!("{refused} of {} refused", SOURCES.len() * hostile().len());
    assert!(refused >= 200);
}

#[test]
fn hostile_texts_are_refused_by_the_name_of_their_field() {
    let refused = refused(OTHERS);
    println!("{refused} of {} refused", OTHERS.len() * hostile().len());
    assert!(refused >= 200);
}

#[test]
fn hostile_texts_around_a_job_are_refused_by_the_name_of_their_field() {
    let job = job(json!({}));
    let run_id: IsHarmless =
        |text| is_made_of(text, 64, "._-") && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fields: [(&str, IsHarmless); 7] = [
        ("run_id", run_id),
        ("trace_id", nothing),
        ("done_endpt", nothing),
        ("rerun_of", run_id),
        ("rerun_from", name),
        ("job_parameters_b64", nothing),
        ("payload_s3_uri", |text| text.starts_with("s3://")),
    ];
    for (field, is_harmless) in fields {
        for text in hostile() {
            let mut body = json!({"job": job, field: text});
            if ["job_parameters_b64", "payload_s3_uri"].contains(&field) {
                body.as_object_mut().unwrap().remove("job");
            }
            if field == "rerun_from" {
                body["rerun_of"] = "earlier".into();
            }
            match request::read_envelope(body, None, "exe-sys-done").1 {
                Ok(_) => assert!(is_harmless(&text), "{field} takes {text:?}"),
                Err(problems) => assert!(problems[0].starts_with(field) && problems[0].len() < 1_000, "{problems:?}"),
            }
        }
    }
}
