//! One execution, state by state.
//!
//! ```text
//!   enter state → (retries…) → effect: sleep | invoke | nothing → leave state → save → next state
//! ```
//!
//! The place of an execution is saved before it waits and after each state, so that a restart goes on from there: a
//! wait ends when it would have ended, a task that was under way is started again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    dates,
    gate::{Gate, Instead},
    lambda::{Invocation, Lambda, Pool},
    record::{Call, Outcome, STATES},
    service::Service,
    step_functions::{
        asl::{Catcher, Definition, Kind, Path, Retrier, State},
        executions::Execution,
        paths,
    },
    timeline::AtWork,
};

/// Where an execution is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) state: String,
    pub(crate) input: Value,
    /// Whether the state's entry is in the history already.
    pub(crate) entered: bool,
    /// End of the wait that is under way.
    pub(crate) until: Option<Timestamp>,
    /// How often each retrier of the state has been used.
    pub(crate) used: Vec<u32>,
}

impl Place {
    pub(crate) fn at(state: &str, input: Value) -> Self {
        Self { state: state.to_owned(), input, entered: false, until: None, used: Vec::new() }
    }
}

/// An error inside an execution, in States Language terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: error.to_owned(), cause: cause.into() }
    }

    fn runtime(cause: impl Into<String>) -> Self {
        Self::new("States.Runtime", cause)
    }
}

/// What follows a state.
enum Then {
    Go(Place),
    Finish(Value),
}

/// Runs an execution from its place to its end. What it returns is the output, or the failure.
pub(crate) async fn run(
    execution: &Execution,
    definition: &Definition,
    lambda: &Arc<Lambda>,
    gate: &Gate,
    at_work: &AtWork,
    mut place: Place,
) -> Result<Value, Failure> {
    loop {
        let state = definition
            .states
            .get(&place.state)
            .ok_or_else(|| Failure::runtime(format!("there is no state `{}`", place.state)))?;
        let step = Step { execution, state, lambda, gate, at_work };
        match step.run(&mut place).await? {
            Then::Go(next) => place = next,
            Then::Finish(output) => return Ok(output),
        }
        execution.save(&place).await?;
    }
}

struct Step<'a> {
    execution: &'a Execution,
    state: &'a State,
    lambda: &'a Arc<Lambda>,
    gate: &'a Gate,
    at_work: &'a AtWork,
}

