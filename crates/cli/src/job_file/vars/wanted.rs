//! What the job's schema wants at a place, as far as a text can become it: a value that is given with the command is a
//! text, and `timeout` is a number.

use serde_json::Value;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Integer,
    Boolean,
    /// A text, or what no text can become.
    Other,
}

impl Wanted {
    /// The value that a text becomes; `None` leaves it a text, of which the validator says what it should be.
    pub(super) fn of(self, text: &str) -> Option<Value> {
        match self {
            Self::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = || text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from));
                is_plain.then(number)?.ok()
            }
            Self::Boolean => text.parse::<bool>().ok().map(Value::from),
            Self::Other => None,
        }
    }
}

/// A place in a job, by the schema.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    whole: &'s Value,
    here: Option<&'s Value>,
}

impl<'s> Place<'s> {
    /// The job itself.
    pub(super) fn of(schema: &'s Value) -> Self {
        Self { whole: schema, here: Some(schema) }
    }

    /// A field of it.
    pub(super) fn field(self, name: &str) -> Self {
        let own = self.here.and_then(|here| here.get("properties")?.get(name));
        self.at(own.or_else(|| self.here.and_then(|here| here.get("additionalProperties"))))
    }

    /// An entry of it.
    pub(super) fn item(self) -> Self {
        self.at(self.here.and_then(|here| here.get("items")))
    }

    /// What is wanted here.
    pub(super) fn wanted(self) -> Wanted {
        let Some(types) = self.here.and_then(|here| here.get("type")) else { return Wanted::Other };
        let takes =
            |name: &str| types.as_str() == Some(name) || types.as_array().is_some_and(|t| t.contains(&name.into()));
        match (takes("string"), takes("integer"), takes("boolean")) {
            (false, true, _) => Wanted::Integer,
            (false, false, true) => Wanted::Boolean,
            _ => Wanted::Other,
        }
    }

    /// A part of the schema. References stand for what they name, and what may be null for what it is else.
    fn at(self, mut here: Option<&'s Value>) -> Self {
        let solid = |schema: &'s Value| {
            let mut others =
                schema.get("anyOf")?.as_array()?.iter().filter(|one| one.get("type") != Some(&"null".into()));
            others.next().filter(|_| others.next().is_none())
        };
        here = here.map(|schema| solid(schema).unwrap_or(schema));
        let named = |schema: &'s Value| {
            let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
            self.whole.get("$defs")?.get(name)
        };
        Self { here: here.map(|schema| named(schema).unwrap_or(schema)), ..self }
    }
}
