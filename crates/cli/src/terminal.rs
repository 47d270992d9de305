//! How lines look where people read them: in the colour of a status, and cut where the terminal ends. Where standard
//! output goes to a file or a pipe, lines are whole and without colours.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
};

use anstyle::{AnsiColor, Style};
use common::status::{Outcome, Status};

use crate::columns::{prefix, width};

/// A terminal narrower than this has no columns for what is said elsewhere in the line: a status that has a sign, a
/// date of today.
pub(crate) const NARROW: usize = 60;

/// What a line is written for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Columns of the terminal; longer lines are cut.
    pub(crate) width: Option<usize>,
    /// Whether to colour, by ANSI escape sequences.
    pub(crate) colour: bool,
}

impl Look {
    /// That of standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// That of standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    /// Whether there is room for what matters most alone.
    pub(crate) fn is_narrow(self) -> bool {
        self.width.is_some_and(|width| width < NARROW)
    }

    fn of(stream: &impl IsTerminal) -> Self {
        if !stream.is_terminal() {
            return Self::default();
        }
        // A terminal that nobody told its size says 0.
        let width = crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
        Self { width: width.filter(|columns| *columns > 0), colour: wants_colours() }
    }
}

/// Whether colours are wanted where there can be some: <https://no-color.org> (any value that is not empty), and not on
/// a terminal that has none.
pub(crate) fn wants_colours() -> bool {
    use std::env::var_os;
    var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && var_os("TERM").is_none_or(|value| value != "dumb")
}

/// The colour of a status. What it says is always said by a sign or a word as well.
pub(crate) fn style(status: Status) -> Style {
    let colour = match status {
        Status::Queued => AnsiColor::BrightBlack,
        Status::Running => AnsiColor::Cyan,
        Status::Ended(Outcome::Succeeded) => AnsiColor::Green,
        Status::Ended(Outcome::Failed) => AnsiColor::Red,
        Status::Ended(Outcome::TimedOut | Outcome::Cancelled) => AnsiColor::Yellow,
    };
    colour.on_default()
}

/// The colour of a status that is only known by its word. Other words have none.
pub(crate) fn style_of_word(word: &str) -> Style {
    Status::from_word(word).map_or_else(Style::new, style)
}

/// A line in pieces, each with how it looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Vec<(String, Style)>);

impl Line {
    /// A line that begins with a piece as it is.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::default().then(text)
    }

    /// And then a piece as it is.
    pub(crate) fn then(self, text: impl Into<String>) -> Self {
        self.piece(text, Style::new())
    }

    /// And then a piece that looks so.
    pub(crate) fn piece(mut self, text: impl Into<String>, style: Style) -> Self {
        self.0.push((text.into(), style));
        self
    }

    /// And then a piece that matters less than the others.
    pub(crate) fn dim(self, text: impl Into<String>) -> Self {
        self.piece(text, Style::new().dimmed())
    }

    /// Adds the line, without spaces at its end, cut to the width, and with an end of line.
    pub(crate) fn write(&self, text: &mut String, look: Look) {
        let whole: String = self.0.iter().map(|(piece, _)| piece.as_str()).collect();
        let whole = whole.trim_end();
        let (mut left, cut) = match look.width {
            Some(most) if width(whole) > most => (prefix(whole, most.saturating_sub(1)).len(), most > 0),
            _ => (whole.len(), false),
        };
        for (piece, style) in &self.0 {
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            if piece.is_empty() {
                continue;
            }
            if look.colour {
                let _infallible = write!(text, "{style}{piece}{style:#}");
            } else {
                text.push_str(piece);
            }
        }
        if cut {
            text.push('…');
        }
        text.push('\n');
    }
}

/// All of the lines.
pub(crate) fn text<'l>(lines: impl IntoIterator<Item = &'l Line>, look: Look) -> String {
    let mut text = String::new();
    for line in lines {
        line.write(&mut text, look);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_coloured_piece_by_piece() {
        let line = Line::plain("run ").piece("grün", style(Status::Running)).dim(" since long  ").then("  ");
        let written = |width, colour| text([&line], Look { width, colour }).replace('\u{1b}', "␛");
        assert_eq!(written(None, false), "run grün since long\n");
        assert_eq!(written(Some(19), false), "run grün since long\n");
        assert_eq!(written(Some(18), false), "run grün since lo…\n");
        assert_eq!(written(Some(7), true), "run ␛[36mgr␛[0m…\n");
        assert_eq!(written(Some(1), true), "…\n");
        assert_eq!(written(Some(0), true), "\n");
        assert_eq!(written(None, true), "run ␛[36mgrün␛[0m␛[2m since long␛[0m\n");
    }

    #[test]
    fn words_of_statuses_have_their_colours() {
        assert_eq!(style_of_word("timed_out"), style(Status::Ended(Outcome::TimedOut)));
        for other in ["submitting", "", "unknown"] {
            assert_eq!(style_of_word(other), Style::new(), "{other}");
        }
    }
}
