//! What is to be done about an order that has no result yet: a pure function of what is stored and of the time.

use std::time::Duration;

use common::{
    claim::{Claim, ENGINE, Ending, REPORT_ALLOWANCE, StopRequest},
    clock::Timestamp,
    status::Outcome,
    watchdog::Watch,
};

/// A worker stops its commands at the timeout by itself; it is asked to only when this much later it has not reported.
const ALLOWANCE: Duration = Duration::from_secs(5);

/// What is stored about the order.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who has it.
    pub claim: Option<&'a Claim>,
    /// The request to stop.
    pub stop: Option<&'a StopRequest>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing before this instant.
    Wait(Timestamp),
    /// End the order.
    End(Ending),
    /// The engine claimed the order and died before it wrote the result: write it.
    Complete,
}

/// Decides.
pub fn decide(watch: &Watch, facts: &Facts<'_>, now: Timestamp) -> Decision {
    let timeout = Duration::from_secs(watch.timeout);
    match facts.claim {
        Some(claim) if claim.by == ENGINE => Decision::Complete,
        Some(claim) => {
            let late = claim.at.plus(timeout + ALLOWANCE);
            let grace = Duration::from_secs(watch.stop_grace) + REPORT_ALLOWANCE;
            let due = facts.stop.map_or(late, |stop| late.min(stop.at.plus(grace)));
            let reason = || match facts.stop {
                Some(stop) => (stop.status, stop.reason.clone()),
                None => (Outcome::TimedOut, format!("it ran longer than its timeout of {} s", watch.timeout)),
            };
            wait_or_end(due, now, reason)
        }
        None => {
            // `start_time` is in whole seconds, rounded down.
            let due = Timestamp::from_secs(watch.start_time + 1 + watch.start_timeout);
            let reason = || {
                (
                    Outcome::TimedOut,
                    format!("no worker started it within its start_timeout of {} s", watch.start_timeout),
                )
            };
            // A worker that claims right now is late after the timeout, no sooner.
            wait_or_end(due, now, reason).not_after(now.plus(timeout + ALLOWANCE))
        }
    }
}

fn wait_or_end(due: Timestamp, now: Timestamp, reason: impl FnOnce() -> (Outcome, String)) -> Decision {
    if now < due {
        return Decision::Wait(due);
    }
    let (outcome, reason) = reason();
    Decision::End(Ending::new(outcome, reason))
}

