//! Every labelled DAG on up to 5 orders: of up to 4 with every ledger, of 5 with a share of the ledgers that moves on from
//! graph to graph, so that every ledger meets some seventy graphs. The whole product is behind `--ignored`.

use crate::{
    NO_LIMITS, compare, ledger, nodes,
    reference::{self, Most, Order},
    status, topological_order,
};

/// What an order may be: its letter, and whether it must succeed. Evaluating asks that only of those that wait.
const STATES: [(char, bool); 7] =
    [('q', true), ('q', false), ('r', true), ('s', true), ('f', false), ('t', true), ('c', true)];
/// Ledgers of five orders.
const LEDGERS: usize = STATES.len().pow(5);
/// How many of them each graph meets in the ordinary run: 1.2 million pairs.
const SHARE: usize = 40;
/// A step that has no divisor in common with [`LEDGERS`], a power of 7, and is near the golden section of it: multiples
/// of it spread evenly and come to all of them.
const STRIDE: usize = 10_387;

/// How many labelled DAGs there are on 0 to 5 nodes (<https://oeis.org/A003024>).
const DAGS: [usize; 6] = [1, 1, 3, 25, 543, 29_281];

/// All digraphs without self-loops on so many orders: each bit of a number is one pair.
fn digraphs(orders: usize) -> impl Iterator<Item = Vec<Vec<usize>>> {
    let pairs: Vec<(usize, usize)> =
        (0..orders).flat_map(|a| (0..orders).filter(move |b| a != *b).map(move |b| (a, b))).collect();
    (0..1_u32 << pairs.len()).map(move |chosen| {
        let mut waits_for = vec![Vec::new(); orders];
        for (bit, (order, other)) in pairs.iter().enumerate() {
            if chosen & (1 << bit) != 0 {
                waits_for[*order].push(*other);
            }
        }
        waits_for
    })
}

fn dags(orders: usize) -> impl Iterator<Item = Vec<Vec<usize>>> {
    digraphs(orders).filter(|waits_for| !reference::goes_round(waits_for))
}

/// The orders of a graph in one of the ledgers.
fn orders(waits_for: &[Vec<usize>], mut number: usize) -> (Vec<Order>, Vec<char>) {
    let place = |(place, waits_for): (usize, &Vec<usize>)| {
        let (letter, must_succeed) = STATES[number % STATES.len()];
        number /= STATES.len();
        (Order { waits_for: waits_for.clone(), must_succeed, target: place % 3 }, letter)
    };
    waits_for.iter().enumerate().map(place).unzip()
}

/// Limits that take turns, from none to some that nothing fits in.
fn most(turn: usize) -> Most {
    let of_job = [None, Some(1), Some(2), Some(3)][turn % 4];
    let on_target = [[usize::MAX; 3], [1; 3], [2, 1, usize::MAX]][turn / 4 % 3];
    Most { of_job, on_target }
}

fn compare_with(waits_for: &[Vec<usize>], ledgers: impl Iterator<Item = usize>) {
    let walk = topological_order(&orders(waits_for, 0).0);
    for number in ledgers {
        let (orders, letters) = orders(waits_for, number);
        compare(&orders, &walk, &letters, &NO_LIMITS);
        if letters.contains(&'q') {
            compare(&orders, &walk, &letters, &most(number));
        }
    }
}

#[test]
fn every_graph_of_up_to_four_orders_with_every_ledger() {
    for (size, count) in DAGS.into_iter().enumerate().take(5) {
        let mut seen = 0;
        for waits_for in dags(size) {
            compare_with(&waits_for, 0..STATES.len().pow(u32::try_from(size).unwrap()));
            seen += 1;
        }
        assert_eq!(seen, count, "labelled DAGs on {size} nodes");
    }
}

#[test]
fn every_graph_of_five_orders_with_a_share_of_the_ledgers() {
    let mut seen = 0;
    for waits_for in dags(5) {
        compare_with(&waits_for, (seen * SHARE..(seen + 1) * SHARE).map(|turn| turn * STRIDE % LEDGERS));
        seen += 1;
    }
    assert_eq!(seen, DAGS[5], "labelled DAGs on 5 nodes");
}

/// 29,281 × 16,807 = 492,125,767 pairs. Some minutes when optimised, an hour otherwise:
/// `cargo test -p common --config profile.dev.package.common.opt-level=3 --test graph_reference -- --ignored`
#[test]
#[ignore = "the whole product takes long: see the comment above it"]
fn every_graph_of_five_orders_with_every_ledger() {
    let dags: Vec<_> = dags(5).collect();
    assert_eq!(dags.len(), DAGS[5], "labelled DAGs on 5 nodes");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in dags.chunks(dags.len().div_ceil(threads)) {
            scope.spawn(|| part.iter().for_each(|waits_for| compare_with(waits_for, 0..LEDGERS)));
        }
    });
    println!("{} graphs × {LEDGERS} ledgers", dags.len());
}

#[test]
fn the_job_ends_as_the_contract_says_for_every_way_in_which_five_orders_can_end() {
    const ENDS: [(char, bool); 8] =
        [('s', true), ('s', false), ('f', true), ('f', false), ('t', true), ('t', false), ('c', true), ('c', false)];
    for mut number in 0..ENDS.len().pow(5) {
        let mut letters = Vec::new();
        let mut orders = Vec::new();
        for _ in 0..5 {
            let (letter, must_succeed) = ENDS[number % ENDS.len()];
            number /= ENDS.len();
            letters.push(letter);
            orders.push(Order { waits_for: vec![], must_succeed, target: 0 });
        }
        let (nodes, ledger) = (nodes(&orders), ledger(&letters));
        for (was_cancelled, deadline_passed) in [(false, false), (false, true), (true, false), (true, true)] {
            let outcome = common::graph::job_status(&nodes, &ledger, was_cancelled, deadline_passed);
            let expected = status(reference::job_status(&orders, &letters, was_cancelled, deadline_passed));
            assert_eq!(
                expected.outcome(),
                Some(outcome),
                "{letters:?} of {orders:?}, {was_cancelled}, {deadline_passed}"
            );
        }
    }
}
