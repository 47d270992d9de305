//! The shape of a document: types, unknown and missing fields, lengths and ranges, held against the JSON Schema that
//! the types make. Every problem is reported, each with its path.
//!
//! It knows the part of JSON Schema that our types produce and no more; a test fails when they produce something new.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::text::shown;

/// Most problems in one report; a document with more is wrong as a whole, and an answer has a size.
pub const MAX_PROBLEMS: usize = 200;

/// What is wrong with a document, each as `orders[2].timeout: …`.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<String>,
    left_out: usize,
}

impl Problems {
    /// Notes a problem at a path; an empty path is the document itself.
    pub fn add(&mut self, path: &str, problem: impl std::fmt::Display) {
        if self.found.len() == MAX_PROBLEMS {
            self.left_out += 1;
        } else if path.is_empty() {
            self.found.push(problem.to_string());
        } else {
            self.found.push(format!("{path}: {problem}"));
        }
    }

    /// How many are noted.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them; the last says how many more there are.
    pub fn into_vec(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.found.push(format!("… and {} more problems", self.left_out));
        }
        self.found
    }
}

/// Holds `value` against `schema`.
pub fn check(schema: &Value, value: &Value, problems: &mut Problems) {
    Checker { definitions: schema.get("$defs"), problems }.check(schema, value, &mut String::new());
}

/// The parts of an object that fit, so that they can be looked at further while the others are reported: fields that do
/// not fit are left out, or replaced where `stand_in` has a value for them.
pub fn sound_fields(
    schema: &Value,
    definition: Option<&str>,
    value: &Value,
    stand_in: fn(&str) -> Option<Value>,
) -> Map<String, Value> {
    let definitions = schema.get("$defs");
    let own = definition.and_then(|name| definitions?.get(name)).unwrap_or(schema);
    let known = own.get("properties").and_then(Value::as_object);
    let nothing = Map::new();
    let fields = value.as_object().unwrap_or(&nothing);
    let mut sound = Map::new();
    for (name, field_schema) in known.into_iter().flatten() {
        let fits = |value: &&Value| {
            let mut problems = Problems::default();
            Checker { definitions, problems: &mut problems }.check(field_schema, value, &mut String::new());
            problems.is_empty()
        };
        let is_required =
            own.get("required").and_then(Value::as_array).is_some_and(|names| names.contains(&name.as_str().into()));
        let given = fields.get(name);
        let kept = given.filter(fits).cloned();
        let kept = kept.or_else(|| (given.is_some() || is_required).then(|| stand_in(name)).flatten());
        if let Some(value) = kept {
            sound.insert(name.clone(), value);
        }
    }
    sound
}

struct Checker<'a> {
    definitions: Option<&'a Value>,
    problems: &'a mut Problems,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, path: &mut String) {
        let schema = self.resolve(schema);
        if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
            return self.check_any(alternatives, value, path);
        }
        if let Some(words) = words(schema) {
            match value.as_str() {
                Some(word) if words.contains(&word) => {}
                Some(word) => {
                    self.problems.add(path, format_args!("`{}` is none of {}", shown(word), list(&words)));
                }
                None => self.problems.add(path, format_args!("must be one of {}, not {}", list(&words), kind(value))),
            }
            return;
        }
        if !allowed_types(schema).any(|name| has_type(value, name)) {
            let names: Vec<_> = allowed_types(schema).filter(|name| *name != "null").map(article).collect();
            if !names.is_empty() {
                self.problems.add(path, format_args!("must be {}, not {}", names.join(" or "), kind(value)));
                return;
            }
        }
        match value {
            Value::Object(fields) => self.check_object(schema, fields, path),
            Value::Array(items) => {
                let bounds = (schema.get("minItems"), schema.get("maxItems"));
                self.check_size(bounds, items.len(), "entries", path);
                if let Some(item_schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        within(path, format_args!("[{index}]"), |path| self.check(item_schema, item, path));
                    }
                }
            }
            Value::String(text) => {
                let bounds = (schema.get("minLength"), schema.get("maxLength"));
                self.check_size(bounds, text.chars().count(), "characters", path);
            }
            Value::Number(number) => {
                let (min, max) = (schema.get("minimum"), schema.get("maximum"));
                let below = min.and_then(Value::as_f64).is_some_and(|min| number.as_f64().is_some_and(|n| n < min));
                let above = max.and_then(Value::as_f64).is_some_and(|max| number.as_f64().is_some_and(|n| n > max));
                match (min, max) {
                    (Some(min), Some(max)) if below || above => {
                        self.problems.add(path, format_args!("must be from {min} to {max}, not {number}"));
                    }
                    (Some(min), _) if below => {
                        self.problems.add(path, format_args!("must be at least {min}, not {number}"));
                    }
                    (_, Some(max)) if above => {
                        self.problems.add(path, format_args!("must be at most {max}, not {number}"));
                    }
                    _ => {}
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_object(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &mut String) {
        let known = schema.get("properties").and_then(Value::as_object);
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                within_field(path, name, |path| self.problems.add(path, "is missing"));
            }
        }
        for (name, value) in fields {
            if let Some(field_schema) = known.and_then(|known| known.get(name)) {
                within_field(path, name, |path| self.check(field_schema, value, path));
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let nearest = || nearest(name, known.into_iter().flat_map(Map::keys).map(String::as_str));
                    within_field(path, &shown(name), |path| {
                        self.problems.add(path, format_args!("is no known field{}", Meant(nearest)));
                    });
                }
                Some(value_schema) => {
                    within_field(path, &shown(name), |path| self.check(value_schema, value, path));
                }
                None => {}
            }
        }
    }

    fn check_size(&mut self, bounds: (Option<&Value>, Option<&Value>), size: usize, unit: &str, path: &str) {
        let bound = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        match (bound(bounds.0), bound(bounds.1)) {
            (Some(_), _) if size == 0 => self.problems.add(path, "must not be empty"),
            (Some(min), _) if size < min => {
                self.problems.add(path, format_args!("must have at least {min} {unit}, not {size}"));
            }
            (_, Some(max)) if size > max => {
                self.problems.add(path, format_args!("must have at most {max} {unit}, not {size}"));
            }
            _ => {}
        }
    }

    /// An optional reference is `anyOf: [it, null]`; for any other choice the value must fit one of them.
    fn check_any(&mut self, alternatives: &'a [Value], value: &Value, path: &mut String) {
        let solid: Vec<&Value> =
            alternatives.iter().filter(|schema| schema.get("type").and_then(Value::as_str) != Some("null")).collect();
        if let [only] = solid[..] {
            if !value.is_null() {
                self.check(only, value, path);
            }
            return;
        }
        let fits = solid.iter().any(|schema| {
            let mut problems = Problems::default();
            Checker { definitions: self.definitions, problems: &mut problems }.check(schema, value, &mut String::new());
            problems.is_empty()
        });
        if !fits {
            let names: Vec<_> = solid.iter().flat_map(|schema| allowed_types(schema)).map(article).collect();
            self.problems.add(path, format_args!("must be {}, not {}", names.join(" or "), kind(value)));
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions?.get(name)).unwrap_or(schema)
    }
}

