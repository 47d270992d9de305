//! What a pass tells of itself and of the orders and the run that it works on, as spans. All of it is from what is
//! stored, so that whoever repeats a step tells the same again; the worker adds what only it has seen.

use common::{
    clock::Timestamp,
    ids::{OrderNum, RunId},
    outcome::OrderResult,
    plan::{Plan, PlannedOrder},
    rows::Recorded,
    status::Outcome,
    telemetry::{Place, Span},
};

/// What a pass did, for its span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Wake-ups that it answered.
    pub(crate) news: u64,
    /// Orders whose end it recorded.
    pub(crate) results: usize,
    /// Orders that it dispatched.
    pub(crate) dispatched: usize,
}

/// A pass, by its nonce; it failed when it has to be done again.
pub(crate) fn pass(run: &RunId, nonce: &str, (began, now): (Timestamp, Timestamp), tally: Tally, failed: bool) -> Span {
    Span::of(run, Place::Pass(nonce), began, now)
        .number("aws_exe.pass.news", tally.news)
        .number("aws_exe.pass.results", tally.results)
        .number("aws_exe.pass.dispatched", tally.dispatched)
        .failed(failed)
}

/// What a pass did to start an order, and how that ended: `dispatched`, `later` or `refused`.
pub(crate) fn dispatch(
    run: &RunId,
    nonce: &str,
    (order, planned): (OrderNum, &PlannedOrder),
    (began, now): (Timestamp, Timestamp),
    ended: &str,
) -> Span {
    let span = Span::of(run, Place::Dispatch(nonce, order), began, now).called(planned.name.as_str());
    about(span, order, planned).text("aws_exe.dispatch.result", ended).failed(ended != "dispatched")
}

/// An order that has ended, with its parts. One that was never dispatched has no length and no parts.
pub(crate) fn order(
    run: &RunId,
    (order, planned): (OrderNum, &PlannedOrder),
    result: &OrderResult,
    recorded: Recorded,
    now: Timestamp,
) -> Vec<Span> {
    let end = recorded.ended_at;
    // AWS tells of a dispatch by the end of a millisecond, and clocks differ.
    let dispatched = recorded.dispatched_at.map(|at| at.min(end));
    let part = |place, from, to| about(Span::of(run, place, from, to), order, planned);
    let whole = part(Place::Order(order), dispatched.unwrap_or(end), end)
        .called(planned.name.as_str())
        .text("aws_exe.order.target", planned.target.as_str())
        .flag("aws_exe.order.must_succeed", planned.must_succeed)
        .flag("aws_exe.order.dispatched", dispatched.is_some())
        .number_if("aws_exe.order.exit_code", result.exit_code)
        .number_if("aws_exe.order.failed_command", result.failed_command)
        .status(result.status);
    let mut spans = vec![whole];
    if let Some(dispatched) = dispatched {
        if let Some(started) = result.started_at {
            let started = started.clamp(dispatched, end);
            spans.push(part(Place::Start(order), dispatched, started));
            spans.push(part(Place::Commands(order), started, end));
        }
        spans.push(part(Place::Callback(order), end, now));
    }
    spans
}

fn about(span: Span, order: OrderNum, planned: &PlannedOrder) -> Span {
    span.text("aws_exe.order.number", order.to_string()).text("aws_exe.order.name", planned.name.as_str())
}

/// The run, from its submission to `done`.
pub(crate) fn run(plan: &Plan, done_at: Timestamp, status: Outcome) -> Span {
    Span::of(&plan.run_id, Place::Run, plan.created_at, done_at)
        .text("aws_exe.trace_id", plan.trace_id.as_str())
        .text("aws_exe.flow_id", &*plan.flow_id)
        .number("aws_exe.orders", plan.orders.len())
        .status(status)
}

#[cfg(test)]
mod tests {
    use common::target::Target;

    use super::*;

    fn planned() -> PlannedOrder {
        PlannedOrder {
            name: "build".parse().unwrap(),
            dependencies: vec![],
            must_succeed: true,
            target: Target::Lambda,
            timeout: 60,
            start_timeout: 60,
            stop_grace: 10,
            bundle_sha256: String::new(),
            digest: None,
            reused_from: None,
            ssm: None,
        }
    }

    /// The spans of an order that ended at 10 s and was recorded at 11 s, but for its own.
    fn parts(dispatched_at: Option<u64>, started_at: Option<u64>) -> Vec<Span> {
        let at = Timestamp::from_secs;
        let result = OrderResult {
            started_at: started_at.map(at),
            ..OrderResult::of_engine(Outcome::TimedOut, "it is late", at(10))
        };
        let recorded = Recorded { ended_at: at(10), dispatched_at: dispatched_at.map(at) };
        let number = OrderNum::of_index(0);
        let mut spans = order(&"r".parse().unwrap(), (number, &planned()), &result, recorded, at(11));
        let whole = spans.remove(0);
        let start = dispatched_at.unwrap_or(10).min(10);
        let expected = about(span(Place::Order(number), start, 10), number, &planned())
            .called("build")
            .text("aws_exe.order.target", "lambda")
            .flag("aws_exe.order.must_succeed", true)
            .flag("aws_exe.order.dispatched", dispatched_at.is_some())
            .status(Outcome::TimedOut);
        assert_eq!(whole, expected);
        spans
    }

    fn span(place: Place<'_>, from: u64, to: u64) -> Span {
        Span::of(&"r".parse().unwrap(), place, Timestamp::from_secs(from), Timestamp::from_secs(to))
    }

    #[test]
    fn an_order_has_the_parts_that_are_known_of_it() {
        let number = OrderNum::of_index(0);
        let part = |place, from, to| about(span(place, from, to), number, &planned());
        let callback = part(Place::Callback(number), 10, 11);
        let began = |at, to| [part(Place::Start(number), at, to), part(Place::Commands(number), to, 10)];
        let [start, commands] = began(4, 6);
        assert_eq!(parts(Some(4), Some(6)), [start, commands, callback.clone()]);
        // Clocks differ: a worker's that is behind, or ahead, and AWS's that is ahead.
        let [start, commands] = began(4, 4);
        assert_eq!(parts(Some(4), Some(3)), [start, commands, callback.clone()]);
        let [start, commands] = began(4, 10);
        assert_eq!(parts(Some(4), Some(12)), [start, commands, callback.clone()]);
        let [start, commands] = began(10, 10);
        assert_eq!(parts(Some(12), Some(9)), [start, commands, callback.clone()]);
        // Nobody claimed it; nobody dispatched it.
        assert_eq!(parts(Some(4), None), [callback]);
        assert_eq!(parts(None, None), []);
    }
}
