//! Reading YAML, with limits on what comes of it: an alias repeats a value of any size with two characters, so the size of
//! the text limits nothing.

use std::{borrow::Cow, fmt, ops::Range};

use common::intake::request::{MAX_JOB_BYTES, MAX_JOB_VALUES};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Budget, Localizer, Location, Options, SnippetMode, UserMessageFormatter, alias_limits};

use super::source::Source;

/// Why a text could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is no YAML: what is wrong, and where as far as that is known.
    Broken(String, Option<Range<usize>>),
    /// More comes of it than is taken, as a sentence's end: `has more than …`.
    TooMuch(String),
}

/// YAML 1.2: `no`, `on` and `y` are words.
pub(super) fn options() -> Options {
    let mut budget = Budget::default();
    // Our own limits are on what comes of the text. A field has two nodes, and a node at most two events.
    budget.max_nodes = 2 * MAX_JOB_VALUES;
    budget.max_events = 4 * MAX_JOB_VALUES;
    budget.max_aliases = MAX_JOB_VALUES;
    budget.max_merge_keys = MAX_JOB_VALUES;
    // A hundred orders with one block of defaults are honest.
    budget.enforce_alias_anchor_ratio = false;
    serde_saphyr::options! {
        budget: Some(budget),
        alias_limits: alias_limits! { max_total_replayed_events: 4 * MAX_JOB_VALUES },
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Reads a job.
pub(super) fn read(source: &Source) -> Result<Value, Unreadable> {
    let mut taken = Taken::default();
    let read = serde_saphyr::with_deserializer_from_str_with_options(&source.text, options(), |yaml| {
        Bounded(&mut taken).deserialize(yaml)
    });
    read.map_err(|error| match taken.too_much() {
        Some(told) => Unreadable::TooMuch(told),
        None => Unreadable::Broken(message(&error), error.location().map(|location| place(location, source))),
    })
}

fn place(location: Location, source: &Source) -> Range<usize> {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    source.character(match location.span().byte_offset() {
        Some(offset) => number(offset),
        None => source.offset_in_characters(number(location.line()), number(location.column())),
    })
}

fn message(error: &serde_saphyr::Error) -> String {
    let formatter = UserMessageFormatter.with_localizer(&WithoutPlaces);
    let options = serde_saphyr::render_options! { formatter: &formatter, snippets: SnippetMode::Off };
    error.render_with_options(options)
}

/// Messages without `at line 1, column 2`, which is shown with the line itself.
struct WithoutPlaces;

impl Localizer for WithoutPlaces {
    fn attach_location<'a>(&self, message: Cow<'a, str>, _: Location) -> Cow<'a, str> {
        message
    }

    fn alias_used_at(&self, _: Location) -> String {
        String::new()
    }
}

/// How much a document has so far.
#[derive(Default)]
struct Taken {
    values: usize,
    bytes: usize,
}

impl Taken {
    fn too_much(&self) -> Option<String> {
        if self.values > MAX_JOB_VALUES {
            Some(format!("has more than {MAX_JOB_VALUES} values"))
        } else if self.bytes > MAX_JOB_BYTES {
            Some(format!("has more than {MAX_JOB_BYTES} bytes of texts"))
        } else {
            None
        }
    }

    fn take<E: Error>(&mut self, values: usize, bytes: usize) -> Result<(), E> {
        self.values += values;
        self.bytes += bytes;
        self.too_much().map_or(Ok(()), |told| Err(E::custom(told)))
    }
}

/// A value that is counted while it is made.
struct Bounded<'a>(&'a mut Taken);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.0.take(1, 0).map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.0.take(1, 0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.0.take(1, 0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.0.take(1, 0)?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("JSON has no such number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.0.take(1, value.len()).map(|()| value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.0.take(1, 0).map(|()| Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.take(1, 0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Bounded(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.0.take(1, 0)?;
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.0.take(0, name.len())?;
            map.insert(name, fields.next_value_seed(Bounded(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job_file::source::Format;

    fn reading(text: &str) -> Result<Value, Unreadable> {
        read(&Source { name: "job.yaml".to_owned(), text: text.into(), format: Format::Yaml })
    }

    #[test]
    fn words_are_no_booleans() {
        let job = reading("env_vars: {COUNTRY: no, SWITCH: on, FLAG: y, IS: true, NOT: }").unwrap();
        let wanted = json!({"env_vars": {"COUNTRY": "no", "SWITCH": "on", "FLAG": "y", "IS": true, "NOT": null}});
        assert_eq!(job, wanted);
    }

    #[test]
    fn defaults_may_be_shared_by_many_orders() {
        let orders = "- {<<: *defaults, timeout: 5}\n".repeat(1_000);
        let job = reading(&format!("- &defaults {{cmds: [make], timeout: 1}}\n{orders}")).unwrap();
        assert_eq!(job[1_000], json!({"cmds": ["make"], "timeout": 5}));
    }

    #[test]
    fn aliases_make_no_more_of_a_text_than_is_taken() {
        let long = "x".repeat(MAX_JOB_BYTES / 100);
        let told = reading(&format!("- &long {long}\n{}", "- *long\n".repeat(100))).unwrap_err();
        assert_eq!(told, Unreadable::TooMuch(format!("has more than {MAX_JOB_BYTES} bytes of texts")));
        let many = "1,".repeat(MAX_JOB_VALUES / 100);
        let told = reading(&format!("- &many [{many}]\n{}", "- *many\n".repeat(100))).unwrap_err();
        assert_eq!(told, Unreadable::TooMuch(format!("has more than {MAX_JOB_VALUES} values")));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (text, place) in
            [("a: [", 3..4), ("a: b: c", 4..5), ("a: *b", 3..4), ("a: 1\na: 2", 5..6), ("a:\n\t- b", 4..5)]
        {
            let told = reading(text).unwrap_err();
            let Unreadable::Broken(message, at) = told else { panic!("{told:?}") };
            assert!(!message.contains("line"), "{text:?}: {message}");
            assert_eq!(at, Some(place), "{text:?}: {message}");
        }
    }
}
