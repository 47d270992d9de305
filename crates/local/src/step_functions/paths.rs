//! Paths into a state's data, and the decisions made from it. All pure.

use serde_json::{Map, Value};

use crate::dates;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

/// The steps of a reference path such as `$.check.done`, `$['a b'][0]`; `None` for other text.
pub(crate) fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("['") {
            let (name, after) = inner.split_once("']")?;
            steps.push(Step::Field(name.to_owned()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            let inner = rest.strip_prefix('.')?;
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            let name = &inner[..end];
            if name.is_empty() || name.contains(['*', '?', '@', '$']) {
                return None;
            }
            steps.push(Step::Field(name.to_owned()));
            rest = &inner[end..];
        }
    }
    Some(steps)
}

/// The value at a path.
pub(crate) fn get<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    parse(path)?.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

/// `value` with `new` at a path, objects being made on the way; `None` where the path leads through something else.
pub(crate) fn set(value: Value, path: &str, new: Value) -> Option<Value> {
    fn at(value: Value, steps: &[Step], new: Value) -> Option<Value> {
        match steps {
            [] => Some(new),
            [Step::Field(name), rest @ ..] => {
                let mut fields = match value {
                    Value::Object(fields) => fields,
                    Value::Null => Map::new(),
                    _ => return None,
                };
                let inner = fields.remove(name).unwrap_or(Value::Null);
                fields.insert(name.clone(), at(inner, rest, new)?);
                Some(Value::Object(fields))
            }
            [Step::Index(index), rest @ ..] => {
                let Value::Array(mut items) = value else { return None };
                let slot = items.get_mut(*index)?;
                *slot = at(std::mem::take(slot), rest, new)?;
                Some(Value::Array(items))
            }
        }
    }
    at(value, &parse(path)?, new)
}

/// `template` with every field `name.$` replaced by the value at its path; the error is the path that leads nowhere.
pub(crate) fn fill(template: &Value, input: &Value) -> Result<Value, String> {
    match template {
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                match (name.strip_suffix(".$"), value.as_str()) {
                    (Some(name), Some(path)) => {
                        let found = get(input, path).ok_or_else(|| path.to_owned())?;
                        filled.insert(name.to_owned(), found.clone());
                    }
                    _ => {
                        filled.insert(name.clone(), fill(value, input)?);
                    }
                }
            }
            Ok(Value::Object(filled))
        }
        Value::Array(items) => items.iter().map(|item| fill(item, input)).collect(),
        other => Ok(other.clone()),
    }
}

/// Whether a rule of a Choice holds; the error is the path that leads nowhere.
pub(crate) fn holds(rule: &Value, input: &Value) -> Result<bool, String> {
    let all = |name: &str| rule.get(name).and_then(Value::as_array);
    if let Some(rules) = all("And") {
        return rules.iter().try_fold(true, |all, rule| Ok(all && holds(rule, input)?));
    }
    if let Some(rules) = all("Or") {
        return rules.iter().try_fold(false, |any, rule| Ok(any || holds(rule, input)?));
    }
    if let Some(inner) = rule.get("Not") {
        return Ok(!holds(inner, input)?);
    }
    let fields = rule.as_object().ok_or("a rule that is no object")?;
    let path = fields.get("Variable").and_then(Value::as_str).unwrap_or_default();
    let variable = get(input, path);
    for (name, wanted) in fields {
        if name == "IsPresent" {
            return Ok(Some(variable.is_some()) == wanted.as_bool());
        }
        if matches!(name.as_str(), "Variable" | "Comment") {
            continue;
        }
        let value = variable.ok_or_else(|| path.to_owned())?;
        let (name, wanted) = match (name.strip_suffix("Path"), wanted.as_str()) {
            (Some(name), Some(other)) => (name, get(input, other).ok_or_else(|| other.to_owned())?),
            _ => (name.as_str(), wanted),
        };
        return Ok(compare(name, value, wanted));
    }
    Ok(false)
}

fn compare(name: &str, value: &Value, wanted: &Value) -> bool {
    let is = |answer: bool| Some(answer) == wanted.as_bool();
    let instant = |value: &Value| value.as_str().and_then(dates::parse_iso8601);
    match name {
        "IsNull" => return is(value.is_null()),
        "IsString" => return is(value.is_string()),
        "IsNumeric" => return is(value.is_number()),
        "IsBoolean" => return is(value.is_boolean()),
        "IsTimestamp" => return is(instant(value).is_some()),
        "BooleanEquals" => return value.is_boolean() && value == wanted,
        _ => {}
    }
    let (order, relation) = if let Some(relation) = name.strip_prefix("Numeric") {
        (value.as_f64().zip(wanted.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)), relation)
    } else if let Some(relation) = name.strip_prefix("String") {
        (value.as_str().zip(wanted.as_str()).map(|(a, b)| a.cmp(b)), relation)
    } else if let Some(relation) = name.strip_prefix("Timestamp") {
        (instant(value).zip(instant(wanted)).map(|(a, b)| a.cmp(&b)), relation)
    } else {
        (None, "")
    };
    // Values of another kind than the comparison's never match.
    order.is_some_and(|order| match relation {
        "Equals" => order.is_eq(),
        "GreaterThan" => order.is_gt(),
        "GreaterThanEquals" => order.is_ge(),
        "LessThan" => order.is_lt(),
        "LessThanEquals" => order.is_le(),
        _ => false,
    })
}

/// Whether an error is among those that a retrier or catcher is for.
pub(crate) fn is_for(error_equals: &[String], error: &str) -> bool {
    // Nothing catches what would make every further state fail as well.
    if error == "States.DataLimitExceeded" || error == "States.Runtime" {
        return error_equals.iter().any(|name| name == error);
    }
    error_equals
        .iter()
        .any(|name| name == error || name == "States.ALL" || (name == "States.TaskFailed" && error != "States.Timeout"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_in_and_results_are_put_where_they_belong() {
        let data = json!({"a": {"b": [1, {"c d": 2}]}});
        assert_eq!(get(&data, "$.a.b[1]['c d']"), Some(&json!(2)));
        assert_eq!(get(&data, "$"), Some(&data));
        assert_eq!(get(&data, "$.x"), None);
        assert_eq!(set(json!({"x": 1}), "$.check.done", json!(true)), Some(json!({"x": 1, "check": {"done": true}})));
        assert_eq!(set(json!({"x": 1}), "$.x.y", json!(true)), None);
        assert_eq!(parse("$.a[*]"), None);
    }

    #[test]
    fn choices_compare_by_kind() {
        let input = json!({"done": true, "n": 3, "s": "b"});
        let holds = |rule| holds(&rule, &input);
        assert_eq!(holds(json!({"Variable": "$.done", "BooleanEquals": true})), Ok(true));
        assert_eq!(holds(json!({"Variable": "$.n", "NumericGreaterThanEquals": 3})), Ok(true));
        assert_eq!(holds(json!({"Variable": "$.s", "NumericEquals": 3})), Ok(false));
        assert_eq!(holds(json!({"Not": {"Variable": "$.s", "StringLessThan": "b"}})), Ok(true));
        assert_eq!(holds(json!({"Variable": "$.gone", "IsPresent": false})), Ok(true));
        assert_eq!(holds(json!({"Variable": "$.gone", "NumericEquals": 1})), Err("$.gone".to_owned()));
        let both = json!({"And": [{"Variable": "$.n", "NumericEquals": 3}, {"Variable": "$.s", "StringEquals": "c"}]});
        assert_eq!(holds(both), Ok(false));
    }
}
