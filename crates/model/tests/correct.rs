//! The protocol as it should be: every state of every configuration, and no invariant is broken.

use model::{
    check::explore,
    variants::{self, Named},
};

/// What the ordinary run explores at least.
const STATES: usize = 1_000_000;
/// What the larger run explores at least.
const LARGER: usize = 10_000_000;

#[test]
fn the_protocol_holds() {
    assert!(explore_all(variants::correct()) >= STATES, "fewer states than the ordinary run is to explore");
}

#[test]
fn it_would_hold_with_cancellation_and_deadline_first() {
    explore_all(variants::stops_first());
}

#[test]
#[ignore = "some minutes and gigabytes"]
fn the_protocol_holds_in_larger_configurations() {
    assert!(explore_all(variants::larger()) >= LARGER, "fewer states than the larger run is to explore");
}

fn explore_all(configurations: Vec<Named>) -> usize {
    let mut states = 0;
    for (name, protocol) in configurations {
        let report = explore(name, protocol, 2);
        println!("{report}");
        assert!(report.broken.is_none(), "{report}");
        assert!(report.is_exhaustive, "{name}: not every state was explored");
        assert!(report.completes, "{name}: no run is ever completed");
        states += report.states;
    }
    println!("{states} states in all");
    states
}
