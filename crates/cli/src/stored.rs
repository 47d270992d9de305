//! What is stored of a run's logs: the objects below `logs/<run_id>/`, and the logs inside results.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use common::{
    aws::{Aws, AwsError, Class},
    claim::Claims,
    fleet::Fleet,
    ids::{InstanceId, OrderNum, RunId},
    keys::{self, Share},
    objects::Objects,
    outcome::{MAX_BYTES, OrderResult},
};

use crate::engine::Engine;

/// Bytes that are read and held at once.
const PIECE: u64 = 4 << 20;

/// Logs of one run.
pub(crate) struct Stored<'r> {
    aws: &'r Aws,
    objects: Objects<'r>,
    run: RunId,
}

/// The logs that are objects, with their sizes.
pub(crate) type Sizes = BTreeMap<Share, u64>;

/// Those of one order: its own, then its instances'.
pub(crate) fn of_order(sizes: &Sizes, order: OrderNum) -> impl Iterator<Item = &Share> {
    let from = (Bound::Included(Share::from(order)), Bound::Unbounded);
    sizes.range(from).map(|(share, _)| share).take_while(move |share| share.order == order)
}

impl<'r> Stored<'r> {
    pub(crate) fn new(engine: &'r Engine, run: RunId) -> Self {
        Self { aws: &engine.aws, objects: engine.objects(), run }
    }

    /// The logs that are objects: of one order, or of all.
    pub(crate) async fn sizes(&self, order: Option<OrderNum>) -> Result<Sizes, AwsError> {
        // With the number alone, so that the order's instances are among them.
        let number = order.map_or_else(String::new, |order| order.to_string());
        let prefix = format!("{}{number}", keys::logs(&self.run));
        let request = self.aws.s3().list_objects_v2().bucket(self.objects.bucket()).prefix(&prefix);
        let mut pages = request.into_paginator().send();
        let mut sizes = Sizes::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::of(format!("list the logs below `{prefix}`"), error))?;
            for object in page.contents.unwrap_or_default() {
                let share = object.key().and_then(|key| keys::parse_log(&self.run, key));
                let size = object.size().and_then(|size| u64::try_from(size).ok());
                sizes.extend(share.zip(size));
            }
        }
        Ok(sizes)
    }

    /// The next bytes of a log from this position on; none when there are no more, or it is gone.
    pub(crate) async fn piece(&self, share: &Share, from: u64) -> Result<Vec<u8>, AwsError> {
        self.range(share, from, PIECE).await
    }

    /// The last bytes of a log of this size, at most so many.
    pub(crate) async fn tail(&self, share: &Share, size: u64, most: u64) -> Result<Vec<u8>, AwsError> {
        self.range(share, size.saturating_sub(most), most).await
    }

    async fn range(&self, share: &Share, from: u64, most: u64) -> Result<Vec<u8>, AwsError> {
        let key = keys::log(&self.run, share.clone());
        let action = || format!("read `s3://{}/{key}`", self.objects.bucket());
        let range = format!("bytes={from}-{}", from + most - 1);
        let request = self.aws.s3().get_object().bucket(self.objects.bucket()).key(&key).range(range);
        let answer = match request.send().await.map_err(|error| AwsError::of(action(), error)) {
            Ok(answer) => answer,
            Err(error) if error.is("NoSuchKey") || error.is("InvalidRange") => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let body = answer.body.collect().await.map_err(|error| AwsError {
            action: action(),
            code: None,
            message: error.to_string(),
            class: Class::Unclear,
        })?;
        Ok(body.to_vec())
    }

    /// The result of an order, or of its share on an instance.
    pub(crate) async fn result(&self, share: &Share) -> Result<Option<OrderResult>, AwsError> {
        let object = self.objects.get(&keys::result(&self.run, share.clone()), MAX_BYTES).await?;
        Ok(object.map(|object| OrderResult::read(&object.body, object.written_at)))
    }

    /// The instances that have reported.
    pub(crate) async fn reported(&self, order: OrderNum) -> Result<BTreeSet<InstanceId>, AwsError> {
        self.fleet(order).reported().await
    }

    /// The instances that the order is pinned to, if that is still known.
    pub(crate) async fn pinned(&self, order: OrderNum) -> Result<BTreeSet<InstanceId>, AwsError> {
        let targets = self.fleet(order).targets().await?;
        Ok(targets.into_iter().flat_map(|targets| targets.instances).collect())
    }

    fn fleet(&self, order: OrderNum) -> Fleet<'_> {
        Fleet::new(Claims::new(self.aws, self.objects.bucket(), &self.run), order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orders_logs_are_its_own_and_its_instances() {
        let share = |order, instance: &str| Share { order: OrderNum::of_index(order), instance: instance.parse().ok() };
        let sizes: Sizes = [share(0, ""), share(1, "i-b"), share(1, "i-a"), share(2, "")]
            .into_iter()
            .map(|share| (share, 1))
            .collect();
        let of = |order| of_order(&sizes, OrderNum::of_index(order)).cloned().collect::<Vec<_>>();
        assert_eq!(of(1), [share(1, "i-a"), share(1, "i-b")]);
        assert_eq!(of(2), [share(2, "")]);
        assert_eq!(of(3), []);
    }
}
