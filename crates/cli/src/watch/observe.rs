//! Observing a run from outside, as any client could. The run item, which is small, says whether anything changed; only
//! then are rows read, and of logs only what is new.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use common::{
    ids::{OrderNum, RunId},
    keys::Share,
    ledger::Ledger,
    outcome::OrderResult,
    run_item::{RunItems, RunStatus},
    status::{Outcome, Status},
    target::Target,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use crate::{
    code::Code,
    engine::{Engine, Kind},
    failure::Failure,
    lookup,
    state::{self, Done, OrderState},
    stored::{Sizes, Stored, of_order},
};

/// Logs that are read at the same time.
const PARALLEL: usize = 16;
/// Bytes of the end of a log in which its last line is looked for.
const TAIL: u64 = 2_048;
/// Running orders whose last line is followed: more than a screen has lines.
const FOLLOWED: usize = 60;
/// Between two looks at the logs of running orders. Workers put them every 3 s.
const LOG_PAUSE: Duration = Duration::from_secs(2);
/// Orders of a run up to which the last line of every log is read, and not only of those that failed.
const MANY: usize = 200;

/// How often the run item is read: what it costs is a read unit and, far away, tens of milliseconds.
const fn pause(kind: Kind) -> Duration {
    match kind {
        Kind::Embedded => Duration::from_millis(100),
        Kind::Deployed => Duration::from_secs(1),
    }
}

/// How often rows are read again while a pass is under way, which writes them before the run item.
const fn rows_pause(kind: Kind) -> Duration {
    match kind {
        Kind::Embedded => Duration::from_millis(500),
        Kind::Deployed => Duration::from_secs(3),
    }
}

/// How much longer than a read of the rows took is waited until the next: of a large run it takes tens of milliseconds of
/// a core, and watching is to take less than a twentieth of one. The run item tells how orders stand meanwhile.
const IDLE_RATIO: u32 = 25;

/// The run as it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) orders: Vec<OrderState>,
    /// Last line of the log, by order; of an SSM order that ended a line for each of its instances.
    pub(crate) last_lines: BTreeMap<OrderNum, String>,
    pub(crate) done: Option<Done>,
    /// Orders of which the run item says more than their rows: why they ended is not known yet.
    pub(crate) ahead: BTreeSet<OrderNum>,
}

/// An order that did not succeed, with its log.
#[derive(Clone, Debug)]
pub(crate) struct FailedOrder {
    pub(crate) state: OrderState,
    pub(crate) result: Option<OrderResult>,
}

/// Reads a run again and again.
pub(crate) struct Observer<'e> {
    engine: &'e Engine,
    run_id: RunId,
    stored: Stored<'e>,
    /// The letters, and whether somebody works on the run, as they were when rows were read last.
    seen: Option<(String, RunStatus)>,
    /// Whether rows are behind the run item.
    behind: bool,
    rows_read: Instant,
    /// How long that took.
    rows_took: Duration,
    logs_read: Option<Instant>,
    sizes: Sizes,
    /// Orders whose last line is final.
    told: BTreeSet<OrderNum>,
    update: Update,
}

impl<'e> Observer<'e> {
    pub(crate) fn new(engine: &'e Engine, run_id: RunId) -> Self {
        Self {
            engine,
            stored: Stored::new(engine, run_id.clone()),
            run_id,
            seen: None,
            behind: false,
            rows_read: Instant::now(),
            rows_took: Duration::ZERO,
            logs_read: None,
            sizes: Sizes::new(),
            told: BTreeSet::new(),
            update: Update::default(),
        }
    }

    /// The run a moment later.
    pub(crate) async fn next(&mut self) -> Result<&Update, Failure> {
        if self.seen.is_some() {
            tokio::time::sleep(pause(self.engine.kind)).await;
        }
        let item = RunItems::new(&self.engine.aws, &self.engine.names.locks_table).get(&self.run_id).await?;
        let Some(item) = item else {
            return Err(Failure::new(Code::RunUnknown, format!("the run `{}` is gone", self.run_id)));
        };
        if item.status == RunStatus::Completed && self.update.done.is_none() {
            let gone = || Failure::new(Code::OutcomeGone, format!("the outcome of the run `{}` is gone", self.run_id));
            self.update.done = Some(state::done(self.engine, &self.run_id).await?.ok_or_else(gone)?);
        }
        let ledger = lookup::ledger(&item)?;
        let stands = (item.orders, item.status);
        let waited = self.rows_read.elapsed();
        let is_first_or_last = self.seen.is_none() || self.update.done.is_some();
        let is_rested = is_first_or_last || waited >= self.rows_took * IDLE_RATIO;
        let is_late = waited >= rows_pause(self.engine.kind) && (self.behind || stands.1 == RunStatus::Active);
        if is_rested && (is_late || self.seen.as_ref() != Some(&stands)) {
            let began = Instant::now();
            self.update.orders = state::rows(self.engine, &self.run_id).await?;
            self.update.ahead.clear();
            self.rows_read = Instant::now();
            self.rows_took = self.rows_read - began;
            self.seen = Some(stands);
        }
        let ahead = catch_up(&mut self.update.orders, &ledger);
        self.behind = !ahead.is_empty() || !self.update.ahead.is_empty() || self.update.orders.len() < ledger.len();
        self.update.ahead.extend(ahead);
        self.last_lines().await?;
        Ok(&self.update)
    }

