//! The job as it was submitted, with the contract's defaults filled in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Seconds that a Lambda order may take, `stop_grace` included.
const MOST_ON_LAMBDA: u64 = 840;

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Position from `0001`.
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) queue_id: String,
    /// Positions from 0 of the orders it waits for, as written.
    pub(crate) dependencies: Vec<usize>,
    pub(crate) must_succeed: bool,
    /// Seconds.
    pub(crate) timeout: u64,
    /// Seconds.
    pub(crate) start_timeout: u64,
    /// Seconds, where it is written.
    pub(crate) stop_grace: Option<u64>,
    /// Where it may run: two when only the entry point that took the job tells.
    pub(crate) targets: Vec<&'static str>,
    pub(crate) cmds: Vec<String>,
    /// The instances that it names itself.
    pub(crate) instances: Option<BTreeSet<String>>,
}

/// The job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) username: String,
    /// As written, or the default of either entry point.
    pub(crate) flow_label: Option<String>,
    /// Seconds for the whole run.
    pub(crate) timeout: u64,
    pub(crate) orders: Vec<Order>,
}

/// Reads a job; the text says what is wrong with one that could not have been accepted.
pub(crate) fn read(job: &Value) -> Result<Job, String> {
    let text = |field: &str| job[field].as_str().map(str::to_owned);
    let orders = job["orders"].as_array().ok_or("the job has no orders")?;
    let mut read = orders.iter().enumerate().map(|(index, order)| self::order(index, order)).collect::<Vec<_>>();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for (index, order) in read.iter().enumerate() {
        for name in BTreeSet::from([&order.name, &order.queue_id]) {
            if positions.insert(name.clone(), index).is_some() {
                return Err(format!("two orders are called `{name}`"));
            }
        }
    }
    for (order, written) in read.iter_mut().zip(orders) {
        for name in written["dependencies"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            let position =
                positions.get(name).ok_or_else(|| format!("`{}` waits for `{name}`, which is unknown", order.name))?;
            order.dependencies.push(*position);
        }
    }
    Ok(Job {
        username: text("username").ok_or("the job has no `username`")?,
        flow_label: text("flow_label"),
        timeout: job["job_timeout"].as_u64().unwrap_or(3_600),
        orders: read,
    })
}

fn order(index: usize, order: &Value) -> Order {
    let text = |field: &str| order[field].as_str().map(str::to_owned);
    let seconds = |field: &str| order[field].as_u64();
    let number = format!("{:04}", index + 1);
    let timeout = seconds("timeout").unwrap_or(0);
    let targets = match order["execution_target"].as_str() {
        Some("lambda") => vec!["lambda"],
        Some("ssm") => vec!["ssm"],
        Some("auto") if timeout.saturating_add(seconds("stop_grace").unwrap_or(10)) <= MOST_ON_LAMBDA => vec!["lambda"],
        Some(_) => vec!["codebuild"],
        None => vec!["codebuild", "ssm"],
    };
    let ids = order["ssm_targets"]["instance_ids"].as_array();
    Order {
        name: text("order_name").unwrap_or_else(|| format!("order-{number}")),
        queue_id: text("queue_id").unwrap_or_else(|| number.clone()),
        number,
        dependencies: Vec::new(),
        must_succeed: order["must_succeed"].as_bool().unwrap_or(true),
        timeout,
        start_timeout: seconds("start_timeout").unwrap_or(3_600),
        stop_grace: seconds("stop_grace"),
        targets,
        cmds: order["cmds"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|cmd| cmd.as_str().map(str::to_owned))
            .collect(),
        instances: ids.map(|ids| ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()),
    }
}
