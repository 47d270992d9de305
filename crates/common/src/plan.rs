//! The plan: what a pass needs to know of a run and that never changes. Written once at submission, without secrets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    graph::Node,
    ids::{OrderName, OrderNum, RunId, TraceId},
    ledger::Ledger,
    order::{Job, SsmOrder},
    status::{Outcome, Status},
    target::Target,
};

/// Version of the plan and the run item. A function that meets a newer one leaves the run alone.
pub const SCHEMA_VERSION: u32 = 1;

/// Most bytes of a plan that are read: 9,999 orders with all the dependencies that a request can hold.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The plan of a run, `tmp/exec/<run_id>/plan.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA_VERSION`] of its writer.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// Its trace.
    pub trace_id: TraceId,
    /// `<username>:<trace_id>-<flow_label>`.
    pub flow_id: String,
    /// Draws of the submission; names its watchdogs.
    pub submit_id: String,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When every order that has not ended is timed out.
    pub deadline: Timestamp,
    /// Path of the run's age identity.
    pub sops_key_ssm_path: String,
    /// Where `done` will be.
    pub done_endpt: String,
    /// What the job says of where it belongs and the engine only carries along: `git_repo`, `pr_number`, `issue_number`,
    /// `pr_comment_search_tag`, as far as they are given.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub carried: Map<String, Value>,
    /// The run of which successes count, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// Most orders at once over all targets.
    pub max_parallel: Option<usize>,
    /// A topological order of the indices.
    pub topological_order: Vec<u16>,
    /// The orders, by index.
    pub orders: Vec<PlannedOrder>,
}

/// What dispatch and evaluation need of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedOrder {
    /// Its name.
    pub name: OrderName,
    /// Indices of the orders it waits for.
    pub dependencies: Vec<u16>,
    /// Whether its failure fails the job.
    pub must_succeed: bool,
    /// Where it runs.
    pub target: Target,
    /// Seconds for its commands.
    pub timeout: u64,
    /// Seconds from the first dispatch to a claim.
    pub start_timeout: u64,
    /// Seconds between SIGINT and SIGKILL.
    pub stop_grace: u64,
    /// SHA-256 of its `exec.zip`, in hex; empty when it counts as succeeded, and so has none.
    pub bundle_sha256: String,
    /// What decides what its commands do ([`crate::intake::digest::of_order`]); releases before 0.6 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The run in which it ran, when it counts as succeeded from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<RunId>,
    /// Of an SSM order, where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<SsmOrder>,
}

/// What the packaging of an order gave.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// SHA-256 of its bundle, in hex; empty without one.
    pub bundle_sha256: String,
    /// What decides what its commands do.
    pub digest: String,
    /// The run in which it ran, when it counts as succeeded.
    pub reused_from: Option<RunId>,
}

impl Plan {
    /// The ledger that the run begins with: what counts as succeeded is, and all else waits.
    pub fn ledger(&self) -> Ledger {
        self.orders.iter().map(PlannedOrder::initial_status).collect()
    }

    /// The nodes for [`crate::graph::evaluate`].
    pub fn nodes(&self) -> Vec<Node> {
        let node = |order: &PlannedOrder| Node {
            dependencies: order.dependencies.clone(),
            must_succeed: order.must_succeed,
            target: order.target,
        };
        self.orders.iter().map(node).collect()
    }

    /// The order with this number, if the run has it.
    pub fn order(&self, number: OrderNum) -> Option<&PlannedOrder> {
        self.orders.get(number.index()?)
    }

    /// The planned orders of an accepted job; `prepared` is by index.
    pub fn orders_of(job: &Job, prepared: impl IntoIterator<Item = Prepared>) -> Vec<PlannedOrder> {
        let planned = |(order, prepared): (&crate::order::Order, Prepared)| PlannedOrder {
            name: order.name.clone(),
            dependencies: order.dependencies.clone(),
            must_succeed: order.must_succeed,
            target: order.target,
            timeout: order.timeout,
            start_timeout: order.start_timeout,
            stop_grace: order.stop_grace,
            bundle_sha256: prepared.bundle_sha256,
            digest: Some(prepared.digest),
            reused_from: prepared.reused_from,
            ssm: order.ssm.clone(),
        };
        job.orders.iter().zip(prepared).map(planned).collect()
    }
}

impl PlannedOrder {
    /// Where it stands when the run begins.
    pub fn initial_status(&self) -> Status {
        if self.reused_from.is_some() { Status::Ended(Outcome::Succeeded) } else { Status::Queued }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_of_an_earlier_release_is_read_and_what_counts_has_succeeded_from_the_start() {
        let order = |more: serde_json::Value| {
            let mut order = json!({"name": "a", "dependencies": [], "must_succeed": true, "target": "lambda",
                "timeout": 1, "start_timeout": 1, "stop_grace": 1, "bundle_sha256": ""});
            order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            order
        };
        let orders = [order(json!({})), order(json!({"digest": "5a", "reused_from": "first"})), order(json!({}))];
        let plan = json!({"schema_version": 1, "run_id": "r", "trace_id": "0a1b2c3d", "flow_id": "f", "submit_id": "s",
            "created_at": "1.000000", "deadline": "2.000000", "sops_key_ssm_path": "/k", "done_endpt": "s3://d/r/done",
            "max_parallel": null, "topological_order": [0, 1, 2], "orders": orders});
        let plan: Plan = serde_json::from_value(plan).unwrap();
        assert_eq!((plan.rerun_of.clone(), plan.orders[0].digest.clone()), (None, None));
        assert_eq!(plan.ledger().letters(), "qsq");
    }
}
