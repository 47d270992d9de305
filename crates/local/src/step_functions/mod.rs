//! Step Functions: state machines of the standard kind, run by a small interpreter.
//!
//! ```text
//!   mod.rs          the operations
//!   asl.rs          definitions, read and checked      paths.rs       paths, choices: pure
//!   executions.rs   an execution and its files         jsonata.rs     expressions: pure
//!   interpreter.rs  running it, state by state         history.rs     its events
//!   task.rs         asking a function or S3
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{arn, dates, errors::ApiError, files, ids, service::Service, timeline::Timeline};
use asl::Definition;
use executions::{Execution, Record, Status};
use interpreter::{Asked, Failure, Place};

pub(crate) mod asl;
pub(crate) mod executions;
pub(crate) mod history;
pub(crate) mod interpreter;
pub(crate) mod jsonata;
pub(crate) mod paths;
pub(crate) mod task;

/// Largest input of an execution in bytes, as on AWS.
const INPUT_LIMIT: usize = 256 * 1024;
/// Most entries on a page, as on AWS.
const MAX_PAGE: usize = 1000;
/// Entries on a page when the request does not say.
const DEFAULT_PAGE: usize = 100;

/// A state machine, as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Machine {
    name: String,
    arn: String,
    definition: String,
    role_arn: String,
    created: Timestamp,
}

#[derive(Debug)]
struct Loaded {
    machine: Machine,
    definition: Arc<Definition>,
    /// By name.
    executions: BTreeMap<String, Arc<Execution>>,
}

/// The embedded Step Functions.
#[derive(Debug)]
pub(crate) struct StepFunctions {
    asked: Asked,
    timeline: Timeline,
    dir: Option<PathBuf>,
    /// By ARN.
    machines: Mutex<BTreeMap<String, Loaded>>,
    stop: CancellationToken,
    running: TaskTracker,
}

type Answer = Result<Value, ApiError>;

