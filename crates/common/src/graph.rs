//! The dependency graph: what follows from a ledger, as a pure function of values.
//!
//! [`evaluate`] looks at each order that still waits once all its dependencies have ended, never before. So what becomes
//! of it depends on how its dependencies ended and not on the order in which the news came in. [`job_status`] says what
//! the job ended as. Both are held against a naive reference in `tests/graph_reference/`.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

use crate::{
    ledger::Ledger,
    status::{Outcome, Status},
    target::{Target, TargetLimits},
};

/// What the evaluator needs to know of an order.
#[derive(Clone, Debug)]
pub struct Node {
    /// Indices of the orders it waits for.
    pub dependencies: Vec<u16>,
    /// Whether it is skipped when a dependency did not succeed.
    pub must_succeed: bool,
    /// Where it runs.
    pub target: Target,
}

/// What follows from a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Orders that end without running, because of how a dependency ended: index and outcome.
    pub cascaded: Vec<(usize, Outcome)>,
    /// Orders to start now, in order of number, within the limits.
    pub ready: Vec<usize>,
    /// Orders that could start but for the limits.
    pub held_back: usize,
}

/// Most orders at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Over all targets, as the job asks.
    pub total: Option<usize>,
    /// For each target, as the deployment allows.
    pub per_target: TargetLimits,
}

/// What becomes of an order whose dependencies have all ended; `None` means that it runs.
///
/// Cancelling an order cancels what depends on it. Any other end than success stops an order that must succeed.
fn fate(node: &Node, ended: impl Iterator<Item = Outcome>) -> Option<Outcome> {
    let mut fate = None;
    for outcome in ended {
        match outcome {
            Outcome::Cancelled => return Some(Outcome::Cancelled),
            Outcome::Failed | Outcome::TimedOut if node.must_succeed => fate = Some(Outcome::Failed),
            Outcome::Failed | Outcome::TimedOut | Outcome::Succeeded => {}
        }
    }
    fate
}

/// What cascades and what may start. `order` is a topological order of the nodes ([`topological_order`]), so one walk
/// settles chains of skipped orders.
pub fn evaluate(nodes: &[Node], order: &[u16], ledger: &Ledger, limits: Limits) -> Evaluation {
    let mut statuses = ledger.statuses().to_vec();
    let mut result = Evaluation::default();
    let mut ready = Vec::new();
    for &index in order {
        let index = usize::from(index);
        if statuses[index] != Status::Queued {
            continue;
        }
        let node = &nodes[index];
        let ended: Option<Vec<Outcome>> =
            node.dependencies.iter().map(|dependency| statuses[usize::from(*dependency)].outcome()).collect();
        let Some(ended) = ended else { continue };
        match fate(node, ended.into_iter()) {
            Some(outcome) => {
                statuses[index] = Status::Ended(outcome);
                result.cascaded.push((index, outcome));
            }
            None => ready.push(index),
        }
    }
    ready.sort_unstable();
    result.cascaded.sort_unstable_by_key(|(index, _)| *index);

    let mut running = [0_usize; Target::ALL.len()];
    for (node, _) in nodes.iter().zip(&statuses).filter(|(_, status)| **status == Status::Running) {
        running[node.target as usize] += 1;
    }
    for index in ready {
        let target = nodes[index].target;
        let total: usize = running.iter().sum();
        if limits.total.is_some_and(|most| total >= most) || running[target as usize] >= limits.per_target.of(target) {
            result.held_back += 1;
        } else {
            running[target as usize] += 1;
            result.ready.push(index);
        }
    }
    result
}

/// What the job ended as, by the contract, once all its orders have. `run_cancelled`: a cancellation of the whole run
/// ended one of them at least. `is_late`: the job's deadline has passed.
pub fn job_status(nodes: &[Node], ledger: &Ledger, run_cancelled: bool, is_late: bool) -> Outcome {
    let orders = || nodes.iter().zip(ledger.statuses());
    let of_needed = |outcome| orders().any(|(node, status)| node.must_succeed && *status == Status::Ended(outcome));
    if run_cancelled {
        Outcome::Cancelled
    } else if of_needed(Outcome::TimedOut) || (is_late && ledger.count(Outcome::TimedOut) > 0) {
        Outcome::TimedOut
    } else if of_needed(Outcome::Failed) || of_needed(Outcome::Cancelled) {
        Outcome::Failed
    } else {
        Outcome::Succeeded
    }
}

/// An order of the nodes in which each comes after its dependencies, or the indices along one cycle.
pub fn topological_order<D: AsRef<[u16]>>(dependencies: &[D]) -> Result<Vec<u16>, Vec<usize>> {
    let dependencies: Vec<&[u16]> = dependencies.iter().map(AsRef::as_ref).collect();
    let mut waits: Vec<usize> = dependencies.iter().map(|its| its.len()).collect();
    // Who waits for whom, the other way round: the dependents of all nodes one after the other, those of a node from
    // `starts[node]` on. A list for each node would be an allocation for each.
    let mut starts = vec![0; dependencies.len() + 1];
    for dependency in dependencies.iter().copied().flatten() {
        starts[usize::from(*dependency) + 1] += 1;
    }
    for node in 1..starts.len() {
        starts[node] += starts[node - 1];
    }
    let mut ends = starts.clone();
    let mut dependents = vec![0; starts[dependencies.len()]];
    for (index, its) in dependencies.iter().enumerate() {
        for dependency in *its {
            let end = &mut ends[usize::from(*dependency)];
            dependents[*end] = index;
            *end += 1;
        }
    }
    let free = (0..waits.len()).filter(|index| waits[*index] == 0);
    let mut order: Vec<u16> = free.map(|index| u16::try_from(index).unwrap_or(u16::MAX)).collect();
    let mut done = 0;
    while let Some(index) = order.get(done).copied().map(usize::from) {
        for &dependent in &dependents[starts[index]..ends[index]] {
            waits[dependent] -= 1;
            if waits[dependent] == 0 {
                order.push(u16::try_from(dependent).unwrap_or(u16::MAX));
            }
        }
        done += 1;
    }
    if order.len() == dependencies.len() { Ok(order) } else { Err(cycle(&dependencies)) }
}

