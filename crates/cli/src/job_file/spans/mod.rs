//! From a problem to its place in the text: `orders[2].timeout: must be at least 1` is where the `0` is written.
//!
//! A problem begins with the path of a field as [`common::intake::shape`] writes it: names joined by dots, positions in
//! brackets, then a colon. Names are shown escaped and cut, and may hold dots and colons of their own, so a path is not
//! taken apart but followed: at each value, whichever of its fields is shown as what comes next. Of several that could be
//! meant the longest is.
//!
//! Nothing of this is done for a job without problems. The places of all values are read anew from the text, once for all
//! its problems.

mod json;
#[cfg(test)]
mod tests;
mod yaml;

use std::{cmp::Reverse, ops::Range};

use common::text::shown;

use super::source::{Format, Source};

/// A value as it is written.
#[derive(Debug)]
struct Node {
    span: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A text, number, boolean or null.
    Leaf,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field of a map.
#[derive(Debug)]
struct Entry {
    name: String,
    key: Range<usize>,
    value: Node,
}

/// How problems begin that are about a field and not about what is in it.
const ABOUT_THE_NAME: [&str; 7] = [
    "is no known field",
    "is no variable's name",
    "is set by the engine",
    "is only for",
    "cannot stand beside",
    "needs ",
    super::vars::IN_A_NAME,
];

/// The places of a text, for as many problems as it has.
pub(crate) struct Places<'s> {
    source: &'s Source,
    root: Option<Node>,
}

impl<'s> Places<'s> {
    /// Reads where everything is.
    pub(crate) fn of(source: &'s Source) -> Self {
        let root = match source.format {
            Format::Json => json::read(&source.text),
            Format::Yaml => yaml::read(&source.text),
        };
        Self { source, root }
    }

    /// Where a problem is: the value that its path names, or the name of a field if the problem is about that or about
    /// more than one line. What is missing is where the map begins that it is missing from. A problem that names nothing
    /// is nowhere.
    pub(crate) fn place(&self, problem: &str) -> Option<Range<usize>> {
        let root = self.root.as_ref()?;
        let reached = reach(Reached { key: None, node: root, rest: problem, steps: 0 });
        if reached.steps == 0 {
            return is_path(problem).then(|| self.first_line(root));
        }
        let Some(message) = reached.rest.strip_prefix(": ") else { return Some(self.first_line(reached.node)) };
        let is_about_name = ABOUT_THE_NAME.iter().any(|beginning| message.starts_with(beginning));
        let is_seen = matches!(reached.node.kind, Kind::Leaf) && !reached.node.span.is_empty();
        Some(match reached.key {
            Some(key) if is_about_name || !is_seen => key.clone(),
            _ if is_seen => reached.node.span.clone(),
            _ => self.first_line(reached.node),
        })
    }

    /// Where these characters are in what a problem is about, or the place of that.
    pub(crate) fn place_within(&self, problem: &str, part: &str) -> Option<Range<usize>> {
        let place = self.place(problem)?;
        let found = self.source.text.get(place.clone()).and_then(|text| text.find(part));
        Some(found.map_or(place.clone(), |at| place.start + at..place.start + at + part.len()))
    }

    /// The part of a value that is on its first line; its bracket, if it has one, as what follows may be anything.
    fn first_line(&self, node: &Node) -> Range<usize> {
        let text = self.source.text.get(node.span.start..).unwrap_or_default();
        if text.starts_with(['{', '[']) {
            return node.span.start..node.span.start + 1;
        }
        let end = self.source.line_range(node.span.start).end;
        node.span.start..node.span.end.min(end).max(node.span.start)
    }
}

/// How far a path could be followed.
struct Reached<'n, 'p> {
    /// The name of the field, unless it is the whole document or an entry of a list.
    key: Option<&'n Range<usize>>,
    node: &'n Node,
    /// What of the problem is left.
    rest: &'p str,
    /// How many names and positions it took.
    steps: usize,
}

impl Reached<'_, '_> {
    /// Whole paths before others, longer ones before shorter ones, long names before several short ones, and of a name that
    /// is given twice the last.
    fn or(self, other: Self) -> Self {
        let rank = |it: &Self| (it.rest.starts_with(": "), Reverse(it.rest.len()), Reverse(it.steps));
        if rank(&other) >= rank(&self) { other } else { self }
    }
}

fn reach<'n, 'p>(here: Reached<'n, 'p>) -> Reached<'n, 'p> {
    let steps = here.steps + 1;
    match &here.node.kind {
        Kind::Leaf => here,
        Kind::List(items) => match position(here.rest).and_then(|(index, rest)| Some((items.get(index)?, rest))) {
            Some((node, rest)) => here.or(reach(Reached { key: None, node, rest, steps })),
            None => here,
        },
        Kind::Map(entries) => {
            let is_first = here.steps == 0;
            let Some(path) = (if is_first { Some(here.rest) } else { here.rest.strip_prefix('.') }) else {
                return here;
            };
            let found = entries.iter().filter_map(|entry| Some((entry, after_name(path, &entry.name)?)));
            found.fold(here, |best, (Entry { key, value, .. }, rest)| {
                best.or(reach(Reached { key: Some(key), node: value, rest, steps }))
            })
        }
    }
}

/// The position that comes next, and what follows it.
fn position(path: &str) -> Option<(usize, &str)> {
    let (digits, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((digits.parse().ok()?, rest))
}

/// What follows this name, if it comes next.
fn after_name<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    // Almost all names are shown as they are.
    let is_plain = name.len() <= 80 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    let rest = if is_plain { path.strip_prefix(name) } else { path.strip_prefix(shown(name).as_str()) }?;
    (rest.starts_with(": ") || rest.starts_with(['.', '['])).then_some(rest)
}

/// Whether a problem names a field that is not there, as all of ours are called; else it is a sentence.
fn is_path(problem: &str) -> bool {
    let name = problem.split([':', '.', '[']).next().unwrap_or_default();
    name.len() < problem.len() && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
