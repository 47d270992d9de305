//! The plan: what a pass needs to know of a run and that never changes. Written once at submission, without secrets.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    graph::Node,
    ids::{OrderName, OrderNum, RunId, TraceId},
    order::{Job, SsmOrder},
    target::Target,
};

/// Version of the plan and the run item. A function that meets a newer one leaves the run alone.
pub const SCHEMA_VERSION: u32 = 1;

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
    /// SHA-256 of its `exec.zip`, in hex.
    pub bundle_sha256: String,
    /// Of an SSM order, where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<SsmOrder>,
}

impl Plan {
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

    /// The planned orders of an accepted job; `bundles` are the digests by index.
    pub fn orders_of(job: &Job, bundles: &[String]) -> Vec<PlannedOrder> {
        let planned = |(order, sha256): (&crate::order::Order, &String)| PlannedOrder {
            name: order.name.clone(),
            dependencies: order.dependencies.clone(),
            must_succeed: order.must_succeed,
            target: order.target,
            timeout: order.timeout,
            start_timeout: order.start_timeout,
            stop_grace: order.stop_grace,
            bundle_sha256: sha256.clone(),
            ssm: order.ssm.clone(),
        };
        job.orders.iter().zip(bundles).map(planned).collect()
    }
}
