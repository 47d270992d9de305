//! Lines of text about a run, for people without a terminal and for the end of every run.

use std::fmt::Write as _;

use common::{status::Status, target::Target};

use super::observe::{FailedOrder, Update};
use crate::{
    signs::sign,
    state::{Done, OrderState, never_started, together},
};

/// A change of one order.
pub(crate) fn change(order: &OrderState, last_line: Option<&String>) -> String {
    let mut line = format!("{} {} {}", sign(order.status), order.order_name, order.status);
    if let Some(seconds) = order.elapsed() {
        push(&mut line, format_args!(" after {seconds:.1} s"));
    }
    if let Some(run) = &order.reused_from {
        push(&mut line, format_args!(" in the run `{run}`, which counts"));
    }
    let has_instances = order.execution_target == Target::Ssm;
    let last_line = last_line.filter(|line| !line.is_empty());
    let told = order.failure_reason.as_ref().or(last_line.filter(|_| !has_instances));
    if let (Status::Ended(_), Some(told)) = (order.status, told) {
        push(&mut line, format_args!(": {told}"));
    }
    for instance in last_line.filter(|_| has_instances).into_iter().flat_map(|lines| lines.lines()) {
        push(&mut line, format_args!("\n    {instance}"));
    }
    line
}

/// Why orders did not succeed, and their logs. Neighbours that did not start for one reason are told of together.
pub(crate) fn failures(text: &mut String, failed: &[FailedOrder]) {
    let never_started = never_started(failed.iter().map(|failed| &failed.state));
    let alike = |one: &FailedOrder, next: &FailedOrder| {
        let [one, next] = [&one.state, &next.state];
        [one, next].iter().all(|order| never_started.contains(&order.order_num))
            && (one.status, &one.failure_reason) == (next.status, &next.failure_reason)
    };
    for group in failed.chunk_by(alike) {
        match group {
            [first, .., last] => {
                push(text, format_args!("\n── {}\n", together(&first.state, &last.state, group.len())));
            }
            _ => group.iter().for_each(|failed| failure(text, failed)),
        }
    }
}

fn failure(text: &mut String, failed: &FailedOrder) {
    let state = &failed.state;
    push(text, format_args!("\n── {} {}", state.order_name, state.status));
    if let Some(reason) = &state.failure_reason {
        push(text, format_args!(": {reason}"));
    }
    text.push('\n');
    let log = failed.result.as_ref().map(|result| result.log.as_str()).unwrap_or_default();
    text.push_str(log);
    if !log.is_empty() && !log.ends_with('\n') {
        text.push('\n');
    }
}

/// The last line of a run.
pub(crate) fn summary(update: &Update, done: &Done) -> String {
    let counts: Vec<String> = done
        .summary
        .iter()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(status, count)| format!("{count} {}", status.replace('_', " ")))
        .collect();
    let total = update.orders.len();
    let reused = update.orders.iter().filter(|order| order.reused_from.is_some()).count();
    let reused = if reused == 0 { String::new() } else { format!(" ({reused} in an earlier run)") };
    let orders = if total == 1 { "order" } else { "orders" };
    format!("\nthe job {}: {} of {total} {orders}{reused}\n", verb(done), counts.join(", "))
}

fn verb(done: &Done) -> &'static str {
    use common::status::Outcome::{Cancelled, Failed, Succeeded, TimedOut};
    match done.status {
        Succeeded => "succeeded",
        Failed => "failed",
        TimedOut => "timed out",
        Cancelled => "was cancelled",
    }
}

/// Writing to a String cannot fail.
fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(part);
}
