//! Collapsing: one node in place of a group of orders that are alike, such as the shards of a test.
//!
//! Alike are orders with the same dependencies, the same dependents, the same target and status, whose names differ in
//! one number alone. All that is drawn of them but the number is the same, so nothing is lost; and because a group has
//! the neighbours that each of its orders has, the drawing stays without cycles. Orders that did not succeed are
//! grouped only when their notes, which say why, are equal.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    status::{Outcome, Status},
    target::Target,
};

use super::{Drawing, Node};

/// A group of two is no shorter than its orders.
const FEWEST: usize = 3;

/// What all orders of a group have in common; the note only of orders that ended badly.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Likeness<'d> {
    dependencies: Vec<usize>,
    dependents: &'d [usize],
    target: Target,
    status: Option<&'static str>,
    note: Option<&'d str>,
    must_succeed: bool,
    reused: bool,
    /// The name around its numbers.
    words: Vec<&'d str>,
}

impl Drawing {
    /// The same drawing with a node for each group of orders that are alike.
    pub(crate) fn collapsed(&self) -> Self {
        let groups = self.groups();
        let mut nodes: Vec<Node> = groups.iter().map(|group| group_node(&self.nodes, group)).collect();
        let mut new_index = vec![0; self.nodes.len()];
        for (index, group) in groups.iter().enumerate() {
            for member in group {
                new_index[*member] = index;
            }
        }
        for node in &mut nodes {
            for dependency in &mut node.dependencies {
                *dependency = new_index[*dependency];
            }
            let mut seen = BTreeSet::new();
            node.dependencies.retain(|dependency| seen.insert(*dependency));
        }
        Self { title: self.title.clone(), nodes }
    }

    /// All orders, each in one group, most of them alone; a group by its numbers, groups by their first orders.
    fn groups(&self) -> Vec<Vec<usize>> {
        let dependents = self.dependents();
        let mut alike: BTreeMap<Likeness<'_>, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            alike.entry(likeness(node, &dependents[index])).or_default().push(index);
        }
        let mut groups: Vec<Vec<usize>> =
            alike.into_values().flat_map(|members| by_one_number(&self.nodes, members)).collect();
        groups.sort_by_key(|group| group.iter().min().copied());
        groups
    }
}

fn likeness<'d>(node: &'d Node, dependents: &'d [usize]) -> Likeness<'d> {
    let mut dependencies = node.dependencies.clone();
    dependencies.sort_unstable();
    let ended_badly =
        matches!(node.status, Some(Status::Ended(Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled)));
    Likeness {
        dependencies,
        dependents,
        target: node.target,
        status: node.status.map(Status::as_str),
        note: node.note.as_deref().filter(|_| ended_badly),
        must_succeed: node.must_succeed,
        reused: node.reused,
        words: pieces(&node.name).0,
    }
}

/// A name as the words around its numbers, and the numbers.
fn pieces(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut words, mut numbers) = (vec![], vec![]);
    let mut rest = name;
    while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
        let (word, digits) = rest.split_at(start);
        let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
        words.push(word);
        numbers.push(&digits[..end]);
        rest = &digits[end..];
    }
    words.push(rest);
    (words, numbers)
}

/// Splits orders whose names have the same words into such that differ in one number: the last that is not the same in
/// all of them.
fn by_one_number(nodes: &[Node], members: Vec<usize>) -> Vec<Vec<usize>> {
    let numbers: Vec<Vec<&str>> = members.iter().map(|member| pieces(&nodes[*member].name).1).collect();
    let differs = |place: &usize| numbers.iter().any(|of_one| of_one[*place] != numbers[0][*place]);
    let Some(place) = (0..numbers[0].len()).rev().find(differs) else {
        return members.into_iter().map(|member| vec![member]).collect();
    };
    let mut groups: BTreeMap<Vec<&str>, Vec<(&str, usize)>> = BTreeMap::new();
    for (member, mut others) in members.iter().zip(numbers) {
        let number = others.remove(place);
        groups.entry(others).or_default().push((number, *member));
    }
    let mut split = vec![];
    for mut group in groups.into_values() {
        if group.len() < FEWEST {
            split.extend(group.into_iter().map(|(_, member)| vec![member]));
            continue;
        }
        // By value, without a limit to how many digits there are.
        group.sort_by_key(|(number, member)| {
            let value = number.trim_start_matches('0');
            (value.len(), value, *member)
        });
        split.push(group.into_iter().map(|(_, member)| member).collect());
    }
    split
}

