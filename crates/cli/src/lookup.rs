//! RUN and ORDER, as typed, to the run and the order that they name.

use common::{
    ids::{OrderNum, RunId},
    intake::shape::similar,
    ledger::Ledger,
    run_item::{RunItem, RunItems, RunStatus},
    status::Status,
};

use crate::{
    exit::Failure,
    remote::Remote,
    state::{self, Done, OrderState, told},
};

/// Orders that a hint names one by one.
const NAMED: usize = 10;

/// A run that is there. Where its orders stand is read from the run item alone: rows are found through an index, which
/// may be late.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    pub(crate) remote: &'r Remote,
    pub(crate) id: RunId,
    status: RunStatus,
    ledger: Ledger,
}

impl<'r> Run<'r> {
    /// The run with this id.
    pub(crate) async fn find(remote: &'r Remote, id: &str) -> Result<Self, Failure> {
        // What cannot be a run id names no run.
        let parsed = id.parse().map_err(|_| none(remote, id))?;
        let (status, ledger) = read(remote, &parsed).await?;
        Ok(Self { remote, id: parsed, status, ledger })
    }

    /// Looks again.
    pub(crate) async fn refresh(&mut self) -> Result<(), Failure> {
        (self.status, self.ledger) = read(self.remote, &self.id).await?;
        Ok(())
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

    /// The rows of its orders.
    pub(crate) async fn orders(&self) -> Result<Vec<OrderState>, Failure> {
        state::rows(&self.remote.aws, &self.remote.stack, &self.id).await
    }

    /// The order that a text names: its name, its queue id, or its number with or without zeros before it.
    pub(crate) async fn find_order(&self, text: &str) -> Result<OrderState, Failure> {
        if self.is_being_submitted() {
            let problem = format!("the run `{}` is still being submitted, its orders are not known yet", self.id);
            return Err(Failure::input(problem).hint("try again in a moment"));
        }
        let orders = self.orders().await?;
        choose(&orders, text).cloned().ok_or_else(|| self.no_order(&orders, text))
    }

    /// How a completed run ended. `done` is kept for a day.
    pub(crate) async fn done(&self) -> Result<Option<Done>, Failure> {
        state::done(&self.remote.aws, &self.remote.stack, &self.id).await
    }

    fn no_order(&self, orders: &[OrderState], text: &str) -> Failure {
        let known = orders.iter().flat_map(|order| [order.order_name.as_str(), order.queue_id.as_str()]);
        let meant = similar(text, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let failure = Failure::input(format!("the run `{}` has no order `{text}`{meant}", self.id));
        let names: Vec<String> = orders.iter().map(|order| format!("`{}`", order.order_name)).collect();
        failure.hint(if names.len() <= NAMED {
            format!("its orders are {}", names.join(", "))
        } else {
            format!("it has {} orders; name one by its number, name or queue id", names.len())
        })
    }
}

async fn read(remote: &Remote, id: &RunId) -> Result<(RunStatus, Ledger), Failure> {
    let table = remote.stack.locks_table();
    let item = RunItems::new(&remote.aws, &table).get(id).await.map_err(told)?;
    let RunItem { status, orders, .. } = item.ok_or_else(|| none(remote, id.as_str()))?;
    let ledger = orders.parse().map_err(|error| Failure::machine(format!("the run item of `{id}`: {error}")))?;
    Ok((status, ledger))
}

fn none(remote: &Remote, id: &str) -> Failure {
    Failure::input(format!("there is no run `{id}`")).hint(format!(
        "a run is named by the `run_id` that its submission answered with; this looked at `{}`",
        remote.endpoint
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
            status: Status::Queued,
            timeout: 1,
            dispatched_at: None,
            ended_at: None,
            failure_reason: None,
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
