//! Spans: what of a run is traced, below what, and under which ids.
//!
//! The engine's parts are processes that never meet: none could hand another an id. So ids are derived. The trace is
//! the first 16 bytes of SHA-256 of `run/<run id>`, a span the first 8 bytes of SHA-256 of `run/<run id>/<its place>`,
//! and [`Place`] knows the place of its parent. Whoever repeats a step makes the same span again, not a second one;
//! passes and what they dispatch happen many times, and each pass has its nonce in its place.

use std::{borrow::Cow, fmt};

use sha2::{Digest as _, Sha256};

use crate::{
    clock::Timestamp,
    ids::{OrderNum, RunId},
    status::Outcome,
};

/// Where a span stands in the trace of its run.
///
/// ```text
///  run ─┬─ client                             whoever submits, if it traces
///       ├─ submit                             init_job, ssm_config
///       ├─ pass ── dispatch                   orchestrator, as often as it is woken
///       └─ order ─┬─ start ── fetch           from its dispatch to its first command; the worker fetches in that time
///                 ├─ commands ── command      until its end; each command by its worker
///                 └─ callback                 until a pass has recorded it
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The run: the root.
    Run,
    /// The submission as its sender saw it.
    Client,
    /// The submission.
    Submit,
    /// One orchestrator with the run's lease, by its nonce.
    Pass(&'a str),
    /// What the pass with this nonce did to start the order.
    Dispatch(&'a str, OrderNum),
    /// An order, from its dispatch to its end.
    Order(OrderNum),
    /// From the order's dispatch until its worker began.
    Start(OrderNum),
    /// What the worker did before it claimed the order.
    Fetch(OrderNum),
    /// From when the worker began to the order's end.
    Commands(OrderNum),
    /// One command, by its index.
    Command(OrderNum, usize),
    /// From the order's end until it was recorded.
    Callback(OrderNum),
}

impl Place<'_> {
    /// What it is a part of; nothing has the run as a part.
    fn parent(&self) -> Option<Self> {
        match *self {
            Self::Run => None,
            Self::Client | Self::Submit | Self::Pass(_) | Self::Order(_) => Some(Self::Run),
            Self::Dispatch(nonce, _) => Some(Self::Pass(nonce)),
            Self::Start(order) | Self::Commands(order) | Self::Callback(order) => Some(Self::Order(order)),
            Self::Fetch(order) => Some(Self::Start(order)),
            Self::Command(order, _) => Some(Self::Commands(order)),
        }
    }

    /// What it is called when nothing more is said.
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match *self {
            Self::Run => "run",
            Self::Client => "client",
            Self::Submit => "submit",
            Self::Pass(_) => "pass",
            Self::Dispatch(..) => "dispatch",
            Self::Order(_) => "order",
            Self::Start(_) => "start",
            Self::Fetch(_) => "fetch",
            Self::Commands(_) => "commands",
            // As people count, and as the reasons of orders have it.
            Self::Command(_, index) => return Cow::Owned(format!("command {}", index + 1)),
            Self::Callback(_) => "callback",
        })
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Run => f.write_str("run"),
            Self::Client => f.write_str("client"),
            Self::Submit => f.write_str("submit"),
            Self::Pass(nonce) => write!(f, "pass/{nonce}"),
            Self::Dispatch(nonce, order) => write!(f, "pass/{nonce}/dispatch/{order}"),
            Self::Order(order) => write!(f, "order/{order}"),
            Self::Start(order) => write!(f, "order/{order}/start"),
            Self::Fetch(order) => write!(f, "order/{order}/start/fetch"),
            Self::Commands(order) => write!(f, "order/{order}/commands"),
            Self::Command(order, index) => write!(f, "order/{order}/commands/{index}"),
            Self::Callback(order) => write!(f, "order/{order}/callback"),
        }
    }
}

/// Id of a trace.
pub(super) type TraceId = [u8; 16];
/// Id of a span.
pub(super) type SpanId = [u8; 8];

fn trace_id(run: &RunId) -> TraceId {
    first(&format!("run/{run}"))
}

fn span_id(run: &RunId, place: &Place<'_>) -> SpanId {
    first(&format!("run/{run}/{place}"))
}

/// The first bytes of a text's SHA-256.
fn first<const N: usize>(text: &str) -> [u8; N] {
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|index| digest[index])
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// Something that happened, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Cow<'static, str>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
}