impl Decision {
    fn not_after(self, latest: Timestamp) -> Self {
        match self {
            Self::Wait(until) => Self::Wait(until.min(latest)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use common::ids::OrderNum;
    use proptest::prelude::*;

    use super::*;

    fn watch() -> Watch {
        Watch {
            run_id: "r".parse().unwrap(),
            order_num: OrderNum::of_index(0),
            timeout: 60,
            start_timeout: 3600,
            stop_grace: 10,
            start_time: 1_000_000,
            internal_bucket: "b".to_owned(),
            result_key: String::new(),
            locks_table: "t".to_owned(),
            target: common::target::Target::Lambda,
            wait_seconds: 65,
        }
    }

    fn claim(by: &str, at: u64) -> Claim {
        Claim { by: by.to_owned(), ..Claim::of_worker(String::new(), Timestamp::from_secs(at)) }
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn an_order_that_nobody_claims_waits_for_its_start_timeout() {
        let facts = Facts { claim: None, stop: None };
        assert_eq!(decide(&watch(), &facts, at(1_000_065)), Decision::Wait(at(1_000_130)));
        assert_eq!(decide(&watch(), &facts, at(1_003_600)), Decision::Wait(at(1_003_601)));
        assert!(
            matches!(decide(&watch(), &facts, at(1_003_601)), Decision::End(ending) if ending.outcome == Outcome::TimedOut)
        );
    }

    #[test]
    fn a_claimed_order_is_late_after_claim_and_timeout() {
        let claim = claim("lambda:1", 1_002_000);
        let facts = Facts { claim: Some(&claim), stop: None };
        assert_eq!(decide(&watch(), &facts, at(1_002_064)), Decision::Wait(at(1_002_065)));
        assert!(matches!(decide(&watch(), &facts, at(1_002_065)), Decision::End(_)));
    }

    #[test]
    fn a_worker_that_was_asked_to_stop_is_given_its_grace() {
        let claim = claim("lambda:1", 1_000_000);
        let stop = StopRequest {
            nonce: "n".to_owned(),
            at: at(1_000_005),
            status: Outcome::Cancelled,
            reason: "why".to_owned(),
        };
        let facts = Facts { claim: Some(&claim), stop: Some(&stop) };
        assert_eq!(decide(&watch(), &facts, at(1_000_010)), Decision::Wait(at(1_000_045)));
        assert!(
            matches!(decide(&watch(), &facts, at(1_000_045)), Decision::End(ending) if ending.outcome == Outcome::Cancelled)
        );
    }

    #[test]
    fn an_ending_of_the_engine_is_completed_at_once() {
        let claim = claim(ENGINE, 1_000_000);
        assert_eq!(decide(&watch(), &Facts { claim: Some(&claim), stop: None }, at(0)), Decision::Complete);
    }

    /// The latest instant that `start_time` may stand for, and the start timeout after it.
    fn unclaimed_due(watch: &Watch) -> Timestamp {
        at(watch.start_time + watch.start_timeout).plus(Duration::from_micros(999_999))
    }

    /// What `Claims::end` does about an order that is to end: when to look again, nothing when it has ended.
    fn end(
        claim: Option<&Claim>,
        stop: &mut Option<StopRequest>,
        ending: Ending,
        grace: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        claim?;
        let stop = stop.get_or_insert(StopRequest {
            nonce: "n".to_owned(),
            at: now,
            status: ending.outcome,
            reason: ending.reason,
        });
        Some(stop.at.plus(Duration::from_secs(grace + 30))).filter(|until| now < *until)
    }

    /// A watchdog's whole life with an order that no result ever comes of.
    #[derive(Debug)]
    struct Life {
        /// When the watchdog asked the worker to stop, or found that somebody had.
        asked: Option<Timestamp>,
        ended: Timestamp,
        outcome: Outcome,
    }

    /// `claimed`: when a worker claims, if the order has not ended by then. `cancelled`: when somebody asks that worker
    /// to stop. Each look comes `late` after it was due, as a busy function's does.
    fn live(watch: &Watch, claimed: Option<Timestamp>, cancelled: Option<Timestamp>, late: Duration) -> Life {
        let claim = claimed.map(|at| Claim { at, ..claim("lambda:1", 0) });
        let mut stop = None;
        let mut now = at(watch.start_time).plus(Duration::from_secs(watch.wait_seconds) + late);
        loop {
            let claim = claim.as_ref().filter(|claim| claim.at <= now);
            if let Some(at) = cancelled.filter(|at| claim.is_some() && *at <= now) {
                let (nonce, reason) = ("m".to_owned(), "somebody asked".to_owned());
                stop.get_or_insert(StopRequest { nonce, at, status: Outcome::Cancelled, reason });
            }
            let until = match decide(watch, &Facts { claim, stop: stop.as_ref() }, now) {
                Decision::Wait(until) => until,
                Decision::End(ending) => {
                    let outcome = stop.as_ref().map_or(ending.outcome, |stop| stop.status);
                    match end(claim, &mut stop, ending, watch.stop_grace, now) {
                        None => return Life { asked: stop.map(|stop| stop.at), ended: now, outcome },
                        Some(until) => until,
                    }
                }
                Decision::Complete => panic!("nothing of the engine's to complete"),
            };
            assert!(until > now, "it would look again at once");
            now = now.plus(Duration::from_secs(common::watchdog::Look::at(until, now).wait_seconds) + late);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_never_times_out_early_nor_waits_too_long(
            timeout in 1..100_000_u64, start_timeout in 1..100_000_u64, grace in 0..300_u64,
            claimed in prop::option::of(0..100_000_000_000_u64), now in 0..400_000_000_000_u64,
        ) {
            let watch = Watch { timeout, start_timeout, stop_grace: grace, ..watch() };
            let after = |micros| at(watch.start_time).plus(Duration::from_micros(micros));
            let claim = claimed.map(|micros| Claim { at: after(micros), ..claim("lambda:1", 0) });
            let now = after(now);
            let due = match &claim {
                Some(claim) => claim.at.plus(Duration::from_secs(timeout)),
                None => unclaimed_due(&watch),
            };
            match decide(&watch, &Facts { claim: claim.as_ref(), stop: None }, now) {
                Decision::End(ending) => {
                    prop_assert!(now >= due);
                    prop_assert_eq!(ending.outcome, Outcome::TimedOut);
                }
                Decision::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until <= due.plus(Duration::from_secs(6)));
                    prop_assert!(claim.is_some() || until <= now.plus(Duration::from_secs(timeout + 5)));
                }
                Decision::Complete => prop_assert!(false),
            }
        }

        /// Not before its time, and at most `stop_grace` + 90 s after it, though each look comes up to 15 s late.
        #[test]
        fn a_worker_that_is_gone_is_timed_out_within_bounds(
            timeout in 1..2_000_u64, start_timeout in 1..2_000_u64, grace in 0..300_u64,
            claimed in 0..2_000_000_000_u64, late in 0..15_000_u64,
        ) {
            let wait_seconds = start_timeout.min(timeout + 5);
            let watch = Watch { timeout, start_timeout, stop_grace: grace, wait_seconds, ..watch() };
            let claimed = at(watch.start_time).plus(Duration::from_micros(claimed));
            let Life { asked, ended, outcome } = live(&watch, Some(claimed), None, Duration::from_millis(late));
            let due = if let Some(asked) = asked {
                let due = claimed.plus(Duration::from_secs(timeout));
                prop_assert!(asked >= due);
                prop_assert!(ended >= asked.plus(Duration::from_secs(grace + 30)));
                due
            } else {
                // The engine's claim came first.
                prop_assert!(ended < claimed);
                unclaimed_due(&watch)
            };
            prop_assert_eq!(outcome, Outcome::TimedOut);
            prop_assert!(due <= ended && ended <= due.plus(Duration::from_secs(grace + 90)), "{due} to {ended}");
        }

        #[test]
        fn an_order_that_nobody_starts_is_timed_out_within_bounds(
            timeout in 1..2_000_u64, start_timeout in 1..2_000_u64, late in 0..15_000_u64,
        ) {
            let wait_seconds = start_timeout.min(timeout + 5);
            let watch = Watch { timeout, start_timeout, wait_seconds, ..watch() };
            let life = live(&watch, None, None, Duration::from_millis(late));
            let due = unclaimed_due(&watch);
            prop_assert_eq!((life.outcome, life.asked), (Outcome::TimedOut, None));
            prop_assert!(due <= life.ended && life.ended <= due.plus(Duration::from_secs(90)), "{} to {}", due, life.ended);
        }

        /// The request stands: it has its whole grace, also when the timeout comes in between, and says what the order
        /// ends as.
        #[test]
        fn a_worker_that_was_asked_to_stop_has_its_grace_and_no_more(
            timeout in 1..2_000_u64, grace in 0..300_u64, part in 0..=100_u64, late in 0..15_000_u64,
        ) {
            let watch = Watch { timeout, stop_grace: grace, wait_seconds: timeout + 5, ..watch() };
            let claimed = at(watch.start_time);
            let cancelled = claimed.plus(Duration::from_millis(timeout * 10 * part));
            let life = live(&watch, Some(claimed), Some(cancelled), Duration::from_millis(late));
            prop_assert_eq!((life.outcome, life.asked), (Outcome::Cancelled, Some(cancelled)));
            prop_assert!(life.ended >= cancelled.plus(Duration::from_secs(grace + 30)));
            prop_assert!(life.ended <= claimed.plus(Duration::from_secs(timeout + grace + 90)));
        }
    }

    #[test]
    fn what_it_decides_says_why() {
        let ending = |facts: &Facts<'_>| match decide(&watch(), facts, at(2_000_000)) {
            Decision::End(ending) => (ending.outcome, ending.reason),
            other => panic!("{other:?}"),
        };
        let claim = claim("lambda:1", 1_000_000);
        let late = (Outcome::TimedOut, "it ran longer than its timeout of 60 s".to_owned());
        assert_eq!(ending(&Facts { claim: Some(&claim), stop: None }), late);
        let unclaimed = (Outcome::TimedOut, "no worker started it within its start_timeout of 3600 s".to_owned());
        assert_eq!(ending(&Facts { claim: None, stop: None }), unclaimed);
        let (nonce, reason) = ("n".to_owned(), "why".to_owned());
        let stop = StopRequest { nonce, at: at(1_000_001), status: Outcome::Failed, reason: reason.clone() };
        assert_eq!(ending(&Facts { claim: Some(&claim), stop: Some(&stop) }), (Outcome::Failed, reason));
    }
}
