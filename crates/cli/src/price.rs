//! What an order may cost at most, from AWS's list prices for us-east-1 and the machines that the stack has by default.
//! An estimate: traffic, storage and free tiers are left out.

use common::target::Target;

/// USD for a GB-second of a function on `x86_64`. <https://aws.amazon.com/lambda/pricing/>
const LAMBDA_GB_SECOND: f64 = 0.000_016_666_7;
/// Memory of the worker in GB, `worker_memory_mb` of the stack by default.
const LAMBDA_GB: f64 = 2.0;
/// USD for a minute of `BUILD_GENERAL1_SMALL`, `codebuild_compute_type` of the stack by default; a begun one counts.
/// <https://aws.amazon.com/codebuild/pricing/>
const BUILD_MINUTE: f64 = 0.005;
/// USD for a state transition. <https://aws.amazon.com/step-functions/pricing/>
const TRANSITION: f64 = 0.000_025;
/// Transitions of an order's watchdog at most: wait, result, look, choice; wait, look, choice; end. Where the order has
/// ended when the first wait is over, they are two.
const TRANSITIONS: f64 = 8.0;
/// Transitions of a run's tick in a minute: wait, look, choice.
const TICK_TRANSITIONS: f64 = 3.0;
/// AWS calls of an order, all functions together (`cargo test --workspace --test it figures -- --nocapture` counts them).
const CALLS: f64 = 15.0;
/// USD for the dearest of them, a PUT in S3. <https://aws.amazon.com/s3/pricing/>
const CALL: f64 = 0.000_005;

/// What its target costs if it takes all its time, in USD.
pub(crate) fn of_target(target: Target, timeout: u64, stop_grace: u64) -> f64 {
    let seconds = whole(timeout + stop_grace);
    match target {
        Target::Lambda => seconds * LAMBDA_GB * LAMBDA_GB_SECOND,
        Target::Codebuild => (seconds / 60.0).ceil() * BUILD_MINUTE,
        // Run Command costs nothing, and the instances are there anyway.
        // <https://aws.amazon.com/systems-manager/pricing/>
        Target::Ssm => 0.0,
    }
}

/// What the engine itself costs for an order, in USD.
pub(crate) fn of_engine() -> f64 {
    TRANSITIONS * TRANSITION + CALLS * CALL
}

/// What the engine itself costs for a run of so many seconds, in USD.
pub(crate) fn of_tick(seconds: u64) -> f64 {
    (whole(seconds) / 60.0).ceil() * TICK_TRANSITIONS * TRANSITION
}

/// A price for people: two digits that say something.
pub(crate) fn shown(usd: f64) -> String {
    if usd <= 0.0 {
        "0 USD".to_owned()
    } else if usd < 0.000_1 {
        "below 0.0001 USD".to_owned()
    } else if usd < 0.1 {
        format!("{usd:.4} USD")
    } else {
        format!("{usd:.2} USD")
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 seconds")]
fn whole(seconds: u64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_follow_the_lists() {
        for (target, timeout, text) in [
            // 300 s × 2 GB × 0.0000166667.
            (Target::Lambda, 290, "0.0100 USD"),
            // A begun minute counts.
            (Target::Codebuild, 590, "0.0500 USD"),
            (Target::Codebuild, 591, "0.0550 USD"),
            (Target::Codebuild, 28_790, "2.40 USD"),
            (Target::Ssm, 28_790, "0 USD"),
        ] {
            assert_eq!(shown(of_target(target, timeout, 10)), text, "{target:?} {timeout}");
        }
        assert_eq!(shown(of_tick(3_600)), "0.0045 USD");
        assert_eq!(shown(of_engine()), "0.0003 USD");
        assert_eq!(shown(0.000_05), "below 0.0001 USD");
    }
}