/// The node of a group whose members stand in order of their numbers.
fn group_node(nodes: &[Node], group: &[usize]) -> Node {
    let (lowest, highest) = (&nodes[group[0]], &nodes[group[group.len() - 1]]);
    if group.len() == 1 {
        return lowest.clone();
    }
    let members = || group.iter().map(|member| &nodes[*member]);
    Node {
        number: members().map(|node| node.number).min().unwrap_or(lowest.number),
        name: format!("{} … {}", lowest.name, highest.name),
        note: lowest.note.clone().filter(|note| members().all(|node| node.note.as_ref() == Some(note))),
        count: members().map(|node| node.count).sum(),
        ..lowest.clone()
    }
}

#[cfg(test)]
mod tests {
    use common::status::Outcome;

    use super::*;
    use crate::drawing::samples::{drawing, fan, fan_and_merge};

    fn names(drawing: &Drawing) -> Vec<(&str, usize)> {
        drawing.nodes.iter().map(|node| (node.name.as_str(), node.count)).collect()
    }

    #[test]
    fn shards_between_two_orders_are_one_node() {
        let collapsed = fan_and_merge(800).collapsed();
        assert_eq!(names(&collapsed), [("split", 1), ("shard-001 … shard-800", 800), ("merge", 1)]);
        assert_eq!(collapsed.nodes[2].dependencies, [1]);
        assert_eq!(collapsed.orders(), 802);
    }

    #[test]
    fn names_that_differ_in_more_than_a_number_stay_apart() {
        let apart = drawing(&[("test-a1", &[]), ("test-b1", &[]), ("test-c1", &[]), ("x1-1", &[]), ("x2-2", &[])]);
        assert_eq!(names(&apart.collapsed()), names(&apart));
        let two = drawing(&[("a-1", &[]), ("a-2", &[])]);
        assert_eq!(names(&two.collapsed()), names(&two));
    }

    #[test]
    fn of_two_numbers_the_last_that_differs_makes_the_group() {
        let of = drawing(&[("1-of-3", &[]), ("2-of-3", &[]), ("3-of-3", &[])]);
        assert_eq!(names(&of.collapsed()), [("1-of-3 … 3-of-3", 3)]);
        let table =
            drawing(&[("a1-9", &[]), ("a1-10", &[]), ("a1-11", &[]), ("a2-1", &[]), ("a2-2", &[]), ("a2-3", &[])]);
        assert_eq!(names(&table.collapsed()), [("a1-9 … a1-11", 3), ("a2-1 … a2-3", 3)]);
    }

    #[test]
    fn other_neighbours_targets_and_statuses_are_other_groups() {
        let mut drawing = fan(9);
        drawing.nodes[2].target = Target::Ssm;
        drawing.nodes[4].must_succeed = false;
        drawing.nodes[5].status = Some(Status::Running);
        drawing.nodes[6].reused = true;
        let more = Node { dependencies: vec![7], ..Node::new("0011".parse().unwrap(), "after-7", Target::Lambda) };
        drawing.nodes.push(more);
        assert_eq!(
            names(&drawing.collapsed()),
            [
                ("split", 1),
                ("shard-001 … shard-009", 4),
                ("shard-002", 1),
                ("shard-004", 1),
                ("shard-005", 1),
                ("shard-006", 1),
                ("shard-007", 1),
                ("after-7", 1),
            ]
        );
    }

    #[test]
    fn why_orders_failed_is_not_lost() {
        let mut drawing = fan(7);
        for (node, note) in drawing.nodes[1..].iter_mut().zip(["1", "2", "2", "2", "3", "3", "4"]) {
            node.status = Some(Status::Ended(Outcome::Failed));
            node.note = Some(format!("exited with {note}"));
        }
        let failed = drawing.collapsed();
        assert_eq!(
            names(&failed),
            [
                ("split", 1),
                ("shard-001", 1),
                ("shard-002 … shard-004", 3),
                ("shard-005", 1),
                ("shard-006", 1),
                ("shard-007", 1),
            ]
        );
        assert_eq!(failed.nodes[2].remarks(), ["3 orders", "exited with 2"]);
        for node in &mut drawing.nodes[1..] {
            node.status = Some(Status::Ended(Outcome::Succeeded));
        }
        let succeeded = drawing.collapsed();
        assert_eq!(names(&succeeded), [("split", 1), ("shard-001 … shard-007", 7)]);
        assert_eq!(succeeded.nodes[1].note, None);
    }
}