impl Step<'_> {
    async fn run(&self, place: &mut Place) -> Result<Then, Failure> {
        let name = place.state.clone();
        if !place.entered {
            let entered = json!({"name": name, "input": place.input.to_string()});
            self.event(&format!("{}StateEntered", self.kind()), Some(("stateEnteredEventDetails", entered)))?;
            place.entered = true;
        }
        let input = match &self.state.input_path {
            Path::Whole => place.input.clone(),
            Path::Nothing => json!({}),
            Path::At(path) => self.at(&place.input, path)?,
        };
        let (then, output) = match &self.state.kind {
            Kind::Pass { result } => {
                let result = result.clone().map_or_else(|| self.parameters(&input), Ok)?;
                self.go_on(self.place_result(&place.input, result)?)?
            }
            Kind::Wait { .. } => {
                self.wait(place, &input).await?;
                self.go_on(input)?
            }
            Kind::Choice { choices, default } => {
                let mut next = default.as_deref();
                for branch in choices {
                    if paths::holds(&branch.rule, &input).map_err(|path| self.invalid(&path))? {
                        next = Some(&branch.next);
                        break;
                    }
                }
                let next = next.ok_or_else(|| {
                    Failure::new(
                        "States.NoChoiceMatched",
                        format!("no choice of `{name}` matches and it has no default"),
                    )
                })?;
                let output = self.output(input)?;
                (Then::Go(Place::at(next, output.clone())), output)
            }
            Kind::Succeed => {
                let output = self.output(input)?;
                (Then::Finish(output.clone()), output)
            }
            Kind::Fail { error, cause } => {
                return Err(Failure::new(
                    error.as_deref().unwrap_or("States.Failed"),
                    cause.clone().unwrap_or_default(),
                ));
            }
            Kind::Task { resource, timeout_seconds, retry, catch } => {
                let payload = self.parameters(&input)?;
                match self.task(place, resource, *timeout_seconds, retry, &payload).await? {
                    Ok(result) => self.go_on(self.place_result(&place.input, result)?)?,
                    Err(failure) => Self::caught(catch, &place.input, failure)?,
                }
            }
        };
        let exited = json!({"name": name, "output": output.to_string()});
        self.event(&format!("{}StateExited", self.kind()), Some(("stateExitedEventDetails", exited)))?;
        Ok(then)
    }

    /// Waits until the time that the state names; the time is saved first.
    async fn wait(&self, place: &mut Place, input: &Value) -> Result<(), Failure> {
        let Kind::Wait { seconds, seconds_path, timestamp, timestamp_path } = &self.state.kind else { return Ok(()) };
        if place.until.is_none() {
            let by_path = |path: &Option<String>| path.as_ref().map(|path| self.at(input, path)).transpose();
            let now = self.at_work.now();
            let until = match (seconds, by_path(seconds_path)?, timestamp, by_path(timestamp_path)?) {
                (Some(seconds), ..) => Some(now.plus(Duration::from_secs(*seconds))),
                (_, Some(value), ..) => value.as_u64().map(|seconds| now.plus(Duration::from_secs(seconds))),
                (.., Some(text), _) => dates::parse_iso8601(text),
                (.., Some(value)) => value.as_str().and_then(dates::parse_iso8601),
                _ => None,
            };
            place.until = Some(until.ok_or_else(|| {
                Failure::runtime(format!("the wait of `{}` is neither a number of seconds nor a time", place.state))
            })?);
            self.execution.save(place).await?;
        }
        if let Some(until) = place.until {
            self.at_work.sleep(self.at_work.now().until(until)).await;
        }
        Ok(())
    }

    /// Runs the task, again and again as its retriers say.
    async fn task(
        &self,
        place: &mut Place,
        resource: &str,
        timeout: Option<u64>,
        retry: &[Retrier],
        payload: &Value,
    ) -> Result<Result<Value, Failure>, Failure> {
        place.used.resize(retry.len(), 0);
        loop {
            let failure = match self.invoke(resource, timeout, payload).await? {
                Ok(result) => return Ok(Ok(result)),
                Err(failure) => failure,
            };
            let concerned =
                retry.iter().zip(&mut place.used).find(|(r, _)| paths::is_for(&r.error_equals, &failure.error));
            let Some((retrier, used)) = concerned.filter(|(retrier, used)| **used < retrier.max_attempts) else {
                return Ok(Err(failure));
            };
            let delay = delay(retrier, *used);
            *used += 1;
            self.execution.save(place).await?;
            self.at_work.sleep(delay).await;
        }
    }

    /// Invokes the function once. The outer error is the history's end.
    async fn invoke(
        &self,
        resource: &str,
        timeout: Option<u64>,
        payload: &Value,
    ) -> Result<Result<Value, Failure>, Failure> {
        let text = payload.to_string();
        let scheduled = json!({"resource": resource, "input": text});
        self.event("LambdaFunctionScheduled", Some(("lambdaFunctionScheduledEventDetails", scheduled)))?;
        let result = match self.lambda.find(resource) {
            None => Err(Failure::new("Lambda.ResourceNotFoundException", format!("Function not found: {resource}"))),
            Some(pool) => {
                self.event("LambdaFunctionStarted", None)?;
                // Waits for a free environment: the embedded functions have far less concurrency than an account.
                let invocation = pool.invocation(Bytes::from(text), Some(self.execution.arn.clone()));
                let call = self.call(pool, invocation);
                match timeout {
                    None => call.await,
                    Some(seconds) => tokio::select! {
                        result = call => result,
                        () = self.at_work.limit(Duration::from_secs(seconds)) => Err(Failure::new("States.Timeout", "")),
                    },
                }
            }
        };
        let result = result.and_then(|body| {
            serde_json::from_slice::<Value>(&body)
                .map_err(|error| Failure::runtime(format!("the function's answer: {error}")))
        });
        match &result {
            Ok(output) => {
                let details = json!({"output": output.to_string()});
                self.event("LambdaFunctionSucceeded", Some(("lambdaFunctionSucceededEventDetails", details)))?;
            }
            Err(failure) => {
                let details = json!({"error": failure.error, "cause": failure.cause});
                let (kind, name) = if failure.error == "States.Timeout" {
                    ("LambdaFunctionTimedOut", "lambdaFunctionTimedOutEventDetails")
                } else {
                    ("LambdaFunctionFailed", "lambdaFunctionFailedEventDetails")
                };
                self.event(kind, Some((name, details)))?;
            }
        }
        Ok(result)
    }

    /// Invokes the function once, unless the fault script has other plans.
    async fn call(&self, pool: &Arc<Pool>, invocation: Invocation) -> Result<Bytes, Failure> {
        let call = Call {
            function: STATES.to_owned(),
            service: Service::Lambda,
            operation: "Invoke".to_owned(),
            key: pool.spec.name.clone(),
            signer: None,
            parent: Some(self.execution.arn.clone()),
            starts: Some(invocation.request_id.clone()),
            bytes: 0,
            running: None,
        };
        let instead = self.gate.invoke(&call, self.at_work).await;
        let record = |status, code: Option<&str>| {
            let code = code.map(str::to_owned);
            self.gate.recorder.record(&call, None, &Outcome { status, code, units: None });
        };
        if let Some(Instead::Refused(error)) = instead {
            record(429, Some(error));
            return Err(Failure::new(error, "injected by the fault script"));
        }
        // Shutting down: the execution is saved where it is, and goes on after the next start.
        let Ok(permit) = pool.enter().await else { return std::future::pending().await };
        let result = self.lambda.run(pool, invocation, permit).await;
        if instead == Some(Instead::Lost) {
            record(200, Some("ErrorAfter"));
            return Err(Failure::new("Lambda.ServiceException", "injected by the fault script"));
        }
        record(200, result.as_ref().err().map(|error| error.kind.as_str()));
        result.map_err(|error| Failure::new(&error.kind, String::from_utf8_lossy(&error.body)))
    }

    fn caught(catch: &[Catcher], input: &Value, failure: Failure) -> Result<(Then, Value), Failure> {
        let Some(catcher) = catch.iter().find(|catcher| paths::is_for(&catcher.error_equals, &failure.error)) else {
            return Err(failure);
        };
        let result = json!({"Error": failure.error, "Cause": failure.cause});
        let output = put(&catcher.result_path, input, result)?;
        Ok((Then::Go(Place::at(&catcher.next, output.clone())), output))
    }

    fn parameters(&self, input: &Value) -> Result<Value, Failure> {
        self.state.parameters.as_ref().map_or_else(
            || Ok(input.clone()),
            |template| {
                paths::fill(template, input)
                    .map_err(|path| Failure::new("States.ParameterPathFailure", format!("`{path}` leads nowhere")))
            },
        )
    }

    fn place_result(&self, input: &Value, result: Value) -> Result<Value, Failure> {
        put(&self.state.result_path, input, result)
    }

    /// The state's output, and where it leads.
    fn go_on(&self, output: Value) -> Result<(Then, Value), Failure> {
        let output = self.output(output)?;
        let then = match &self.state.next {
            Some(next) => Then::Go(Place::at(next, output.clone())),
            None => Then::Finish(output.clone()),
        };
        Ok((then, output))
    }

    fn output(&self, output: Value) -> Result<Value, Failure> {
        match &self.state.output_path {
            Path::Whole => Ok(output),
            Path::Nothing => Ok(json!({})),
            Path::At(path) => self.at(&output, path),
        }
    }

    fn at(&self, value: &Value, path: &str) -> Result<Value, Failure> {
        paths::get(value, path).cloned().ok_or_else(|| self.invalid(path))
    }

    fn invalid(&self, path: &str) -> Failure {
        Failure::runtime(format!("the path `{path}` of a {} state leads nowhere in its input", self.kind()))
    }

    fn kind(&self) -> &'static str {
        match self.state.kind {
            Kind::Task { .. } => "Task",
            Kind::Wait { .. } => "Wait",
            Kind::Choice { .. } => "Choice",
            Kind::Pass { .. } => "Pass",
            Kind::Succeed => "Succeed",
            Kind::Fail { .. } => "Fail",
        }
    }

    fn event(&self, kind: &str, details: Option<(&str, Value)>) -> Result<(), Failure> {
        self.execution.event(self.at_work.now(), kind, details)
    }
}

