//! One look at an order: is there a result, is it late?

use std::time::Duration;

use common::{
    aws::{Aws, AwsError},
    claim::{Claim, Claims, Ended},
    clock::Timestamp,
    fleet::{Fleet, Targets, end_order},
    keys::{self, Share},
    objects::PARALLEL,
    target::Target,
    watchdog::{Look, Watch},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Settings,
    decide::{Decision, Facts, decide},
};

/// A look.
pub(crate) async fn look(aws: &Aws, settings: &Settings, watch: &Watch) -> Result<Look, AwsError> {
    let claims = Claims::new(aws, &watch.internal_bucket, &watch.run_id);
    // Nearly every look finds the result; the rest is read only without one.
    if claims.objects().exists(&keys::result(&watch.run_id, watch.order_num)).await? {
        return Ok(Look::DONE);
    }
    let looking = Looking { claims, watch, now: settings.clock.now() };
    if watch.target == Target::Ssm
        && let Some(targets) = Fleet::new(claims, watch.order_num).targets().await?
    {
        return looking.at_instances(&targets).await;
    }
    let order = Share::from(watch.order_num);
    let ended = match looking.decide(&order).await? {
        (Decision::Wait(until), _) => Ended::Stopping(until),
        (Decision::End(ending), _) => {
            tracing::warn!(run_id = %watch.run_id, %order, reason = ending.reason, "the watchdog ends an order");
            end_order(claims, watch.order_num, watch.target, looking.grace(), &ending, looking.now).await?
        }
        (Decision::Complete, claim) => looking.complete(&order, claim).await?,
    };
    Ok(looking.next([ended]))
}

struct Looking<'a> {
    claims: Claims<'a>,
    watch: &'a Watch,
    now: Timestamp,
}

impl Looking<'_> {
    async fn at_instances(&self, targets: &Targets) -> Result<Look, AwsError> {
        let (run, order) = (&self.watch.run_id, self.watch.order_num);
        let fleet = Fleet::new(self.claims, order);
        if let Some(ending) = self.claims.get(&order.into()).await?.as_ref().and_then(Claim::ending) {
            // Whoever ended the order may have died on the way through its instances.
            let ended = end_order(self.claims, order, self.watch.target, self.grace(), &ending, self.now).await?;
            return Ok(self.next([ended]));
        }
        let mut reported = fleet.reported().await?;
        let silent: Vec<_> = targets.instances.iter().filter(|instance| !reported.contains(*instance)).collect();
        let looked: Vec<_> = stream::iter(silent)
            .map(|instance| async move { Ok::<_, AwsError>((instance, self.at_share(fleet.share(instance)).await?)) })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let mut waiting = Vec::new();
        for (instance, ended) in looked {
            match ended {
                Ended::Yes(..) => drop(reported.insert(instance.clone())),
                Ended::Stopping(_) => waiting.push(ended),
            }
        }
        if waiting.is_empty() {
            // The instances' results wake the orchestrator as well; the first result stands.
            fleet.finish(&reported, self.now).await?;
            tracing::info!(run_id = %run, %order, "all instances have ended");
        }
        Ok(self.next(waiting))
    }

    async fn at_share(&self, share: Share) -> Result<Ended, AwsError> {
        match self.decide(&share).await? {
            (Decision::Wait(until), _) => Ok(Ended::Stopping(until)),
            (Decision::End(ending), _) => {
                tracing::warn!(run_id = %self.watch.run_id, %share, reason = ending.reason, "the watchdog ends a share");
                self.claims.end(&share, self.grace(), &ending, self.now).await
            }
            (Decision::Complete, claim) => self.complete(&share, claim).await,
        }
    }

    async fn decide(&self, share: &Share) -> Result<(Decision, Option<Claim>), AwsError> {
        let claim = self.claims.get(share).await?;
        let stop = self.claims.stop_request(share).await?;
        let facts = Facts { claim: claim.as_ref(), stop: stop.as_ref() };
        Ok((decide(self.watch, &facts, self.now), claim))
    }

    /// The engine claimed and died before it wrote the result.
    async fn complete(&self, share: &Share, claim: Option<Claim>) -> Result<Ended, AwsError> {
        let ended = match claim {
            Some(claim) => self.claims.complete(share, &claim, self.now).await?,
            None => None,
        };
        Ok(ended.unwrap_or(Ended::Stopping(self.now)))
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.watch.stop_grace)
    }

    /// Done when all have ended, else the next look when the first of them is due.
    fn next(&self, ended: impl IntoIterator<Item = Ended>) -> Look {
        let waiting = ended.into_iter().filter_map(|ended| match ended {
            Ended::Stopping(until) => Some(until),
            Ended::Yes(..) => None,
        });
        waiting.min().map_or(Look::DONE, |until| Look::at(until, self.now))
    }
}
