//! Claims: who may run an order, decided once. And `end_order`, the one way in which the engine itself ends an order.
//!
//! Before anything of an order starts, its worker writes `tmp/claims/<run>/<order>.json` if there is none. Lambda delivers
//! asynchronous events more than once and up to six hours late, and a dispatch may be repeated after a crash; the claim
//! is what makes the commands start at most once. The engine ends an order by taking the same claim: if it gets it,
//! nothing will ever start; if a worker holds it, the worker is asked to stop.
//!
//! ```text
//!  end  ── claim free ────▶ claim it {by: engine, status, reason} ─▶ write the result
//!       ├─ claim engine's ▶ write the result that it names
//!       └─ claim worker's ▶ stop.json ─▶ … the worker reports, or stop_grace + 30 s pass
//!                                          ─▶ the target's own stop ─▶ write the result
//!  lost ── claim names the build, command or request that is gone, or nobody ▶ write the result at once
//!       └─ claim names another ▶ nothing: that one runs the order
//! ```
//!
//! Whoever finds an engine's claim without a result writes that result, so a death between the two is harmless.
//!
//! What is claimed is a [`Share`]: an order, or of an SSM order what one instance does. [`crate::fleet`] puts the shares
//! of such an order together.

use std::{ops::Not, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    executor,
    ids::{RunId, fresh_nonce},
    keys::{self, Share},
    objects::{First, Object, Objects},
    outcome::{self, OrderResult},
    status::Outcome,
};

/// Who the engine claims as.
pub const ENGINE: &str = "engine";

/// What a worker gets beyond its `stop_grace` to notice the request to stop and to report: it looks every 5 s, and a
/// large log takes a moment to put.
pub const REPORT_ALLOWANCE: Duration = Duration::from_secs(30);

/// Claims and stop requests are far smaller.
const MAX_BYTES: usize = 64 * 1024;

/// `tmp/claims/<run_id>/<order_num>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Draw of the invocation that wrote it.
    pub nonce: String,
    /// `lambda:<request id>`, `codebuild:<build id>`, `ssm:<command id>:<instance>`, or [`ENGINE`].
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How the engine ended the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Outcome>,
    /// Why the engine ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the engine ended it because of a dependency.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub skipped: bool,
}

impl Claim {
    /// A claim of this invocation.
    pub fn of_worker(by: String, now: Timestamp) -> Self {
        Self { nonce: fresh_nonce(), by, at: now, status: None, reason: None, skipped: false }
    }

    pub(crate) fn of_engine(ending: &Ending, now: Timestamp) -> Self {
        Self {
            nonce: fresh_nonce(),
            by: ENGINE.to_owned(),
            at: now,
            status: Some(ending.outcome),
            reason: Some(ending.reason.clone()),
            skipped: ending.skipped,
        }
    }

    /// The ending, if the engine holds the claim.
    pub fn ending(&self) -> Option<Ending> {
        let outcome = self.status.filter(|_| self.by == ENGINE)?;
        Some(Ending { outcome, reason: self.reason.clone().unwrap_or_default(), skipped: self.skipped })
    }
}

/// From its claim on a worker has so long to start its first command; one that stood still for longer looks first whether
/// it was asked to stop. Whoever ends an order whose worker may be there all the same waits twice as long, so that nothing
/// begins after the order's end. In ordinary times a worker needs some milliseconds.
pub const FRESH: Duration = Duration::from_secs(2);

/// `tmp/claims/<run_id>/<order_num>.stop.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// Draw of the invocation that wrote it.
    pub nonce: String,
    /// When.
    pub at: Timestamp,
    /// What the order is to end as.
    pub status: Outcome,
    /// Why.
    pub reason: String,
}

/// How the engine wants an order to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, in a sentence for the user.
    pub reason: String,
    /// Whether it is because of a dependency.
    pub skipped: bool,
}

impl Ending {
    /// One that has nothing to do with a dependency.
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), skipped: false }
    }
}

/// Where an order that is being ended stands.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Its result stands, this one.
    Yes(OrderResult, Timestamp),
    /// A worker was asked to stop; look again then.
    Stopping(Timestamp),
}

/// The claims of one run.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    aws: &'a Aws,
    objects: Objects<'a>,
    run: &'a RunId,
}

