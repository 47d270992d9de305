//! Event patterns of EventBridge rules, as far as the stack's rules go: exact values and lists of them. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// What an event must look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pattern {
    /// An object with at least these fields.
    Fields(BTreeMap<String, Pattern>),
    /// One of these values, or an array that holds one of them.
    OneOf(Vec<Value>),
}

impl Pattern {
    /// Reads a pattern as Terraform deploys it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("the pattern is not JSON: {error}"))?;
        match Self::of(document, "$")? {
            Self::OneOf(_) => Err("the pattern must be an object".to_owned()),
            fields @ Self::Fields(_) => Ok(fields),
        }
    }

    fn of(value: Value, path: &str) -> Result<Self, String> {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let inner = fields.into_iter().map(|(name, value)| {
                    let pattern = Self::of(value, &format!("{path}.{name}"))?;
                    Ok((name, pattern))
                });
                inner.collect::<Result<_, String>>().map(Self::Fields)
            }
            Value::Array(values) if !values.is_empty() => {
                // EventBridge writes prefixes, ranges and the like as objects in the list.
                if values.iter().any(|value| value.is_object() || value.is_array()) {
                    return Err(format!("`{path}`: only exact values are part of the embedded AWS"));
                }
                Ok(Self::OneOf(values))
            }
            _ => Err(format!("`{path}` must be an object or a list, and not empty")),
        }
    }

    /// Whether an event is one of those.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        match (self, event) {
            (Self::Fields(fields), event) => {
                fields.iter().all(|(name, pattern)| event.get(name).is_some_and(|value| pattern.matches(value)))
            }
            (Self::OneOf(wanted), Value::Array(values)) => values.iter().any(|value| wanted.contains(value)),
            (Self::OneOf(wanted), value) => wanted.contains(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(pattern: &Value, event: &Value) -> bool {
        Pattern::parse(&pattern.to_string()).unwrap().matches(event)
    }

    #[test]
    fn every_field_must_have_one_of_its_values() {
        let pattern = json!({"source": ["a", "b"], "detail": {"status": ["Failed", null], "code": [3]}});
        assert!(matches(&pattern, &json!({"source": "b", "more": 1, "detail": {"status": "Failed", "code": 3}})));
        assert!(matches(&pattern, &json!({"source": "a", "detail": {"status": null, "code": 3}})));
        for other in [
            json!({"source": "c", "detail": {"status": "Failed", "code": 3}}),
            json!({"source": "a", "detail": {"status": "failed", "code": 3}}),
            json!({"source": "a", "detail": {"status": "Failed", "code": "3"}}),
            json!({"source": "a", "detail": {"code": 3}}),
            json!({"source": "a", "detail": "Failed"}),
            json!({}),
        ] {
            assert!(!matches(&pattern, &other), "{other}");
        }
    }

    #[test]
    fn of_an_array_one_element_is_enough() {
        let pattern = json!({"resources": ["x"]});
        assert!(matches(&pattern, &json!({"resources": ["w", "x"]})));
        assert!(!matches(&pattern, &json!({"resources": ["w"]})));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [json!({"a": [{"prefix": "x"}]}), json!({"a": "x"}), json!({"a": []}), json!({}), json!(["x"])] {
            assert!(Pattern::parse(&wrong.to_string()).is_err(), "{wrong}");
        }
        assert!(Pattern::parse("{").is_err());
    }
}