/// The words of an enumeration, which our types write as `enum` or, with a description each, as `oneOf` of `const`.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let alternatives = schema.get("oneOf").and_then(Value::as_array)?;
    Some(alternatives.iter().filter_map(|schema| schema.get("const").and_then(Value::as_str)).collect())
}

fn allowed_types(schema: &Value) -> impl Iterator<Item = &str> {
    let one = schema.get("type").and_then(Value::as_str);
    let several = schema.get("type").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn article(name: &str) -> String {
    let article = if matches!(name, "integer" | "array" | "object") { "an" } else { "a" };
    let name = if name == "array" { "a list" } else { return format!("{article} {name}") };
    name.to_owned()
}

fn kind(value: &Value) -> &'static str {
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

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that was probably meant.
pub fn similar<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(name, known).filter(|near| strsim::jaro_winkler(name, near) > 0.75)
}

/// The end of a problem, which asks whether another name is meant. That one is looked for only if somebody is told: there may
/// be a hundred thousand names to compare, and as many problems that nobody hears of.
pub struct Meant<F>(pub F);

impl<'n, F: Fn() -> Option<&'n str>> std::fmt::Display for Meant<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0)() {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

/// The known name that is nearest, however far.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A name of kilobytes is near to nothing, and comparing costs the product of the lengths.
    let name = (name.len() <= 128).then_some(name)?;
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn within(path: &mut String, part: std::fmt::Arguments<'_>, inner: impl FnOnce(&mut String)) {
    let length = path.len();
    // Writing to a String cannot fail.
    let _infallible = path.write_fmt(part);
    inner(path);
    path.truncate(length);
}

fn within_field(path: &mut String, name: &str, inner: impl FnOnce(&mut String)) {
    let dot = if path.is_empty() { "" } else { "." };
    within(path, format_args!("{dot}{name}"), inner);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn problems_of(value: &Value) -> Vec<String> {
        let mut problems = Problems::default();
        check(&crate::job::schema(), value, &mut problems);
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
        serde_json::from_value::<crate::job::JobDocument>(value).unwrap();
    }

    #[test]
    fn the_schema_uses_nothing_unknown() {
        // Those for editors alone are among them: `validate` has the rules behind `pattern` and `propertyNames`.
        const KNOWN: [&str; 24] = [
            "$schema",
            "$id",
            "$defs",
            "$ref",
            "$comment",
            "title",
            "description",
            "type",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "anyOf",
            "oneOf",
            "const",
            "enum",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "pattern",
            "propertyNames",
        ];
        fn walk(schema: &Value) {
            let Some(object) = schema.as_object() else { return };
            for (keyword, value) in object {
                if keyword == "default" || keyword == "examples" {
                    continue;
                }
                assert!(KNOWN.contains(&keyword.as_str()), "the checker does not know `{keyword}`");
                match (keyword.as_str(), value) {
                    ("properties" | "$defs", Value::Object(children)) => children.values().for_each(walk),
                    (_, Value::Array(children)) => children.iter().for_each(walk),
                    (_, child) => walk(child),
                }
            }
        }
        walk(&crate::job::schema());
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

    proptest! {
        #[test]
        fn no_json_panics_and_what_passes_can_be_read(value in any_json()) {
            if problems_of(&value).is_empty() {
                prop_assert!(serde_json::from_value::<crate::job::JobDocument>(value).is_ok());
            }
        }
    }
}
