//! Problems of a job as a person sees them, each with the line it is on and a mark below, in the manner of rustc:
//!
//! ```text
//! the job is not valid: 2 problems
//!   --> job.yaml:4:14
//!    |
//!  4 |     timeout: 0
//!    |              ^ orders[0].timeout: must be at least 1, not 0
//! ...
//!  9 |     timout: 5
//!    |     ^^^^^^ orders[1].timout: is no known field; did you mean `timeout`?
//! ```
//!
//! Lines are shown as they are in the file. Whoever shows a job's problems elsewhere than to the person whose file it is
//! takes the problems alone: they quote no more of a job than its names and what is short.
//!
//! `annotate-snippets`, which draws such things too, is not used: it wants whole lines, of which one may be ten megabytes,
//! and tells no place in a line that was cut for it.

mod window;

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, ops::Range};

use common::text::sentence;

use super::source::{Line, Source};
use crate::terminal::Look;
use window::{Window, width};

/// Most problems shown: a screen or two.
const MOST: usize = 20;
/// Most characters of a problem; the longest of ours name a few hundred.
const LONGEST: usize = 1_000;
/// Below this no line can be shown in a way that helps.
const NARROWEST: usize = 40;
/// Where the width is not known, as in a file: what reads well in the logs of a CI.
const UNKNOWN: usize = 120;

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether with colours.
    pub(crate) colour: bool,
    /// Columns that a line may take.
    pub(crate) width: usize,
}

impl Style {
    /// As standard error can show it.
    pub(crate) fn of_stderr() -> Self {
        let Look { width, colour } = Look::of_stderr();
        Self { colour, width: width.unwrap_or(UNKNOWN) }
    }
}

/// A problem and its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    /// Where it is, if it is anywhere.
    pub(crate) place: Option<Range<usize>>,
    /// What is wrong.
    pub(crate) problem: String,
}

/// The title as it is, then the problems in the order of their places, those without a place last. It does not end in a
/// line end.
pub(crate) fn render(title: &str, source: &Source, problems: &[Marked], style: Style) -> String {
    let mut placed: Vec<(Range<usize>, &str)> = Vec::new();
    let mut others = Vec::new();
    for Marked { place, problem } in problems {
        match place {
            Some(place) => placed.push((source.boundary(place.start)..source.boundary(place.end), problem)),
            None => others.push(problem.as_str()),
        }
    }
    placed.sort_by_key(|(place, _)| (place.start, place.end));
    let left_out = problems.len().saturating_sub(MOST);
    placed.truncate(MOST);
    others.truncate(MOST - placed.len());
    let lines: Vec<Line> = placed.iter().map(|(place, _)| source.line(place.start)).collect();
    let digits = lines.last().map_or(1, |line| line.number.to_string().len());
    let style = Style { width: style.width.max(NARROWEST), ..style };
    let mut drawing = Drawing { text: title.to_owned(), digits, style };
    drawing.header(source, placed.first().map(|(place, _)| place.start));
    drawing.marks(source, &placed, &lines);
    if left_out > 0 || !others.is_empty() {
        drawing.row("|", "");
    }
    for problem in others {
        drawing.note(problem);
    }
    if left_out > 0 {
        drawing.note(&format!("and {left_out} more, with `--json`"));
    }
    drawing.text
}

struct Drawing {
    text: String,
    /// Of the largest line number.
    digits: usize,
    style: Style,
}

impl Drawing {
    /// A row below or between lines: its sign in the margin, then the rest.
    fn row(&mut self, sign: &str, rest: &str) {
        let margin = format!("{:digits$} {sign}", "", digits = self.digits + 1);
        self.push_margin(&margin);
        if !rest.is_empty() {
            self.text.push(' ');
            self.text.push_str(rest);
        }
    }

    fn push_margin(&mut self, margin: &str) {
        self.text.push('\n');
        let painted = paint(self.style.colour, BLUE, margin);
        self.text.push_str(&painted);
    }

    fn header(&mut self, source: &Source, first: Option<usize>) {
        let mut place = sentence(&source.name, LONGEST);
        if let Some(first) = first {
            let (line, column) = source.position(first);
            // Writing to a String cannot fail.
            let _infallible = write!(place, ":{line}:{column}");
        }
        self.push_margin(&format!("{:digits$}-->", "", digits = self.digits + 1));
        self.text.push(' ');
        self.text.push_str(&place);
        if first.is_some() {
            self.row("|", "");
        }
    }

    fn marks(&mut self, source: &Source, placed: &[(Range<usize>, &str)], lines: &[Line]) {
        // Margin, ` | `.
        let room = self.style.width.saturating_sub(self.digits + 4).max(NARROWEST / 2);
        let mut shown: Option<(&Line, Window<'_>)> = None;
        for ((place, problem), line) in placed.iter().zip(lines) {
            let text = &source.text[line.range.clone()];
            let in_line = |at: usize| at.min(line.range.end).saturating_sub(line.range.start);
            let mark = in_line(place.start)..in_line(place.end);
            let last = shown.as_ref().map(|(last, _)| last.number);
            let same = shown.take().filter(|(last, window)| *last == line && window.has(mark.start));
            let (_, window) = shown.insert(same.unwrap_or_else(|| {
                if last.is_some_and(|last| last + 1 != line.number) {
                    self.push_margin("...");
                }
                let window = Window::around(text, &mark, room);
                self.push_margin(&format!(" {:>digits$} |", line.number, digits = self.digits));
                self.text.push(' ');
                self.text.push_str(&window.text());
                (line, window)
            }));
            self.mark(window.columns(&mark), problem, room);
        }
    }

    fn mark(&mut self, (column, columns): (usize, usize), problem: &str, room: usize) {
        let problem = sentence(problem, LONGEST);
        let mark = paint(self.style.colour, RED, &"^".repeat(columns));
        let indent = " ".repeat(column);
        if column + columns + 1 + width(&problem) <= room {
            let problem = paint(self.style.colour, RED, &problem);
            return self.row("|", &format!("{indent}{mark} {problem}"));
        }
        self.row("|", &format!("{indent}{mark}"));
        // Below the mark, or as far before it as one line needs.
        let least = room.saturating_sub(width(&problem)).max(4);
        let indent = " ".repeat(column.min(least));
        for line in wrapped(&problem, room - indent.len()) {
            let line = paint(self.style.colour, RED, &line);
            self.row("|", &format!("{indent}{line}"));
        }
    }

    fn note(&mut self, problem: &str) {
        self.row("=", &sentence(problem, LONGEST));
    }
}

/// Lines of at most so many columns, broken between words. A word that is longer has a line of its own.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Bold red and bold blue: ECMA-48's `SGR`, which every terminal knows.
const RED: &str = "\u{1b}[1;31m";
const BLUE: &str = "\u{1b}[1;34m";

fn paint(is_on: bool, colour: &str, text: &str) -> String {
    if is_on { format!("{colour}{text}\u{1b}[0m") } else { text.to_owned() }
}
