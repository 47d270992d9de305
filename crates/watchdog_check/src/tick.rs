//! The tick of a run: wakes the orchestrator again and again until the run is completed.

use std::time::Duration;

use common::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    intake::{kick_off::WAKE, submit::given_up_at, upload::delete_key},
    keys,
    objects::Objects,
    run_item::{RunItems, RunStatus},
    watchdog::{ENDING_SECS, ENDING_TICK_SECS, Look, SLOW_TICK_AFTER_SECS, SLOW_TICK_SECS, TICK_SECS, Watch},
};

use crate::Settings;

/// Without the tick one crash can strand a run: others deposit their wake-ups into the dead holder's lease and go home.
pub(crate) async fn tick(aws: &Aws, settings: &Settings, watch: &Watch) -> Result<Look, AwsError> {
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