impl StepFunctions {
    /// Opens what is in `dir` and goes on with what was running.
    pub(crate) fn open(asked: Asked, timeline: Timeline, dir: Option<PathBuf>) -> io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            asked,
            timeline,
            dir,
            machines: Mutex::default(),
            stop: CancellationToken::new(),
            running: TaskTracker::new(),
        });
        if let Some(dir) = &this.dir {
            files::private_dir(&dir.join("executions"))?;
            let machines: Vec<Machine> = match fs::read(dir.join("machines.json")) {
                Ok(saved) => serde_json::from_slice(&saved)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error),
            };
            for machine in machines {
                let definition = Arc::new(Definition::parse(&machine.definition).map_err(io::Error::other)?);
                let loaded = Loaded { machine, definition, executions: BTreeMap::new() };
                this.lock().insert(loaded.machine.arn.clone(), loaded);
            }
            for entry in fs::read_dir(dir.join("executions"))? {
                let path = entry?.path();
                let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if path.extension().is_some_and(|extension| extension == "json") && !hidden {
                    this.resume(Execution::load(path)?);
                }
            }
        }
        Ok(this)
    }

    fn resume(self: &Arc<Self>, execution: Execution) {
        let record = execution.record();
        let execution = Arc::new(execution);
        let definition = {
            let mut machines = self.lock();
            let Some(loaded) = machines.get_mut(&record.machine_arn) else { return };
            loaded.executions.insert(record.name, Arc::clone(&execution));
            Arc::clone(&loaded.definition)
        };
        if let (Status::Running, Some(place)) = (record.status, record.place) {
            self.run(execution, definition, place);
        }
    }

    /// Makes a state machine, or gives one that is there this definition.
    pub(crate) fn deploy(&self, name: &str, definition: &str) -> Result<(), ApiError> {
        let arn = arn("states", &format!("stateMachine:{name}"));
        let known = self.lock().get(&arn).is_some_and(|loaded| loaded.machine.definition == definition);
        if known {
            return Ok(());
        }
        let parsed = Definition::parse(definition).map_err(|problem| ApiError::client("InvalidDefinition", problem))?;
        let machine = Machine {
            name: name.to_owned(),
            arn: arn.clone(),
            definition: definition.to_owned(),
            role_arn: crate::arn("iam", &format!("role/{name}")),
            created: self.timeline.now(),
        };
        {
            let mut machines = self.lock();
            let executions = machines.remove(&arn).map(|loaded| loaded.executions).unwrap_or_default();
            machines.insert(arn, Loaded { machine, definition: Arc::new(parsed), executions });
        }
        self.save_machines()
    }

    fn save_machines(&self) -> Result<(), ApiError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let machines: Vec<Machine> = self.lock().values().map(|loaded| loaded.machine.clone()).collect();
        serde_json::to_vec(&machines)
            .map_err(io::Error::from)
            .and_then(|content| files::replace_now(&dir.join("machines.json"), &content))
            .map_err(|error| broken(&error))
    }

    /// Serves one call whose signature is good.
    pub(crate) fn call(self: &Arc<Self>, operation: &str, request: &Value) -> Answer {
        match operation {
            "CreateStateMachine" => self.create_machine(request),
            "DescribeStateMachine" => self.with_machine(request, "stateMachineArn", |loaded| {
                Ok(json!({
                    "stateMachineArn": loaded.machine.arn,
                    "name": loaded.machine.name,
                    "status": "ACTIVE",
                    "definition": loaded.machine.definition,
                    "roleArn": loaded.machine.role_arn,
                    "type": "STANDARD",
                    "creationDate": dates::epoch_seconds(loaded.machine.created),
                }))
            }),
            "ListStateMachines" => {
                let machines: Vec<Value> = self
                    .lock()
                    .values()
                    .map(|loaded| {
                        json!({
                            "stateMachineArn": loaded.machine.arn,
                            "name": loaded.machine.name,
                            "type": "STANDARD",
                            "creationDate": dates::epoch_seconds(loaded.machine.created),
                        })
                    })
                    .collect();
                Ok(json!({"stateMachines": machines}))
            }
            "StartExecution" => self.start_execution(request),
            "DescribeExecution" => Ok(self.execution(request)?.describe()),
            "StopExecution" => self.stop_execution(request),
            "ListExecutions" => self.list_executions(request),
            "GetExecutionHistory" => self.execution_history(request),
            _ => Err(ApiError::unknown_operation(Service::StepFunctions, operation)),
        }
    }

    fn create_machine(&self, request: &Value) -> Answer {
        let name = text(request, "name")?;
        check_name(name)?;
        let definition = text(request, "definition")?;
        let arn = arn("states", &format!("stateMachine:{name}"));
        if let Some(loaded) = self.lock().get(&arn)
            && loaded.machine.definition != definition
        {
            let message = format!("State Machine Already Exists: '{arn}'");
            return Err(ApiError::client("StateMachineAlreadyExists", message));
        }
        self.deploy(name, definition)?;
        self.with_machine(&json!({"stateMachineArn": arn}), "stateMachineArn", |loaded| {
            let created = dates::epoch_seconds(loaded.machine.created);
            Ok(json!({"stateMachineArn": loaded.machine.arn, "creationDate": created}))
        })
    }

    fn start_execution(self: &Arc<Self>, request: &Value) -> Answer {
        let machine_arn = text(request, "stateMachineArn")?.to_owned();
        let drawn = ids::request_id();
        let name = request.get("name").and_then(Value::as_str).unwrap_or(&drawn).to_owned();
        check_name(&name)?;
        let input = request.get("input").and_then(Value::as_str).unwrap_or("{}").to_owned();
        let parsed: Value = serde_json::from_str(&input).map_err(|error| {
            ApiError::client("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'"))
        })?;
        if input.len() > INPUT_LIMIT {
            return Err(ApiError::client("InvalidExecutionInput", format!("the input is over {INPUT_LIMIT} bytes")));
        }
        let mut machines = self.lock();
        let loaded = machines.get_mut(&machine_arn).ok_or_else(|| no_machine(&machine_arn))?;
        let started =
            |record: &Record| json!({"executionArn": record.arn, "startDate": dates::epoch_seconds(record.started)});
        if let Some(known) = loaded.executions.get(&name) {
            let record = known.record();
            if record.status == Status::Running && record.input == input {
                return Ok(started(&record));
            }
            let message = format!("Execution Already Exists: '{}'", record.arn);
            return Err(ApiError::client("ExecutionAlreadyExists", message));
        }
        let now = self.timeline.now();
        let place = Place::at(&loaded.definition.start_at, parsed);
        let record = Record {
            arn: arn("states", &format!("execution:{}:{name}", loaded.machine.name)),
            machine_arn,
            name: name.clone(),
            input: input.clone(),
            status: Status::Running,
            started: now,
            stopped: None,
            output: None,
            error: None,
            cause: None,
            place: Some(place.clone()),
        };
        let answer = started(&record);
        // Not the name, which may hold more bytes than a file's name can.
        let file = self.dir.as_ref().map(|dir| dir.join("executions").join(format!("{}.json", ids::token())));
        let details = json!({"input": input, "roleArn": loaded.machine.role_arn});
        let execution = Arc::new(Execution::create(record, file).map_err(|error| broken(&error))?);
        execution
            .event(now, "ExecutionStarted", Some(("executionStartedEventDetails", details)))
            .map_err(|failure| ApiError::internal(Service::StepFunctions, failure.cause))?;
        loaded.executions.insert(name, Arc::clone(&execution));
        let definition = Arc::clone(&loaded.definition);
        drop(machines);
        self.run(execution, definition, place);
        Ok(answer)
    }

    fn run(self: &Arc<Self>, execution: Arc<Execution>, definition: Arc<Definition>, place: Place) {
        let (this, at_work) = (Arc::clone(self), self.timeline.at_work());
        self.running.spawn(async move {
            let run = interpreter::run(&execution, &definition, &this.asked, &at_work, place);
            let result = tokio::select! {
                biased;
                // Saved where it is.
                () = this.stop.cancelled() => return,
                // Whoever stopped it has written down how.
                () = execution.stop.cancelled() => return,
                result = run => result,
            };
            if let Err(error) = execution.finish(this.timeline.now(), result, false) {
                tracing::error!(%error, execution = execution.arn, "the end of an execution could not be saved");
            }
        });
    }

    fn stop_execution(&self, request: &Value) -> Answer {
        let execution = self.execution(request)?;
        let given = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        execution.stop.cancel();
        let failure = Failure { error: given("error"), cause: given("cause") };
        execution.finish(self.timeline.now(), Err(failure), true).map_err(|error| broken(&error))?;
        let stopped = execution.record().stopped.unwrap_or_default();
        Ok(json!({"stopDate": dates::epoch_seconds(stopped)}))
    }

    fn list_executions(&self, request: &Value) -> Answer {
        let wanted = request.get("statusFilter").and_then(Value::as_str);
        let mut executions = self.with_machine(request, "stateMachineArn", |loaded| {
            Ok(loaded.executions.values().cloned().collect::<Vec<_>>())
        })?;
        executions.retain(|execution| wanted.is_none_or(|wanted| execution.record().status.name() == wanted));
        // The latest first, as on AWS.
        executions.sort_by_key(|execution| std::cmp::Reverse(execution.record().started));
        page(request, "executions", &executions, |_, execution| execution.summary())
    }

    fn execution_history(&self, request: &Value) -> Answer {
        let execution = self.execution(request)?;
        let reverse = request.get("reverseOrder").and_then(Value::as_bool) == Some(true);
        execution.with_history(|events| {
            let total = events.len();
            if reverse {
                let events: Vec<_> = events.iter().rev().collect();
                page(request, "events", &events, |place, event| event.describe(total - place))
            } else {
                page(request, "events", events, |place, event| event.describe(place + 1))
            }
        })
    }

    fn execution(&self, request: &Value) -> Result<Arc<Execution>, ApiError> {
        let arn = text(request, "executionArn")?;
        let machines = self.lock();
        // arn:aws:states:<region>:<account>:execution:<machine>:<name>
        let mut parts = arn.splitn(8, ':').skip(6);
        let (machine, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let loaded = machines.get(&crate::arn("states", &format!("stateMachine:{machine}")));
        loaded
            .and_then(|loaded| loaded.executions.get(name).cloned())
            .ok_or_else(|| ApiError::client("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'")))
    }

    fn with_machine<T>(
        &self,
        request: &Value,
        field: &str,
        read: impl FnOnce(&Loaded) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let arn = text(request, field)?;
        read(self.lock().get(arn).ok_or_else(|| no_machine(arn))?)
    }

    /// Stops interpreting; what is running stays saved.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Loaded>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a list that a request asks for, each entry described from its place and itself.
