//! The text that a job was read from, kept so that problems can be shown where they are. It ends at lines and columns;
//! what is drawn of them is [`super::excerpt`]'s.

use std::ops::Range;

/// How a job is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON.
    Json,
    /// YAML 1.2.
    Yaml,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        })
    }
}

/// A job as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What people call it: `job.yaml`, `<stdin>`, `$AWS_EXE_SYS_JOB_JSON`.
    pub(crate) name: String,
    /// All of it, without the byte order mark that it may have begun with.
    pub(crate) text: String,
    /// How it was read.
    pub(crate) format: Format,
}

/// One line of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Its bytes, without its end.
    pub(crate) range: Range<usize>,
}

impl Source {
    /// The line of a place.
    pub(crate) fn line(&self, offset: usize) -> Line {
        let range = self.line_range(offset);
        let number = self.text[..range.start].matches('\n').count() + 1;
        Line { number, range }
    }

    /// The bytes of the line of a place, without its end.
    pub(crate) fn line_range(&self, offset: usize) -> Range<usize> {
        let (before, after) = self.text.split_at(self.boundary(offset));
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let end = before.len() + after.find('\n').unwrap_or(after.len());
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        start..end
    }

    /// Line and column of a place, both counted from 1, columns in characters as most editors count them.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let line = self.line(offset);
        (line.number, self.text[line.range.start..offset].chars().count() + 1)
    }

    /// The place of a line and a column, both counted from 1, the column in bytes; column 0 is the end of the line before.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let (start, line) = self.numbered(line);
        self.boundary((start + column.min(line.len() + 1)).saturating_sub(1))
    }

    /// The place of a line and a column, both counted from 1, the column in characters.
    pub(crate) fn offset_in_characters(&self, line: usize, column: usize) -> usize {
        let (start, line) = self.numbered(line);
        start + line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
    }

    /// A line by its number, and where it begins.
    fn numbered(&self, number: usize) -> (usize, &str) {
        let mut lines = self.text.split_inclusive('\n');
        let start = lines.by_ref().take(number.saturating_sub(1)).map(str::len).sum();
        (start, lines.next().unwrap_or_default())
    }

    /// One character at a place where the text cannot be read. What is missing at the end is missing after the last
    /// character that can be seen.
    pub(crate) fn character(&self, offset: usize) -> Range<usize> {
        let start = self.boundary(offset).min(self.text.trim_end().len());
        let length = self.text[start..].chars().next().filter(|char| !char.is_whitespace()).map_or(0, char::len_utf8);
        start..start + length
    }

    /// The nearest place before it, or itself, that is between two characters.
    pub(crate) fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Source {
        Source { name: "job.yaml".to_owned(), text: text.into(), format: Format::Yaml }
    }

    #[test]
    fn places_are_lines_and_columns() {
        let source = source("a\r\nbü c\n");
        assert_eq!(source.line(0), Line { number: 1, range: 0..1 });
        assert_eq!(source.position(6), (2, 3));
        assert_eq!((source.offset(2, 4), source.offset_in_characters(2, 3)), (6, 6));
        assert_eq!(source.offset(2, 0), 2);
        // In the middle of a character.
        assert_eq!(source.position(5), (2, 2));
        assert_eq!(source.line(99), Line { number: 3, range: 9..9 });
    }

    #[test]
    fn what_is_missing_at_the_end_is_missing_after_the_last_character() {
        let source = source("a: [\n\n");
        assert_eq!(source.character(6), 4..4);
        assert_eq!(source.character(3), 3..4);
    }

    proptest! {
        #[test]
        fn no_place_panics(text in "[aü\\n\\r\\t]{0,12}", offset in 0..20_usize, line in 0..6_usize, column in 0..20_usize) {
            let source = source(&text);
            let (number, _) = source.position(offset);
            prop_assert_eq!(number, source.line(offset).number);
            prop_assert!(text.is_char_boundary(source.offset(line, column)));
            prop_assert!(text.is_char_boundary(source.offset_in_characters(line, column)));
            let range = source.character(offset);
            prop_assert!(text.get(range).is_some());
        }
    }
}
