//! `JSONata`, as far as it is embedded: `{% $states.input.name %}`, a path into what a state knows. All pure.
//!
//! Everything else of the language is refused when the state machine is made, so that it is never evaluated wrongly.

use serde_json::{Map, Value};

/// What every path begins with.
const ROOT: &str = "$states";

/// An expression that leads nowhere, and the field that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undefined {
    pub(crate) expression: String,
    /// As AWS names it: `Arguments/Key`.
    pub(crate) location: String,
}

/// What is wrong with a template, if anything. `known` are the parts of `$states` that are there where it is filled.
pub(crate) fn problem(template: &Value, known: &[&str]) -> Option<String> {
    match template {
        Value::Object(fields) => fields.values().find_map(|value| problem(value, known)),
        Value::Array(items) => items.iter().find_map(|item| problem(item, known)),
        Value::String(text) if text.starts_with("{%") => {
            let steps = expression(text).and_then(steps);
            let is_known = steps.is_some_and(|steps| steps.first().is_some_and(|first| known.contains(first)));
            (!is_known).then(|| format!("`{text}` is no path into $states.{}", known.join(" or $states.")))
        }
        _ => None,
    }
}

/// `template` with each expression replaced by what is there in `states`. `field` is whose template it is.
pub(crate) fn fill(template: &Value, states: &Value, field: &str) -> Result<Value, Undefined> {
    match template {
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                filled.insert(name.clone(), fill(value, states, &format!("{field}/{name}"))?);
            }
            Ok(Value::Object(filled))
        }
        Value::Array(items) => {
            let filled = items.iter().enumerate().map(|(at, item)| fill(item, states, &format!("{field}[{at}]")));
            filled.collect()
        }
        Value::String(text) => {
            let Some(expression) = expression(text) else { return Ok(template.clone()) };
            let found = steps(expression)
                .and_then(|steps| steps.into_iter().try_fold(states, |value, step| value.as_object()?.get(step)));
            let nothing = || Undefined { expression: expression.to_owned(), location: field.to_owned() };
            found.cloned().ok_or_else(nothing)
        }
        other => Ok(other.clone()),
    }
}

/// What is between the marks of an expression.
fn expression(text: &str) -> Option<&str> {
    Some(text.strip_prefix("{%")?.strip_suffix("%}")?.trim())
}

/// The names of a path, without the root.
fn steps(expression: &str) -> Option<Vec<&str>> {
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let steps: Vec<&str> = expression.strip_prefix(ROOT)?.strip_prefix('.')?.split('.').collect();
    steps.iter().all(is_name).then_some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_are_replaced_by_what_they_name() {
        let states = json!({"input": {"a": {"b": [1]}, "none": null}});
        let template = json!({"x": "{% $states.input.a.b %}", "y": ["{%$states.input.none%}", "$states.input", 2]});
        assert_eq!(fill(&template, &states, "Arguments"), Ok(json!({"x": [1], "y": [null, "$states.input", 2]})));
        let missing = fill(&json!({"x": [{"y": "{% $states.input.c %}"}]}), &states, "Arguments").unwrap_err();
        let location = "Arguments/x[0]/y".to_owned();
        assert_eq!(missing, Undefined { expression: "$states.input.c".to_owned(), location });
    }

    #[test]
    fn everything_but_a_path_is_refused() {
        for good in ["{% $states.input %}", "{% $states.input.a_1.b %}", "plain", "$states.gone"] {
            assert_eq!(problem(&json!([{"x": good}]), &["input"]), None, "{good}");
        }
        for bad in [
            "{% $states.result %}",
            "{% $states %}",
            "{% $merge([$states.input, {}]) %}",
            "{% $states.input.a[0] %}",
            "{% $states.input.a & 'b' %}",
            "{% $states.input.`a b` %}",
            "{% $states.input",
        ] {
            assert!(problem(&json!([{"x": bad}]), &["input"]).is_some(), "{bad}");
        }
    }
}
