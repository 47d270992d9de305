//! Which orders of a new run count as succeeded, because they did in an earlier one and nothing about them changed. Pure.
//!
//! Three things must come together: the earlier run has a success of an order of that name, that order is unchanged, and
//! everything that it depends on counts too. What commands do may build on what was done before them, so whatever runs
//! again makes everything behind it run again.

use std::collections::HashMap;

use crate::ids::{OrderName, RunId};

/// An order that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// What decided what its commands do.
    pub digest: String,
    /// The run in which they ran, and which has the log.
    pub ran_in: RunId,
}

/// What succeeded in an earlier run, by name.
pub type Successes = HashMap<OrderName, Success>;

/// An order that may count.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a OrderName,
    /// Indices of the orders it depends on.
    pub dependencies: &'a [u16],
    /// What decides what its commands do.
    pub digest: &'a str,
}

/// For each order where it ran, if it counts. `from` is the index of an order that runs again whatever happened before;
/// `topological_order` is one of the orders.
pub fn counted<'e>(
    orders: &[Candidate<'_>],
    topological_order: &[u16],
    earlier: &'e Successes,
    from: Option<usize>,
) -> Vec<Option<&'e RunId>> {
    let mut counted: Vec<Option<&RunId>> = vec![None; orders.len()];
    for &index in topological_order {
        let index = usize::from(index);
        let order = orders[index];
        let is_settled = order.dependencies.iter().all(|dependency| counted[usize::from(*dependency)].is_some());
        if is_settled && from != Some(index) {
            let success = earlier.get(order.name).filter(|success| success.digest == order.digest);
            counted[index] = success.map(|success| &success.ran_in);
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph;

    /// An order of a test: name, digest, indices of its dependencies.
    type Written = (OrderName, String, Vec<u16>);

    fn order(name: &str, digest: &str, dependencies: &[u16]) -> Written {
        (name.parse().unwrap(), digest.to_owned(), dependencies.to_vec())
    }

    fn successes(of: &[(&str, &str)]) -> Successes {
        let success = |digest: &str| Success { digest: digest.to_owned(), ran_in: "first".parse().unwrap() };
        of.iter().map(|(name, digest)| (name.parse().unwrap(), success(digest))).collect()
    }

    fn indices(orders: &[Written], earlier: &Successes, from: Option<usize>) -> Vec<usize> {
        let candidates: Vec<_> = orders
            .iter()
            .map(|(name, digest, dependencies)| Candidate { name, dependencies, digest: digest.as_str() })
            .collect();
        let dependencies: Vec<_> = orders.iter().map(|(.., dependencies)| dependencies.clone()).collect();
        let topological_order = graph::topological_order(&dependencies).unwrap();
        let counted = counted(&candidates, &topological_order, earlier, from);
        counted.iter().enumerate().filter_map(|(index, counts)| counts.map(|_| index)).collect()
    }

    #[test]
    fn what_failed_and_what_depends_on_it_runs_again() {
        let job = [order("a", "1", &[]), order("b", "2", &[0]), order("c", "3", &[1]), order("d", "4", &[0])];
        let without_b = successes(&[("a", "1"), ("c", "3"), ("d", "4")]);
        assert_eq!(indices(&job, &without_b, None), [0, 3], "`c` succeeded after a failure, and now comes after a run");
    }

    #[test]
    fn what_changed_and_what_depends_on_it_runs_again() {
        let earlier = successes(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        let changed = [order("a", "1", &[]), order("b", "new", &[0]), order("c", "3", &[1]), order("d", "4", &[0])];
        assert_eq!(indices(&changed, &earlier, None), [0, 3]);
        let renamed = [order("a", "1", &[]), order("x", "2", &[0]), order("d", "4", &[0])];
        assert_eq!(indices(&renamed, &earlier, None), [0, 2]);
    }

    #[test]
    fn an_order_and_what_depends_on_it_can_be_asked_for() {
        let job = [order("a", "1", &[]), order("b", "2", &[0]), order("c", "3", &[1]), order("d", "4", &[0])];
        let earlier = successes(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        assert_eq!(indices(&job, &earlier, None), [0, 1, 2, 3]);
        assert_eq!(indices(&job, &earlier, Some(1)), [0, 3]);
        assert_eq!(indices(&job, &earlier, Some(0)), [0; 0]);
    }

    /// Jobs in any order of their numbers, with what succeeded before: each order unchanged, changed, or not there.
    fn job_and_before() -> impl Strategy<Value = (Vec<Written>, Successes, Option<usize>)> {
        let order = (prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0..8_u8, any::<prop::sample::Index>());
        let from = prop::option::of(any::<prop::sample::Index>());
        // The definition below is read along every path, of which large jobs have too many.
        (prop::collection::vec(order, 1..16), from).prop_map(|(drawn, from)| {
            let count = drawn.len();
            // Where each order stands in the list, so that dependencies come before and behind.
            let mut places: Vec<usize> = (0..count).collect();
            for (index, (.., place)) in drawn.iter().enumerate() {
                places.swap(index, place.index(count));
            }
            let mut orders: Vec<Written> = (0..count).map(|_| order_of(0)).collect();
            let mut earlier = Successes::new();
            for (index, (picks, fate, _)) in drawn.iter().enumerate() {
                let mut dependencies: Vec<u16> = picks
                    .iter()
                    .filter(|_| index > 0)
                    .map(|pick| u16::try_from(places[pick.index(index)]).unwrap())
                    .collect();
                dependencies.sort_unstable();
                dependencies.dedup();
                let (name, digest, _) = order_of(index);
                let ran_in = format!("run-{fate}").parse().unwrap();
                let before = |digest: String| Success { digest, ran_in };
                match fate {
                    0 => {}
                    1 => drop(earlier.insert(name.clone(), before("another".to_owned()))),
                    _ => drop(earlier.insert(name.clone(), before(digest.clone()))),
                }
                orders[places[index]] = (name, digest, dependencies);
            }
            (orders, earlier, from.map(|from| from.index(count)))
        })
    }

    fn order_of(index: usize) -> Written {
        order(&format!("o{index}"), &format!("d{index}"), &[])
    }

    /// The definition, read aloud.
    fn counts(index: usize, orders: &[Written], earlier: &Successes, from: Option<usize>) -> bool {
        let (name, digest, dependencies) = &orders[index];
        let is_asked_for = from == Some(index);
        let did_succeed = earlier.get(name).is_some_and(|success| success.digest == *digest);
        !is_asked_for
            && did_succeed
            && dependencies.iter().all(|dependency| counts(usize::from(*dependency), orders, earlier, from))
    }

    fn depends(index: usize, on: usize, orders: &[Written]) -> bool {
        index == on || orders[index].2.iter().any(|dependency| depends(usize::from(*dependency), on, orders))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_counts_is_what_the_definition_says((orders, earlier, from) in job_and_before()) {
            let is = indices(&orders, &earlier, from);
            let should: Vec<usize> = (0..orders.len()).filter(|index| counts(*index, &orders, &earlier, from)).collect();
            prop_assert_eq!(&is, &should);
            for index in &is {
                for dependency in &orders[*index].2 {
                    prop_assert!(is.contains(&usize::from(*dependency)), "what counts is closed under dependencies");
                }
            }
        }

        #[test]
        fn asking_for_an_order_takes_away_it_and_what_depends_on_it((orders, earlier, from) in job_and_before()) {
            let all = indices(&orders, &earlier, None);
            let left = indices(&orders, &earlier, from);
            let gone = |index: &usize| from.is_some_and(|from| depends(*index, from, &orders));
            prop_assert_eq!(left, all.into_iter().filter(|index| !gone(index)).collect::<Vec<_>>());
        }

        #[test]
        fn after_nothing_nothing_counts_and_after_everything_all((orders, ..) in job_and_before()) {
            prop_assert_eq!(indices(&orders, &Successes::new(), None), Vec::<usize>::new());
            let all = orders.iter().map(|(name, digest, _)| {
                (name.clone(), Success { digest: digest.clone(), ran_in: "first".parse().unwrap() })
            });
            prop_assert_eq!(indices(&orders, &all.collect(), None).len(), orders.len());
        }
    }
}