/// The indices along one cycle, each waiting for the next and the last for the first.
fn cycle(dependencies: &[&[u16]]) -> Vec<usize> {
    let mut graph = DiGraph::<(), ()>::with_capacity(dependencies.len(), dependencies.len());
    let nodes: Vec<NodeIndex> = dependencies.iter().map(|_| graph.add_node(())).collect();
    for (index, its) in dependencies.iter().enumerate() {
        for dependency in *its {
            graph.add_edge(nodes[index], nodes[usize::from(*dependency)], ());
        }
    }
    let member = |component: &Vec<NodeIndex>| component.len() > 1 || graph.contains_edge(component[0], component[0]);
    let Some(component) = tarjan_scc(&graph).into_iter().find(member) else { return Vec::new() };
    let inside: std::collections::HashSet<usize> = component.iter().map(|node| node.index()).collect();
    // Every member of the component has a successor in it: walk until one comes up again.
    let mut path = vec![component.iter().map(|node| node.index()).min().unwrap_or_default()];
    loop {
        let here = path[path.len() - 1];
        let next = dependencies[here].iter().map(|d| usize::from(*d)).find(|d| inside.contains(d));
        let Some(next) = next else { return path };
        if let Some(start) = path.iter().position(|seen| *seen == next) {
            return path.split_off(start);
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: TargetLimits = TargetLimits::UNLIMITED;
    const OPEN: Limits = Limits { total: None, per_target: TARGETS };

    fn node(dependencies: &[u16], must_succeed: bool) -> Node {
        Node { dependencies: dependencies.to_vec(), must_succeed, target: Target::Lambda }
    }

    fn evaluate_letters(nodes: &[Node], letters: &str, limits: Limits) -> Evaluation {
        let dependencies: Vec<_> = nodes.iter().map(|n| n.dependencies.clone()).collect();
        let order = topological_order(&dependencies).unwrap();
        evaluate(nodes, &order, &letters.parse().unwrap(), limits)
    }

    #[test]
    fn a_diamond_runs_in_layers() {
        let diamond = [node(&[], true), node(&[0], true), node(&[0], true), node(&[1, 2], true)];
        assert_eq!(evaluate_letters(&diamond, "qqqq", OPEN).ready, [0]);
        assert_eq!(evaluate_letters(&diamond, "rqqq", OPEN).ready, [] as [usize; 0]);
        assert_eq!(evaluate_letters(&diamond, "sqqq", OPEN).ready, [1, 2]);
        assert_eq!(evaluate_letters(&diamond, "ssrq", OPEN).ready, [] as [usize; 0]);
        assert_eq!(evaluate_letters(&diamond, "sssq", OPEN).ready, [3]);
    }

    #[test]
    fn failure_cascades_through_what_must_succeed_and_stops_at_what_need_not() {
        let chain = [node(&[], true), node(&[0], true), node(&[1], true), node(&[2], false)];
        let result = evaluate_letters(&chain, "fqqq", OPEN);
        assert_eq!(result.cascaded, [(1, Outcome::Failed), (2, Outcome::Failed)]);
        assert_eq!(result.ready, [3]);
        assert_eq!(evaluate_letters(&chain, "tqqq", OPEN).cascaded.len(), 2);
    }

    #[test]
    fn cancelling_takes_everything_that_depends_along() {
        let chain = [node(&[], true), node(&[0], true), node(&[1], false)];
        let result = evaluate_letters(&chain, "cqq", OPEN);
        assert_eq!(result.cascaded, [(1, Outcome::Cancelled), (2, Outcome::Cancelled)]);
    }

    #[test]
    fn an_orders_fate_waits_for_all_its_dependencies() {
        let join = [node(&[], true), node(&[], true), node(&[0, 1], true)];
        assert_eq!(evaluate_letters(&join, "frq", OPEN).cascaded, []);
        assert_eq!(evaluate_letters(&join, "fcq", OPEN).cascaded, [(2, Outcome::Cancelled)]);
        assert_eq!(evaluate_letters(&join, "fsq", OPEN).cascaded, [(2, Outcome::Failed)]);
    }

    #[test]
    fn limits_hold_back() {
        let fan: Vec<Node> = (0..6).map(|_| node(&[], true)).collect();
        let two = Limits { total: Some(2), per_target: TARGETS };
        assert_eq!(evaluate_letters(&fan, "6q", two), Evaluation { cascaded: vec![], ready: vec![0, 1], held_back: 4 });
        assert_eq!(evaluate_letters(&fan, "srqqqq", two).ready, [2]);
        let lambda = Limits { total: None, per_target: TARGETS.with(Target::Lambda, 3) };
        assert_eq!(evaluate_letters(&fan, "rqqqqq", lambda).ready, [1, 2]);
    }

    #[test]
    fn a_cycle_is_named_along_its_path() {
        assert_eq!(topological_order(&[vec![1], vec![2], vec![0], vec![0]]).unwrap_err(), [0, 1, 2]);
        assert_eq!(topological_order(&[vec![], vec![1]]).unwrap_err(), [1]);
    }
}
