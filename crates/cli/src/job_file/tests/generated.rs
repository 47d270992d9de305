//! Jobs that are wrong in any way: each problem of each has its place, however the job is written.

use common::intake::validate::validate;
use proptest::prelude::*;
use serde_json::{Map, json};

use super::{STYLE, reading};
use crate::{job_file::*, verbs::validate::rules};

/// A job in YAML's block style, its texts in quotes, without its first line end.
fn to_yaml(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let is_plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let parts: Vec<_> = match value {
        Value::Object(fields) => {
            let quoted = |name: &String| if is_plain(name) { name.clone() } else { json!(name).to_string() };
            let field = |(name, value)| format!("\n{margin}{}:{}", quoted(name), to_yaml(value, indent + 2));
            fields.iter().map(field).collect()
        }
        Value::Array(items) => items.iter().map(|item| format!("\n{margin}-{}", to_yaml(item, indent + 2))).collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() { format!(" {value}") } else { parts.concat() }
}

/// The fields of the job and of an order.
fn fields() -> (Vec<String>, Vec<String>) {
    let schema = common::job::schema();
    let names = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect();
    (names(&schema), names(&schema["$defs"]["OrderDocument"]))
}

/// Something that is wrong almost anywhere.
fn wrong() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(100_000),
        json!(""),
        json!("a b"),
        json!("ü\n\t\u{202e}x"),
        json!("/exe-sys/x"),
        json!([]),
        json!([1, "", "a"]),
        json!({}),
        json!({"A": 1, "1 a": "x", "RUN_ID": "x", "a.b[0]: c": 2, "\n": "\u{0}"}),
        json!({"tags": {"": "x", "a.b": 1}, "instance_ids": ["i-1", "x"], "max_errors": "no", "else": 1}),
    ])
}

prop_compose! {
    fn any_bad_job()(
        of_job in prop::collection::vec((prop::sample::select(fields().0), wrong()), 0..3),
        orders in prop::collection::vec(
            prop::collection::vec((prop::sample::select(fields().1), prop::option::of(wrong())), 0..5), 1..4),
        unknown in prop::option::of("[a-z]{1,6}|[ .:\\[\\]a\\n]{1,5}"),
    ) -> Value {
        let order = |changes: Vec<(String, Option<Value>)>| {
            let mut order: Map<String, Value> =
                json!({"cmds": ["true"], "timeout": 5, "execution_target": "lambda"}).as_object().unwrap().clone();
            for (name, value) in changes {
                match value {
                    Some(value) => order.insert(name, value),
                    None => order.remove(&name),
                };
            }
            Value::Object(order)
        };
        let mut job = json!({"username": "me", "orders": orders.into_iter().map(order).collect::<Vec<_>>()});
        let fields = job.as_object_mut().unwrap();
        fields.extend(unknown.map(|name| (name, json!("unknown"))));
        fields.extend(of_job);
        job
    }
}

/// The last name of a problem's path, if it has one; positions are none.
fn last_name(problem: &str) -> Option<&str> {
    let path = problem.split(": ").next()?;
    let name = path.rsplit('.').next()?;
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then_some(name)
}

proptest! {
    #[test]
    fn every_problem_has_a_place_that_shows_it(document in any_bad_job()) {
        let forms = [
            ("job.json", serde_json::to_string_pretty(&document).unwrap()),
            ("job.json", document.to_string()),
            ("job.yaml", to_yaml(&document, 0)),
        ];
        for (name, text) in forms {
            let job = reading(name, &text, &[]).unwrap_or_else(|bad| panic!("{bad:?} {text}"));
            prop_assert_eq!(&job.document, &document, "{}", text);
            let Err(problems) = validate(&job.document, &rules(&Environment::default(), false).unwrap()) else { continue };
            let bad = job.invalid(problems);
            for marked in &bad.problems {
                let place = marked.place.clone();
                prop_assert!(place.is_some_and(|place| text.get(place).is_some()), "{:?} {}", marked, text);
                let alone = BadJob { problems: vec![marked.clone()], ..bad.clone() };
                let shown = alone.shown("", STYLE);
                let is_there = !marked.problem.contains(": is missing") && !marked.problem.contains("is a name of");
                if let Some(last) = last_name(&marked.problem).filter(|_| is_there) {
                    // In the line of the file, not in what is said of it.
                    let line = shown.lines().nth(3).unwrap();
                    prop_assert!(line.contains(last), "{}\n{}", shown, text);
                }
            }
        }
    }
}
