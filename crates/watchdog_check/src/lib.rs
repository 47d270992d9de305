//! The task of the watchdog's state machine: one look at an order, or one tick of a run.
//!
//! ```text
//!  order 0001…   result? ─yes─▶ done      facts ─▶ decide ─▶ wait, end the order (through its claim), or done
//!  order 0000    run completed? ─yes─▶ delete the key, done      else wake the orchestrator, wait
//! ```
//!
//! [`decide`] is pure; this file reads the facts and performs.

pub mod decide;

use std::time::Duration;

use common::{
    aws::{Aws, AwsError},
    claim::{Claims, Ended},
    clock::{Clock, Timestamp},
    env::{self, BadSettings, Environment},
    intake::{kick_off::WAKE, submit::given_up_at, upload::delete_key},
    keys,
    objects::Objects,
    run_item::{RunItems, RunStatus},
    watchdog::{ENDING_SECS, ENDING_TICK_SECS, Look, SLOW_TICK_AFTER_SECS, SLOW_TICK_SECS, TICK_SECS, Watch},
};
use decide::{Decision, Facts, decide};

/// What the function needs from its environment; buckets and tables come with each execution's input.
#[derive(Clone, Debug)]
pub struct Settings {
    /// First path element of the engine's own parameters.
    pub ssm_prefix: String,
    /// Time.
    pub clock: Clock,
}

impl Settings {
    /// Reads them.
    pub fn load(environment: &Environment) -> Result<Self, BadSettings> {
        let clock = environment.clock()?;
        let mut reader = environment.reader();
        let settings = Self { ssm_prefix: reader.text(env::SSM_PREFIX), clock };
        reader.finish(settings)
    }
}

/// One look.
pub async fn handle(aws: &Aws, settings: &Settings, watch: &Watch) -> Result<Look, AwsError> {
    if watch.order_num.index().is_none() { tick(aws, settings, watch).await } else { look(aws, settings, watch).await }
}

async fn look(aws: &Aws, settings: &Settings, watch: &Watch) -> Result<Look, AwsError> {
    let objects = Objects::new(aws, &watch.internal_bucket);
    let order = watch.order_num;
    // Nearly every look finds the result; the rest is read only without one.
    if objects.exists(&keys::result(&watch.run_id, order)).await? {
        return Ok(Look::DONE);
    }
    let claims = Claims::new(objects, &watch.run_id);
    let claim = claims.get(order).await?;
    let stop = claims.stop_request(order).await?;
    let now = settings.clock.now();
    let ended = match decide(watch, &Facts { claim: claim.as_ref(), stop: stop.as_ref() }, now) {
        Decision::Wait(until) => return Ok(Look::at(until, now)),
        Decision::End(ending) => {
            tracing::warn!(run_id = %watch.run_id, %order, reason = ending.reason, "the watchdog ends an order");
            claims.end_order(order, Duration::from_secs(watch.stop_grace), &ending, now).await?
        }
        Decision::Complete => match claim {
            Some(claim) => match claims.complete(order, &claim, now).await? {
                Some(ended) => ended,
                None => return Ok(Look::at(now, now)),
            },
            None => return Ok(Look::at(now, now)),
        },
    };
    Ok(match ended {
        Ended::Yes(..) => Look::DONE,
        Ended::Stopping(until) => Look::at(until, now),
    })
}

/// Without the tick one crash can strand a run: others deposit their wake-ups into the dead holder's lease and go home.
async fn tick(aws: &Aws, settings: &Settings, watch: &Watch) -> Result<Look, AwsError> {
    let Some(item) = RunItems::new(aws, &watch.locks_table).get(&watch.run_id).await? else { return Ok(Look::DONE) };
    let now = settings.clock.now();
    match item.status {
        RunStatus::Completed => {
            // Whoever completed the run may have died before this. A given key has another path.
            delete_key(aws, &keys::sops_key(&settings.ssm_prefix, &watch.run_id)).await?;
            return Ok(Look::DONE);
        }
        RunStatus::Submitting if now >= given_up_at(item.deadline()) => return Ok(Look::DONE),
        RunStatus::Submitting => {}
        RunStatus::Idle | RunStatus::Active => {
            let objects = Objects::new(aws, &watch.internal_bucket);
            objects.put(&keys::result(&watch.run_id, watch.order_num), WAKE).await?;
        }
    }
    Ok(Look::at(next_tick(now, watch.start_time, item.deadline()), now))
}

/// When the run is woken again. The deadline is a moment at which something is to be done, and for a while after it
/// workers that do not stop are to be ended in time.
fn next_tick(now: Timestamp, start_secs: u64, deadline: Timestamp) -> Timestamp {
    let age = now.secs().saturating_sub(start_secs);
    let pause = if deadline <= now && now < deadline.plus(Duration::from_secs(ENDING_SECS)) {
        ENDING_TICK_SECS
    } else if age < SLOW_TICK_AFTER_SECS {
        TICK_SECS
    } else {
        SLOW_TICK_SECS
    };
    let next = now.plus(Duration::from_secs(pause));
    if now < deadline { next.min(deadline) } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_each_minute_at_the_deadline_and_more_often_after_it() {
        let at = Timestamp::from_secs;
        assert_eq!(next_tick(at(1_000), 1_000, at(5_000)), at(1_060));
        assert_eq!(next_tick(at(4_990), 1_000, at(5_000)), at(5_000));
        assert_eq!(next_tick(at(5_000), 1_000, at(5_000)), at(5_015));
        assert_eq!(next_tick(at(6_000), 1_000, at(5_000)), at(6_060));
        assert_eq!(next_tick(at(30_000), 1_000, at(90_000)), at(30_300));
    }
}