fn page<T>(request: &Value, field: &str, all: &[T], describe: impl Fn(usize, &T) -> Value) -> Answer {
    let number = |name: &str| request.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let limit = number("maxResults").filter(|limit| *limit > 0).unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let start = match request.get("nextToken").and_then(Value::as_str) {
        None => 0,
        Some(token) => token.parse().map_err(|_| ApiError::client("InvalidToken", "Invalid Token"))?,
    };
    let entries = all.iter().enumerate().skip(start).take(limit);
    let items: Vec<Value> = entries.map(|(place, entry)| describe(place, entry)).collect();
    let mut answer = json!({ field: items });
    if start + limit < all.len() {
        answer["nextToken"] = (start + limit).to_string().into();
    }
    Ok(answer)
}

fn text<'r>(request: &'r Value, field: &str) -> Result<&'r str, ApiError> {
    request.get(field).and_then(Value::as_str).ok_or_else(|| {
        ApiError::client("ValidationException", format!("1 validation error detected: `{field}` must not be null"))
    })
}

/// Refuses names that Step Functions refuses: 1 to 80 characters, none of them blank or special.
fn check_name(name: &str) -> Result<(), ApiError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if (1..=80).contains(&name.chars().count()) && !name.contains(forbidden) {
        return Ok(());
    }
    Err(ApiError::client("InvalidName", format!("Invalid Name: '{name}'")))
}

fn no_machine(arn: &str) -> ApiError {
    ApiError::client("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
}

fn broken(error: &io::Error) -> ApiError {
    ApiError::internal(Service::StepFunctions, format!("a state machine could not be saved: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        assert!(check_name(&"a".repeat(80)).is_ok());
        assert!(check_name("run-1_0001.x=é").is_ok());
        for name in ["", &"a".repeat(81), "a b", "a:b", "a/b", "a\u{7f}"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
