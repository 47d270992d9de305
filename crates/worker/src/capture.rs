//! Where output goes: masked first, then its beginning and end into memory, and all of it into a file ([`Spool`]).
//!
//! Nothing here fails an order. When the disk is full, perhaps because of its commands, what memory holds still tells
//! what happened, and [`Capture::spool_error`] why the file is shorter.

use std::{collections::VecDeque, io};

use crate::{mask::Masker, spool::Spool};

/// Bytes of output that travel in `result.json`, half from its beginning and half from its end. A result stays well
/// below what the engine reads of one, also when JSON escapes some of it.
pub const KEPT: usize = 256 << 10;

/// The first and the last bytes of a stream of any length.
#[derive(Debug)]
pub struct HeadTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl HeadTail {
    /// Keeps at most `kept` bytes.
    pub fn new(kept: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: kept / 2, total: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Bytes of the whole stream.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether something is left out.
    pub fn truncated(&self) -> bool {
        self.total > (self.head.len() + self.tail.len()) as u64
    }

    /// What was kept as text, with a line that tells how much is left out between its parts.
    ///
    /// Bytes that are not UTF-8 become `U+FFFD`; the text is cut between characters and stays within the limit, that
    /// line aside.
    pub fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if !self.truncated() {
            bytes.extend(&self.tail);
            let text = String::from_utf8_lossy(&bytes);
            if text.len() <= 2 * self.half {
                return text.into_owned();
            }
        }
        bytes.truncate(whole_characters(&self.head));
        let rest: Vec<u8> = self.tail.iter().copied().skip_while(|byte| is_continuation(*byte)).collect();
        let (head, tail) = (String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&rest));
        let (head, tail) = (cut_end(&head, self.half), cut_start(&tail, self.half));
        let left_out = self.total.saturating_sub((head.len() + tail.len()) as u64);
        format!("{head}\n… {left_out} bytes left out …\n{tail}")
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The length without a character at the end that is not complete.
fn whole_characters(bytes: &[u8]) -> usize {
    let back = bytes.iter().rev().take(3).take_while(|byte| is_continuation(**byte)).count();
    let Some(at) = bytes.len().checked_sub(back + 1) else { return bytes.len() };
    let needed = match bytes[at] {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => return bytes.len(),
    };
    if back + 1 < needed { at } else { bytes.len() }
}

fn cut_end(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn cut_start(text: &str, limit: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(limit))..]
}

/// The output of one order on its way: through the masker to memory and file.
#[derive(Debug)]
pub struct Capture<'a> {
    masker: Masker,
    kept: HeadTail,
    spool: &'a Spool,
    spool_error: Option<io::Error>,
    buffer: Vec<u8>,
}

impl<'a> Capture<'a> {
    /// Begins with a spool in which there is nothing yet.
    pub fn new(masker: Masker, spool: &'a Spool) -> Self {
        Self { masker, kept: HeadTail::new(KEPT), spool, spool_error: None, buffer: Vec::new() }
    }

    /// Takes the next bytes of output as commands wrote them.
    pub fn push(&mut self, chunk: &[u8]) {
        self.masker.push(chunk, &mut self.buffer);
        self.flush();
    }

    /// Ends the output: what the masker held back is certain now.
    pub fn finish(&mut self) {
        self.masker.finish(&mut self.buffer);
        self.flush();
    }

    /// Beginning and end of the masked output so far.
    pub fn text(&self) -> String {
        self.kept.text()
    }

    /// Whether [`Self::text`] leaves something out.
    pub fn truncated(&self) -> bool {
        self.kept.truncated()
    }

    /// Bytes of masked output so far.
    pub fn total(&self) -> u64 {
        self.kept.total()
    }

    /// Why the file ends early, when writing failed.
    pub fn spool_error(&self) -> Option<&io::Error> {
        self.spool_error.as_ref()
    }

    fn flush(&mut self) {
        self.kept.push(&self.buffer);
        if self.spool_error.is_none() {
            self.spool_error = self.spool.write(&self.buffer).err();
        }
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::{collection::vec, prelude::*};
    use secrecy::SecretString;

    use super::*;

    fn kept(limit: usize, chunks: &[&[u8]]) -> HeadTail {
        let mut kept = HeadTail::new(limit);
        for chunk in chunks {
            kept.push(chunk);
        }
        kept
    }

    #[test]
    fn short_output_is_whole() {
        let whole = kept(16, &[b"abcdefg\xc3", b"\xa4h"]);
        assert_eq!((whole.text().as_str(), whole.truncated()), ("abcdefgäh", false));
        assert_eq!(kept(16, &[]).text(), "");
    }

    #[test]
    fn long_output_is_cut_between_characters() {
        let text = "ä".repeat(100);
        let cut = kept(17, &[text.as_bytes()]);
        assert!(cut.truncated());
        assert_eq!(cut.text(), "ääää\n… 184 bytes left out …\nääää");
        // With an odd half, a character would be cut in two.
        let cut = kept(18, &[text.as_bytes()]);
        assert_eq!(cut.text(), "ääää\n… 184 bytes left out …\nääää");
    }

    #[test]
    fn what_is_no_text_stays_within_the_limit() {
        for length in [20, 1_000] {
            let text = kept(30, &[&vec![0xff; length]]).text();
            assert!(text.len() <= 30 + "\n… 1000 bytes left out …\n".len(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_output(chunks in vec("[a-zäöü\n]{0,30}", 0..20), limit in 8_usize..200) {
            let whole = chunks.concat();
            let parts: Vec<_> = chunks.iter().map(String::as_bytes).collect();
            let kept = kept(limit, &parts);
            prop_assert_eq!(kept.total(), whole.len() as u64);
            prop_assert!(kept.head.len() + kept.tail.len() <= limit);
            let text = kept.text();
            if kept.truncated() {
                let (head, rest) = text.split_once("\n… ").unwrap();
                let (left_out, tail) = rest.split_once(" bytes left out …\n").unwrap();
                prop_assert!(whole.starts_with(head) && whole.ends_with(tail));
                prop_assert_eq!(head.len() + tail.len() + left_out.parse::<usize>().unwrap(), whole.len());
                prop_assert!(head.len() + 4 > limit / 2 && tail.len() + 4 > limit / 2);
            } else {
                prop_assert_eq!(text, whole);
            }
        }
    }

    #[test]
    fn the_file_has_all_of_it_masked() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::create(&folder.path().join("log")).unwrap();
        let masker = Masker::new([("S".to_owned(), SecretString::from("hunter2"))]);
        let mut capture = Capture::new(masker, &spool);
        capture.push(&b"x".repeat(KEPT));
        capture.push(b"hunt");
        assert_eq!(capture.total(), KEPT as u64);
        capture.push(b"er2 hunter");
        capture.finish();
        assert!(capture.truncated() && capture.text().ends_with("*** hunter"));
        let whole = fs::read_to_string(spool.file()).unwrap();
        assert_eq!(whole.len() as u64, spool.bytes());
        assert!(whole.ends_with("x*** hunter"));
    }

    #[test]
    fn a_full_disk_does_not_stop_the_order() {
        let spool = Spool::full();
        let mut capture = Capture::new(Masker::new([]), &spool);
        capture.push(b"one ");
        capture.push(b"two");
        assert_eq!((capture.text().as_str(), spool.bytes()), ("one two", 0));
        assert!(capture.spool_error().is_some());
    }
}
