//! Showing a run: one kind of update, three renderers.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
};

use common::{
    clock::Clock,
    ids::OrderNum,
    status::{Outcome, Status},
};
use serde_json::json;

use super::{
    live::Live,
    observe::{FailedOrder, Update},
    plain,
};
use crate::state::{Done, OrderState};

/// Version of the JSON lines.
const JSON_VERSION: u32 = 1;

/// A renderer, chosen once.
pub(crate) enum View {
    /// A terminal: lines that change in place.
    Live(Live),
    /// No terminal: a line for each change.
    Plain(Changes),
    /// A JSON object for each change.
    Json(Changes),
}

/// What was shown of each order, so that only changes are told.
#[derive(Default)]
pub(crate) struct Changes {
    shown: BTreeMap<OrderNum, Status>,
}

impl Changes {
    fn of<'u>(&mut self, update: &'u Update) -> Vec<&'u OrderState> {
        update
            .orders
            .iter()
            .filter(|order| self.shown.insert(order.order_num, order.status) != Some(order.status))
            .collect()
    }
}

impl View {
    /// Live lines on a terminal, plain lines elsewhere, JSON where asked for.
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json(Changes::default())
        } else if io::stderr().is_terminal() {
            Self::Live(Live::new())
        } else {
            Self::Plain(Changes::default())
        }
    }

    /// Shows what changed.
    pub(crate) fn show(&mut self, update: &Update) {
        match self {
            Self::Live(live) => live.draw(update, Clock::REAL.now()),
            Self::Plain(changes) => {
                for order in changes.of(update) {
                    eprintln!("{}", plain::change(order, update.last_lines.get(&order.order_num)));
                }
            }
            Self::Json(changes) => {
                for order in changes.of(update) {
                    print_json(&json!({"version": JSON_VERSION, "type": "order", "order": order}));
                }
            }
        }
    }

    /// Says something about the run.
    pub(crate) fn note(&mut self, text: &str) {
        match self {
            Self::Live(live) => live.note(text),
            Self::Plain(_) => eprintln!("{text}"),
            Self::Json(_) => print_json(&json!({"version": JSON_VERSION, "type": "note", "text": text})),
        }
    }

    /// The end: the logs of what failed, then the summary.
    pub(crate) fn finish(&mut self, update: &Update, done: &Done, failed: &[FailedOrder]) {
        if let Self::Json(_) = self {
            for failed in failed {
                let log = failed.result.as_ref().map(|result| &result.log);
                print_json(&json!({"version": JSON_VERSION, "type": "failure", "order": failed.state, "log": log}));
            }
            print_json(&json!({"version": JSON_VERSION, "type": "done", "done": done}));
            return;
        }
        let mut text = String::new();
        for failed in failed {
            plain::failure(&mut text, failed);
        }
        text.push_str(&plain::summary(update, done));
        // A closed pipe is no reason to fail a run that ended.
        if let Err(error) = io::stdout().lock().write_all(text.as_bytes()) {
            tracing::debug!(%error, "the summary was not shown");
        }
    }
}

fn print_json(value: &serde_json::Value) {
    if let Err(error) = writeln!(io::stdout().lock(), "{value}") {
        tracing::debug!(%error, "an event was not shown");
    }
}

/// The sign of a status.
pub(crate) fn sign(status: Status) -> char {
    match status {
        Status::Queued => '·',
        Status::Running => '▸',
        Status::Ended(Outcome::Succeeded) => '✓',
        Status::Ended(Outcome::Failed) => '✗',
        Status::Ended(Outcome::TimedOut) => '⧖',
        Status::Ended(Outcome::Cancelled) => '⊘',
    }
}
