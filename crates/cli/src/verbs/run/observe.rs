//! Observing a run from outside: its rows, its results' logs and `done`, read as any client could.

use std::{collections::BTreeMap, time::Duration};

use common::{
    aws::{Aws, AwsError},
    ids::{OrderNum, RunId},
    keys,
    objects::Objects,
    outcome::{MAX_BYTES, OrderResult},
    stack::Stack,
    status::{Outcome, Status},
    target::Target,
};

use crate::{
    exit::Failure,
    state::{self, Done, OrderState, told},
};

/// The view is redrawn at most ten times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// The run as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) orders: Vec<OrderState>,
    /// Last line of the log, by order, for those that ended; of an SSM order a line for each of its instances.
    pub(crate) last_lines: BTreeMap<OrderNum, String>,
    pub(crate) done: Option<Done>,
}

/// An order that did not succeed, with its log.
#[derive(Clone, Debug)]
pub(crate) struct FailedOrder {
    pub(crate) state: OrderState,
    pub(crate) result: Option<OrderResult>,
}

/// Reads a run again and again.
pub(crate) struct Observer<'a> {
    aws: &'a Aws,
    stack: Stack,
    run_id: RunId,
    last_lines: BTreeMap<OrderNum, String>,
    first: bool,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(aws: &'a Aws, stack: Stack, run_id: RunId) -> Self {
        Self { aws, stack, run_id, last_lines: BTreeMap::new(), first: true }
    }

    /// The run a moment later.
    pub(crate) async fn next(&mut self) -> Result<Update, Failure> {
        if !std::mem::take(&mut self.first) {
            tokio::time::sleep(PAUSE).await;
        }
        // In this order: when `done` is there, the rows are final.
        let done = state::done(self.aws, &self.stack, &self.run_id).await?;
        let orders = state::rows(self.aws, &self.stack, &self.run_id).await?;
        for order in orders.iter().filter(|order| order.status.outcome().is_some()) {
            if !self.last_lines.contains_key(&order.order_num) {
                let result = self.result(order.order_num).await.map_err(told)?;
                let line = result.and_then(|result| shown(order.execution_target, &result.log)).unwrap_or_default();
                self.last_lines.insert(order.order_num, line);
            }
        }
        Ok(Update { orders, last_lines: self.last_lines.clone(), done })
    }

    /// The orders that did not succeed, with their results.
    pub(crate) async fn failed(&self, update: &Update) -> Result<Vec<FailedOrder>, Failure> {
        let mut failed = Vec::new();
        for state in update.orders.iter().filter(|order| order.status != Status::Ended(Outcome::Succeeded)) {
            failed
                .push(FailedOrder { state: state.clone(), result: self.result(state.order_num).await.map_err(told)? });
        }
        Ok(failed)
    }

    async fn result(&self, order: OrderNum) -> Result<Option<OrderResult>, AwsError> {
        let bucket = self.stack.internal_bucket();
        let object = Objects::new(self.aws, &bucket).get(&keys::result(&self.run_id, order), MAX_BYTES).await?;
        Ok(object.map(|object| OrderResult::read(&object.body, object.written_at)))
    }
}

/// What is shown of a log beside its order, without control characters.
fn shown(target: Target, log: &str) -> Option<String> {
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
    match target {
        Target::Lambda | Target::Codebuild => log.lines().rev().find(|line| !line.trim().is_empty()).map(plain),
        // The instances' own lines come first, and an empty one before their logs.
        Target::Ssm => Some(log.lines().take_while(|line| !line.is_empty()).map(plain).collect::<Vec<_>>().join("\n")),
    }
}
