//! What the shape of a job says of documents, held against [`reference`], which is written from the schema alone.

mod reference;

use std::sync::LazyLock;

use proptest::{prelude::*, sample::Index};
use serde::Deserialize as _;
use serde_json::json;

use super::*;
use crate::job::JobDocument;

static SCHEMA: LazyLock<Value> = LazyLock::new(crate::job::schema);
static JOB: LazyLock<Shape> = LazyLock::new(|| Shape::of(&SCHEMA, None).unwrap());

fn problems_of(value: &Value) -> Vec<String> {
    let mut problems = Problems::default();
    JOB.check(value, &Path::Document, &mut problems);
    problems.into_vec()
}

#[test]
fn every_problem_is_named_with_its_path() {
    let found = problems_of(&json!({
        "usrname": "me",
        "max_parallel": 0,
        "orders": [
            {"cmds": ["true"], "timeout": "5"},
            {"cmds": [], "timeout": 5, "execution_target": "lamda", "env_vars": {"A": 1}},
            "true",
            {"cmds": [""], "timeout": 1.5, "stop_grace": 301, "ssm_targets": {"tags": {"k": 3}, "ids": []}},
        ],
    }));
    assert_eq!(
        found,
        [
            "username: is missing",
            "max_parallel: must be from 1 to 9999, not 0",
            "orders[0].timeout: must be an integer, not a string",
            "orders[1].cmds: must not be empty",
            "orders[1].env_vars.A: must be a string, not a number",
            "orders[1].execution_target: `lamda` is none of `lambda`, `codebuild`, `ssm`, `auto`",
            "orders[2]: must be an object, not a string",
            "orders[3].cmds[0]: must not be empty",
            "orders[3].ssm_targets.ids: is no known field; did you mean `instance_ids`?",
            "orders[3].ssm_targets.tags.k: must be a string or a list, not a number",
            "orders[3].stop_grace: must be from 0 to 300, not 301",
            "orders[3].timeout: must be an integer, not a fraction",
            "usrname: is no known field; did you mean `username`?",
        ]
    );
}

#[test]
fn what_fits_can_be_read() {
    let value = json!({"username": "me", "git_repo": null, "orders": [{"cmds": ["true"], "timeout": 5, "execution_target": "auto"}]});
    assert_eq!(problems_of(&value), [] as [&str; 0]);
    JobDocument::deserialize(&value).unwrap();
}

