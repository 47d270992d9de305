//! How orders must end when it is known how those that run end by themselves: the definition, written out.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::job;

/// What becomes of an order whose dependencies all have ended so; none means that it runs.
pub(crate) fn fate<'s>(
    must_succeed: bool,
    dependencies: impl Iterator<Item = &'s str> + Clone,
) -> Option<&'static str> {
    if dependencies.clone().any(|status| status == "cancelled") {
        return Some("cancelled");
    }
    (must_succeed && dependencies.clone().any(|status| status != "succeeded")).then_some("failed")
}

/// Each order's status in a run without faults that could change an outcome, by name. `own` says how orders end that
/// run; one that it does not name succeeds. Of a job that could not have been accepted nothing is said.
pub fn expected<'s>(job: &Value, own: &BTreeMap<String, &'s str>) -> BTreeMap<String, &'s str> {
    let Ok(job) = job::read(job) else { return BTreeMap::new() };
    let mut ended: Vec<Option<&'s str>> = vec![None; job.orders.len()];
    loop {
        let mut is_changed = false;
        for (index, order) in job.orders.iter().enumerate() {
            let dependencies: Option<Vec<&str>> = order.dependencies.iter().map(|position| ended[*position]).collect();
            let (None, Some(dependencies)) = (ended[index], dependencies) else { continue };
            let fate = fate(order.must_succeed, dependencies.into_iter());
            ended[index] = Some(fate.unwrap_or_else(|| own.get(&order.name).copied().unwrap_or("succeeded")));
            is_changed = true;
        }
        if !is_changed {
            break;
        }
    }
    job.orders.into_iter().zip(ended).filter_map(|(order, ended)| Some((order.name, ended?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(orders: &[(&str, bool, &[&str])], own: &[(&str, &'static str)]) -> Vec<&'static str> {
        let orders = orders.iter().map(|(name, must_succeed, dependencies)| {
            json!({"order_name": name, "must_succeed": must_succeed, "dependencies": dependencies})
        });
        let job = json!({"username": "me", "orders": orders.collect::<Vec<_>>()});
        let own = own.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
        expected(&job, &own).into_values().collect()
    }

    #[test]
    fn failure_cascades_through_what_must_succeed_alone() {
        let chain = [("a", true, &[][..]), ("b", true, &["a"]), ("c", true, &["0002"]), ("d", false, &["c"])];
        assert_eq!(of(&chain, &[("a", "timed_out")]), ["timed_out", "failed", "failed", "succeeded"]);
        assert_eq!(of(&chain, &[("b", "failed")]), ["succeeded", "failed", "failed", "succeeded"]);
    }

    #[test]
    fn cancelling_takes_along_everything_that_depends() {
        let join = [("a", true, &[][..]), ("b", true, &[]), ("c", false, &["a", "b"]), ("d", false, &["c"])];
        assert_eq!(
            of(&join, &[("a", "failed"), ("b", "cancelled")]),
            ["failed", "cancelled", "cancelled", "cancelled"]
        );
        assert_eq!(of(&join, &[("a", "failed")])[2..], ["succeeded", "succeeded"]);
    }

    proptest! {
        #[test]
        fn every_order_ends_and_only_those_that_run_end_as_they_would(
            seeds in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..3), any::<bool>(), 0..4_usize), 1..30),
        ) {
            let words = ["succeeded", "failed", "timed_out", "cancelled"];
            let mut own = BTreeMap::new();
            let orders: Vec<Value> = seeds.iter().enumerate().map(|(index, (picks, must_succeed, outcome))| {
                own.insert(format!("o{index}"), words[*outcome]);
                let its: Vec<String> = if index == 0 { vec![] } else { picks.iter().map(|pick| format!("o{}", pick.index(index))).collect() };
                json!({"order_name": format!("o{index}"), "must_succeed": must_succeed, "dependencies": its})
            }).collect();
            let ended = expected(&json!({"username": "me", "orders": orders}), &own);
            prop_assert_eq!(ended.len(), seeds.len());
            for order in &orders {
                let name = order["order_name"].as_str().unwrap();
                let its = || order["dependencies"].as_array().unwrap().iter().map(|name| ended[name.as_str().unwrap()]);
                let is_skipped = its().any(|s| s == "cancelled") || (order["must_succeed"] == true && its().any(|s| s != "succeeded"));
                if !is_skipped {
                    prop_assert_eq!(ended[name], own[name]);
                }
            }
        }
    }
}
