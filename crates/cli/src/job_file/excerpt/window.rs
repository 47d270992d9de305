//! The part of a line that a terminal has room for, and how wide everything on it is. A line may be the whole of a job of ten
//! megabytes: nothing is looked at that is not shown.

use std::ops::Range;

use common::text::is_hidden;
use unicode_width::UnicodeWidthChar as _;

/// What stands for a tab. Where the next stop is depends on the terminal.
const TAB: &str = "    ";
/// What stands for a character that is not seen or that would change what is seen around it.
const HIDDEN: &str = "�";
/// What stands for what is left out at either end.
const CUT: &str = "…";

/// A character as it is shown, and how many columns that takes.
fn cell(char: char, buffer: &mut [u8; 4]) -> (&str, usize) {
    match char {
        '\t' => (TAB, TAB.len()),
        _ if is_hidden(char) => (HIDDEN, 1),
        _ => (char.encode_utf8(buffer), char.width().unwrap_or(1)),
    }
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|char| cell(char, &mut [0; 4]).1).sum()
}

/// A part of a line.
#[derive(Debug)]
pub(super) struct Window<'l> {
    line: &'l str,
    /// Its bytes in the line.
    part: Range<usize>,
}

impl<'l> Window<'l> {
    /// The line if there is room for all of it, else a part around these bytes of it.
    pub(super) fn around(line: &'l str, mark: &Range<usize>, room: usize) -> Self {
        if forward(line, 0, room) == line.len() {
            return Self { line, part: 0..line.len() };
        }
        // Both ends may be cut.
        let room = room.saturating_sub(2).max(4);
        // Most of the room is for the mark, what follows it, and what is said of it.
        let start = backward(line, mark.start, room / 3);
        let end = forward(line, start, room);
        // At the end of the line there is room left before the mark.
        let start = if end == line.len() { backward(line, end, room).min(start) } else { start };
        Self { line, part: start..end }
    }

    /// Whether a mark that begins here is seen.
    pub(super) fn has(&self, start: usize) -> bool {
        self.part.contains(&start) || (start == self.line.len() && start == self.part.end)
    }

    /// What is shown.
    pub(super) fn text(&self) -> String {
        let mut shown = String::new();
        if self.part.start > 0 {
            shown.push_str(CUT);
        }
        for char in self.line[self.part.clone()].chars() {
            shown.push_str(cell(char, &mut [0; 4]).0);
        }
        if self.part.end < self.line.len() {
            shown.push_str(CUT);
        }
        shown
    }

    /// The column before which a mark begins, and how many it covers, at least one.
    pub(super) fn columns(&self, mark: &Range<usize>) -> (usize, usize) {
        let start = mark.start.clamp(self.part.start, self.part.end);
        let end = mark.end.clamp(start, self.part.end);
        let cut = usize::from(self.part.start > 0);
        (cut + width(&self.line[self.part.start..start]), width(&self.line[start..end]).max(1))
    }
}

/// How far the columns reach from a place on.
fn forward(line: &str, start: usize, columns: usize) -> usize {
    let mut left = columns;
    for (at, char) in line[start..].char_indices() {
        match left.checked_sub(cell(char, &mut [0; 4]).1) {
            Some(rest) => left = rest,
            None => return start + at,
        }
    }
    line.len()
}

/// How far the columns reach back from a place.
fn backward(line: &str, end: usize, columns: usize) -> usize {
    let mut left = columns;
    let mut start = end;
    for (at, char) in line[..end].char_indices().rev() {
        match left.checked_sub(cell(char, &mut [0; 4]).1) {
            Some(rest) => left = rest,
            None => break,
        }
        start = at;
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let line = "0123456789".repeat(10);
        let window = Window::around(&line, &(50..52), 20);
        assert_eq!(window.text(), "…456789012345678901…");
        assert_eq!(window.columns(&(50..52)), (7, 2));
        assert_eq!(Window::around(&line, &(99..100), 20).text(), "…234567890123456789");
        assert_eq!(Window::around(&line, &(0..100), 20).text(), "012345678901234567…");
    }

    #[test]
    fn what_is_not_seen_takes_a_column_and_what_is_wide_takes_two() {
        let line = "\ta\u{1b}\u{202e}日本: x";
        let mark = line.find('x').unwrap()..line.len();
        let window = Window::around(line, &mark, 40);
        assert_eq!(window.text(), "    a��日本: x");
        assert_eq!(window.columns(&mark), (13, 1));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_room(line in "[a日\\t\\x1b\u{301}ü]{0,60}", start in 0..61_usize, length in 0..61_usize, room in 10..40_usize) {
            let boundary = |at: usize| line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(at).unwrap_or(line.len());
            let mark = boundary(start)..boundary(start + length);
            let window = Window::around(&line, &mark, room);
            let (column, columns) = window.columns(&mark);
            prop_assert!(window.has(mark.start), "{window:?}");
            prop_assert!(width(&window.text()) <= room, "{window:?}");
            prop_assert!(column + columns <= room + 1, "{window:?}");
        }
    }
}