#[test]
fn a_schema_with_anything_unknown_is_refused() {
    let of = |schema: Value| Shape::of(&schema, None).map(drop).map_err(|error| error.to_string());
    assert_eq!(of(SCHEMA.clone()), Ok(()));
    for (schema, unknown) in [
        (json!({"type": "string", "format": "uri"}), "the keyword `format`"),
        (json!({"type": "array", "items": {"type": "string", "const": "a", "not": {}}}), "the keyword `not`"),
        (json!({"type": "number"}), "the type `\"number\"`"),
        (json!({"type": ["string", "integer"]}), "the type `[\"string\",\"integer\"]`"),
        (json!({}), "the type `null`"),
        (json!({"type": "array"}), "the schema `null`"),
        (json!({"$ref": "#/$defs/Gone"}), "the reference `\"#/$defs/Gone\"`"),
        (json!({"$ref": "elsewhere"}), "the reference `\"elsewhere\"`"),
        (json!({"type": "integer", "minimum": -1}), "the bound `-1`"),
        (json!({"type": "integer", "maximum": 1}), "a number without a `minimum`"),
        (json!({"type": "object", "properties": {}}), "the schema `null`"),
    ] {
        assert_eq!(of(schema), Err(format!("failed to read the schema: {unknown} is not known")));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[a-z_]{0,8}",
        Just("orders".to_owned()),
        Just("cmds".to_owned()),
        Just("timeout".to_owned()),
        Just("username".to_owned())
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A job with every field, so that there is something to change anywhere.
fn full() -> Value {
    json!({
        "username": "me", "git_repo": "o/r", "git_token_location": "/t", "git_ssh_key_location": "/k",
        "commit_hash": "main", "flow_label": "l", "pr_number": 1, "issue_number": 2, "pr_comment_search_tag": "t",
        "presign_expiry": 60, "job_timeout": 1, "max_parallel": 9999, "sops_key_ssm_path": "/s",
        "orders": [
            {"cmds": ["a", "b"], "timeout": 1, "execution_target": "lambda", "start_timeout": 1, "stop_grace": 300,
             "order_name": "a", "queue_id": "q", "dependencies": ["b", "c"], "must_succeed": true, "git_repo": "o/r",
             "git_folder": "f", "commit_hash": "c", "env_vars": {"A": "b", "C": "d"}, "ssm_paths": ["/p"],
             "secret_manager_paths": ["s"], "sops_key": "k", "ssm_document_name": "d"},
            {"cmds": ["a"], "timeout": 1, "s3_location": "s3://b/k.zip", "dependencies": [], "ssm_targets":
                {"instance_ids": ["i-1"], "max_concurrency": "1", "max_errors": "0", "tags": {"A": "b", "C": ["d", "e"]}}},
        ],
    })
}

#[derive(Clone, Debug)]
enum Edit {
    Replace(Value),
    Remove(Index),
    Insert(String, Value),
}

/// Somewhere in a document, and what is done there.
fn edit() -> impl Strategy<Value = (Vec<Index>, Edit)> {
    let name = prop_oneof!["[a-z_]{0,8}", Just("tags".to_owned()), Just("cmds".to_owned()), "\\PC{0,100}"];
    let value = prop_oneof![4 => any_json(), 1 => (0..10_000_usize).prop_map(|length| "x".repeat(length).into())];
    let edit = prop_oneof![
        value.clone().prop_map(Edit::Replace),
        any::<Index>().prop_map(Edit::Remove),
        (name, value).prop_map(|(name, value)| Edit::Insert(name, value)),
    ];
    (prop::collection::vec(any::<Index>(), 0..5), edit)
}

fn apply(at: &mut Value, way: &[Index], edit: Edit) {
    match (way, at) {
        ([step, way @ ..], Value::Object(fields)) if !fields.is_empty() => {
            let index = step.index(fields.len());
            apply(fields.values_mut().nth(index).unwrap(), way, edit);
        }
        ([step, way @ ..], Value::Array(items)) if !items.is_empty() => {
            let index = step.index(items.len());
            apply(&mut items[index], way, edit);
        }
        (_, at) => change(at, edit),
    }
}

fn change(at: &mut Value, edit: Edit) {
    match (edit, at) {
        (Edit::Remove(which), Value::Object(fields)) if !fields.is_empty() => {
            let name = fields.keys().nth(which.index(fields.len())).unwrap().clone();
            fields.remove(&name);
        }
        (Edit::Remove(which), Value::Array(items)) if !items.is_empty() => {
            items.remove(which.index(items.len()));
        }
        (Edit::Insert(name, value), Value::Object(fields)) => {
            fields.insert(name, value);
        }
        (Edit::Insert(_, value), Value::Array(items)) => items.push(value),
        (Edit::Replace(value), at) => *at = value,
        (Edit::Remove(_) | Edit::Insert(..), _) => {}
    }
}

proptest! {
    #[test]
    fn no_json_panics_and_what_passes_can_be_read(value in any_json()) {
        if problems_of(&value).is_empty() {
            prop_assert!(JobDocument::deserialize(&value).is_ok());
        }
    }

    #[test]
    fn the_problems_are_those_of_the_reference(edits in prop::collection::vec(edit(), 0..8)) {
        let mut document = full();
        for (way, edit) in edits {
            apply(&mut document, &way, edit);
        }
        let told = problems_of(&document);
        prop_assert_eq!(&told, &reference::problems(&SCHEMA, &document));
        prop_assert!(!told.is_empty() || JobDocument::deserialize(&document).is_ok());
    }
}
