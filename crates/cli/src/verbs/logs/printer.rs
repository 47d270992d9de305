//! Where logs go: bytes to standard output as they are, everything about them to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use common::{ids::OrderNum, status::Status};

use crate::{exit::Failure, state::OrderState};

/// Bytes of a line that are held until it is complete. A longer one is broken.
const LONGEST_LINE: usize = 64 * 1024;

/// Why printing ended early.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Nobody reads any more.
    Closed,
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(Failure::machine(format!("failed to write to standard output: {error}"))),
        }
    }
}

/// Prints.
pub(crate) struct Printer {
    /// Whether orders are told apart by headers.
    pub(crate) several: bool,
    /// Whether it goes on until the end.
    pub(crate) follow: bool,
    /// Whose bytes came last.
    pub(crate) shown: Option<OrderNum>,
    at_line_start: bool,
}

impl Printer {
    pub(crate) fn new(several: bool, follow: bool) -> Self {
        Self { several, follow, shown: None, at_line_start: true }
    }

    /// Bytes of a log.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        // At once, before anything goes to standard error.
        out.flush()?;
        self.at_line_start = bytes.last().map_or(self.at_line_start, |byte| *byte == b'\n');
        Ok(())
    }

    /// Whose log follows, and how the order stands.
    pub(crate) fn header(&mut self, order: &OrderState, nothing_yet: bool) -> Result<(), Stopped> {
        if !self.at_line_start {
            self.bytes(b"\n")?;
        }
        let reason = match (&order.failure_reason, order.status) {
            (Some(reason), Status::Ended(_)) => format!(": {reason}"),
            _ if nothing_yet => ": nothing yet".to_owned(),
            _ => String::new(),
        };
        eprintln!("── {} {} {}{reason}", order.order_num, order.order_name, order.status);
        self.shown = Some(order.order_num);
        Ok(())
    }

    /// Something about a log.
    pub(crate) fn note(&self, text: &str) {
        if !self.at_line_start && io::stdout().is_terminal() {
            eprintln!();
        }
        eprintln!("{text}");
    }
}

/// Lines of one instance, each with its name before it. Instances write side by side, so only whole lines are printed.
#[derive(Debug)]
pub(crate) struct Lines {
    prefix: Vec<u8>,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn of(name: &str) -> Self {
        Self { prefix: format!("{name} | ").into_bytes(), rest: Vec::new() }
    }

    /// The lines that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in part.chunks(LONGEST_LINE) {
                self.rest.extend_from_slice(part);
                if self.rest.ends_with(b"\n") || self.rest.len() >= LONGEST_LINE {
                    lines.extend(self.finish());
                }
            }
        }
        lines
    }

    /// The last line, if it has no end.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        if self.rest.is_empty() {
            return Vec::new();
        }
        let mut line = self.prefix.clone();
        line.append(&mut self.rest);
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(chunks: &[&[u8]]) -> String {
        let mut lines = Lines::of("i-1");
        let mut all: Vec<u8> = chunks.iter().flat_map(|chunk| lines.push(chunk)).collect();
        all.extend(lines.finish());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(printed(&[b"one\ntwo\n"]), "i-1 | one\ni-1 | two\n");
        assert_eq!(printed(&[b"on", b"e\n\nt", b"wo"]), "i-1 | one\ni-1 | \ni-1 | two\n");
        assert_eq!(printed(&[]), "");
        assert_eq!(Lines::of("i-1").push(b"half"), b"");
    }

    #[test]
    fn a_line_without_end_is_broken() {
        let long = vec![b'x'; 2 * LONGEST_LINE + 1];
        let shown = printed(&[&long]);
        assert_eq!(shown.lines().map(str::len).collect::<Vec<_>>(), [LONGEST_LINE + 6, LONGEST_LINE + 6, 7]);
    }
}
