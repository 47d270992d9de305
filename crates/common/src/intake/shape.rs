//! The shape of a document: types, unknown and missing fields, lengths and ranges. Every problem is reported, each with
//! its path.
//!
//! A shape is made of the JSON Schema of our types ([`Shape::of`]), once, because reading a schema costs more than holding
//! a small document against it.

use std::fmt;

use serde_json::{Map, Value};

use crate::text::shown;

mod compile;
mod problems;

pub use compile::Unknown;
pub use problems::{MAX_PROBLEMS, Meant, Path, Problems, nearest, similar};

/// What fits.
#[derive(Debug)]
pub struct Shape {
    /// Whether null does as well.
    is_optional: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Boolean,
    /// Never below zero: our types have no negative numbers.
    Whole {
        least: u64,
        most: Option<u64>,
    },
    /// With so many characters.
    Text(Sizes),
    /// One of these.
    Word(Vec<String>),
    List(List),
    Object(Object),
    /// Whatever fits one of these.
    Either(Vec<Shape>),
}

#[derive(Debug)]
struct List {
    /// Of entries.
    sizes: Sizes,
    entries: Box<Shape>,
}

#[derive(Debug)]
struct Object {
    /// Those that must be there come first. A handful of many lengths: going through them is faster than any lookup.
    fields: Vec<(String, Shape)>,
    required: usize,
    /// What fits in all other fields; without it there may be none.
    others: Option<Box<Shape>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    least: Option<u64>,
    most: Option<u64>,
}

impl Shape {
    /// Holds a value against it.
    pub fn check(&self, value: &Value, path: &Path<'_>, problems: &mut Problems) {
        if self.fits(value) {
            return;
        }
        match (&self.kind, value) {
            (Kind::Whole { least, most }, Value::Number(number)) if !number.is_f64() => match most {
                Some(most) => problems.add(path, format_args!("must be from {least} to {most}, not {number}")),
                None => problems.add(path, format_args!("must be at least {least}, not {number}")),
            },
            (Kind::Text(sizes), Value::String(text)) => {
                sizes.check(text.chars().count(), "characters", path, problems);
            }
            (Kind::Word(words), Value::String(word)) => {
                problems.add(path, format_args!("`{}` is none of {}", shown(word), quoted(words)));
            }
            (Kind::Word(words), _) => {
                problems.add(path, format_args!("must be one of {}, not {}", quoted(words), called(value)));
            }
            (Kind::List(list), Value::Array(entries)) => list.check(entries, path, problems),
            (Kind::Object(object), Value::Object(fields)) => object.check(fields, path, problems),
            (kind, _) => problems.add(path, format_args!("must be {kind}, not {}", called(value))),
        }
    }

    /// Whether there is nothing to tell of a value. That is so of most, and takes a fraction of the time without their
    /// paths.
    fn fits(&self, value: &Value) -> bool {
        match (&self.kind, value) {
            (_, Value::Null) => self.is_optional,
            (Kind::Boolean, Value::Bool(_)) => true,
            // A number that is no `u64` is negative or a fraction.
            (Kind::Whole { least, most }, Value::Number(number)) => {
                number.as_u64().is_some_and(|number| number >= *least && most.is_none_or(|most| number <= most))
            }
            (Kind::Text(sizes), Value::String(text)) => *sizes == Sizes::ANY || sizes.hold(text.chars().count()),
            (Kind::Word(words), Value::String(word)) => words.contains(word),
            (Kind::List(list), Value::Array(entries)) => list.fits(entries),
            (Kind::Object(object), Value::Object(fields)) => object.fits(fields),
            (Kind::Either(shapes), _) => shapes.iter().any(|shape| shape.fits(value)),
            _ => false,
        }
    }

    /// The parts of an object that fit, so that they can be looked at further while the others are reported: fields that
    /// do not fit are left out, or replaced where `stand_in` has a value for them.
    pub fn sound_fields(&self, value: &Value, stand_in: fn(&str) -> Option<Value>) -> Map<String, Value> {
        let Kind::Object(object) = &self.kind else { return Map::new() };
        let sound = |(index, (name, shape)): (usize, &(String, Shape))| {
            let given = value.get(name);
            let kept = given.filter(|value| shape.fits(value)).cloned();
            let is_wanted = given.is_some() || index < object.required;
            let value = kept.or_else(|| is_wanted.then(|| stand_in(name)).flatten())?;
            Some((name.clone(), value))
        };
        object.fields.iter().enumerate().filter_map(sound).collect()
    }
}

impl List {
    fn fits(&self, entries: &[Value]) -> bool {
        self.sizes.hold(entries.len())
            && match &self.entries.kind {
                // Most values of a large job are names that its orders wait for, and each would be a call.
                Kind::Text(Sizes::ANY) => entries.iter().all(Value::is_string),
                _ => entries.iter().all(|entry| self.entries.fits(entry)),
            }
    }

    fn check(&self, entries: &[Value], path: &Path<'_>, problems: &mut Problems) {
        self.sizes.check(entries.len(), "entries", path, problems);
        for (index, entry) in entries.iter().enumerate() {
            self.entries.check(entry, &path.item(index), problems);
        }
    }
}

impl Object {
    fn fits(&self, fields: &Map<String, Value>) -> bool {
        let mut missing = self.required;
        for (name, value) in fields {
            let known = self.known(name);
            missing -= usize::from(known.is_some_and(|index| index < self.required));
            if !self.shape(known).is_some_and(|shape| shape.fits(value)) {
                return false;
            }
        }
        missing == 0
    }

    fn check(&self, fields: &Map<String, Value>, path: &Path<'_>, problems: &mut Problems) {
        let names = || self.fields.iter().map(|(name, _)| name.as_str());
        for name in names().take(self.required).filter(|name| !fields.contains_key(*name)) {
            problems.add(path.field(name), "is missing");
        }
        for (name, value) in fields {
            if let Some(shape) = self.shape(self.known(name)) {
                shape.check(value, &path.field(name), problems);
            } else {
                let nearest = || nearest(name, names());
                problems.add(path.field(name), format_args!("is no known field{}", Meant(nearest)));
            }
        }
    }

    /// The place of a field among the known ones.
    fn known(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(known, _)| known == name)
    }

    fn shape(&self, known: Option<usize>) -> Option<&Shape> {
        known.map(|index| &self.fields[index].1).or(self.others.as_deref())
    }
}

impl Sizes {
    const ANY: Self = Self { least: None, most: None };

    fn hold(self, size: usize) -> bool {
        let size = size as u64;
        self.least.is_none_or(|least| size >= least) && self.most.is_none_or(|most| size <= most)
    }

    fn check(self, size: usize, unit: &str, path: &Path<'_>, problems: &mut Problems) {
        match (self.least, self.most) {
            _ if self.hold(size) => {}
            (Some(_), _) if size == 0 => problems.add(path, "must not be empty"),
            (Some(least), _) if (size as u64) < least => {
                problems.add(path, format_args!("must have at least {least} {unit}, not {size}"));
            }
            (_, Some(most)) => problems.add(path, format_args!("must have at most {most} {unit}, not {size}")),
            _ => {}
        }
    }
}

/// What is asked for, in a problem.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "a boolean",
            Self::Whole { .. } => "an integer",
            Self::Text(_) | Self::Word(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Either(shapes) => {
                let names: Vec<_> = shapes.iter().map(|shape| shape.kind.to_string()).collect();
                return f.write_str(&names.join(" or "));
            }
        })
    }
}

/// What is given instead.
fn called(value: &Value) -> &'static str {
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

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
