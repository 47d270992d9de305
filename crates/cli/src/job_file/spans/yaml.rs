//! Where the values of a YAML text are, told by the parser that read it before, with the same options. So aliases and merge
//! keys mean the same here as there; what they bring is where it is written, not where it is asked for.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{Entry, Kind, Node};
use crate::job_file::yaml;

/// The values of the text, if it is YAML.
pub(super) fn read(text: &str) -> Option<Node> {
    serde_saphyr::from_str_with_options(text, yaml::options()).ok()
}

/// The bytes of a value. Of a list or a map the parser tells no more than the beginning.
fn bytes(location: Location) -> Range<usize> {
    let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let span = location.span();
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: kind, defined, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        let own = bytes(defined);
        let last = match &kind {
            Kind::Leaf => None,
            Kind::List(items) => items.iter().map(|item| item.span.end).max(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.key.end.max(entry.value.span.end)).max(),
        };
        let span = own.start..own.end.max(last.unwrap_or_default());
        Ok(Self { span, kind })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Kinds)
    }
}

struct Kinds;

impl<'de> Visitor<'de> for Kinds {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = fields.next_key::<Spanned<String>>()? {
            entries.push(Entry { key: bytes(name.defined), name: name.value, value: fields.next_value()? });
        }
        Ok(Kind::Map(entries))
    }
}
