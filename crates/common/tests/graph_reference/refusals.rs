//! What is no graph of orders that wait for each other is refused: cycles, and dependencies that name nobody, the order
//! itself, or somebody twice.

use std::collections::BTreeSet;

use common::{
    git, graph,
    intake::validate::{Entry, Rules, validate},
};
use serde_json::{Value, json};

use crate::reference;

/// Which orders each one waits for, by the bits of a number: all digraphs, self-loops among them.
fn digraphs(orders: usize) -> impl Iterator<Item = Vec<Vec<usize>>> {
    (0..1_u32 << (orders * orders)).map(move |chosen| {
        let waits = |order: usize, other: usize| chosen & (1 << (order * orders + other)) != 0;
        (0..orders).map(|order| (0..orders).filter(|other| waits(order, *other)).collect()).collect()
    })
}

fn as_numbers(waits_for: &[Vec<usize>]) -> Vec<Vec<u16>> {
    waits_for.iter().map(|its| its.iter().map(|other| u16::try_from(*other).unwrap()).collect()).collect()
}

#[test]
fn every_digraph_on_up_to_four_orders_has_an_order_or_a_cycle() {
    let mut with_cycle = 0;
    for size in 1..=4 {
        for waits_for in digraphs(size) {
            match graph::topological_order(&as_numbers(&waits_for)) {
                Ok(walk) => {
                    assert!(!reference::goes_round(&waits_for), "{waits_for:?}");
                    let walk: Vec<usize> = walk.into_iter().map(usize::from).collect();
                    assert_eq!(walk.iter().copied().collect::<BTreeSet<_>>(), (0..size).collect(), "{waits_for:?}");
                    assert_eq!(walk.len(), size, "{waits_for:?}");
                    for (step, place) in walk.iter().enumerate() {
                        assert!(waits_for[*place].iter().all(|other| walk[..step].contains(other)), "{waits_for:?}");
                    }
                }
                Err(cycle) => {
                    with_cycle += 1;
                    assert!(!cycle.is_empty(), "{waits_for:?}");
                    assert_eq!(cycle.iter().collect::<BTreeSet<_>>().len(), cycle.len(), "{cycle:?} in {waits_for:?}");
                    for (here, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                        assert!(waits_for[*here].contains(next), "{cycle:?} in {waits_for:?}");
                    }
                }
            }
        }
    }
    // All digraphs but the DAGs.
    assert_eq!(with_cycle, (2 + 16 + 512 + 65_536) - (1 + 3 + 25 + 543));
}

fn problems(dependencies: &[Vec<String>]) -> Vec<String> {
    let order = |its: &Vec<String>| json!({"cmds": ["true"], "timeout": 60, "dependencies": its});
    let job = json!({"username": "me", "orders": dependencies.iter().map(order).collect::<Vec<Value>>()});
    let rules = Rules {
        entry: Entry::Init,
        max_job_timeout: 79_200,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "internal".to_owned(),
        account: None,
        source_buckets: vec![],
        git: git::Rules { hosts: vec![], local_sources: false },
    };
    validate(&job, &rules).err().unwrap_or_default()
}

/// By default an order is found by its number, and by `order-` and its number.
fn named(waits_for: &[Vec<usize>]) -> Vec<Vec<String>> {
    let name = |other: &usize| format!("{}{:04}", if other.is_multiple_of(2) { "" } else { "order-" }, other + 1);
    waits_for.iter().map(|its| its.iter().map(name).collect()).collect()
}

#[test]
fn a_job_is_refused_if_and_only_if_its_orders_wait_in_a_circle() {
    let without_self_loops = digraphs(4).filter(|graph| (0..4).all(|order| !graph[order].contains(&order)));
    let mut accepted = 0;
    for waits_for in (1..=3).flat_map(digraphs).chain(without_self_loops) {
        let problems = problems(&named(&waits_for));
        assert_eq!(problems.is_empty(), !reference::goes_round(&waits_for), "{waits_for:?}: {problems:?}");
        accepted += usize::from(problems.is_empty());
        let itself = (0..waits_for.len()).filter(|order| waits_for[*order].contains(order)).count();
        let told = problems.iter().filter(|problem| problem.ends_with(" names the order itself")).count();
        assert_eq!(told, itself, "{waits_for:?}: {problems:?}");
    }
    assert_eq!(accepted, 1 + 3 + 25 + 543);
}

#[test]
fn unknown_and_repeated_dependencies_are_refused_wherever_they_stand() {
    for at in 0..3 {
        for other in (0..3).filter(|other| *other != at) {
            let mut dependencies = vec![vec![]; 3];
            for nobody in ["0004", "0000", "order-4", "", "2", " 0002"] {
                dependencies[at] = vec![format!("{:04}", other + 1), nobody.to_owned()];
                let told = problems(&dependencies);
                let path = format!("orders[{at}].dependencies[1]: ");
                assert!(told.len() == 1 && told[0].starts_with(&path), "{dependencies:?}: {told:?}");
            }
            let (number, name) = (format!("{:04}", other + 1), format!("order-{:04}", other + 1));
            for twice in [[&number, &number], [&name, &name], [&name, &number], [&number, &name]] {
                dependencies[at] = twice.map(Clone::clone).to_vec();
                let expected = format!("orders[{at}].dependencies[1]: names orders[{other}] a second time");
                assert_eq!(problems(&dependencies), [expected], "{dependencies:?}");
            }
        }
    }
}
