//! Where logs go: bytes to standard output as they are, everything about them to standard error; or both as events.

use std::io::{self, IsTerminal as _};

use common::{aws::AwsError, ids::OrderNum, status::Status};

use crate::{
    failure::Failure,
    output::{Event, Output},
    state::{OrderState, together},
};

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

impl From<AwsError> for Stopped {
    fn from(error: AwsError) -> Self {
        Self::Failed(error.into())
    }
}

/// Prints.
pub(crate) struct Printer<'o> {
    output: &'o Output,
    /// Whether orders are told apart by headers.
    pub(crate) several: bool,
    /// Whether it goes on until the end.
    pub(crate) follow: bool,
    /// Whose bytes came last.
    pub(crate) shown: Option<OrderNum>,
    at_line_start: bool,
}

impl<'o> Printer<'o> {
    pub(crate) fn new(output: &'o Output, several: bool, follow: bool) -> Self {
        Self { output, several, follow, shown: None, at_line_start: true }
    }

    /// Bytes of an order's log.
    pub(crate) fn bytes(&mut self, order: &OrderState, bytes: &[u8]) -> Result<(), Stopped> {
        if self.output.is_json() {
            let (order_num, text) = (order.order_num.to_string(), String::from_utf8_lossy(bytes));
            let order_name = &order.order_name;
            self.output.event(&Event::Log { order_num: &order_num, order_name, text: &text })?;
        } else {
            self.output.bytes(bytes)?;
        }
        self.at_line_start = bytes.last().map_or(self.at_line_start, |byte| *byte == b'\n');
        if self.output.is_closed() { Err(Stopped::Closed) } else { Ok(()) }
    }

    /// Whose log follows, and how the order stands.
    pub(crate) fn header(&mut self, order: &OrderState, nothing_yet: bool) -> Result<(), Stopped> {
        if !self.at_line_start {
            self.output.bytes(b"\n")?;
            self.at_line_start = true;
        }
        self.shown = Some(order.order_num);
        if self.output.is_json() {
            return Ok(self.output.event(&Event::Order { order })?);
        }
        let reason = match (&order.failure_reason, order.status) {
            (Some(reason), Status::Ended(_)) => format!(": {reason}"),
            _ if nothing_yet => ": nothing yet".to_owned(),
            _ => String::new(),
        };
        let again = order.reused_from.as_ref().map_or_else(String::new, |run| format!(", in the run `{run}`"));
        Ok(self.output.note(&format!("── {} {} {}{again}{reason}", order.order_num, order.order_name, order.status))?)
    }

    /// That several orders have no logs, and why.
    pub(crate) fn headers(&mut self, orders: &[OrderState]) -> Result<(), Stopped> {
        if self.output.is_json() {
            for order in orders {
                self.header(order, false)?;
            }
            return Ok(());
        }
        self.shown = None;
        match orders {
            [first, .., last] => self.note(&format!("── {}", together(first, last, orders.len()))),
            _ => Ok(()),
        }
    }

    /// Something about a log.
    pub(crate) fn note(&self, text: &str) -> Result<(), Stopped> {
        let breaks = !self.at_line_start && !self.output.is_json() && io::stdout().is_terminal();
        let text = if breaks { format!("\n{text}") } else { text.to_owned() };
        Ok(self.output.note(&text)?)
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
