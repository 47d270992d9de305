//! The JSON Schema of job files: that of jobs, and `${var.NAME}` wherever a value can be filled in. Without it an editor
//! would mark `timeout: ${var.SECONDS}` as a mistake.

use serde_json::{Value, json};

/// A text that is nothing but one use, as numbers and booleans are filled in.
const ALONE: &str = r"^\$\{var\.[A-Za-z_][A-Za-z0-9_]*\}$";
/// A text with a use in it.
const WITHIN: &str = r"\$\{var\.[A-Za-z_][A-Za-z0-9_]*\}";

/// The schema.
pub(crate) fn of_files() -> Value {
    let mut schema = common::job::schema();
    allow(&mut schema);
    schema
}

fn allow(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(words) = object.get_mut("oneOf").and_then(Value::as_array_mut) {
        let description = "A value of `--var`.";
        words.push(json!({"type": "string", "pattern": ALONE, "description": description}));
        return;
    }
    let types = object.get("type").cloned().unwrap_or_default();
    let has = |name: &str| types == name || types.as_array().is_some_and(|types| types.contains(&name.into()));
    if has("integer") || has("boolean") {
        let types = types.as_array().cloned().unwrap_or_else(|| vec![types]);
        object.insert("type".to_owned(), types.into_iter().chain(["string".into()]).collect());
        object.insert("pattern".to_owned(), ALONE.into());
    } else if let Some(Value::String(pattern)) = object.get_mut("pattern") {
        *pattern = format!("{pattern}|{WITHIN}");
    }
    for keyword in ["properties", "$defs"] {
        let schemas = object.get_mut(keyword).and_then(Value::as_object_mut);
        schemas.into_iter().flat_map(|schemas| schemas.values_mut()).for_each(allow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_allowed_where_they_are_filled_in() {
        let schema = of_files();
        let order = &schema["$defs"]["OrderDocument"]["properties"];
        assert_eq!(order["timeout"]["type"], json!(["integer", "string"]));
        assert_eq!(order["timeout"]["pattern"], ALONE);
        assert_eq!(order["must_succeed"]["type"], json!(["boolean", "null", "string"]));
        assert_eq!(order["order_name"]["pattern"], format!("^[A-Za-z0-9._-]+$|{WITHIN}"));
        assert_eq!(schema["$defs"]["TargetChoice"]["oneOf"][4]["pattern"], ALONE);
        // Names are not filled in.
        assert_eq!(order["env_vars"], common::job::schema()["$defs"]["OrderDocument"]["properties"]["env_vars"]);
    }
}
