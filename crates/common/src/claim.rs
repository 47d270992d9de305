//! Claims: who may run an order, decided once. And `end_order`, the one way in which the engine itself ends an order
//! that was or may have been dispatched.
//!
//! Before anything of an order starts, its worker writes `tmp/claims/<run>/<order>.json` if there is none. Lambda delivers
//! asynchronous events more than once and up to six hours late, and a dispatch may be repeated after a crash; the claim
//! is what makes the commands start at most once. The engine ends an order by taking the same claim: if it gets it,
//! nothing will ever start; if a worker holds it, the worker is asked to stop.
//!
//! ```text
//!  end_order ── claim free ────▶ claim it {by: engine, status, reason} ─▶ write the result
//!            ├─ claim engine's ▶ write the result that it names
//!            └─ claim worker's ▶ stop.json ─▶ … the worker reports, or stop_grace + 30 s pass ─▶ write the result
//! ```
//!
//! Whoever finds an engine's claim without a result writes that result, so a death between the two is harmless.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    aws::AwsError,
    clock::Timestamp,
    ids::{OrderNum, RunId, fresh_nonce},
    keys,
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
}

impl Claim {
    /// A claim of this invocation.
    pub fn of_worker(by: String, now: Timestamp) -> Self {
        Self { nonce: fresh_nonce(), by, at: now, status: None, reason: None }
    }

    fn of_engine(ending: &Ending, now: Timestamp) -> Self {
        Self {
            nonce: fresh_nonce(),
            by: ENGINE.to_owned(),
            at: now,
            status: Some(ending.outcome),
            reason: Some(ending.reason.clone()),
        }
    }

    /// The ending, if the engine holds the claim.
    fn ending(&self) -> Option<Ending> {
        let reason = self.reason.clone().unwrap_or_default();
        self.status.filter(|_| self.by == ENGINE).map(|outcome| Ending { outcome, reason })
    }
}

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
    objects: Objects<'a>,
    run: &'a RunId,
}

impl<'a> Claims<'a> {
    /// The claims of a run in the internal bucket.
    pub fn new(objects: Objects<'a>, run: &'a RunId) -> Self {
        Self { objects, run }
    }

    /// Takes the claim of an order for a worker. `false`: somebody else has the order; run nothing, report nothing.
    pub async fn take(&self, order: OrderNum, claim: &Claim) -> Result<bool, AwsError> {
        let key = keys::claim(self.run, order);
        // Nonces make equal bytes mean the same writer.
        Ok(matches!(self.objects.put_first(&key, bytes(&key, claim)?).await?, First::Mine))
    }

    /// The claim as it stands.
    pub async fn get(&self, order: OrderNum) -> Result<Option<Claim>, AwsError> {
        self.read(&keys::claim(self.run, order)).await
    }

    /// The request to stop as it stands.
    pub async fn stop_request(&self, order: OrderNum) -> Result<Option<StopRequest>, AwsError> {
        self.read(&keys::stop(self.run, order)).await
    }

    /// The order's result, if one stands.
    pub async fn result(&self, order: OrderNum) -> Result<Option<(OrderResult, Timestamp)>, AwsError> {
        let object = self.objects.get(&keys::result(self.run, order), outcome::MAX_BYTES).await?;
        Ok(object.map(|object| (OrderResult::read(&object.body, object.written_at), object.written_at)))
    }

    /// Ends an order, or asks its worker to. Safe to repeat, at any time and by anyone.
    pub async fn end_order(
        &self,
        order: OrderNum,
        stop_grace: Duration,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        let key = keys::claim(self.run, order);
        let theirs = match self.objects.put_first(&key, bytes(&key, &Claim::of_engine(ending, now))?).await? {
            First::Mine => return self.write_result(order, ending, now).await,
            First::Theirs(object) => object,
        };
        // A claim that cannot be read was written by no worker of ours, but its writer may run: ask it to stop.
        if let Some(ending) = parse::<Claim>(&key, &theirs).and_then(|claim| claim.ending()) {
            return self.write_result(order, &ending, now).await;
        }
        if let Some((result, written_at)) = self.result(order).await? {
            return Ok(Ended::Yes(result, written_at));
        }
        self.stop(order, stop_grace, ending, now).await
    }

    /// Completes an ending that its writer did not: the claim is the engine's, a result is missing.
    pub async fn complete(&self, order: OrderNum, claim: &Claim, now: Timestamp) -> Result<Option<Ended>, AwsError> {
        match claim.ending() {
            Some(ending) => self.write_result(order, &ending, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn stop(
        &self,
        order: OrderNum,
        stop_grace: Duration,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Ended, AwsError> {
        let key = keys::stop(self.run, order);
        let ours = StopRequest { nonce: fresh_nonce(), at: now, status: ending.outcome, reason: ending.reason.clone() };
        let request = match self.objects.put_first(&key, bytes(&key, &ours)?).await? {
            First::Mine => ours,
            First::Theirs(object) => parse(&key, &object).unwrap_or(StopRequest { at: object.written_at, ..ours }),
        };
        let until = request.at.plus(stop_grace + REPORT_ALLOWANCE);
        if now < until {
            return Ok(Ended::Stopping(until));
        }
        // Lambda has no way to stop one invocation; its own timeout is above every order's.
        let reason = format!("{}; its worker did not report within the time to stop", request.reason);
        self.write_result(order, &Ending { outcome: request.status, reason }, now).await
    }

    async fn write_result(&self, order: OrderNum, ending: &Ending, now: Timestamp) -> Result<Ended, AwsError> {
        let key = keys::result(self.run, order);
        let result = OrderResult::of_engine(ending.outcome, &ending.reason, now);
        Ok(match self.objects.put_first(&key, bytes(&key, &result)?).await? {
            First::Mine => Ended::Yes(result, now),
            First::Theirs(object) => Ended::Yes(OrderResult::read(&object.body, object.written_at), object.written_at),
        })
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, AwsError> {
        let Some(object) = self.objects.get(key, MAX_BYTES).await? else { return Ok(None) };
        Ok(parse(key, &object))
    }
}

fn bytes<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, AwsError> {
    serde_json::to_vec(value).map_err(|error| AwsError::refused(format!("write `{key}`"), error.to_string()))
}

fn parse<T: for<'de> Deserialize<'de>>(key: &str, object: &Object) -> Option<T> {
    serde_json::from_slice(&object.body).inspect_err(|error| tracing::warn!(key, %error, "cannot be read")).ok()
}
