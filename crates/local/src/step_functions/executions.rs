//! An execution as it is kept: its description, its place, its history, and their files.
//!
//! With a data folder `<name>.json` is replaced whenever the place changes, and `<name>.history` gets a line an event.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    dates, files,
    step_functions::{
        history::{Event, LIMIT},
        interpreter::{Failure, Place},
    },
};

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Running,
    Succeeded,
    Failed,
    Aborted,
}

impl Status {
    /// AWS's word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }
}

/// What is saved of an execution besides its history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) arn: String,
    pub(crate) machine_arn: String,
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) status: Status,
    pub(crate) started: Timestamp,
    pub(crate) stopped: Option<Timestamp>,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) place: Option<Place>,
}

/// An execution.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) arn: String,
    record: Mutex<Record>,
    history: Mutex<Vec<Event>>,
    file: Option<PathBuf>,
    history_file: Option<Mutex<File>>,
    /// Stops it.
    pub(crate) stop: CancellationToken,
}

impl Execution {
    /// A new execution, saved.
    pub(crate) fn create(record: Record, file: Option<PathBuf>) -> io::Result<Self> {
        Self::opened(record, file, Vec::new())
    }

    /// An execution that an earlier process saved.
    pub(crate) fn load(file: PathBuf) -> io::Result<Self> {
        let record: Record = serde_json::from_slice(&std::fs::read(&file)?)?;
        let mut history = Vec::new();
        let lines = BufReader::new(File::open(file.with_extension("history"))?);
        for line in lines.lines() {
            // A line that was cut short by a crash is the last one, and was not acted upon.
            let Ok(event) = serde_json::from_str(&line?) else { break };
            history.push(event);
        }
        Self::opened(record, Some(file), history)
    }

    fn opened(record: Record, file: Option<PathBuf>, history: Vec<Event>) -> io::Result<Self> {
        let open = |file: &PathBuf| OpenOptions::new().create(true).append(true).open(file.with_extension("history"));
        let history_file = file.as_ref().map(open).transpose()?.map(Mutex::new);
        let execution = Self {
            arn: record.arn.clone(),
            record: Mutex::new(record),
            history: Mutex::new(history),
            file,
            history_file,
            stop: CancellationToken::new(),
        };
        execution.write()?;
        Ok(execution)
    }

    /// What is saved.
    pub(crate) fn record(&self) -> Record {
        self.lock().clone()
    }

    /// Reads the events so far.
    pub(crate) fn with_history<T>(&self, read: impl FnOnce(&[Event]) -> T) -> T {
        read(&self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an event. The last one that fits is the execution's failure, which is also the error.
    pub(crate) fn event(&self, at: Timestamp, kind: &str, details: Option<(&str, Value)>) -> Result<(), Failure> {
        let full = self.history.lock().unwrap_or_else(PoisonError::into_inner).len() >= LIMIT - 1;
        if full {
            let cause = format!("The execution reached the maximum number of history events ({LIMIT}).");
            return Err(Failure::new("States.ExecutionHistoryLimitExceeded", cause));
        }
        self.push(Event::new(at, kind, details)).map_err(|error| broken(&error))
    }

    fn push(&self, event: Event) -> io::Result<()> {
        if let Some(file) = &self.history_file {
            let mut line = serde_json::to_vec(&event)?;
            line.push(b'\n');
            file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)?;
        }
        self.history.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(())
    }

    /// Saves where it is.
    pub(crate) async fn save(&self, place: &Place) -> Result<(), Failure> {
        self.lock().place = Some(place.clone());
        let Some(file) = &self.file else { return Ok(()) };
        let content = serde_json::to_vec(&self.record()).map_err(|error| broken(&error.into()))?;
        files::replace(file, content).await.map_err(|error| broken(&error))
    }

    /// Ends it with an output, a failure, or (with `aborted`) because somebody stopped it.
    pub(crate) fn finish(&self, now: Timestamp, result: Result<Value, Failure>, aborted: bool) -> io::Result<()> {
        let event = match &result {
            Ok(output) => Event::new(
                now,
                "ExecutionSucceeded",
                Some(("executionSucceededEventDetails", json!({"output": output.to_string()}))),
            ),
            Err(failure) => {
                let details = json!({"error": failure.error, "cause": failure.cause});
                let (kind, name) = if aborted {
                    ("ExecutionAborted", "executionAbortedEventDetails")
                } else {
                    ("ExecutionFailed", "executionFailedEventDetails")
                };
                Event::new(now, kind, Some((name, details)))
            }
        };
        {
            let mut record = self.lock();
            if record.status != Status::Running {
                return Ok(());
            }
            record.stopped = Some(now);
            record.place = None;
            match result {
                Ok(output) => {
                    record.status = Status::Succeeded;
                    record.output = Some(output.to_string());
                }
                Err(failure) => {
                    record.status = if aborted { Status::Aborted } else { Status::Failed };
                    record.error = Some(failure.error).filter(|text| !text.is_empty());
                    record.cause = Some(failure.cause).filter(|text| !text.is_empty());
                }
            }
        }
        self.push(event)?;
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        match &self.file {
            Some(file) => files::replace_now(file, &serde_json::to_vec(&self.record())?),
            None => Ok(()),
        }
    }

    /// As `DescribeExecution` writes it.
    pub(crate) fn describe(&self) -> Value {
        let record = self.record();
        let mut described = self.summary();
        described["input"] = record.input.into();
        described["inputDetails"] = json!({"included": true});
        for (name, value) in [("output", record.output), ("error", record.error), ("cause", record.cause)] {
            if let Some(value) = value {
                described[name] = value.into();
            }
        }
        described
    }

    /// As `ListExecutions` writes it.
    pub(crate) fn summary(&self) -> Value {
        let record = self.record();
        let mut summary = json!({
            "executionArn": record.arn,
            "stateMachineArn": record.machine_arn,
            "name": record.name,
            "status": record.status.name(),
            "startDate": dates::epoch_seconds(record.started),
        });
        if let Some(stopped) = record.stopped {
            summary["stopDate"] = dates::epoch_seconds(stopped).into();
        }
        summary
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An execution whose files cannot be written cannot go on.
fn broken(error: &io::Error) -> Failure {
    tracing::error!(%error, "an execution could not be saved");
    Failure::new("States.Runtime", format!("the execution could not be saved: {error}"))
}
