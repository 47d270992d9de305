//! `aws-exe logs RUN [ORDER]`: prints what commands wrote, the whole of it as far as it is stored, and with `-f` what is
//! new until the end.
//!
//! ```text
//!  look: run item ─▶ what instances reported ─▶ sizes of the logs ─▶ for each order: print what is new
//!    ▲                                                                      │
//!    └──────────────── a second later, with -f, until all have ended ◀──────┘
//! ```
//!
//! Logs go to standard output as they are; whose they are and how the orders stand goes to standard error. A log of an
//! order that ended at once and wrote little is no object of its own: then the one in its result is printed.

mod order;
mod printer;

use std::{collections::HashMap, time::Duration};

use common::{
    env::Environment,
    ids::OrderNum,
    status::{Outcome, Status},
    target::Target,
};
use serde_json::json;

use crate::{
    args::LogsArgs,
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::Output,
    state::{OrderState, never_started},
    stored::Stored,
};
use order::OrderLog;
use printer::{Printer, Stopped};

/// Between two looks of `-f`. Workers put a log every 3 s.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints logs.
pub(crate) async fn logs(args: LogsArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let mut run = Run::find(&engine, &args.run).await?;
    while args.follow && run.is_being_submitted() {
        tokio::time::sleep(PAUSE).await;
        run.refresh().await?;
    }
    let mut reader = Reader::of(&engine, run, &args, output).await?;
    match Box::pin(reader.read()).await {
        Ok(()) => {}
        // Whoever reads has seen enough.
        Err(Stopped::Closed) => return Ok(Exit::Success),
        Err(Stopped::Failed(failure)) => return Err(failure),
    }
    let orders: Vec<&OrderState> = reader.orders.iter().map(|order| &order.state).collect();
    output.finish(&json!({"run_id": reader.run.id, "orders": orders}), String::new)?;
    Ok(Exit::Success)
}

struct Reader<'r> {
    run: Run<'r>,
    stored: Stored<'r>,
    /// The order that was asked for, if it was one.
    only: Option<OrderNum>,
    /// Whether only logs of orders that did not succeed are printed.
    failed: bool,
    orders: Vec<OrderLog>,
    printer: Printer<'r>,
}

impl<'r> Reader<'r> {
    async fn of(engine: &'r Engine, run: Run<'r>, args: &LogsArgs, output: &'r Output) -> Result<Self, Failure> {
        let mut orders = match &args.order {
            Some(text) => vec![run.find_order(text).await?],
            None => run.orders().await?,
        };
        if args.failed {
            let total = orders.len();
            // With `-f` one may fail yet.
            let is_wanted = |order: &OrderState| match order.status {
                Status::Ended(outcome) => outcome != Outcome::Succeeded,
                Status::Queued | Status::Running => args.follow,
            };
            orders.retain(is_wanted);
            if orders.is_empty() {
                output.note(&format!("none of the {total} orders of the run `{}` has failed", run.id))?;
            }
        }
        Ok(Self {
            stored: Stored::new(engine, run.id.clone()),
            only: args.order.as_ref().and(orders.first()).map(|order| order.order_num),
            failed: args.failed,
            orders: orders.into_iter().map(OrderLog::new).collect(),
            printer: Printer::new(output, args.order.is_none(), args.follow),
            run,
        })
    }

    async fn read(&mut self) -> Result<(), Stopped> {
        if self.run.is_being_submitted() {
            self.printer.note(&format!("the run `{}` is still being submitted: nothing has run yet", self.run.id))?;
            return Ok(());
        }
        loop {
            self.look().await?;
            if !self.printer.follow || self.orders.iter().all(|order| order.finished) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Prints what is new. Sizes are read last: an order that has ended, and an instance that has reported, put its log
    /// before.
    async fn look(&mut self) -> Result<(), Stopped> {
        self.run.refresh().await?;
        let mut ended = false;
        for order in self.orders.iter_mut().filter(|order| !order.finished) {
            if let Some(status) = self.run.order(order.state.order_num) {
                // Rows come through an index that may be late, and have the reason.
                let is_unexplained = order.state.status != status || order.state.failure_reason.is_none();
                ended |= is_unexplained && status.outcome().is_some_and(|outcome| outcome != Outcome::Succeeded);
                order.state.status = status;
            }
            if order.state.execution_target == Target::Ssm {
                order.reported = self.stored.reported(order.state.order_num).await?;
            }
        }
        if ended {
            self.learn_reasons().await?;
        }
        let together = self.take_those_that_never_started();
        let sizes = self.stored.sizes(self.only).await?;
        for order in self.orders.iter_mut().filter(|order| !order.finished) {
            if self.failed && order.state.status == Status::Ended(Outcome::Succeeded) {
                order.finished = true;
            } else if !self.failed || order.state.status.outcome().is_some() {
                order.advance(&self.stored, &sizes, &mut self.printer).await?;
            }
        }
        for group in together {
            self.printer.headers(&group)?;
        }
        Ok(())
    }

    /// Neighbours that will never have a log for one reason, to be told of together. Nothing more is to be done about them.
    fn take_those_that_never_started(&mut self) -> Vec<Vec<OrderState>> {
        if self.only.is_some() {
            return Vec::new();
        }
        let never_started = never_started(self.orders.iter().map(|order| &order.state));
        let waits = |order: &OrderLog| !order.finished && never_started.contains(&order.state.order_num);
        let alike = |one: &OrderLog, next: &OrderLog| {
            let [of_one, of_next] = [one, next].map(|order| (order.state.status, &order.state.failure_reason));
            waits(one) && waits(next) && of_one == of_next
        };
        let groups = self.orders.chunk_by_mut(alike).filter(|group| group.len() > 1);
        let take = |order: &mut OrderLog| {
            order.finished = true;
            order.state.clone()
        };
        groups.map(|group| group.iter_mut().map(take).collect()).collect()
    }

    /// Why orders that ended meanwhile did not succeed.
    async fn learn_reasons(&mut self) -> Result<(), Failure> {
        let rows = self.run.orders().await?;
        let mut reasons: HashMap<OrderNum, String> =
            rows.into_iter().filter_map(|row| Some((row.order_num, row.failure_reason?))).collect();
        for order in &mut self.orders {
            order.state.failure_reason = reasons.remove(&order.state.order_num);
        }
        Ok(())
    }
}