    /// The orders that did not succeed, with their results.
    pub(crate) async fn failed(&self) -> Result<Vec<FailedOrder>, Failure> {
        let never_started = state::never_started(&self.update.orders);
        let failed = self.update.orders.iter().filter(|order| order.status != Status::Ended(Outcome::Succeeded));
        let failed = futures::stream::iter(failed.cloned()).map(|state| async {
            let has_none = never_started.contains(&state.order_num);
            let result = if has_none { None } else { self.stored.result(&state.order_num.into()).await? };
            Ok::<_, Failure>(FailedOrder { state, result })
        });
        failed.buffered(PARALLEL).try_collect().await
    }

    /// Reads the last lines that may have changed.
    async fn last_lines(&mut self) -> Result<(), Failure> {
        let is_due = self.logs_read.is_none_or(|read| read.elapsed() >= LOG_PAUSE);
        let is_running = |order: &&OrderState| order.status == Status::Running;
        let mut grown: Vec<(OrderNum, Share, u64)> = Vec::new();
        if is_due && self.update.orders.iter().any(|order| is_running(&order)) {
            let sizes = self.stored.sizes(None).await?;
            self.logs_read = Some(Instant::now());
            for order in self.update.orders.iter().filter(is_running).take(FOLLOWED) {
                for share in of_order(&sizes, order.order_num) {
                    let size = sizes.get(share).copied().unwrap_or_default();
                    if self.sizes.get(share) != Some(&size) {
                        grown.push((order.order_num, share.clone(), size));
                    }
                }
            }
            self.sizes = sizes;
        }
        let reads_all = self.update.orders.len() <= MANY;
        let never_started = state::never_started(&self.update.orders);
        let is_new = |order: &&OrderState| {
            let outcome = order.status.outcome();
            outcome.is_some_and(|outcome| reads_all || outcome != Outcome::Succeeded)
                && order.reused_from.is_none()
                && !never_started.contains(&order.order_num)
                && !self.told.contains(&order.order_num)
        };
        let ended: Vec<(OrderNum, Target)> =
            self.update.orders.iter().filter(is_new).map(|order| (order.order_num, order.execution_target)).collect();
        let running = futures::stream::iter(grown).map(|(order, share, size)| {
            let stored = &self.stored;
            async move {
                let tail = stored.tail(&share, size, TAIL).await?;
                let name = share.instance.map_or_else(String::new, |instance| format!("{instance}: "));
                let line = last_line(&String::from_utf8_lossy(&tail));
                Ok::<_, Failure>((order, line.map(|line| format!("{name}{line}")).unwrap_or_default()))
            }
        });
        let mut lines: Vec<(OrderNum, String)> = running.buffered(PARALLEL).try_collect().await?;
        let done = futures::stream::iter(ended).map(|(order, target)| {
            let stored = &self.stored;
            async move {
                let result = stored.result(&order.into()).await?;
                let line = result.and_then(|result| summary(target, &result.log)).unwrap_or_default();
                Ok::<_, Failure>((order, line))
            }
        });
        let done: Vec<(OrderNum, String)> = done.buffered(PARALLEL).try_collect().await?;
        self.told.extend(done.iter().map(|(order, _)| *order));
        lines.extend(done);
        self.update.last_lines.extend(lines);
        Ok(())
    }
}

/// Puts what the run item says over rows that are late; says which those are.
fn catch_up(orders: &mut [OrderState], ledger: &Ledger) -> Vec<OrderNum> {
    let mut late = Vec::new();
    for order in orders {
        let Some(stands) = ledger.get(order.order_num) else { continue };
        let is_ahead = matches!(
            (stands, order.status),
            (Status::Ended(_), Status::Queued | Status::Running) | (Status::Running, Status::Queued)
        );
        if is_ahead {
            order.status = stands;
            late.push(order.order_num);
        }
    }
    late
}

/// What is shown of the log of an order that ended.
fn summary(target: Target, log: &str) -> Option<String> {
    match target {
        Target::Lambda | Target::Codebuild => last_line(log),
        // The instances' own lines come first, and an empty one before their logs.
        Target::Ssm => Some(log.lines().take_while(|line| !line.is_empty()).map(plain).collect::<Vec<_>>().join("\n")),
    }
}

/// The last line that says something.
fn last_line(log: &str) -> Option<String> {
    // What a progress bar writes over itself is many lines.
    log.rsplit(['\n', '\r']).find(|line| !line.trim().is_empty()).map(plain)
}

/// A line without what a terminal would take for an order, colours included.
fn plain(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('\u{1b}') {
        shown.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        // A control sequence: parameters, then one letter.
        if let Some(sequence) = rest.strip_prefix('[') {
            let end = sequence.find(|c: char| c.is_ascii_alphabetic() || !c.is_ascii()).unwrap_or(sequence.len());
            rest = sequence[end..].strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(&sequence[end..]);
        }
    }
    shown.push_str(rest);
    shown.retain(|c| !c.is_control() && !common::text::is_hidden(c));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_something_and_is_plain() {
        for (log, line) in [
            ("one\ntwo\n\n  \n", Some("two")),
            ("10%\r20%\r100%\r\n", Some("100%")),
            ("\u{1b}[1;31mred\u{1b}[0m end\n", Some("red end")),
            ("a\u{1b}[", Some("a")),
            ("a\u{1b}]0;title\u{7}b", Some("a]0;titleb")),
            ("\n\n", None),
            ("", None),
        ] {
            assert_eq!(last_line(log).as_deref(), line, "{log:?}");
        }
    }
}
