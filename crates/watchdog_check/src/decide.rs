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
    Decision::End(Ending { outcome, reason })
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
            locks_table: "t".to_owned(),
            target: common::target::Target::Lambda,
            wait_seconds: 65,
        }
    }

    fn claim(by: &str, at: u64) -> Claim {
        Claim { nonce: "n".to_owned(), by: by.to_owned(), at: Timestamp::from_secs(at), status: None, reason: None }
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

    proptest! {
        #[test]
        fn it_never_times_out_early_nor_waits_too_long(
            timeout in 1..100_000_u64, start_timeout in 1..100_000_u64, grace in 0..300_u64,
            claimed in prop::option::of(0..100_000_u64), now in 0..400_000_u64,
        ) {
            let watch = Watch { timeout, start_timeout, stop_grace: grace, ..watch() };
            let claim = claimed.map(|after| claim("lambda:1", watch.start_time + after));
            let now = at(watch.start_time + now);
            let due = match &claim {
                Some(claim) => claim.at.plus(Duration::from_secs(timeout)),
                None => at(watch.start_time + start_timeout),
            };
            match decide(&watch, &Facts { claim: claim.as_ref(), stop: None }, now) {
                Decision::End(_) => prop_assert!(now >= due),
                Decision::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until <= due.plus(Duration::from_secs(6)) || claim.is_none());
                }
                Decision::Complete => prop_assert!(false),
            }
        }
    }
}
