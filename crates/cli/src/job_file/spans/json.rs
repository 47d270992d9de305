//! Where the values of a JSON text are. The text was read by `serde_json` before, which keeps no places; this goes over
//! the brackets and quotes of it once more. Whatever else a text is, it is none to it.

use std::ops::Range;

use super::{Entry, Kind, Node};

/// As deep as `serde_json` reads.
const DEPTH: usize = 128;

/// The values of the text, if it is JSON.
pub(super) fn read(text: &str) -> Option<Node> {
    Scanner { text, at: 0 }.value(DEPTH)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        let deeper = depth.checked_sub(1)?;
        let first = self.next()?;
        let start = self.at;
        let kind = match first {
            b'{' => self.fields(deeper)?,
            b'[' => self.items(deeper)?,
            b'"' => {
                self.string()?;
                Kind::Leaf
            }
            _ => {
                let rest = &self.text.as_bytes()[start..];
                let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}' | b':');
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
                Kind::Leaf
            }
        };
        (self.at > start).then_some(Node { span: start..self.at, kind })
    }

    fn fields(&mut self, depth: usize) -> Option<Kind> {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            match self.next()? {
                b'}' => break,
                b',' => self.at += 1,
                b'"' => {
                    let key = self.string()?;
                    let name = serde_json::from_str(self.text.get(key.clone())?).ok()?;
                    if self.next()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    entries.push(Entry { name, key, value: self.value(depth)? });
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some(Kind::Map(entries))
    }

    fn items(&mut self, depth: usize) -> Option<Kind> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            match self.next()? {
                b']' => break,
                b',' => self.at += 1,
                _ => items.push(self.value(depth)?),
            }
        }
        self.at += 1;
        Some(Kind::List(items))
    }

    /// A text with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.text.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }
}
