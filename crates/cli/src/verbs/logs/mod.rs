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
mod stored;

use std::time::Duration;

use common::{ids::OrderNum, target::Target};

use crate::{
    args::LogsArgs,
    exit::{Exit, Failure},
    lookup::Run,
    remote::Remote,
    state::told,
};
use order::OrderLog;
use printer::{Printer, Stopped};
use stored::Stored;

/// Between two looks of `-f`. Workers put a log every 3 s.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints logs.
pub(crate) async fn logs(args: LogsArgs) -> Result<Exit, Failure> {
    let remote = Remote::connect(&args.endpoint.endpoint).await?;
    let mut run = Run::find(&remote, &args.run).await?;
    while args.follow && run.is_being_submitted() {
        tokio::time::sleep(PAUSE).await;
        run.refresh().await?;
    }
    let mut reader = Reader::of(&remote, run, args.order.as_deref(), args.follow).await?;
    match Box::pin(reader.read()).await {
        // Whoever reads has seen enough.
        Ok(()) | Err(Stopped::Closed) => Ok(Exit::Success),
        Err(Stopped::Failed(failure)) => Err(failure),
    }
}

struct Reader<'r> {
    run: Run<'r>,
    stored: Stored<'r>,
    /// The order that was asked for, if it was one.
    only: Option<OrderNum>,
    orders: Vec<OrderLog>,
    printer: Printer,
}

impl<'r> Reader<'r> {
    async fn of(remote: &'r Remote, run: Run<'r>, order: Option<&str>, follow: bool) -> Result<Self, Failure> {
        let orders = match order {
            Some(text) => vec![run.find_order(text).await?],
            None => run.orders().await?,
        };
        Ok(Self {
            stored: Stored::new(remote, run.id.clone()),
            only: order.and(orders.first()).map(|order| order.order_num),
            orders: orders.into_iter().map(OrderLog::new).collect(),
            printer: Printer::new(order.is_none(), follow),
            run,
        })
    }

    async fn read(&mut self) -> Result<(), Stopped> {
        if self.run.is_being_submitted() {
            self.printer.note(&format!("the run `{}` is still being submitted: nothing has run yet", self.run.id));
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
                ended |= order.state.status != status && status.outcome().is_some();
                order.state.status = status;
            }
            if order.state.execution_target == Target::Ssm {
                order.reported = self.stored.reported(order.state.order_num).await.map_err(told)?;
            }
        }
        if ended {
            self.learn_reasons().await?;
        }
        let sizes = self.stored.sizes(self.only).await.map_err(told)?;
        for order in self.orders.iter_mut().filter(|order| !order.finished) {
            order.advance(&self.stored, &sizes, &mut self.printer).await?;
        }
        Ok(())
    }

    /// Why orders that ended meanwhile did not succeed.
    async fn learn_reasons(&mut self) -> Result<(), Failure> {
        let rows = self.run.orders().await?;
        for order in &mut self.orders {
            let row = rows.iter().find(|row| row.order_num == order.state.order_num);
            order.state.failure_reason = row.and_then(|row| row.failure_reason.clone());
        }
        Ok(())
    }
}
