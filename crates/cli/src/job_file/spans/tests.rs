//! Problems and their places, in JSON and in YAML.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn source(format: Format, text: &str) -> Source {
    Source { name: "job".to_owned(), text: text.into(), format }
}

/// What is marked for a problem.
fn marked<'s>(source: &'s Source, problem: &str) -> Option<&'s str> {
    Places::of(source).place(problem).map(|place| &source.text[place])
}

const YAML: &str = r#"
username: me
orders:
  - order_name: "build"
    timeout:  0
    cmds: [make, "make test"]
    env_vars:
      FOO: bar
      A.B: dots
      "A: b": colon
      "tab\there": tab
      1A: digit
    timout: 5
    must_succeed:
  - cmds:
      - |
        make
        make test
    ssm_targets: {tags: {Role: web}, max_errors: x}
"#;

#[test]
fn places_in_yaml() {
    let source = source(Format::Yaml, YAML);
    for (problem, place) in [
        ("username: must be printable", "me"),
        ("orders[0].timeout: must be at least 1, not 0", "0"),
        ("orders[0].order_name: is wrong", "\"build\""),
        ("orders[0].cmds[1]: may not have", "\"make test\""),
        ("orders[0].cmds: must not be empty", "cmds"),
        ("orders[0].timout: is no known field; did you mean `timeout`?", "timout"),
        ("orders[0].must_succeed: must be a boolean", "must_succeed"),
        ("orders[0].env_vars.FOO: must be a string", "bar"),
        ("orders[0].env_vars.FOO: is set by the engine", "FOO"),
        ("orders[0].env_vars.A.B: is wrong", "dots"),
        ("orders[0].env_vars.A: b: is wrong", "colon"),
        ("orders[0].env_vars.tab\\there: is wrong", "tab"),
        ("orders[0].env_vars.1A: is no variable's name; use", "1A"),
        ("orders[0]: must be an object", "order_name: \"build\""),
        ("orders[0].start_timeout: is missing", "order_name: \"build\""),
        ("orders[1].timeout: is missing", "cmds:"),
        ("orders[1].ssm_targets.tags.Role: is wrong", "web"),
        ("orders[1].ssm_targets.max_errors: is wrong", "x"),
        ("orders[1].ssm_targets.tags: names no tag", "tags"),
        ("orders[7].timeout: is missing", "- order_name: \"build\""),
        ("git_repo: is missing", "username: me"),
    ] {
        assert_eq!(marked(&source, problem), Some(place), "{problem}");
    }
    assert!(marked(&source, "orders[1].cmds[0]: is wrong").unwrap().contains("make\n        make test"));
    for nowhere in
        ["must be an object, not a list", "… and 7 more problems", "the job cannot be read: no", "username", ""]
    {
        assert_eq!(marked(&source, nowhere), None, "{nowhere}");
    }
}

#[test]
fn what_aliases_bring_is_where_it_is_written() {
    let text = "x: &x {timeout: 0, cmds: []}\norders:\n- *x\n- <<: *x\n  order_name: a\n- <<: [*x, {stop_grace: 9}]\n  timeout: &t 7\n- timeout: *t\n";
    let source = source(Format::Yaml, text);
    let at = |problem: &str| Places::of(&source).place(problem).map(|place| (place.start, &source.text[place]));
    assert_eq!(at("orders[0].timeout: is wrong"), Some((16, "0")));
    assert_eq!(at("orders[1].timeout: is wrong"), Some((16, "0")));
    assert_eq!(at("orders[1].timeout: is no known field"), Some((7, "timeout")));
    assert_eq!(at("orders[1].order_name: is wrong").unwrap().1, "a");
    assert_eq!(at("orders[2].timeout: is wrong").unwrap().1, "7");
    assert_eq!(at("orders[2].stop_grace: is wrong").unwrap().1, "9");
    assert_eq!(at("orders[3].timeout: is wrong").unwrap().1, "7");
}

#[test]
fn places_in_json() {
    let text = r#" {"username" : "m\"e", "orders": [
        {"cmds": ["make"], "timeout": -0.5e3 , "env_vars": {"A.B": "dots", "ü\t": "umlaut", "A": {"B": 1}}},
        {
            "timeout": 1, "timeout": 2, "cmds": []
        }, null]}"#;
    let source = source(Format::Json, text);
    for (problem, place) in [
        ("username: is wrong", r#""m\"e""#),
        ("orders[0].timeout: is wrong", "-0.5e3"),
        ("orders[0].cmds[0]: is wrong", "\"make\""),
        ("orders[0].cmds: is wrong", "\"cmds\""),
        ("orders[0].cmds: is no known field", "\"cmds\""),
        ("orders[0].env_vars.ü\\t: is wrong", "\"umlaut\""),
        // Both are called so; the longer name is meant.
        ("orders[0].env_vars.A.B: is wrong", "\"dots\""),
        ("orders[0].env_vars.A: is wrong", "\"A\""),
        // As `serde_json` has it.
        ("orders[1].timeout: is wrong", "2"),
        ("orders[1].order_name: is missing", "{"),
        ("orders[2]: must be an object", "null"),
        ("git_repo: is missing", "{"),
    ] {
        assert_eq!(marked(&source, problem), Some(place), "{problem}");
    }
}

#[test]
fn a_part_of_a_value_is_found_in_it() {
    let source = source(Format::Yaml, YAML);
    let places = Places::of(&source);
    let problem = "orders[1].cmds[0]: is wrong";
    let place = places.place_within(problem, "test").unwrap();
    assert_eq!(&source.text[place.clone()], "test");
    assert!(source.text[..place.start].ends_with("        make\n        make "));
    assert_eq!(places.place_within(problem, "\u{1b}"), places.place(problem));
}

/// As many places as a text has, each with its path.
fn paths(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), value.clone()));
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| paths(item, &format!("{path}[{index}]"), found));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{}", shown(name)), found);
            }
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z \\\\\"\\[\\]{}:,.\\n\\tü#&*'%-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c.:\\[\\] \"\\n]{1,3}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What is found for the path of a text, number, boolean or null is that very value.
    #[test]
    fn every_value_of_a_json_text_is_found(value in any_value(), is_pretty in any::<bool>()) {
        let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        for format in [Format::Json, Format::Yaml] {
            let source = source(format, &text);
            let places = Places::of(&source);
            let mut found = Vec::new();
            paths(&value, "", &mut found);
            let paths: Vec<_> = found.iter().map(|(path, _)| path).collect();
            for (path, value) in &found {
                // Odd names make paths that are those of several, and a path that begins with a dot is none.
                let is_leaf = !value.is_object() && !value.is_array();
                let is_clear = paths.iter().filter(|other| *other == &path).count() == 1 && !path.contains([':', ' ']);
                if is_leaf && is_clear && !path.is_empty() {
                    let place = places.place(&format!("{path}: is wrong"));
                    let read = place.map(|place| serde_json::from_str::<Value>(&source.text[place]).unwrap());
                    prop_assert_eq!(read.as_ref(), Some(value), "{:?} {} {}", format, path, text);
                }
            }
        }
    }

    #[test]
    fn no_text_and_no_problem_panics(
        text in "([\\[\\]{}:,\"'\\\\a\\n ü&*<|>#?!-]|\\PC){0,40}",
        problem in "(orders|a|\\[0\\]|\\.|: |ü|\\PC){0,6}",
    ) {
        for format in [Format::Json, Format::Yaml] {
            let source = source(format, &text);
            if let Some(place) = Places::of(&source).place_within(&problem, "a") {
                prop_assert!(source.text.get(place).is_some());
            }
        }
    }
}
