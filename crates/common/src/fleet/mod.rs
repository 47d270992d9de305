//! An SSM order on its instances: which they are, and how their shares become the order's one result.
//!
//! ```text
//!  dispatch ─▶ targets.json (pinned: the first stands) ─▶ each instance: claims its share, then looks at the order's claim
//!                                                             │ result.json of the share ─▶ wakes the orchestrator
//!  finish   ─▶ a result from every pinned instance? ─▶ compose ─▶ result.json of the order
//!  end      ─▶ the order's claim for the engine, then every share's: free ones end at once, held ones are asked to stop
//! ```
//!
//! **Two claims.** An instance claims its share first and then looks whether the engine has claimed the order; the engine
//! claims the order first and then reads which instances are pinned and goes through their shares. Of two that write
//! first and look second at least one sees the other, so nothing starts after the engine has ended the order, not even on
//! an instance that was pinned a moment later.

pub mod compose;
pub mod document;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{
    aws::AwsError,
    claim::{self, Claim, Claims, Ended, Ending},
    clock::Timestamp,
    ids::{InstanceId, OrderNum},
    keys::{self, Callback, Share},
    objects::{First, Listed, PARALLEL},
    outcome::OrderResult,
    plan::SCHEMA_VERSION,
    target::Target,
};
use compose::Composer;

/// Most instances of one order.
pub const MAX_INSTANCES: usize = 1_000;

/// `targets.json`: the instances that an order is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// [`SCHEMA_VERSION`] of its writer.
    pub schema_version: u32,
    /// The instances, sorted, at least one.
    pub instances: Vec<InstanceId>,
}

impl Targets {
    /// These instances, each once.
    pub fn of(instances: impl IntoIterator<Item = InstanceId>) -> Self {
        let instances: BTreeSet<_> = instances.into_iter().collect();
        Self { schema_version: SCHEMA_VERSION, instances: instances.into_iter().collect() }
    }
}

/// Ends an order of any target, or asks its workers to. Safe to repeat, at any time and by anyone.
pub async fn end_order(
    claims: Claims<'_>,
    order: OrderNum,
    target: Target,
    stop_grace: Duration,
    ending: &Ending,
    now: Timestamp,
) -> Result<Ended, AwsError> {
    match target {
        Target::Lambda | Target::Codebuild => claims.end(&order.into(), stop_grace, ending, now).await,
        Target::Ssm => Fleet::new(claims, order).end(stop_grace, ending, now).await,
    }
}

/// The instances of one order.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    claims: Claims<'a>,
    order: OrderNum,
}

impl<'a> Fleet<'a> {
    /// The instances of an order.
    pub fn new(claims: Claims<'a>, order: OrderNum) -> Self {
        Self { claims, order }
    }

    /// The instances that the order is pinned to, if it is.
    pub async fn targets(&self) -> Result<Option<Targets>, AwsError> {
        self.claims.read(&keys::targets(self.claims.run(), self.order)).await
    }

    /// Pins the order to these instances; gives those that stand.
    pub async fn pin(&self, targets: Targets) -> Result<Targets, AwsError> {
        let key = keys::targets(self.claims.run(), self.order);
        match self.claims.objects().put_first(&key, claim::bytes(&key, &targets)?).await? {
            First::Mine => Ok(targets),
            First::Theirs(object) => {
                claim::parse(&key, &object).ok_or_else(|| AwsError::refused(format!("read `{key}`"), "it is damaged"))
            }
        }
    }

    /// The instances that have reported.
    pub async fn reported(&self) -> Result<BTreeSet<InstanceId>, AwsError> {
        let listed = self.claims.objects().list(&keys::instances(self.claims.run(), self.order)).await?;
        let instance = |object: &Listed| match keys::parse_callback(&object.key)? {
            (_, Callback::Instance(_, instance)) => Some(instance),
            _ => None,
        };
        Ok(listed.iter().filter_map(instance).collect())
    }

    /// The share of an instance.
    pub fn share(&self, instance: &InstanceId) -> Share {
        Share::of_instance(self.order, instance.clone())
    }

    /// Writes the order's result if every pinned instance is among those that `reported`; gives the one that stands.
    pub async fn finish(
        &self,
        reported: &BTreeSet<InstanceId>,
        now: Timestamp,
    ) -> Result<Option<(OrderResult, Timestamp)>, AwsError> {
        let Some(targets) = self.targets().await? else { return Ok(None) };
        if targets.instances.iter().any(|instance| !reported.contains(instance)) {
            return Ok(None);
        }
        let ending = self.claims.get(&self.order.into()).await?.as_ref().and_then(Claim::ending);
        self.write(&targets, ending.as_ref(), now).await.map(Some)
    }

    /// Ends the order, or asks the workers of its instances to stop.
    async fn end(&self, stop_grace: Duration, ending: &Ending, now: Timestamp) -> Result<Ended, AwsError> {
        let share = Share::from(self.order);
        let ending = match self.claims.claim_for_engine(&share, ending, now).await? {
            First::Mine => ending.clone(),
            // Only the engine claims an SSM order as a whole; what it said first stands.
            First::Theirs(object) => claim::parse::<Claim>(&keys::claim(self.claims.run(), share.clone()), &object)
                .and_then(|claim| claim.ending())
                .unwrap_or_else(|| ending.clone()),
        };
        if let Some((result, written_at)) = self.claims.result(&share).await? {
            return Ok(Ended::Yes(result, written_at));
        }
        let Some(targets) = self.targets().await? else {
            return self.claims.write_result(&share, &ending, now).await;
        };
        let shares = targets.instances.iter().map(|instance| self.share(instance));
        let ended: Vec<Ended> = stream::iter(shares)
            .map(|share| {
                let ending = &ending;
                async move { self.claims.end(&share, stop_grace, ending, now).await }
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let stopping = ended.iter().filter_map(|ended| match ended {
            Ended::Stopping(until) => Some(*until),
            Ended::Yes(..) => None,
        });
        if let Some(until) = stopping.min() {
            return Ok(Ended::Stopping(until));
        }
        let (result, written_at) = self.write(&targets, Some(&ending), now).await?;
        Ok(Ended::Yes(result, written_at))
    }

    /// Composes and writes the order's result.
    async fn write(
        &self,
        targets: &Targets,
        ending: Option<&Ending>,
        now: Timestamp,
    ) -> Result<(OrderResult, Timestamp), AwsError> {
        let run = self.claims.run();
        let logs = keys::logs_of_instances(run, self.order);
        let mut composer = Composer::new(targets.instances.len(), logs);
        let mut results = stream::iter(&targets.instances)
            .map(|instance| async move { (instance, self.claims.result(&self.share(instance)).await) })
            .buffered(PARALLEL);
        // One after the other: a thousand of them do not fit a function's memory at once.
        while let Some((instance, result)) = results.next().await {
            let missing = || AwsError::refused("put the instances' results together", format!("`{instance}` has none"));
            composer.add(instance, result?.ok_or_else(missing)?.0);
        }
        drop(results);
        match self.claims.put_result(&self.order.into(), composer.finish(ending), now).await? {
            Ended::Yes(result, written_at) => Ok((result, written_at)),
            Ended::Stopping(_) => Err(AwsError::refused("write the order's result", "it does not stand")),
        }
    }
}
