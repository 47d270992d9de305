//! The one way in: every call to every service passes here, meets the fault script, and is recorded.

use std::{future::Future, time::Duration};

use common::clock::Clock;

use crate::{
    errors::{ApiError, ErrorCode},
    faults::{self, Action, Faults},
    record::{Call, Outcome, Recorder},
    server::{Cut, Response},
    sessions::Session,
};

/// Recorder and faults.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    clock: Clock,
}

/// How often an async event is to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Never,
    Once,
    Twice,
}

impl Gate {
    pub(crate) fn new(recorder: Recorder, faults: Faults, clock: Clock) -> Self {
        Self { recorder, faults, clock }
    }

    /// Lets a call through to `perform`, unless the script has other plans.
    pub(crate) async fn pass<F>(&self, call: &Call, session: Option<&Session>, perform: F) -> Result<Response, Cut>
    where
        F: Future<Output = Response>,
    {
        match self.faults.due(call) {
            None | Some(Action::Drop | Action::Duplicate | Action::Hold { .. }) => {
                Ok(self.perform(call, perform).await)
            }
            Some(Action::ErrorBefore { code, status }) => {
                let response = faults::injected(call.service, &code, status).respond(call.service);
                self.recorder.record(call, &outcome(&response));
                Ok(response)
            }
            Some(Action::ErrorAfter) => {
                let done = perform.await;
                self.recorder.record(call, &Outcome { code: Some("ErrorAfter".to_owned()), ..outcome(&done) });
                Ok(ApiError::internal(call.service, "injected by the fault script").respond(call.service))
            }
            Some(Action::CutAfter) => {
                let done = perform.await;
                self.recorder.record(call, &Outcome { code: Some("CutAfter".to_owned()), ..outcome(&done) });
                Err(Cut)
            }
            Some(Action::KillBefore) => {
                kill(call);
                self.recorder.record(call, &Outcome { status: 0, code: Some("KillBefore".to_owned()) });
                Err(Cut)
            }
            Some(Action::KillAfter) => {
                let done = perform.await;
                kill(call);
                self.recorder.record(call, &Outcome { code: Some("KillAfter".to_owned()), ..outcome(&done) });
                Err(Cut)
            }
            Some(Action::Delay { ms }) => {
                self.clock.sleep(Duration::from_millis(ms)).await;
                Ok(self.perform(call, perform).await)
            }
            Some(Action::EndSession) => {
                if let Some(session) = session.filter(|session| session.running.is_some()) {
                    session.end();
                }
                Ok(self.perform(call, perform).await)
            }
        }
    }

    async fn perform<F: Future<Output = Response>>(&self, call: &Call, perform: F) -> Response {
        let response = perform.await;
        self.recorder.record(call, &outcome(&response));
        response
    }

    /// Lets an async event through: waits as long as the script holds it, and says how often it arrives.
    pub(crate) async fn deliver(&self, call: &Call) -> Arrival {
        let (arrival, code) = match self.faults.due(call) {
            Some(Action::Drop) => (Arrival::Never, Some("Drop")),
            Some(Action::Duplicate) => (Arrival::Twice, Some("Duplicate")),
            Some(Action::Delay { ms }) => {
                self.clock.sleep(Duration::from_millis(ms)).await;
                (Arrival::Once, Some("Delay"))
            }
            Some(Action::Hold { calls, ms }) => {
                tokio::select! {
                    () = self.recorder.after(calls.unwrap_or_default()), if calls.is_some() => {}
                    () = self.clock.sleep(Duration::from_millis(ms.unwrap_or_default())), if ms.is_some() => {}
                    else => {}
                }
                (Arrival::Once, Some("Hold"))
            }
            _ => (Arrival::Once, None),
        };
        self.recorder.record(call, &Outcome { status: 202, code: code.map(str::to_owned) });
        arrival
    }
}

/// Kills the environment that makes the call; the client's calls are left alone.
fn kill(call: &Call) {
    if let Some(running) = &call.running {
        running.kill();
    }
}

/// Status and error name of a response.
fn outcome(response: &Response) -> Outcome {
    let code = response.extensions().get::<ErrorCode>().map(|code| code.0.clone());
    Outcome { status: response.status().as_u16(), code: code.or_else(|| code_in_xml(response)) }
}

/// `s3s` writes its errors itself, as XML that is wholly in memory.
fn code_in_xml(response: &Response) -> Option<String> {
    if response.status().as_u16() < 400 {
        return None;
    }
    let body = response.body().bytes()?;
    let text = std::str::from_utf8(&body).ok()?;
    Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned())
}