/// Puts a result where a `ResultPath` says: over the whole input by default, nowhere when it is `null`.
fn put(path: &Path, input: &Value, result: Value) -> Result<Value, Failure> {
    match path {
        Path::Whole => Ok(result),
        Path::Nothing => Ok(input.clone()),
        Path::At(path) => paths::set(input.clone(), path, result)
            .ok_or_else(|| Failure::new("States.ResultPathMatchFailure", format!("`{path}` does not fit the input"))),
    }
}

/// How long to wait before the next try.
fn delay(retrier: &Retrier, used: u32) -> Duration {
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let interval = Duration::from_secs(retrier.interval_seconds).as_secs_f64();
    // A year is longer than any execution.
    let seconds = (interval * retrier.backoff_rate.powi(exponent)).min(365.0 * 86_400.0);
    let delay = Duration::from_secs_f64(seconds.max(0.0));
    retrier.max_delay_seconds.map_or(delay, |max| delay.min(Duration::from_secs(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_further_and_further_apart() {
        let retrier: Retrier =
            serde_json::from_value(json!({"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxDelaySeconds": 12}))
                .unwrap();
        let delays: Vec<u64> = (0..3).map(|used| delay(&retrier, used).as_secs()).collect();
        assert_eq!(delays, [5, 10, 12]);
    }
}
