//! RUN and ORDER, as typed, to the run and the order that they name.

use common::{
    ids::{OrderNum, RunId, TraceId},
    intake::shape::similar,
    ledger::Ledger,
    run_item::{RunItem, RunItems, RunStatus},
    status::Status,
    text::shown,
};

use crate::{
    code::Code,
    engine::Engine,
    failure::Failure,
    state::{self, Done, OrderState},
};

/// Orders that a hint names one by one.
const NAMED: usize = 10;

/// A run that is there. Where its orders stand is read from the run item alone: rows are found through an index, which
/// may be late.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    pub(crate) engine: &'r Engine,
    pub(crate) id: RunId,
    pub(crate) trace_id: TraceId,
    pub(crate) flow_id: String,
    pub(crate) status: RunStatus,
    pub(crate) ledger: Ledger,
}

impl<'r> Run<'r> {
    /// The run with this id.
    pub(crate) async fn find(engine: &'r Engine, id: &str) -> Result<Self, Failure> {
        // What cannot be a run id names no run.
        let parsed: RunId = id.parse().map_err(|_| none(engine, id))?;
        let item = read(engine, &parsed).await?;
        let ledger = ledger(&item)?;
        let RunItem { trace_id, flow_id, status, .. } = item;
        Ok(Self { engine, id: parsed, trace_id, flow_id, status, ledger })
    }

    /// Looks again.
    pub(crate) async fn refresh(&mut self) -> Result<(), Failure> {
        let item = read(self.engine, &self.id).await?;
        self.ledger = ledger(&item)?;
        self.status = item.status;
        Ok(())
    }

    /// Who asked for it.
    pub(crate) fn username(&self) -> &str {
        username(&self.flow_id)
    }

    /// Where an order stands.
    pub(crate) fn order(&self, order: OrderNum) -> Option<Status> {
        self.ledger.get(order)
    }

    /// How many orders stand so.
    pub(crate) fn count(&self, status: Status) -> usize {
        self.ledger.statuses().iter().filter(|known| **known == status).count()
    }

    /// Whether it is not accepted yet.
    pub(crate) fn is_being_submitted(&self) -> bool {
        self.status == RunStatus::Submitting
    }

    /// Whether every order has ended and `done` is written.
    pub(crate) fn is_completed(&self) -> bool {
        self.status == RunStatus::Completed
    }

    /// Its orders: their rows, which come through an index that may be late, as they stand by the run item, which is not.
    pub(crate) async fn orders(&self) -> Result<Vec<OrderState>, Failure> {
        let mut orders = state::rows(self.engine, &self.id).await?;
        for order in &mut orders {
            order.status = self.order(order.order_num).unwrap_or(order.status);
        }
        Ok(orders)
    }

    /// The order that a text names: its name, its queue id, or its number with or without zeros before it.
    pub(crate) async fn find_order(&self, text: &str) -> Result<OrderState, Failure> {
        if self.is_being_submitted() {
            let problem = format!("the run `{}` is still being submitted, its orders are not known yet", self.id);
            return Err(Failure::new(Code::RunNotReady, problem).hint("try again in a moment"));
        }
        let orders = self.orders().await?;
        choose(&orders, text).cloned().ok_or_else(|| self.no_order(&orders, text))
    }

    /// How a completed run ended. `done` is kept for a day.
    pub(crate) async fn done(&self) -> Result<Option<Done>, Failure> {
        state::done(self.engine, &self.id).await
    }

    fn no_order(&self, orders: &[OrderState], text: &str) -> Failure {
        let known = orders.iter().flat_map(|order| [order.order_name.as_str(), order.queue_id.as_str()]);
        let meant = similar(text, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let problem = format!("the run `{}` has no order `{}`{meant}", self.id, shown(text));
        let failure = Failure::new(Code::OrderUnknown, problem);
        let names: Vec<String> = orders.iter().map(|order| format!("`{}`", order.order_name)).collect();
        failure.hint(if names.len() <= NAMED {
            format!("its orders are {}", names.join(", "))
        } else {
            format!("it has {} orders; name one by its number, name or queue id", names.len())
        })
    }
}

async fn read(engine: &Engine, id: &RunId) -> Result<RunItem, Failure> {
    let item = RunItems::new(&engine.aws, &engine.names.locks_table).get(id).await?;
    item.ok_or_else(|| none(engine, id.as_str()))
}

/// How the orders of a run stand.
pub(crate) fn ledger(item: &RunItem) -> Result<Ledger, Failure> {
    item.orders.parse().map_err(|error| {
        Failure::new(Code::AwsFailed, format!("failed to read the run item of `{}`: {error}", item.run_id))
    })
}

/// Who asked for a run: the flow id is `<username>:<trace_id>-<flow_label>`, and a user name has no colon.
pub(crate) fn username(flow_id: &str) -> &str {
    flow_id.split_once(':').map_or(flow_id, |(username, _)| username)
}

fn none(engine: &Engine, id: &str) -> Failure {
    Failure::new(Code::RunUnknown, format!("there is no run `{}`", shown(id))).hint(format!(
        "a run is named by the `run_id` that its submission answered with; this looked at `{}`",
        engine.shown
    ))
}

fn choose<'o>(orders: &'o [OrderState], text: &str) -> Option<&'o OrderState> {
    // Names first: an order may be called `2`.
    let named = orders.iter().find(|order| order.order_name == text || order.queue_id == text);
    named.or_else(|| orders.iter().find(|order| is_number(order.order_num, text)))
}

fn is_number(order: OrderNum, text: &str) -> bool {
    let digits = text.trim_start_matches('0');
    text.bytes().all(|byte| byte.is_ascii_digit()) && order.to_string().trim_start_matches('0') == digits
}

#[cfg(test)]
mod tests {
    use common::target::Target;

    use super::*;

    fn order(number: usize, name: &str, queue_id: &str) -> OrderState {
        OrderState {
            order_num: OrderNum::of_index(number - 1),
            order_name: name.to_owned(),
            queue_id: queue_id.to_owned(),
            execution_target: Target::Lambda,
            dependencies: Vec::new(),
            must_succeed: true,
            status: Status::Queued,
            timeout: 1,
            created_at: None,
            dispatched_at: None,
            ended_at: None,
            failure_reason: None,
            execution_url: None,
            reused_from: None,
        }
    }

    #[test]
    fn an_order_is_named_by_number_name_or_queue_id() {
        let orders =
            [order(1, "build", "0001"), order(2, "3", "second"), order(3, "x", "0003"), order(10, "y", "0010")];
        let number = |text| choose(&orders, text).map(|order| order.order_num.to_string());
        for (text, wanted) in [
            ("build", "0001"),
            ("1", "0001"),
            ("0001", "0001"),
            ("00001", "0001"),
            ("second", "0002"),
            ("2", "0002"),
            // A name comes before a number.
            ("3", "0002"),
            ("0003", "0003"),
            ("10", "0010"),
        ] {
            assert_eq!(number(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "0", "0000", "4", "-1", "+1", "1 ", "Build", "99999999999999999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
