//! What only the worker has seen of its order, as spans: how long fetching took, and each command. Of a command its
//! place and its exit code, never its text, which may hold anything. The order itself is told by the orchestrator.

use common::{
    clock::Timestamp,
    ids::{OrderNum, RunId},
    telemetry::{Place, Span},
};

use crate::run::Ran;

/// Whose spans they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) order: OrderNum,
    /// When the worker was told of the order.
    pub(crate) began: Timestamp,
}

impl Trace<'_> {
    /// The spans of an order that was claimed then and ran these commands.
    pub(crate) fn spans(&self, claimed_at: Timestamp, commands: &[Ran]) -> Vec<Span> {
        let span =
            |place, from, to| Span::of(self.run, place, from, to).text("aws_exe.order.number", self.order.to_string());
        let command = |(index, ran): (usize, &Ran)| {
            span(Place::Command(self.order, index), ran.started_at, ran.finished_at)
                .number("aws_exe.command.index", index)
                .number_if("aws_exe.command.exit_code", ran.exit_code)
                .failed(ran.exit_code != Some(0))
        };
        let fetch = span(Place::Fetch(self.order), self.began, claimed_at);
        [fetch].into_iter().chain(commands.iter().enumerate().map(command)).collect()
    }
}
