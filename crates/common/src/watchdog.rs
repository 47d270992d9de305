//! Watchdog executions: one an order and one a run (`0000`), as both sides of the state machine know them.

use std::time::Duration;

use aws_sdk_sfn::{error::SdkError, operation::start_execution::StartExecutionError, primitives::DateTime};
use serde::{Deserialize, Serialize};

use crate::{
    aws::{Aws, AwsError, Class},
    clock::Timestamp,
    ids::{OrderNum, RunId},
    keys,
    target::Target,
};

/// Seconds between two ticks of a run.
pub const TICK_SECS: u64 = 60;
/// After these many seconds …
pub const SLOW_TICK_AFTER_SECS: u64 = 6 * 3600;
/// … ticks come in this distance, so that a week's stay under Step Functions' 25,000 events an execution.
pub const SLOW_TICK_SECS: u64 = 300;

/// For these many seconds after the job's deadline, longer than the longest `stop_grace` and the time to report, …
pub const ENDING_SECS: u64 = 600;
/// … ticks come in this distance, so that an order whose worker is gone ends in time.
pub const ENDING_TICK_SECS: u64 = 15;

/// Input of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The run.
    pub run_id: RunId,
    /// The order; `0000` for the run itself.
    pub order_num: OrderNum,
    /// Seconds for the order's commands; of the run the job's timeout.
    pub timeout: u64,
    /// Seconds from `start_time` to a claim.
    pub start_timeout: u64,
    /// Seconds between SIGINT and SIGKILL.
    pub stop_grace: u64,
    /// Epoch seconds of the first dispatch.
    pub start_time: u64,
    /// Bucket of results and claims.
    pub internal_bucket: String,
    /// Key in it that ends the execution if it is there when the first wait is over: [`keys::watched`]. The state machine
    /// reads it; inputs of earlier releases have none, and those are looked at.
    #[serde(default)]
    pub result_key: String,
    /// Table of run items.
    pub locks_table: String,
    /// Where the order runs: an SSM order is watched instance by instance.
    #[serde(default = "lambda")]
    pub target: Target,
    /// Seconds until the first look.
    #[serde(default)]
    pub wait_seconds: u64,
}

/// The target of executions that a release started which knew no other.
const fn lambda() -> Target {
    Target::Lambda
}

/// What a look says to its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Whether there is nothing left to look after.
    pub done: bool,
    /// Seconds until the next look.
    pub wait_seconds: u64,
}

impl Look {
    /// Nothing left to look after.
    pub const DONE: Self = Self { done: true, wait_seconds: 0 };

    /// Look again at this instant, in a second at the earliest.
    pub fn at(then: Timestamp, now: Timestamp) -> Self {
        Self {
            done: false,
            wait_seconds: now.until(then).as_millis().div_ceil(1000).max(1).try_into().unwrap_or(TICK_SECS),
        }
    }
}

/// Starts an execution; gives when that first was done. That it exists already is success: its name is this order of
/// this submission's.
pub async fn start(aws: &Aws, state_machine: &str, submit_id: &str, watch: &Watch) -> Result<Timestamp, AwsError> {
    let name = keys::execution(&watch.run_id, watch.order_num, submit_id);
    let action = || format!("start the watchdog `{name}`");
    let input = serde_json::to_string(watch).map_err(|error| AwsError::refused(action(), error.to_string()))?;
    let request = aws.sfn().start_execution().state_machine_arn(state_machine).name(&name).input(input);
    match request.send().await {
        Ok(answer) => Ok(timestamp(answer.start_date())),
        Err(SdkError::ServiceError(error)) if matches!(error.err(), StartExecutionError::ExecutionAlreadyExists(_)) => {
            let arn = execution_arn(state_machine, &name);
            match aws.sfn().describe_execution().execution_arn(arn).send().await {
                Ok(described) => Ok(timestamp(described.start_date())),
                Err(error) => match AwsError::of(format!("look at the watchdog `{name}`"), error) {
                    // DescribeExecution is eventually consistent, and may not know it yet. It is there all the same: a
                    // date is no reason to fail what was started.
                    error if error.class == Class::Refused => {
                        tracing::warn!(%error, "it is dated by this attempt");
                        Ok(Timestamp::from_secs(watch.start_time).plus(Duration::from_micros(999_999)))
                    }
                    error => Err(error),
                },
            }
        }
        Err(error) => Err(AwsError::of(action(), error)),
    }
}

/// The end of the millisecond that AWS tells, so that nothing that was before comes after.
fn timestamp(at: &DateTime) -> Timestamp {
    Timestamp::from_millis(at.to_millis().ok().and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default())
        .plus(Duration::from_micros(999))
}

fn execution_arn(state_machine: &str, name: &str) -> String {
    format!("{}:{name}", state_machine.replacen(":stateMachine:", ":execution:", 1))
}

/// Where a person sees the execution.
pub fn console_url(state_machine: &str, name: &str) -> String {
    let region = state_machine.split(':').nth(3).unwrap_or_default();
    let execution = execution_arn(state_machine, name);
    format!("https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{execution}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_of_ticks_stays_under_the_limit_of_events() {
        // The first wait (2 events), S3 asked in vain (entered, scheduled, started, failed, exited: 5), start and end.
        const EVENTS_ONCE: u64 = 9;
        // A look is a wait (2 events), a task (scheduled, started, succeeded, entered, exited: 5) and a choice (2).
        const EVENTS_A_LOOK: u64 = 9;
        let week = 7 * 86_400;
        let ending = ENDING_SECS / ENDING_TICK_SECS;
        let looks = SLOW_TICK_AFTER_SECS / TICK_SECS + (week - SLOW_TICK_AFTER_SECS) / SLOW_TICK_SECS + ending;
        assert!(EVENTS_ONCE + looks * EVENTS_A_LOOK < 25_000, "{looks} looks");
    }

    #[test]
    fn an_input_of_an_earlier_release_is_read() {
        let input = r#"{"run_id": "r", "order_num": "0001", "timeout": 1, "start_timeout": 2, "stop_grace": 3,
            "start_time": 4, "internal_bucket": "b", "locks_table": "t", "wait_seconds": 5}"#;
        let watch: Watch = serde_json::from_str(input).unwrap();
        assert_eq!((watch.target, watch.result_key.as_str()), (Target::Lambda, ""));
    }

    #[test]
    fn a_look_is_never_at_once_nor_early() {
        let now = Timestamp::from_millis(10_500);
        assert_eq!(Look::at(now, now).wait_seconds, 1);
        assert_eq!(Look::at(Timestamp::from_millis(12_501), now).wait_seconds, 3);
    }
}
