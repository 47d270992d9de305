//! Random graphs of up to 2,000 orders: chains, wide fans and anything between, with limits.

use proptest::prelude::*;

use crate::{
    compare,
    reference::{Most, Order},
    topological_order,
};

/// A graph, its ledger, and an order of its places in which each comes after those it waits for.
#[derive(Debug)]
struct Drawn {
    orders: Vec<Order>,
    letters: Vec<char>,
    walk: Vec<u16>,
}

/// Draws a graph: its places are shuffled, and each waits for up to `most` of those that come before it there, all of
/// them at most `near` places away. `near` 1 gives chains, a large one bushes.
fn draw(size: usize, most: usize, near: usize, letters: &[char], mut rng: impl Rng) -> Drawn {
    let mut walk: Vec<usize> = (0..size).collect();
    for last in (1..size).rev() {
        walk.swap(last, rng.random_range(0..=last));
    }
    let order = Order { waits_for: vec![], must_succeed: true, target: 0 };
    let mut orders = vec![order; size];
    for (step, place) in walk.iter().enumerate() {
        let mut waits_for: Vec<usize> = match step.min(near) {
            0 => vec![],
            near => (0..rng.random_range(0..=most)).map(|_| walk[step - rng.random_range(1..=near)]).collect(),
        };
        waits_for.sort_unstable();
        waits_for.dedup();
        orders[*place] = Order { waits_for, must_succeed: rng.random(), target: rng.random_range(0..3) };
    }
    let letters = (0..size).map(|_| letters[rng.random_range(0..letters.len())]).collect();
    Drawn { orders, letters, walk: walk.into_iter().map(|place| u16::try_from(place).unwrap()).collect() }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    // From jobs in which nearly all wait, where cascades are long, to such in which anything may stand.
    let letters = prop::sample::select(vec!["qqqqqqqqqsft", "qqqqqqqqqqqqqqqqqqqsrsrftc", "qrsftc", "qqqs"]);
    (1..=2_000_usize, 0..6_usize, prop::sample::select(vec![1, 2, 5, 50, 2_000]), letters).prop_perturb(
        |(size, most, near, letters), rng| draw(size, most, near, &letters.chars().collect::<Vec<_>>(), rng),
    )
}

fn most() -> impl Strategy<Value = Most> {
    let limit = || prop_oneof![0..20_usize, 20..2_000_usize, Just(usize::MAX)];
    (prop::option::of(limit()), prop::array::uniform3(limit()))
        .prop_map(|(of_job, on_target)| Most { of_job, on_target })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn large_graphs_are_evaluated_as_the_reference_does(drawn in drawn(), most in most()) {
        let Drawn { orders, letters, walk } = drawn;
        compare(&orders, &topological_order(&orders), &letters, &most);
        compare(&orders, &walk, &letters, &most);
    }
}

#[test]
fn a_failure_runs_down_a_chain_of_two_thousand_whichever_way_it_is_numbered() {
    for falling in [true, false] {
        let before =
            |place: usize| if falling { Some(place + 1).filter(|next| *next < 2_000) } else { place.checked_sub(1) };
        let chain: Vec<Order> = (0..2_000)
            .map(|place| Order { waits_for: before(place).into_iter().collect(), must_succeed: true, target: 0 })
            .collect();
        let first = if falling { 1_999 } else { 0 };
        for end in ['s', 'f', 't', 'c'] {
            let mut letters = vec!['q'; 2_000];
            letters[first] = end;
            compare(&chain, &topological_order(&chain), &letters, &crate::NO_LIMITS);
        }
    }
}
