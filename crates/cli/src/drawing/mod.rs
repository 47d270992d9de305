//! The picture of a job or of a run: its orders, what they wait for and how they stand. Pure functions draw it:
//!
//! ```text
//!            ┌ text       a tree, for terminals
//!  Drawing ──┤ dot        Graphviz
//!     │      ├ mermaid    for Markdown
//!  collapse  └ svg        boxes and lines: layers (in which row), places (where in it), style
//! ```
//!
//! Nothing is read and nothing is printed here: the verb does both.

mod collapse;
pub(crate) mod dot;
mod layers;
pub(crate) mod mermaid;
mod paint;
mod places;
mod style;
pub(crate) mod svg;
pub(crate) mod text;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

use common::{ids::OrderNum, status::Status, target::Target, text::sentence};

use crate::signs::sign;

/// Most characters of a note or a title: a reason for a failure is a sentence, not a log.
const MOST_CHARACTERS: usize = 200;

/// What is drawn. Built from a job that was accepted: without cycles, every index within `nodes`.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// What it shows: a file, a run.
    pub(crate) title: String,
    /// The orders, as the job lists them.
    pub(crate) nodes: Vec<Node>,
}

/// An order, or a group of orders that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The order's number, of a group the first; unique in a drawing.
    pub(crate) number: OrderNum,
    /// The order's name.
    pub(crate) name: String,
    /// Where it runs.
    pub(crate) target: Target,
    /// Indices of what it waits for.
    pub(crate) dependencies: Vec<usize>,
    /// Whether its failure fails the job.
    pub(crate) must_succeed: bool,
    /// How it stands, in a run.
    pub(crate) status: Option<Status>,
    /// What else is to be said: how long it took, why it failed. Any text.
    pub(crate) note: Option<String>,
    /// Whether it succeeded in an earlier run, and did not run again.
    pub(crate) reused: bool,
    /// How many orders it stands for: 1, or more in a group.
    pub(crate) count: usize,
}

impl Node {
    /// An order that waits for nothing, must succeed and has no status.
    pub(crate) fn new(number: OrderNum, name: impl Into<String>, target: Target) -> Self {
        Self {
            number,
            name: name.into(),
            target,
            dependencies: vec![],
            must_succeed: true,
            status: None,
            note: None,
            reused: false,
            count: 1,
        }
    }

    /// What is said of it beside its name, target and status.
    fn remarks(&self) -> Vec<String> {
        let note = self.note.as_deref().map(shown);
        let mut remarks = vec![];
        if self.count > 1 {
            remarks.push(format!("{} orders", self.count));
        }
        if !self.must_succeed {
            remarks.push("may fail".to_owned());
        }
        // A note may say it with more words: `reused from RUN`.
        if self.reused && !note.as_ref().is_some_and(|note| note.starts_with("reused")) {
            remarks.push("reused".to_owned());
        }
        remarks.extend(note);
        remarks
    }

    /// Its name behind the sign of its status.
    fn signed_name(&self) -> String {
        self.status.map_or_else(|| self.name.clone(), |status| format!("{} {}", sign(status), self.name))
    }

    /// Where it runs and, in words as well because not every font has all signs, how it stands.
    fn place(&self) -> String {
        self.status.map_or_else(|| self.target.to_string(), |status| format!("{}, {status}", self.target))
    }

    /// Its id in formats that have one: never a keyword of theirs.
    fn id(&self) -> String {
        format!("o{}", self.number)
    }
}

impl Drawing {
    /// Of each order, the indices of those that wait for it, in order of index.
    fn dependents(&self) -> Vec<Vec<usize>> {
        let mut dependents = vec![vec![]; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for dependency in &node.dependencies {
                dependents[*dependency].push(index);
            }
        }
        dependents
    }

    /// How many orders it shows.
    fn orders(&self) -> usize {
        self.nodes.iter().map(|node| node.count).sum()
    }

    /// The statuses that occur, each with how many orders have it.
    fn statuses(&self) -> Vec<(Status, usize)> {
        let count = |status| self.nodes.iter().filter(|node| node.status == Some(status)).map(|node| node.count).sum();
        Status::ALL.into_iter().map(|status| (status, count(status))).filter(|(_, count)| *count > 0).collect()
    }

    /// `1 order`, `2 orders`.
    fn size(&self) -> String {
        match self.orders() {
            1 => "1 order".to_owned(),
            orders => format!("{orders} orders"),
        }
    }
}

/// Up to `most` names, and how many others there are.
fn names<'n>(names: impl ExactSizeIterator<Item = &'n str>, most: usize) -> String {
    let others = names.len().saturating_sub(most);
    let mut shown = names.take(most).collect::<Vec<_>>().join(", ");
    match others {
        0 => {}
        1 => shown.push_str(" and 1 other"),
        _ => push(&mut shown, format_args!(" and {others} others")),
    }
    shown
}

/// A text of strangers: on one line, without what a terminal obeys or what deceives a reader, and without the two
/// characters that neither XML nor YAML may hold (<https://www.w3.org/TR/xml/#charsets>).
fn shown(text: &str) -> String {
    sentence(text, MOST_CHARACTERS).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Writing to a String cannot fail.
fn push(text: &mut String, part: fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(part);
}
