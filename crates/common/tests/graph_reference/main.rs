//! The evaluator against a naive reference: the same answers for every small graph and for large random ones.
//!
//! ```text
//!  reference        what the documents say, as plainly as possible
//!  small_graphs     every labelled DAG on up to 5 orders × statuses
//!  large_graphs     random ones of up to 2,000 orders, with limits
//!  refusals         every digraph on up to 4 orders that has a cycle; unknown, duplicate and self dependencies
//!  permutations     the same results in every order and multiplicity give the same ledger
//! ```
//!
//! What holds for any ledger is checked by [`compare`], here.

mod large_graphs;
mod permutations;
mod reference;
mod refusals;
mod small_graphs;

use common::{
    graph::{self, Evaluation, Limits, Node},
    ledger::Ledger,
    status::Status,
    target::{Target, TargetLimits},
};

use crate::reference::{Most, Order};

const NO_LIMITS: Most = Most { of_job: None, on_target: [usize::MAX; 3] };

/// The orders as the engine has them.
fn nodes(orders: &[Order]) -> Vec<Node> {
    let node = |order: &Order| Node {
        dependencies: order.waits_for.iter().map(|other| u16::try_from(*other).unwrap()).collect(),
        must_succeed: order.must_succeed,
        target: Target::ALL[order.target],
    };
    orders.iter().map(node).collect()
}

fn limits(most: &Most) -> Limits {
    let with = |limits: TargetLimits, (target, most): (Target, usize)| limits.with(target, most);
    let per_target = Target::ALL.into_iter().zip(most.on_target).fold(TargetLimits::UNLIMITED, with);
    Limits { total: most.of_job, per_target }
}

fn status(letter: char) -> Status {
    Status::from_letter(letter).unwrap()
}

fn ledger(letters: &[char]) -> Ledger {
    let mut ledger = Ledger::queued(letters.len());
    for (place, letter) in letters.iter().enumerate() {
        ledger.step(place, status(*letter)).unwrap();
    }
    ledger
}

fn topological_order(orders: &[Order]) -> Vec<u16> {
    let dependencies: Vec<_> = nodes(orders).into_iter().map(|node| node.dependencies).collect();
    graph::topological_order(&dependencies).unwrap()
}

/// Evaluates, compares with the reference, performs what follows, and sees that nothing more follows from that. `walk` is
/// a topological order; which one must not matter.
fn compare(orders: &[Order], walk: &[u16], letters: &[char], most: &Most) {
    let shown = || format!("{letters:?} of {orders:?} with {most:?}");
    let (nodes, limits) = (nodes(orders), limits(most));
    let mut ledger = ledger(letters);
    let Evaluation { cascaded, ready, held_back } = graph::evaluate(&nodes, walk, &ledger, limits);

    let expected = reference::expected(orders, letters, most);
    let cascaded_letters = cascaded.iter().map(|(place, outcome)| (*place, Status::Ended(*outcome).letter()));
    assert!(cascaded_letters.eq(expected.cascaded), "cascaded {cascaded:?} in {}", shown());
    assert_eq!(ready, expected.ready, "ready in {}", shown());
    assert_eq!(held_back, expected.held_back, "held back in {}", shown());

    for (place, outcome) in cascaded {
        ledger.step(place, Status::Ended(outcome)).unwrap();
    }
    for place in ready {
        ledger.step(place, Status::Running).unwrap();
    }
    let again = graph::evaluate(&nodes, walk, &ledger, limits);
    assert_eq!(again, Evaluation { held_back, ..Evaluation::default() }, "once more in {}", shown());
}