impl Span {
    /// What happened to a run at this place from `start` to `end`. It never ends before it starts: the times may come
    /// from different clocks.
    pub fn of(run: &RunId, place: Place<'_>, start: Timestamp, end: Timestamp) -> Self {
        Self {
            trace: trace_id(run),
            id: span_id(run, &place),
            parent: place.parent().map(|parent| span_id(run, &parent)),
            name: place.name(),
            start,
            end: end.max(start),
            attributes: vec![("aws_exe.run_id", Value::Text(run.to_string()))],
            failed: false,
        }
    }

    /// With something behind its name, so that a waterfall tells one order from the other.
    #[must_use]
    pub fn called(mut self, what: &str) -> Self {
        self.name = format!("{} {what}", self.name).into();
        self
    }

    /// With a text: a name, never what commands print or a reason, which may hold anything.
    #[must_use]
    pub fn text(mut self, key: &'static str, text: impl Into<String>) -> Self {
        self.attributes.push((key, Value::Text(text.into())));
        self
    }

    /// With a number; one that is too large for the protocol becomes its largest.
    #[must_use]
    pub fn number(mut self, key: &'static str, number: impl TryInto<i64>) -> Self {
        self.attributes.push((key, Value::Number(number.try_into().unwrap_or(i64::MAX))));
        self
    }

    /// With a number, if there is one.
    #[must_use]
    pub fn number_if(self, key: &'static str, number: Option<impl TryInto<i64>>) -> Self {
        match number {
            Some(number) => self.number(key, number),
            None => self,
        }
    }

    /// With a yes or no.
    #[must_use]
    pub fn flag(mut self, key: &'static str, flag: bool) -> Self {
        self.attributes.push((key, Value::Flag(flag)));
        self
    }

    /// As an error, if it is one.
    #[must_use]
    pub fn failed(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }

    /// With how it ended; whatever did not succeed is an error.
    #[must_use]
    pub fn status(self, outcome: Outcome) -> Self {
        self.text("aws_exe.status", outcome.as_str()).failed(outcome != Outcome::Succeeded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places() -> [Place<'static>; 11] {
        let order = OrderNum::of_index(0);
        [
            Place::Run,
            Place::Client,
            Place::Submit,
            Place::Pass("n"),
            Place::Dispatch("n", order),
            Place::Order(order),
            Place::Start(order),
            Place::Fetch(order),
            Place::Commands(order),
            Place::Command(order, 0),
            Place::Callback(order),
        ]
    }

    fn span(run: &str, place: Place<'_>) -> Span {
        Span::of(&run.parse().unwrap(), place, Timestamp::from_secs(1), Timestamp::from_secs(2))
    }

    /// What `printf 'run/r' | sha256sum` and `printf 'run/r/order/0001' | sha256sum` print, as docs/TRACING.md says.
    #[test]
    fn ids_are_those_that_the_documents_tell_to_compute() {
        let order = span("r", Place::Order(OrderNum::of_index(0)));
        assert_eq!(hex::encode(order.trace), "8dfb696eb534a829d055eae2cb420418");
        assert_eq!(hex::encode(order.id), "bc2d2169682a4de3");
        assert_eq!(order.parent, Some(span("r", Place::Run).id));
    }

    #[test]
    fn every_place_has_an_id_of_its_own_and_a_parent_that_there_is() {
        let all = places().map(|place| span("r", place));
        let ids: BTreeSet<SpanId> = all.iter().map(|span| span.id).collect();
        assert_eq!(ids.len(), all.len());
        for one in &all {
            assert_eq!(one.trace, all[0].trace);
            assert!(one.parent.is_none_or(|parent| parent != one.id && ids.contains(&parent)), "{}", one.name);
        }
        assert_eq!(all.iter().filter(|span| span.parent.is_none()).count(), 1);
        let elsewhere = places().map(|place| span("s", place));
        assert!(elsewhere.iter().all(|span| span.trace != all[0].trace && !ids.contains(&span.id)));
    }

    #[test]
    fn a_span_never_ends_before_it_starts() {
        let span = Span::of(&"r".parse().unwrap(), Place::Run, Timestamp::from_secs(2), Timestamp::from_secs(1));
        assert_eq!((span.start, span.end), (Timestamp::from_secs(2), Timestamp::from_secs(2)));
    }
}
