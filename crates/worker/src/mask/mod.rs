//! Keeps secret values out of everything a command writes.
//!
//! Each value becomes a set of *forms*, the ways in which programs print it ([`forms`]), and all forms of all values one
//! automaton ([`automaton`]) that reads every byte once. Whatever belongs to any form is replaced: where forms overlap
//! or one holds the other, the whole stretch becomes one `***`. That hides at least what replacing the longest first
//! would, and leaves nothing of a second secret that begins inside the first.
//!
//! Output comes in chunks of any size. A byte is held back only while it could still become part of a form, so the
//! result is the same however the output is cut.

mod automaton;
mod forms;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use self::automaton::Automaton;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Characters that a value needs to be masked: shorter ones occur everywhere, and masking them would only tell where.
pub const MIN_CHARS: usize = 4;

/// Replaces secret values in a stream of bytes, and in texts.
///
/// Clones share the patterns; each has its own stream.
#[derive(Clone)]
pub struct Masker {
    patterns: Arc<Patterns>,
    too_short: Arc<[String]>,
    stream: Stream,
}

/// What is looked for. The automaton is made when the first byte comes: many commands say nothing, and for a signed URL
/// alone it takes about a millisecond.
struct Patterns {
    values: Vec<SecretString>,
    automaton: OnceLock<Automaton>,
}

impl Patterns {
    fn automaton(&self) -> &Automaton {
        self.automaton.get_or_init(|| {
            let mut all = forms::Forms::default();
            self.values.iter().for_each(|value| all.add_value(value.expose_secret()));
            Automaton::new(all.iter())
        })
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("too_short", &self.too_short).finish_non_exhaustive()
    }
}

impl Masker {
    /// A masker of these values, each with the name that it is known by.
    pub fn new(secrets: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        let (mut values, mut too_short) = (Vec::new(), Vec::new());
        for (name, value) in secrets {
            let text = value.expose_secret().trim();
            if text.chars().count() >= MIN_CHARS {
                values.push(value);
            } else if !text.is_empty() {
                too_short.push(name);
            }
        }
        let patterns = Arc::new(Patterns { values, automaton: OnceLock::new() });
        Self { patterns, too_short: too_short.into(), stream: Stream::default() }
    }

    /// Names of the values that are too short to be masked. Empty ones are not secret and not among them.
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// Takes the next bytes of the stream and appends to `out` whatever is certain by now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if !chunk.is_empty() {
            self.stream.push(self.patterns.automaton(), chunk, out);
        }
    }

    /// Ends the stream: appends what was held back. The masker can then take another stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        std::mem::take(&mut self.stream).finish(out);
    }

    /// A whole text with its secrets replaced.
    pub fn mask_str(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let (mut stream, mut out) = (Stream::default(), Vec::with_capacity(text.len()));
        stream.push(self.patterns.automaton(), text.as_bytes(), &mut out);
        stream.finish(&mut out);
        // Forms begin and end at characters, so what is left is UTF-8 as before.
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A JSON value with the secrets replaced in its texts, names and numbers.
    pub fn mask_json(&self, value: Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value,
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.mask_str(&text);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            Value::String(text) => Value::String(self.mask_str(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(fields) => Value::Object(self.mask_fields(fields)),
        }
    }

    /// The same for the fields of an object.
    pub fn mask_fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        fields.into_iter().map(|(name, value)| (self.mask_str(&name), self.mask_json(value))).collect()
    }
}

/// The state of one stream. Positions count bytes from its beginning.
#[derive(Clone, Default)]
struct Stream {
    /// What the automaton has read of a form that may still go on.
    state: automaton::State,
    /// Bytes read and not given out.
    held: VecDeque<u8>,
    /// Position of the first held byte.
    start: u64,
    /// Stretches to be masked, apart from each other and in order, none before `start`.
    stretches: VecDeque<(u64, u64)>,
}

impl Stream {
    fn push(&mut self, automaton: &Automaton, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        loop {
            if self.held.is_empty() {
                // The usual case: no form has begun, so whatever begins none passes at once.
                let (idle, other) = rest.split_at(automaton.idle(rest));
                out.extend_from_slice(idle);
                self.start += idle.len() as u64;
                rest = other;
            }
            let Some((&byte, other)) = rest.split_first() else { return };
            rest = other;
            self.state = automaton.next(self.state, byte);
            self.held.push_back(byte);
            let end = self.start + self.held.len() as u64;
            if let Some(length) = automaton.longest_match(self.state) {
                self.mask(end - length as u64, end);
            }
            self.give_out(end - automaton.depth(self.state) as u64, out);
        }
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        let end = self.start + self.held.len() as u64;
        self.give_out(end, out);
    }

    /// Adds a stretch that ends at the newest byte, joining it with those that it overlaps.
    fn mask(&mut self, mut start: u64, end: u64) {
        while let Some(&(before, until)) = self.stretches.back()
            && until > start
        {
            start = start.min(before);
            self.stretches.pop_back();
        }
        self.stretches.push_back((start, end));
    }

    /// Gives out everything before `certain`, where no form that is still going on begins.
    fn give_out(&mut self, certain: u64, out: &mut Vec<u8>) {
        while let Some(&(start, end)) = self.stretches.front()
            && start < certain
        {
            self.take(start, out);
            if end > certain {
                // A form that began inside the stretch goes on, and may make it longer.
                return;
            }
            self.held.drain(..usize::try_from(end - self.start).unwrap_or(usize::MAX).min(self.held.len()));
            self.start = end;
            self.stretches.pop_front();
            out.extend_from_slice(MASK.as_bytes());
        }
        self.take(certain, out);
    }

    fn take(&mut self, until: u64, out: &mut Vec<u8>) {
        let count = usize::try_from(until.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.held.len());
        out.extend(self.held.drain(..count));
        self.start += count as u64;
    }
}

#[cfg(test)]
mod tests;
