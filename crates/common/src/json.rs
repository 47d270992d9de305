//! JSON that strangers write: how much of it is taken into memory, decided before any of it is there.
//!
//! A value takes up to thirty times the bytes of its text (`[],[],…`), so a limit on bytes is none on memory. It ends at
//! sizes: what a document means is for its reader.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::text::{sentence, shown};

/// Reads JSON of at most `most` values, counting each object, list, text, number, boolean and null. An error names where
/// the text is wrong, by the path of its field as far as that is known.
///
/// Lists and objects nest at most 127 deep, which is `serde_json`'s own limit.
pub fn read<T: DeserializeOwned>(text: &[u8], most: usize) -> Result<T, String> {
    check_count(text, most).map_err(|error| error.to_string())?;
    let mut reading = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reading);
    read.map_err(|error| match error.path().to_string().as_str() {
        "." => cleaned(error.inner()),
        path => format!("{}: {}", shown(path), cleaned(error.inner())),
    })
}

/// A document that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, as the end of a sentence.
    pub problem: String,
    /// Line and column, counted from 1, columns in bytes; none if it is JSON, and too much of it.
    pub place: Option<(usize, usize)>,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        self.place.map_or(Ok(()), |(line, column)| write!(f, " at line {line} column {column}"))
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let place = (error.line(), error.column());
        let told = error.to_string();
        let problem = told.strip_suffix(&format!(" at line {} column {}", place.0, place.1)).unwrap_or(&told);
        Self { problem: sentence(problem, 300), place: Some(place) }
    }
}

/// As [`read`], for whoever shows the place in the text itself.
pub fn read_document(text: &[u8], most: usize) -> Result<Value, Unreadable> {
    check_count(text, most)?;
    Ok(serde_json::from_slice(text)?)
}

/// Whether the text is JSON of at most `most` values.
fn check_count(text: &[u8], most: usize) -> Result<(), Unreadable> {
    let mut count = Count { most, seen: 0 };
    let mut json = serde_json::Deserializer::from_slice(text);
    let counted = Counter(&mut count).deserialize(&mut json).and_then(|()| json.end());
    if count.seen > most {
        return Err(Unreadable { problem: format!("has more than {most} values"), place: None });
    }
    Ok(counted?)
}

/// What is wrong, which may quote the text.
fn cleaned(error: &serde_json::Error) -> String {
    sentence(&error.to_string(), 300)
}

struct Count {
    most: usize,
    seen: usize,
}

/// Goes over a value and keeps nothing of it.
struct Counter<'a>(&'a mut Count);

impl Counter<'_> {
    fn one<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.0.seen += 1;
        if self.0.seen > self.0.most { Err(E::custom("too many values")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Counter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: serde::de::Error>(mut self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: serde::de::Error>(mut self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: serde::de::Error>(mut self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: serde::de::Error>(mut self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: serde::de::Error>(mut self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.one()?;
        while items.next_element_seed(Counter(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        self.one()?;
        while fields.next_key::<IgnoredAny>()?.is_some() {
            fields.next_value_seed(Counter(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_value_counts() {
        for (text, values) in [("3", 1), ("[]", 1), (r#"["a",-1,2.5,true,null]"#, 6), (r#"{"a":{"b":[1]},"c":"d"}"#, 5)]
        {
            assert_eq!(read::<Value>(text.as_bytes(), values).unwrap(), serde_json::from_str::<Value>(text).unwrap());
            let error = read::<Value>(text.as_bytes(), values - 1).unwrap_err();
            assert_eq!(error, format!("has more than {} values", values - 1));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            (&br#"{"a": {"b": 300}}"#[..], "a.b: invalid value: integer `300`, expected u8 at line 1 column 15"),
            (b"[", "EOF while parsing a list at line 1 column 1"),
            (b"{} {}", "trailing characters at line 1 column 4"),
            (b"\"\xff\"", "invalid unicode code point at line 1 column 2"),
        ] {
            assert_eq!(read::<BTreeMap<String, BTreeMap<String, u8>>>(text, 10).unwrap_err(), told);
        }
        let deep = "[".repeat(1 << 20);
        assert_eq!(
            read::<Value>(deep.as_bytes(), 1 << 20).unwrap_err(),
            "recursion limit exceeded at line 1 column 128"
        );
    }
}
