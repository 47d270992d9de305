//! The ways in which programs print a value: as it is, encoded, escaped, quoted.

use std::{collections::BTreeSet, fmt::Write};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

use super::MIN_CHARS;

/// Columns after which `base64` and `openssl base64` begin a new line.
const WRAPPED_AT: [usize; 2] = [76, 64];

/// Shortest piece of a wrapped encoding that is masked by itself; shorter ones stand in too many texts.
const MIN_PIECE: usize = 8;

/// All forms of all values, each once.
#[derive(Default)]
pub(super) struct Forms(BTreeSet<Vec<u8>>);

impl Forms {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Adds a value, the same without blanks around it (as `$(…)` and many readers cut them), and each of its lines.
    pub(super) fn add_value(&mut self, value: &str) {
        for text in std::iter::once(value).chain([value.trim()]).chain(value.lines().map(str::trim)) {
            if text.chars().count() >= MIN_CHARS {
                self.add_text(text);
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        self.add(text);
        self.add_base64(text.as_bytes());
        self.add(hex::encode(text));
        self.add(hex::encode_upper(text));
        self.add_url(text);
        self.add_json(text);
        self.add_shell(text);
    }

    fn add(&mut self, form: impl Into<Vec<u8>>) {
        self.0.insert(form.into());
    }

    /// Encoded by itself, and as a part of something longer: then it begins at any of three places in a group of four
    /// letters, and the letters at its ends belong partly to its neighbours and are left out.
    fn add_base64(&mut self, value: &[u8]) {
        self.add(BASE64_STANDARD.encode(value));
        self.add(BASE64_STANDARD_NO_PAD.encode(value));
        self.add(BASE64_URL_SAFE_NO_PAD.encode(value));
        for before in 0..3 {
            let shifted = [&[0; 2][..before], value].concat();
            // A letter holds 6 bits: those between the first that is all ours and the last that is.
            let ours = (before * 8).div_ceil(6)..shifted.len() * 8 / 6;
            for encoded in [BASE64_STANDARD_NO_PAD.encode(&shifted), BASE64_URL_SAFE_NO_PAD.encode(&shifted)] {
                let form = &encoded[ours.clone()];
                self.add(form);
                if before == 0 {
                    for width in WRAPPED_AT.into_iter().filter(|width| form.len() > *width) {
                        let pieces = form.as_bytes().chunks(width);
                        pieces.filter(|piece| piece.len() >= MIN_PIECE).for_each(|piece| self.add(piece));
                    }
                }
            }
        }
    }

    /// Percent-encoded as the usual libraries do it, which differ in what they leave alone.
    fn add_url(&mut self, text: &str) {
        // RFC 3986; Python's `quote`; JavaScript's `encodeURIComponent`; its `encodeURI`.
        for safe in ["-._~", "-._~/", "-._~!*'()", "-._~!*'();/?:@&=+$,#"] {
            for upper in [true, false] {
                let encoded = percent_encoded(text, safe, upper);
                self.add(encoded.replace("%20", "+"));
                self.add(encoded);
            }
        }
        // HTML forms, which leave `*` and not `~`.
        self.add(percent_encoded(text, "-._*", true).replace("%20", "+"));
    }

    /// As the inside of a JSON string: plainly, in ASCII alone, and with what HTML would notice escaped.
    fn add_json(&mut self, text: &str) {
        let quoted = serde_json::Value::from(text).to_string();
        let plain = &quoted[1..quoted.len() - 1];
        self.add(plain);
        self.add(plain.replace('/', r"\/"));
        for html in [false, true] {
            for upper in [false, true] {
                self.add(in_ascii(plain, html, upper));
            }
        }
        self.add(escaped_where(plain, false, |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')));
    }

    /// Quoted for a shell: single quotes in the two usual ways, double quotes, `$'…'`, and with backslashes.
    fn add_shell(&mut self, text: &str) {
        self.add(text.replace('\'', r"'\''"));
        self.add(text.replace('\'', r#"'"'"'"#));
        self.add(with_backslash(text, |c| matches!(c, '"' | '\\' | '$' | '`')));
        self.add(with_backslash(text, |c| matches!(c, '"' | '\\' | '$' | '`' | '!')));
        self.add(with_backslash(text, |c| c.is_ascii_punctuation() && !"_-./:,@%+=".contains(c) || c == ' '));
        let ansi = with_backslash(text, |c| matches!(c, '\'' | '\\'));
        self.add(ansi.replace('\n', r"\n").replace('\t', r"\t").replace('\r', r"\r"));
    }
}

fn percent_encoded(text: &str, safe: &str, upper: bool) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 3), |mut out, byte| {
        let char = char::from(byte);
        if char.is_ascii_alphanumeric() || safe.contains(char) {
            out.push(char);
        } else {
            out.push('%');
            out.push_str(&if upper { hex::encode_upper([byte]) } else { hex::encode([byte]) });
        }
        out
    })
}

fn in_ascii(plain: &str, html: bool, upper: bool) -> String {
    escaped_where(plain, upper, |c| !c.is_ascii() || (html && matches!(c, '<' | '>' | '&' | '\'')))
}

fn escaped_where(text: &str, upper: bool, escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if escaped(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let written = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
                debug_assert!(written.is_ok(), "writing to a string always works");
            }
        } else {
            out.push(char);
        }
    }
    out
}

fn with_backslash(text: &str, escaped: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        if escaped(char) {
            out.push('\\');
        }
        out.push(char);
        out
    })
}
