//! The start log: a file outside of the engine to which commands append a line. What stands in it ran, as often and in
//! the order in which it stands there; no retry or duplicate of the engine can hide from it.

use std::{collections::BTreeMap, path::PathBuf};

use checker::{Start, Started};

use super::{stack::Stack, wait};

/// The file.
pub(crate) struct StartLog {
    path: PathBuf,
    /// Whether its times can be compared with what is stored.
    is_timed: bool,
}

impl StartLog {
    /// An empty one beside the stack.
    pub(crate) fn of(stack: &Stack) -> Self {
        Self::named(stack, "starts")
    }

    /// An empty one with a name, for tests that need several.
    pub(crate) fn named(stack: &Stack, name: &str) -> Self {
        Self { path: stack.path(&format!("{name}.log")), is_timed: stack.is_in_real_time() }
    }

    /// A command that writes the order's name.
    pub(crate) fn start(&self) -> String {
        self.note("$ORDER_ID")
    }

    /// A command that writes a word; the shell fills in variables.
    pub(crate) fn note(&self, word: &str) -> String {
        format!("echo \"{word}\" >> '{}'", self.path.display())
    }

    /// The first and the last command of an order that the checker holds against everything that is stored.
    pub(crate) fn commands(&self) -> [String; 2] {
        let path = self.path.to_str().unwrap();
        if self.is_timed { checker::commands(path) } else { checker::untimed_commands(path) }
    }

    /// What [`StartLog::commands`] wrote so far.
    pub(crate) fn starts(&self) -> Vec<Start> {
        self.lines().iter().filter_map(|line| line.parse().ok()).collect()
    }

    /// What was written so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// How often each line was written; of [`StartLog::commands`] how often each order began.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.lines() {
            let name = match line.parse::<Start>() {
                Ok(Start { what: Started::End, .. }) => continue,
                Ok(Start { order, .. }) => order,
                Err(_) => line,
            };
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    /// Waits until the line was written.
    pub(crate) async fn until(&self, line: &str) {
        let what = format!("the start log to have `{line}`");
        wait::until(&what, async || self.lines().iter().any(|written| written == line).then_some(())).await;
    }

    /// Each of these names was started exactly once, and nothing else was.
    #[track_caller]
    pub(crate) fn each_once<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        let wanted: BTreeMap<String, usize> = names.into_iter().map(|name| (name.to_owned(), 1)).collect();
        assert_eq!(self.counts(), wanted, "starts");
    }
}
