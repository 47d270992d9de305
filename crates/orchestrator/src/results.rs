//! What is new: results that stand for orders that have not ended, SSM orders whose instances have all reported, and
//! requests to cancel.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    clock::Timestamp,
    fleet::Fleet,
    ids::{InstanceId, OrderNum},
    keys::{self, Callback},
    outcome::{MAX_BYTES, OrderResult},
    target::Target,
};

use crate::{PassError, pass::Pass};

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Results, by order, with when they were written.
    pub(crate) results: Vec<(OrderNum, OrderResult, Timestamp)>,
    /// Orders to cancel; [`OrderNum::RUN`] is the whole run.
    pub(crate) cancelled: Vec<OrderNum>,
}

impl Pass<'_> {
    /// Looks at one order's result alone.
    pub(crate) async fn news_of_order(&self, order: OrderNum) -> Result<News, PassError> {
        let wanted = if self.is_open(order) { vec![order] } else { vec![] };
        Ok(News { results: self.read(wanted).await?, cancelled: Vec::new() })
    }

    /// Looks at the instances of one order.
    pub(crate) async fn news_of_instances(&self, order: OrderNum) -> Result<News, PassError> {
        let mut news = News::default();
        if self.has_instances(order) {
            let reported = Fleet::new(self.claims(), order).reported().await?;
            news.results.extend(self.put_together(order, &reported).await?);
        }
        Ok(news)
    }

    /// Looks at everything that was reported to the run.
    pub(crate) async fn news_of_run(&self) -> Result<News, PassError> {
        let mut wanted = BTreeSet::new();
        let mut reported: BTreeMap<OrderNum, BTreeSet<InstanceId>> = BTreeMap::new();
        let mut cancelled = Vec::new();
        for key in self.objects().list(&keys::callbacks(&self.item.run_id)).await? {
            match keys::parse_callback(&key) {
                Some((_, Callback::Result(order))) if self.is_open(order) => drop(wanted.insert(order)),
                Some((_, Callback::Instance(order, instance))) if self.has_instances(order) => {
                    reported.entry(order).or_default().insert(instance);
                }
                Some((_, Callback::Cancel(order))) => cancelled.push(order),
                _ => {}
            }
        }
        let mut results = self.read(wanted.iter().copied().collect()).await?;
        for (order, instances) in reported {
            if !wanted.contains(&order) {
                results.extend(self.put_together(order, &instances).await?);
            }
        }
        Ok(News { results, cancelled })
    }

    async fn put_together(
        &self,
        order: OrderNum,
        reported: &BTreeSet<InstanceId>,
    ) -> Result<Option<(OrderNum, OrderResult, Timestamp)>, PassError> {
        let finished = Fleet::new(self.claims(), order).finish(reported, self.now()).await?;
        Ok(finished.map(|(result, written_at)| (order, result, written_at)))
    }

    fn is_open(&self, order: OrderNum) -> bool {
        self.ledger.get(order).is_some_and(|status| status.outcome().is_none())
    }

    fn has_instances(&self, order: OrderNum) -> bool {
        self.is_open(order) && self.plan.order(order).is_some_and(|planned| planned.target == Target::Ssm)
    }

    async fn read(&self, orders: Vec<OrderNum>) -> Result<Vec<(OrderNum, OrderResult, Timestamp)>, PassError> {
        let run = &self.item.run_id;
        let wanted = orders.into_iter().map(|order| (order, keys::result(run, order))).collect();
        let found = self.objects().get_all(wanted, MAX_BYTES).await?;
        let read = |(order, object): (OrderNum, Option<common::objects::Object>)| {
            let object = object?;
            Some((order, OrderResult::read(&object.body, object.written_at), object.written_at))
        };
        Ok(found.into_iter().filter_map(read).collect())
    }
}
