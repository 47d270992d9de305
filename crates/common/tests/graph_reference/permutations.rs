//! Any order and multiplicity of the same results gives the same ledger, as far as pure functions decide it: results are
//! folded in by [`Ledger::step`] unless their order has ended, then the ledger is evaluated and what follows performed.
//!
//! Results come out of turn here more than they can in a run: also before that of a dependency.

use common::{
    graph::{self, Limits, Node},
    ledger::Ledger,
    status::Status,
};

use crate::{
    NO_LIMITS, limits, nodes,
    reference::{self, Most, Order},
    status, topological_order,
};

/// So many of a job's orders run and report; the rest cascades.
const EVENTS: usize = 6;

/// A job, and how each order ends if it runs.
struct Scenario {
    name: &'static str,
    orders: Vec<Order>,
    ends: Vec<char>,
    most: Most,
}

/// A job in short: of each order whom it waits for, `!` if it must succeed or `?`, and its letter if it runs.
fn scenario(name: &'static str, of_job: Option<usize>, orders: &[(&[usize], &str)]) -> Scenario {
    let order = |(place, (waits_for, how)): (usize, &(&[usize], &str))| {
        let order = Order { waits_for: waits_for.to_vec(), must_succeed: how.starts_with('!'), target: place % 3 };
        (order, how.chars().nth(1).unwrap())
    };
    let (orders, ends) = orders.iter().enumerate().map(order).unzip();
    Scenario { name, orders, ends, most: Most { of_job, ..NO_LIMITS } }
}

fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "all succeed",
            None,
            &[(&[], "!s"), (&[0], "!s"), (&[0], "!s"), (&[1, 2], "!s"), (&[3], "!s"), (&[], "!s")],
        ),
        scenario(
            "one fails and a chain with it",
            None,
            &[
                (&[], "!s"),
                (&[0], "!f"),
                (&[1], "!s"),
                (&[2], "!s"),
                (&[3], "?s"),
                (&[0, 4], "!t"),
                (&[5], "?s"),
                (&[], "!s"),
                (&[5, 7], "!s"),
            ],
        ),
        scenario(
            "one is cancelled, another fails, and both have an order that waits for them",
            None,
            &[
                (&[2, 1], "?s"),
                (&[3], "!c"),
                (&[], "!f"),
                (&[], "!s"),
                (&[0], "!s"),
                (&[2], "?s"),
                (&[3], "?t"),
                (&[6], "?s"),
                (&[6], "!s"),
            ],
        ),
        scenario(
            "two at once",
            Some(2),
            &[
                (&[], "?f"),
                (&[], "!s"),
                (&[0], "?s"),
                (&[0], "!s"),
                (&[2], "!s"),
                (&[], "!t"),
                (&[5], "!s"),
                (&[1], "!s"),
            ],
        ),
    ]
}

/// The way in which everything comes in turn; gives what ran, and how all of it ended.
fn in_turn(scenario: &Scenario) -> (Vec<usize>, String) {
    let mut letters = vec!['q'; scenario.orders.len()];
    let mut ran = Vec::new();
    while letters.contains(&'q') {
        let expected = reference::expected(&scenario.orders, &letters, &scenario.most);
        for (place, letter) in expected.cascaded {
            letters[place] = letter;
        }
        for place in expected.ready {
            letters[place] = scenario.ends[place];
            ran.push(place);
        }
    }
    (ran, letters.into_iter().collect())
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![vec![]];
    }
    let with_first = |at: usize| {
        let mut rest = of.to_vec();
        let first = rest.remove(at);
        permutations(&rest).into_iter().map(move |rest| [vec![first], rest].concat())
    };
    (0..of.len()).flat_map(with_first).collect()
}

/// The events with those of `doubled` twice, the second time `later` events after the first.
fn deliveries(events: &[usize], doubled: usize, later: usize) -> Vec<usize> {
    let mut slots = vec![vec![]; events.len() + later];
    for (at, event) in events.iter().enumerate() {
        slots[at].insert(0, *event);
        if doubled & (1 << at) != 0 {
            slots[at + later].push(*event);
        }
    }
    slots.concat()
}

/// An orchestrator without its calls.
struct Engine<'a> {
    scenario: &'a Scenario,
    nodes: &'a [Node],
    walk: &'a [u16],
    limits: Limits,
    ledger: Ledger,
}

impl Engine<'_> {
    fn take(&mut self, order: usize) {
        if self.ledger.statuses()[order].outcome().is_none() {
            self.ledger.step(order, status(self.scenario.ends[order])).unwrap();
        }
    }

    /// Performs what follows, and sees that it is nothing that the end will not bear out.
    fn evaluate(&mut self, end: &[Status]) {
        let follows = graph::evaluate(self.nodes, self.walk, &self.ledger, self.limits);
        for (order, outcome) in follows.cascaded {
            assert_eq!(end[order], Status::Ended(outcome), "order {order} in `{}`", self.scenario.name);
            self.ledger.step(order, Status::Ended(outcome)).unwrap();
        }
        for order in follows.ready {
            assert_eq!(end[order], status(self.scenario.ends[order]), "order {order} in `{}`", self.scenario.name);
            self.ledger.step(order, Status::Running).unwrap();
        }
    }
}

#[test]
fn six_results_in_any_order_and_multiplicity_give_the_same_ledger() {
    for scenario in &scenarios() {
        let (ran, letters) = in_turn(scenario);
        assert_eq!(ran.len(), EVENTS, "`{}`: {ran:?}", scenario.name);
        let end: Ledger = letters.parse().unwrap();
        let (nodes, walk) = (nodes(&scenario.orders), topological_order(&scenario.orders));
        let ended_as = graph::job_status(&nodes, &end, false, false);
        let mut runs = 0;
        for events in permutations(&ran) {
            for doubled in 0..1 << EVENTS {
                // Once each delivery is a pass of its own, once two or three share one, as after a deposit.
                for (later, together) in [(1, 1), (2, 2 + doubled % 2)] {
                    let ledger = Ledger::queued(nodes.len());
                    let limits = limits(&scenario.most);
                    let mut engine = Engine { scenario, nodes: &nodes, walk: &walk, limits, ledger };
                    engine.evaluate(end.statuses());
                    for pass in deliveries(&events, doubled, later).chunks(together) {
                        for order in pass {
                            engine.take(*order);
                        }
                        engine.evaluate(end.statuses());
                    }
                    assert_eq!(engine.ledger, end, "`{}`: {events:?}, {doubled:b}, {later}", scenario.name);
                    assert_eq!(graph::job_status(&nodes, &engine.ledger, false, false), ended_as);
                    runs += 1;
                }
            }
        }
        assert_eq!(runs, 720 * 64 * 2);
    }
}
