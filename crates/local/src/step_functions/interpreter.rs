//! One execution, state by state.
//!
//! ```text
//!   enter state → (retries…) → effect: sleep | task | nothing → leave state → save → next state
//! ```
//!
//! What a task does is in [`super::task`].
//!
//! The place of an execution is saved before it waits and after each state, so that a restart goes on from there: a
//! wait ends when it would have ended, a task that was under way is started again.

use std::{sync::Arc, time::Duration};

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    dates,
    gate::Gate,
    lambda::Lambda,
    s3::store::Store,
    step_functions::{
        asl::{Catcher, Definition, Kind, Language, Path, State},
        executions::Execution,
        jsonata::{self, Undefined},
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

    pub(crate) fn runtime(cause: impl Into<String>) -> Self {
        Self::new("States.Runtime", cause)
    }
}

/// Whom tasks ask, and the gate that all of it passes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) store: Arc<Store>,
    pub(crate) gate: Arc<Gate>,
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
    asked: &Asked,
    at_work: &AtWork,
    mut place: Place,
) -> Result<Value, Failure> {
    loop {
        let state = definition
            .states
            .get(&place.state)
            .ok_or_else(|| Failure::runtime(format!("there is no state `{}`", place.state)))?;
        let step = Step { execution, state, asked, at_work };
        match step.run(&mut place).await? {
            Then::Go(next) => place = next,
            Then::Finish(output) => return Ok(output),
        }
        execution.save(&place).await?;
    }
}

/// A state that is being run.
pub(super) struct Step<'a> {
    pub(super) execution: &'a Execution,
    pub(super) state: &'a State,
    pub(super) asked: &'a Asked,
    pub(super) at_work: &'a AtWork,
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
                match self.task(place, &input, resource, *timeout_seconds, retry).await? {
                    Ok(output) => self.go_on(output)?,
                    Err(failure) => self.caught(catch, place, failure)?,
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

    fn caught(&self, catch: &[Catcher], place: &Place, failure: Failure) -> Result<(Then, Value), Failure> {
        let Some(catcher) = catch.iter().find(|catcher| paths::is_for(&catcher.error_equals, &failure.error)) else {
            return Err(failure);
        };
        let result = json!({"Error": failure.error, "Cause": failure.cause});
        let output = match (self.state.language, &catcher.output) {
            (Language::Paths, _) => put(&catcher.result_path, &place.input, result)?,
            (Language::Jsonata, None) => result,
            (Language::Jsonata, Some(template)) => {
                let states = json!({"input": place.input, "errorOutput": result});
                self.fill(template, &states, "Catch/Output", place)??
            }
        };
        Ok((Then::Go(Place::at(&catcher.next, output.clone())), output))
    }

    /// A template of `JSONata` with its expressions replaced. The inner error is one that can be caught.
    pub(super) fn fill(
        &self,
        template: &Value,
        states: &Value,
        field: &str,
        place: &Place,
    ) -> Result<Result<Value, Failure>, Failure> {
        let Undefined { expression, location } = match jsonata::fill(template, states, field) {
            Ok(filled) => return Ok(Ok(filled)),
            Err(undefined) => undefined,
        };
        let cause = format!(
            "The JSONata expression '{expression}' specified for the field '{location}' returned nothing (undefined)."
        );
        let failure = Failure::new("States.QueryEvaluationError", cause);
        let details =
            json!({"error": failure.error, "cause": failure.cause, "location": location, "state": place.state});
        self.event("EvaluationFailed", Some(("evaluationFailedEventDetails", details)))?;
        Ok(Err(failure))
    }

    pub(super) fn parameters(&self, input: &Value) -> Result<Value, Failure> {
        let Some(template) = &self.state.parameters else { return Ok(input.clone()) };
        // As AWS has it, which nothing catches; the specification has an error of its own for this.
        paths::fill(template, input).map_err(|path| {
            Failure::runtime(format!("The JSONPath '{path}' of Parameters could not be found in the input '{input}'"))
        })
    }

    pub(super) fn place_result(&self, input: &Value, result: Value) -> Result<Value, Failure> {
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

    pub(super) fn event(&self, kind: &str, details: Option<(&str, Value)>) -> Result<(), Failure> {
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