impl<'a> Claims<'a> {
    /// The claims of a run in this bucket, the internal one.
    pub fn new(aws: &'a Aws, bucket: &'a str, run: &'a RunId) -> Self {
        Self { aws, objects: Objects::new(aws, bucket), run }
    }

    /// The bucket.
    pub fn objects(&self) -> Objects<'a> {
        self.objects
    }

    /// The run.
    pub fn run(&self) -> &'a RunId {
        self.run
    }

    /// Takes a claim for a worker. `false`: somebody else has the order; run nothing, report nothing.
    pub async fn take(&self, share: &Share, claim: &Claim) -> Result<bool, AwsError> {
        let key = keys::claim(self.run, share.clone());
        // Nonces make equal bytes mean the same writer.
        Ok(matches!(self.objects.put_first(&key, bytes(&key, claim)?).await?, First::Mine))
    }

    /// The claim as it stands; never later than it was written, whatever its writer says.
    pub async fn get(&self, share: &Share) -> Result<Option<Claim>, AwsError> {
        let found = self.read_dated::<Claim>(&keys::claim(self.run, share.clone())).await?;
        Ok(found.map(|(claim, written_at)| Claim { at: claim.at.min(written_at), ..claim }))
    }

    /// The request to stop as it stands; never later than it was written.
    pub async fn stop_request(&self, share: &Share) -> Result<Option<StopRequest>, AwsError> {
        let found = self.read_dated::<StopRequest>(&keys::stop(self.run, share.clone())).await?;
        Ok(found.map(|(request, written_at)| StopRequest { at: request.at.min(written_at), ..request }))
    }

    /// The result, if one stands.
    pub async fn result(&self, share: &Share) -> Result<Option<(OrderResult, Timestamp)>, AwsError> {
        let object = self.objects.get(&keys::result(self.run, share.clone()), outcome::MAX_BYTES).await?;
        Ok(object.map(|object| (OrderResult::read(&object.body, object.written_at), object.written_at)))
    }

    /// Ends an order or a share, or asks its worker to. Safe to repeat, at any time and by anyone.
    pub async fn end(
        &self,
        share: &Share,
        stop_grace: Duration,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        let theirs = match self.claim_for_engine(share, ending, now).await? {
            First::Mine => return self.write_result(share, ending, now).await,
            First::Theirs(object) => object,
        };
        // A claim that cannot be read was written by no worker of ours, but its writer may run: ask it to stop.
        let claim = parse::<Claim>(&keys::claim(self.run, share.clone()), &theirs);
        if let Some(ending) = claim.as_ref().and_then(Claim::ending) {
            return self.write_result(share, &ending, now).await;
        }
        if let Some((result, written_at)) = self.result(share).await? {
            return Ok(Ended::Yes(result, written_at));
        }
        self.stop(share, claim.as_ref(), stop_grace, ending, now).await
    }

    /// Ends an order or a share whose build, command or request `by` is known to be gone: only if the claim names that
    /// very one, or nobody. Gives nothing when another has it.
    ///
    /// `reported` is what the worker itself told on another way than its result; without it the order ended as
    /// `otherwise` says, or as it was asked to stop.
    pub async fn lost(
        &self,
        share: &Share,
        by: &str,
        reported: Option<OrderResult>,
        otherwise: &Ending,
        now: Timestamp,
    ) -> Result<Option<Ended>, AwsError> {
        let claim = match self.get(share).await? {
            Some(claim) => claim,
            None => match self.claim_for_engine(share, otherwise, now).await? {
                First::Mine => return self.write_result(share, otherwise, now).await.map(Some),
                First::Theirs(object) => {
                    let key = keys::claim(self.run, share.clone());
                    let Some(claim) = parse(&key, &object) else { return Ok(None) };
                    claim
                }
            },
        };
        if let Some(ending) = claim.ending() {
            return self.write_result(share, &ending, now).await.map(Some);
        }
        if claim.by != by {
            return Ok(None);
        }
        if let Some(mut result) = reported {
            result.started_at.get_or_insert(claim.at.min(now));
            return self.put_result(share, result, now).await.map(Some);
        }
        // Lambda's duplicates share a request id: the one that failed may not be the one that runs. That one stops.
        let request = self.request_stop(share, otherwise, now).await?;
        self.give_up(share, Some(&claim), &Ending::new(request.status, request.reason), now).await.map(Some)
    }

    /// Completes an ending that its writer did not: the claim is the engine's, a result is missing.
    pub async fn complete(&self, share: &Share, claim: &Claim, now: Timestamp) -> Result<Option<Ended>, AwsError> {
        match claim.ending() {
            Some(ending) => self.write_result(share, &ending, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes the claim for the engine, if it is free.
    pub(crate) async fn claim_for_engine(
        &self,
        share: &Share,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<First, AwsError> {
        let key = keys::claim(self.run, share.clone());
        self.objects.put_first(&key, bytes(&key, &Claim::of_engine(ending, now))?).await
    }

    async fn stop(
        &self,
        share: &Share,
        claim: Option<&Claim>,
        stop_grace: Duration,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        let request = self.request_stop(share, ending, now).await?;
        let until = request.at.plus(stop_grace + REPORT_ALLOWANCE);
        if now < until {
            return Ok(Ended::Stopping(until));
        }
        let executor = claim.map(|claim| claim.by.parse::<executor::Executor>());
        if let Some(Ok(executor)) = executor
            && let Err(error) = executor.stop(self.aws).await
        {
            // It ends by its own timeout; the order does not wait for that.
            tracing::warn!(%error, run_id = %self.run, order = %share, "the target's own stop failed");
        }
        let reason = format!("{}; its worker did not report within the time to stop", request.reason);
        self.give_up(share, claim, &Ending::new(request.status, reason), now).await
    }

    /// Asks the worker to stop; gives the first request, which stands. It counts from when it was there to be read: whoever
    /// wrote it may have stood still before.
    async fn request_stop(&self, share: &Share, ending: &Ending, now: Timestamp) -> Result<StopRequest, AwsError> {
        let key = keys::stop(self.run, share.clone());
        let ours = StopRequest { nonce: fresh_nonce(), at: now, status: ending.outcome, reason: ending.reason.clone() };
        Ok(match self.objects.put_first(&key, bytes(&key, &ours)?).await? {
            First::Mine => ours,
            First::Theirs(object) => {
                let stands = parse(&key, &object).unwrap_or(ours);
                StopRequest { at: object.written_at, ..stands }
            }
        })
    }

    pub(crate) async fn write_result(&self, share: &Share, ending: &Ending, now: Timestamp) -> Result<Ended, AwsError> {
        let result = OrderResult::of_engine(ending.outcome, &ending.reason, now);
        self.put_result(share, OrderResult { skipped: ending.skipped, ..result }, now).await
    }

    /// Writes the result of a share that a worker has claimed, if the claim could be read, and not ended.
    async fn give_up(
        &self,
        share: &Share,
        claim: Option<&Claim>,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        // A worker's clock may be ahead of this one.
        let started_at = claim.map(|claim| claim.at.min(now));
        let result = OrderResult::of_engine(ending.outcome, &ending.reason, now);
        self.put_result(share, OrderResult { started_at, ..result }, now).await
    }

    pub(crate) async fn put_result(
        &self,
        share: &Share,
        result: OrderResult,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        let key = keys::result(self.run, share.clone());
        Ok(match self.objects.put_first(&key, bytes(&key, &result)?).await? {
            First::Mine => Ended::Yes(result, now),
            First::Theirs(object) => Ended::Yes(OrderResult::read(&object.body, object.written_at), object.written_at),
        })
    }

    pub(crate) async fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, AwsError> {
        Ok(self.read_dated(key).await?.map(|(value, _)| value))
    }

    /// What stands there, and when it was written.
    async fn read_dated<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<(T, Timestamp)>, AwsError> {
        let Some(object) = self.objects.get(key, MAX_BYTES).await? else { return Ok(None) };
        Ok(parse(key, &object).map(|value| (value, object.written_at)))
    }
}

pub(crate) fn bytes<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, AwsError> {
    serde_json::to_vec(value).map_err(|error| AwsError::refused(format!("write `{key}`"), error.to_string()))
}

pub(crate) fn parse<T: for<'de> Deserialize<'de>>(key: &str, object: &Object) -> Option<T> {
    serde_json::from_slice(&object.body).inspect_err(|error| tracing::warn!(key, %error, "cannot be read")).ok()
}
