//! The checker once more, in the plainest way: each value by looking up the keywords of its schema, each path as a text.
//! It says what is wrong; what a shape says must be the same.

use serde_json::Value;

use crate::{intake::shape::nearest, text::shown};

/// Every problem of a value, without a limit.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(&schema["$defs"], schema, value, "", &mut found);
    let tell = |(path, problem): (String, String)| if path.is_empty() { problem } else { format!("{path}: {problem}") };
    found.into_iter().map(tell).collect()
}

fn check(definitions: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => &definitions[reference.trim_start_matches("#/$defs/")],
        None => schema,
    };
    let mut add = |problem: String| found.push((path.to_owned(), problem));
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let fits = |schema: &&Value| {
            let mut found = Vec::new();
            check(definitions, schema, value, path, &mut found);
            found.is_empty()
        };
        let solid: Vec<&Value> = alternatives.iter().filter(|schema| schema["type"] != "null").collect();
        match solid[..] {
            _ if alternatives.iter().any(|schema| fits(&schema)) => {}
            [only] => check(definitions, only, value, path, found),
            _ => {
                let names: Vec<&str> = solid.iter().flat_map(|schema| types(schema)).map(asked).collect();
                add(format!("must be {}, not {}", names.join(" or "), given(value)));
            }
        }
        return;
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let words: Vec<String> =
            alternatives.iter().map(|schema| format!("`{}`", schema["const"].as_str().unwrap())).collect();
        match value.as_str() {
            Some(word) if words.contains(&format!("`{word}`")) => {}
            Some(word) => add(format!("`{}` is none of {}", shown(word), words.join(", "))),
            None => add(format!("must be one of {}, not {}", words.join(", "), given(value))),
        }
        return;
    }
    if !types(schema).iter().any(|name| is(value, name)) {
        let names: Vec<&str> = types(schema).into_iter().filter(|name| *name != "null").map(asked).collect();
        add(format!("must be {}, not {}", names.join(" or "), given(value)));
        return;
    }
    let size_problem = |least: &str, most: &str, size: usize, unit: &str| {
        let size = size as u64;
        match (schema[least].as_u64(), schema[most].as_u64()) {
            (Some(_), _) if size == 0 => Some("must not be empty".to_owned()),
            (Some(least), _) if size < least => Some(format!("must have at least {least} {unit}, not {size}")),
            (_, Some(most)) if size > most => Some(format!("must have at most {most} {unit}, not {size}")),
            _ => None,
        }
    };
    match value {
        Value::String(text) => {
            size_problem("minLength", "maxLength", text.chars().count(), "characters").into_iter().for_each(add);
        }
        Value::Number(number) => {
            let value = number.as_i128().unwrap();
            let (least, most) = (schema["minimum"].as_u64(), schema["maximum"].as_u64());
            let fits = least.is_none_or(|least| value >= least.into()) && most.is_none_or(|most| value <= most.into());
            match (least, most) {
                _ if fits => {}
                (Some(least), Some(most)) => add(format!("must be from {least} to {most}, not {number}")),
                (Some(least), None) => add(format!("must be at least {least}, not {number}")),
                (_, most) => add(format!("must be at most {}, not {number}", most.unwrap())),
            }
        }
        Value::Array(items) => {
            size_problem("minItems", "maxItems", items.len(), "entries").into_iter().for_each(add);
            for (index, item) in items.iter().enumerate() {
                check(definitions, &schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(fields) => {
            let below = |name: &str| if path.is_empty() { shown(name) } else { format!("{path}.{}", shown(name)) };
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if value.get(name).is_none() {
                    found.push((below(name), "is missing".to_owned()));
                }
            }
            for (name, value) in fields {
                if let Some(field) = schema["properties"].get(name) {
                    check(definitions, field, value, &below(name), found);
                } else if schema["additionalProperties"] != false {
                    check(definitions, &schema["additionalProperties"], value, &below(name), found);
                } else {
                    let known = schema["properties"].as_object().unwrap().keys().map(String::as_str);
                    let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
                    found.push((below(name), format!("is no known field{}", near.unwrap_or_default())));
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{name}"),
    }
}

fn asked(name: &str) -> &str {
    match name {
        "boolean" => "a boolean",
        "integer" => "an integer",
        "string" => "a string",
        "array" => "a list",
        _ => "an object",
    }
}

fn given(value: &Value) -> &str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
