//! What is new: results that stand for orders that have not ended, SSM orders whose instances have all reported, and
//! requests to cancel.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    clock::Timestamp,
    fleet::Fleet,
    ids::{InstanceId, OrderNum},
    keys::{self, Callback},
    objects::Listed,
    outcome::OrderResult,
    target::Target,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    PassError,
    pass::Pass,
    record::{MAX_UNWRITTEN, PARALLEL},
};

/// Bytes of results that are read before they are recorded. A result whose events fill it takes some times as much memory.
const MAX_READ: u64 = 64 << 20;
/// Results, and events of results, that are recorded at once.
const MAX_RECORDED: usize = MAX_UNWRITTEN;

/// A result that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) order: OrderNum,
    /// Its length, if that is known.
    pub(crate) bytes: u64,
}

/// A result, and when it was written. Its log is left behind: it is for people, and a thousand of them fill the memory.
pub(crate) type Told = (OrderNum, OrderResult, Timestamp);

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Orders whose results stand, to be read.
    pub(crate) reported: Vec<Reported>,
    /// Results that were put together from those of instances.
    pub(crate) composed: Vec<Told>,
    /// Orders to cancel; [`OrderNum::RUN`] is the whole run.
    pub(crate) cancelled: Vec<OrderNum>,
}

impl Pass<'_> {
    /// Looks at one order's result alone.
    pub(crate) fn news_of_order(&self, order: OrderNum) -> News {
        let reported = if self.is_open(order) { vec![Reported { order, bytes: 0 }] } else { vec![] };
        News { reported, ..News::default() }
    }

    /// Looks at the instances of one order.
    pub(crate) async fn news_of_instances(&self, order: OrderNum) -> Result<News, PassError> {
        let mut news = News::default();
        if self.has_instances(order) {
            let reported = Fleet::new(self.claims(), order).reported().await?;
            news.composed.extend(self.put_together(order, &reported).await?);
        }
        Ok(news)
    }

    /// Looks at everything that was reported to the run.
    pub(crate) async fn news_of_run(&self) -> Result<News, PassError> {
        let mut wanted = BTreeMap::new();
        let mut reported: BTreeMap<OrderNum, BTreeSet<InstanceId>> = BTreeMap::new();
        let mut cancelled = Vec::new();
        for Listed { key, bytes } in self.objects().list(&keys::callbacks(&self.item.run_id)).await? {
            match keys::parse_callback(&key) {
                Some((_, Callback::Result(order))) if self.is_open(order) => {
                    wanted.insert(order, Reported { order, bytes });
                }
                Some((_, Callback::Instance(order, instance))) if self.has_instances(order) => {
                    reported.entry(order).or_default().insert(instance);
                }
                Some((_, Callback::Cancel(order))) => cancelled.push(order),
                _ => {}
            }
        }
        let mut composed = Vec::new();
        for (order, instances) in reported {
            if !wanted.contains_key(&order) {
                composed.extend(self.put_together(order, &instances).await?);
            }
        }
        Ok(News { reported: wanted.into_values().collect(), composed, cancelled })
    }

    async fn put_together(&self, order: OrderNum, reported: &BTreeSet<InstanceId>) -> Result<Option<Told>, PassError> {
        let finished = Fleet::new(self.claims(), order).finish(reported, self.now()).await?;
        Ok(finished.map(|(result, written_at)| told(order, result, written_at)))
    }

    fn is_open(&self, order: OrderNum) -> bool {
        self.ledger.get(order).is_some_and(|status| status.outcome().is_none())
    }

    fn has_instances(&self, order: OrderNum) -> bool {
        self.is_open(order) && self.plan.order(order).is_some_and(|planned| planned.target == Target::Ssm)
    }

    /// Reads and records what was reported, so much at a time as memory has room for. What is recorded counts at once:
    /// when the time runs out, the next pass goes on behind it.
    pub(crate) async fn record_reported(&mut self, mut reported: &[Reported]) -> Result<(), PassError> {
        while !reported.is_empty() {
            let (now, later) = reported.split_at(fitting(reported));
            reported = later;
            let mut told = self.read(now).await?;
            while !told.is_empty() {
                if self.budget.is_spent() {
                    return Ok(());
                }
                let later = told.split_off(few_events(&told));
                self.record_results(told).await?;
                told = later;
            }
        }
        Ok(())
    }

    async fn read(&self, reported: &[Reported]) -> Result<Vec<Told>, PassError> {
        let read = |reported: &Reported| {
            let order = reported.order;
            async move { Ok::<_, PassError>(self.claims().result(&order.into()).await?.map(|found| (order, found))) }
        };
        let found: Vec<_> = stream::iter(reported)
            .map(read)
            .buffered(PARALLEL)
            .map_ok(|found| found.map(|(order, (result, written_at))| told(order, result, written_at)))
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// How many of these are read at once: a strange result takes 16 MiB, a thousand usual ones as much.
fn fitting(reported: &[Reported]) -> usize {
    let mut room = MAX_READ;
    let fits = |reported: &&Reported| {
        room = room.saturating_sub(reported.bytes.max(1));
        room > 0
    };
    reported.iter().take(MAX_RECORDED).take_while(fits).count().max(1)
}

/// How many of these are recorded at once: a strange result has a thousand events, a thousand usual ones as many.
fn few_events(told: &[Told]) -> usize {
    let mut events = 0;
    let fits = |(_, result, _): &&Told| {
        events += 1 + result.events.len();
        events <= MAX_RECORDED
    };
    told.iter().take_while(fits).count().max(1)
}

/// What is kept of a result.
pub(crate) fn told(order: OrderNum, result: OrderResult, written_at: Timestamp) -> Told {
    (order, OrderResult { log: String::new(), ..result }, written_at)
}

#[cfg(test)]
mod tests {
    use common::{status::Outcome, worker_event::WorkerEvent};
    use serde_json::Map;

    use super::*;

    #[test]
    fn results_with_many_events_are_recorded_few_at_a_time() {
        let told = |events: usize| {
            let at = Timestamp::from_secs(1);
            let mut result = OrderResult::of_engine(Outcome::Failed, "", at);
            let (event_type, status) = ("e".to_owned(), "s".to_owned());
            result.events = vec![WorkerEvent { event_type, status, epoch: at, data: Map::new() }; events];
            told(OrderNum::of_index(0), result, at)
        };
        assert_eq!(few_events(&vec![told(0); 9_999]), MAX_RECORDED);
        assert_eq!(few_events(&vec![told(99); 100]), 5);
        assert_eq!(few_events(&vec![told(1_000); 3]), 1);
    }

    #[test]
    fn large_results_are_read_few_at_a_time() {
        let reported = |bytes: u64, count: usize| vec![Reported { order: OrderNum::of_index(0), bytes }; count];
        assert_eq!(fitting(&reported(500, 7)), 7);
        assert_eq!(fitting(&reported(500, 9_999)), MAX_RECORDED);
        assert_eq!(fitting(&reported(16 << 20, 100)), 3);
        assert_eq!(fitting(&reported(1 << 40, 2)), 1);
    }
}
