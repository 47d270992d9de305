//! The evidence, order by order, as the rules look at it.

use serde_json::Value;

use crate::{
    evidence::{Evidence, Stored, Whose},
    job::{Job, Order},
    letters,
    starts::{Start, Started},
    times,
};

/// How an order may end.
pub(crate) const OUTCOMES: [&str; 4] = ["succeeded", "failed", "timed_out", "cancelled"];

/// Everything about a run.
pub(crate) struct View<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) job: &'a Job,
    /// By position.
    pub(crate) orders: Vec<OrderView<'a>>,
    /// When the job's time is over, in microseconds of engine time.
    pub(crate) deadline: Option<u64>,
}

/// Everything about an order.
pub(crate) struct OrderView<'a> {
    pub(crate) order: &'a Order,
    /// By the ledger, and by its row if the ledger cannot be read.
    pub(crate) status: &'a str,
    pub(crate) row: Option<&'a Value>,
    /// The order's own claim, result and request to stop.
    pub(crate) whole: Share<'a>,
    /// Those of its instances: of all that it is pinned to, and of any other that left something.
    pub(crate) shares: Vec<Share<'a>>,
    /// The instances that it is pinned to, if it is.
    pub(crate) pinned: Option<Vec<&'a str>>,
    /// Its events, by time.
    pub(crate) events: Vec<&'a Value>,
    /// Its lines in the start log, with their position in it.
    pub(crate) starts: Vec<(usize, &'a Start)>,
}

/// A claim, a result and a request to stop that belong together.
pub(crate) struct Share<'a> {
    pub(crate) instance: Option<&'a str>,
    /// For messages: `a`, or `a` on `i-1`.
    pub(crate) name: String,
    pub(crate) claim: Option<&'a Stored>,
    pub(crate) stop: Option<&'a Stored>,
    pub(crate) result: Option<Reported<'a>>,
}

/// A result.
#[derive(Clone, Copy)]
pub(crate) struct Reported<'a> {
    pub(crate) stored: &'a Stored,
    /// What the order or share ended as: a result that cannot be read fails it.
    pub(crate) status: &'a str,
    /// Who wrote it; whoever was given its URL need not say.
    pub(crate) writer: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(crate) fn new(job: &'a Job, evidence: &'a Evidence) -> Self {
        let item = evidence.item.as_ref();
        let letters = item.and_then(|item| letters::read(item["orders"].as_str()?).ok()).unwrap_or_default();
        let order = |(index, order): (usize, &'a Order)| {
            let row = evidence.rows.get(&order.number);
            let told = || row.and_then(|row| row["status"].as_str()).unwrap_or("unknown");
            OrderView::new(order, letters.get(index).copied().unwrap_or_else(told), row, evidence)
        };
        Self {
            evidence,
            job,
            orders: job.orders.iter().enumerate().map(order).collect(),
            deadline: item.and_then(|item| item["deadline"].as_u64()).map(|millis| millis * 1_000),
        }
    }

    /// The orders that this one waits for.
    pub(crate) fn dependencies(&self, order: &OrderView<'a>) -> impl Iterator<Item = &OrderView<'a>> + Clone {
        order.order.dependencies.iter().map(|position| &self.orders[*position])
    }

    /// Whether somebody asked to cancel the order or the whole run.
    pub(crate) fn is_cancelling(&self, order: &Order) -> bool {
        ["0000", order.number.as_str()].into_iter().any(|number| self.evidence.cancel(number).is_some())
    }

    /// Whether this time, in engine time, is at or after the job's deadline.
    pub(crate) fn is_over(&self, at: Option<u64>) -> bool {
        at.zip(self.deadline).is_some_and(|(at, deadline)| at >= deadline)
    }
}

impl<'a> OrderView<'a> {
    fn new(order: &'a Order, status: &'a str, row: Option<&'a Value>, evidence: &'a Evidence) -> Self {
        let pinned = evidence.prepared(&order.number, "targets.json").map(|targets| {
            let instances = targets.field("instances").and_then(Value::as_array);
            instances.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
        });
        let mut instances = evidence.instances(&order.number);
        instances.extend(pinned.iter().flatten());
        instances.sort_unstable();
        instances.dedup();
        let name = &order.name;
        Self {
            order,
            status,
            row,
            whole: Share::new(evidence, order, None),
            shares: instances.into_iter().map(|instance| Share::new(evidence, order, Some(instance))).collect(),
            pinned,
            events: evidence.events.iter().filter(|event| event["order_name"] == name.as_str()).collect(),
            starts: evidence.starts.iter().enumerate().filter(|(_, start)| start.order == *name).collect(),
        }
    }

    /// Whether it runs on instances.
    pub(crate) fn is_on_instances(&self) -> bool {
        match self.order.targets[..] {
            [target] => target == "ssm",
            _ => self.row.is_some_and(|row| row["execution_target"] == "ssm"),
        }
    }

