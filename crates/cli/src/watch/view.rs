//! Showing a run: one kind of update, several renderers.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
};

use common::{clock::Clock, ids::OrderNum, status::Status};

use super::{
    live::Live,
    observe::{FailedOrder, Update},
    plain,
};
use crate::{
    failure::Failure,
    output::{Event, Output},
    state::{Done, OrderState},
};

/// A renderer, chosen once.
pub(crate) struct View<'o> {
    output: &'o Output,
    form: Form,
}

enum Form {
    /// A terminal: lines that change in place.
    Live(Live),
    /// No terminal, or a program: each change by itself.
    Changes(Changes),
    /// Only the end.
    Quiet,
}

/// What was shown of each order, so that only changes are told.
#[derive(Default)]
struct Changes {
    shown: BTreeMap<OrderNum, Status>,
}

impl Changes {
    fn of<'u>(&mut self, update: &'u Update) -> Vec<&'u OrderState> {
        update
            .orders
            .iter()
            // What ended is told with its reason, once.
            .filter(|order| update.done.is_some() || !update.ahead.contains(&order.order_num))
            .filter(|order| self.shown.insert(order.order_num, order.status) != Some(order.status))
            .collect()
    }
}

impl<'o> View<'o> {
    /// Live lines on a terminal, plain lines elsewhere, JSON where asked for.
    pub(crate) fn choose(output: &'o Output) -> Self {
        let is_live = !output.is_json() && io::stderr().is_terminal();
        let form = if is_live { Form::Live(Live::new()) } else { Form::Changes(Changes::default()) };
        Self { output, form }
    }

    /// Only the end is shown.
    pub(crate) fn quiet(output: &'o Output) -> Self {
        Self { output, form: Form::Quiet }
    }

    /// Shows what changed.
    pub(crate) fn show(&mut self, update: &Update) -> Result<(), Failure> {
        match &mut self.form {
            Form::Live(live) => live.draw(update, Clock::REAL.now()),
            Form::Changes(changes) => {
                for order in changes.of(update) {
                    if self.output.is_json() {
                        self.output.event(&Event::Order { order })?;
                    } else {
                        self.output.note(&plain::change(order, update.last_lines.get(&order.order_num)))?;
                    }
                }
            }
            Form::Quiet => {}
        }
        Ok(())
    }

    /// Says something about the run.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Failure> {
        if let Form::Live(live) = &mut self.form {
            live.leave();
        }
        self.output.note(text)
    }

    /// The end: the logs of what failed, then the summary.
    pub(crate) fn finish(&mut self, update: &Update, done: &Done, failed: &[FailedOrder]) -> Result<(), Failure> {
        if let Form::Live(live) = &mut self.form {
            live.finish(update, Clock::REAL.now());
        }
        for FailedOrder { state, result } in failed {
            let log = result.as_ref().map(|result| result.log.as_str());
            self.output.event(&Event::Failure { order: state, log })?;
        }
        self.output.event(&Event::Done { done })?;
        let mut text = String::new();
        plain::failures(&mut text, failed);
        text.push_str(&plain::summary(update, done));
        self.output.text(&text)
    }
}
