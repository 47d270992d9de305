//! What a verb says. Data goes to standard output, everything about it to standard error; with `--json` standard output
//! has one [`Event`] a line and nothing else.
//!
//! ```text
//!              for people                     with --json
//!  text    →   standard output                -
//!  note    →   standard error                 {"version":1,"type":"note",…}
//!  event   →   -                              {"version":1,"type":…}
//!  finish  →   standard output                {"version":1,"type":"result","ok":true,"result":…}
//!  fail    →   standard error                 {"version":1,"type":"result","ok":false,"error":…}
//! ```
//!
//! A pipe that nobody reads any more is no error: what follows is dropped.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{code::Code, exit::Exit, failure::Failure, state::Done, state::OrderState};

/// Version of the JSON lines. It grows when a field changes its meaning or goes; new fields and types do not change it.
const JSON_VERSION: u32 = 1;

/// Something that a verb reports while it works, or at its end. The one type of line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// Something to know, in words.
    Note { text: &'a str },
    /// The embedded AWS serves here.
    #[cfg(feature = "local")]
    Ready { endpoint: &'a str },
    /// A file is packed or sent: so many bytes of so many.
    Progress { what: &'a str, bytes: u64, of: u64 },
    /// The engine accepted the job.
    Submitted { run_id: &'a str, rerun_of: Option<&'a str> },
    /// An order changed.
    Order { order: &'a OrderState },
    /// A piece of an order's log.
    Log { order_num: &'a str, order_name: &'a str, text: &'a str },
    /// A row of the table of events.
    #[serde(rename = "event")]
    Happened { event: &'a Value },
    /// An order that did not succeed, with what its log holds.
    Failure { order: &'a OrderState, log: Option<&'a str> },
    /// The run ended.
    Done { done: &'a Done },
}

/// Where a verb says what it has to say.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// Whether nobody reads standard output any more.
    closed: AtomicBool,
    /// Whether the last line of `--json` is written.
    finished: AtomicBool,
}

impl Output {
    /// For people, or for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, closed: AtomicBool::new(false), finished: AtomicBool::new(false) }
    }

    /// Whether it is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Data, for people.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.write(text.as_bytes()) }
    }

    /// Data as it is, for people.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.write(bytes) }
    }

    /// Something about the data.
    pub(crate) fn note(&self, text: &str) -> Result<(), Failure> {
        if self.json {
            return self.event(&Event::Note { text });
        }
        note(text);
        Ok(())
    }

    /// An event, for programs.
    pub(crate) fn event(&self, event: &Event<'_>) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let mut line = serde_json::to_value(event)
            .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to write an event as JSON: {error}")))?;
        line["version"] = json!(JSON_VERSION);
        self.line(&line)
    }

    /// The end of a verb that did what it was asked to.
    pub(crate) fn finish(&self, result: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if !self.json {
            return self.write(text().as_bytes());
        }
        let result = serde_json::to_value(result)
            .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to write the result: {error}")))?;
        self.finished.store(true, Ordering::Relaxed);
        self.line(&json!({"version": JSON_VERSION, "type": "result", "ok": true, "result": result}))
    }

    /// The end of a verb whose run did not succeed: the verb did what it could, and says so by its exit code.
    pub(crate) fn finish_unsuccessfully(&self, code: Code, result: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let error = Failure::new(code, code.title()).json();
        let result = serde_json::to_value(result)
            .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to write the result: {error}")))?;
        self.finished.store(true, Ordering::Relaxed);
        self.line(&json!({"version": JSON_VERSION, "type": "result", "ok": false, "error": error, "result": result}))
    }

    /// Tells how a verb ended, and gives the exit code.
    pub(crate) fn end(&self, ended: Result<Exit, Failure>) -> ExitCode {
        let failure = match ended {
            Ok(exit) => return exit.into(),
            Err(failure) => failure,
        };
        let has_ended = self.finished.load(Ordering::Relaxed);
        let error = failure.json();
        let is_told = self.json
            && !has_ended
            && self.line(&json!({"version": JSON_VERSION, "type": "result", "ok": false, "error": error})).is_ok();
        if !is_told {
            let mut stderr = io::stderr().lock();
            if let Err(error) = stderr.write_all(failure.text().as_bytes()) {
                tracing::debug!(%error, "nobody reads standard error");
            }
        }
        failure.code.exit().into()
    }

    fn line(&self, value: &Value) -> Result<(), Failure> {
        self.write(format!("{value}\n").as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        if self.is_closed() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        // At once, before anything goes to standard error.
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.closed.store(true, Ordering::Relaxed);
                Err(Failure::new(Code::OutputFailed, format!("failed to write to standard output: {error}")))
            }
        }
    }
}

/// A line on standard error. Nobody may be reading it.
pub(crate) fn note(text: &str) {
    if let Err(error) = writeln!(io::stderr().lock(), "{text}") {
        tracing::debug!(%error, "nobody reads standard error");
    }
}