    /// Seconds between SIGINT and SIGKILL.
    pub(crate) fn stop_grace(&self) -> u64 {
        let default = if self.can_be_stopped_by_hand() { 30 } else { 10 };
        self.order.stop_grace.unwrap_or(default)
    }

    /// What workers claim and report: the order, or its shares.
    pub(crate) fn of_workers(&self) -> &[Share<'a>] {
        if self.is_on_instances() { &self.shares } else { std::slice::from_ref(&self.whole) }
    }

    /// The order's own claim and all of its shares.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Share<'a>> {
        std::iter::once(&self.whole).chain(&self.shares)
    }

    /// Whether a worker claimed it or a share of it.
    pub(crate) fn is_claimed_by_a_worker(&self) -> bool {
        self.all().any(Share::is_a_workers)
    }

    /// The engine's own events about it: what commands report has `data`.
    pub(crate) fn of_engine(&self) -> impl Iterator<Item = &'a Value> {
        self.events.iter().copied().filter(|event| event.get("data").is_none())
    }

    /// Whether everything that was reported of it came from workers and the engine: others may write what they like into
    /// a result, times above all.
    pub(crate) fn is_reported_by_us(&self) -> bool {
        self.all().filter_map(|share| share.result).all(|result| result.writer.is_some())
    }

    /// Whether a person can have stopped it without asking the engine: builds and commands can be, an invocation cannot.
    pub(crate) fn can_be_stopped_by_hand(&self) -> bool {
        self.row.is_some_and(|row| row["execution_target"] != "lambda")
    }

    /// Whether it was dispatched a second time when a worker had it already: the pass of the first dispatch died before it
    /// wrote that down. Then the time of the second is kept, and may even lie after the end.
    pub(crate) fn is_dispatched_again(&self) -> bool {
        let dispatched = self.at("dispatched_at");
        let claims = self.all().filter(|share| share.is_a_workers()).filter_map(Share::claimed_at);
        dispatched.is_some_and(|dispatched| claims.min().is_some_and(|claimed| claimed < dispatched))
    }

    /// The run in which it ran, if it counts as succeeded because of that.
    pub(crate) fn reused_from(&self) -> Option<&'a Value> {
        self.row?.get("reused_from")
    }

    /// A time of its row.
    pub(crate) fn at(&self, field: &str) -> Option<u64> {
        times::field(self.row?, field)
    }

    /// Its first line of a kind, on one instance or anywhere.
    pub(crate) fn line(&self, what: Started, instance: Option<&str>) -> Option<(usize, &'a Start)> {
        let is_it = |start: &Start| start.what == what && (instance.is_none() || start.instance.as_deref() == instance);
        self.starts.iter().copied().find(|(_, start)| is_it(start))
    }
}

impl<'a> Share<'a> {
    fn new(evidence: &'a Evidence, order: &'a Order, instance: Option<&'a str>) -> Self {
        let whose = Whose { order: &order.number, instance };
        Self {
            instance,
            name: match instance {
                Some(instance) => format!("`{}` on `{instance}`", order.name),
                None => format!("`{}`", order.name),
            },
            claim: evidence.claim(whose),
            stop: evidence.stop(whose),
            result: evidence.result(whose).map(Reported::new),
        }
    }

    /// Who claimed it.
    pub(crate) fn claimed_by(&self) -> Option<&'a str> {
        self.claim?.text("by")
    }

    pub(crate) fn is_the_engines(&self) -> bool {
        self.claimed_by() == Some("engine")
    }

    pub(crate) fn is_a_workers(&self) -> bool {
        self.claimed_by().is_some_and(|by| by != "engine")
    }

    /// When it was claimed, in engine time.
    pub(crate) fn claimed_at(&self) -> Option<u64> {
        times::micros(self.claim?.field("at")?)
    }
}

impl<'a> Reported<'a> {
    fn new(stored: &'a Stored) -> Self {
        let status = stored.text("status").filter(|status| OUTCOMES.contains(status) && is_readable(stored));
        Self { stored, status: status.unwrap_or("failed"), writer: stored.text("writer") }
    }

    /// Whether it says that the order did not run because of a dependency.
    pub(crate) fn is_skipped(&self) -> bool {
        self.stored.field("skipped").is_some_and(|skipped| *skipped == true)
    }

    /// A time in it, in engine time.
    pub(crate) fn at(&self, field: &str) -> Option<u64> {
        times::micros(self.stored.field(field)?)
    }
}

/// Whether the fields that the contract names are what it says they are.
fn is_readable(result: &Stored) -> bool {
    let holds =
        |fields: &[&str], is_it: fn(&Value) -> bool| fields.iter().filter_map(|field| result.field(field)).all(is_it);
    holds(&["log", "reason", "writer", "log_location"], Value::is_string)
        && holds(&["exit_code"], Value::is_i64)
        && holds(&["schema_version", "failed_command"], Value::is_u64)
        && holds(&["log_truncated", "skipped"], Value::is_boolean)
        && holds(&["events"], Value::is_array)
        && holds(&["started_at", "finished_at"], |time| time.is_string() || time.is_number())
}
