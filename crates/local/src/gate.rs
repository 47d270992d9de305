//! The one way in: every call to every service passes here, meets the fault script, and is recorded.

use std::{future::Future, time::Duration};

use serde_json::Value;

use crate::{
    dynamodb::{DynamoDb, Units},
    errors::{ApiError, ErrorCode},
    faults::{self, Action, Faults},
    record::{Call, Outcome, Recorder},
    server::{Cut, Response},
    sessions::Session,
    timeline::{AtWork, Timeline},
};

/// Recorder and faults.
pub(crate) struct Gate {
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    timeline: Timeline,
    /// Where leases are, which a script may let run out.
    dynamodb: DynamoDb,
}

/// How much of what was asked a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Portion {
    All,
    /// As a service may that answers with success all the same.
    Part,
}

/// What a fault does instead of the function that Step Functions invokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// It is refused with this error, and not made.
    Refused(&'static str),
    /// It is made, and its answer is lost.
    Lost,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("recorder", &self.recorder).field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(recorder: Recorder, faults: Faults, timeline: Timeline, dynamodb: DynamoDb) -> Self {
        Self { recorder, faults, timeline, dynamodb }
    }

    /// Lets a call through to `perform`, unless the script has other plans.
    pub(crate) async fn pass<P, F>(&self, call: &Call, session: Option<&Session>, perform: P) -> Result<Response, Cut>
    where
        P: FnOnce(Portion) -> F,
        F: Future<Output = Response>,
    {
        let at_work = self.timeline.at_work();
        self.pass_by(call, session, &at_work, perform).await
    }

    /// The same for whoever is at work already.
    pub(crate) async fn pass_by<P, F>(
        &self,
        call: &Call,
        session: Option<&Session>,
        at_work: &AtWork,
        perform: P,
    ) -> Result<Response, Cut>
    where
        P: FnOnce(Portion) -> F,
        F: Future<Output = Response>,
    {
        let Some(action) = self.faults.due(call, self.timeline.now()) else {
            return Ok(self.perform(call, perform(Portion::All)).await);
        };
        tracing::debug!(function = call.function, operation = call.operation, key = call.key, ?action, "a fault");
        let lost = |done: &Response| Outcome { code: Some(action.name().to_owned()), ..outcome(done) };
        // What came of it says more than that it was held up.
        let late = |done: &Response| {
            let Outcome { status, code, units } = outcome(done);
            Outcome { units, status, code: code.or_else(|| Some(action.name().to_owned())) }
        };
        let nothing = || Outcome { status: 0, code: Some(action.name().to_owned()), units: None };
        match &action {
            Action::ErrorBefore { code, status } => Ok(self.refuse(call, code, *status)),
            Action::Throttle => Ok(self.refuse(call, faults::throttle(call.service), None)),
            Action::CutBefore => {
                self.recorder.record(call, None, &nothing());
                Err(Cut)
            }
            Action::ErrorAfter => {
                let done = perform(Portion::All).await;
                self.recorder.record(call, starts(call, &done).as_deref(), &lost(&done));
                Ok(ApiError::internal(call.service, "injected by the fault script").respond(call.service))
            }
            Action::CutAfter => {
                let done = perform(Portion::All).await;
                self.recorder.record(call, starts(call, &done).as_deref(), &lost(&done));
                Err(Cut)
            }
            Action::KillBefore => {
                kill(call);
                self.recorder.record(call, None, &nothing());
                Err(Cut)
            }
            Action::KillAfter => {
                let done = perform(Portion::All).await;
                kill(call);
                self.recorder.record(call, starts(call, &done).as_deref(), &lost(&done));
                Err(Cut)
            }
            Action::Zombie { ms } => {
                if let Err(error) = self.dynamodb.expire_leases() {
                    tracing::error!(%error, "leases could not be let run out");
                }
                self.stand_still(call, at_work, *ms).await;
                let done = perform(Portion::All).await;
                self.recorder.record(call, starts(call, &done).as_deref(), &late(&done));
                Ok(done)
            }
            Action::Delay { ms } => {
                self.stand_still(call, at_work, *ms).await;
                let done = perform(Portion::All).await;
                self.recorder.record(call, starts(call, &done).as_deref(), &late(&done));
                Ok(done)
            }
            Action::Unprocessed | Action::Stale => {
                let done = perform(Portion::Part).await;
                self.recorder.record(call, None, &lost(&done));
                Ok(done)
            }
            Action::EndSession => {
                if let Some(session) = session.filter(|session| session.running.is_some()) {
                    session.end();
                }
                let done = perform(Portion::All).await;
                self.recorder.record(call, starts(call, &done).as_deref(), &lost(&done));
                Ok(done)
            }
            Action::Drop | Action::Duplicate | Action::Arrive { .. } | Action::Storm { .. } | Action::Hold { .. } => {
                Ok(self.perform(call, perform(Portion::All)).await)
            }
        }
    }

    async fn perform<F: Future<Output = Response>>(&self, call: &Call, perform: F) -> Response {
        let response = perform.await;
        self.recorder.record(call, starts(call, &response).as_deref(), &outcome(&response));
        response
    }

    fn refuse(&self, call: &Call, code: &str, status: Option<u16>) -> Response {
        let response = faults::injected(call.service, code, status).respond(call.service);
        self.recorder.record(call, None, &outcome(&response));
        response
    }

    /// Neither the call nor the invocation that makes it is at work for so long.
    async fn stand_still(&self, call: &Call, at_work: &AtWork, ms: u64) {
        let invocation = call.running.as_ref().map(|_| self.timeline.rest());
        at_work.sleep(Duration::from_millis(ms)).await;
        drop(invocation);
    }

    /// What is to happen to an invocation by Step Functions instead of it, if anything.
    pub(crate) async fn invoke(&self, call: &Call, at_work: &AtWork) -> Option<Instead> {
        match self.faults.due(call, self.timeline.now())? {
            Action::Throttle | Action::ErrorBefore { .. } => Some(Instead::Refused("Lambda.TooManyRequestsException")),
            Action::CutBefore => Some(Instead::Refused("Lambda.SdkClientException")),
            Action::ErrorAfter | Action::CutAfter => Some(Instead::Lost),
            Action::Delay { ms } => {
                at_work.sleep(Duration::from_millis(ms)).await;
                None
            }
            _ => None,
        }
    }

    /// Lets an async event through: waits as long as the script holds it, and says after which times it arrives.
    pub(crate) async fn deliver(&self, call: &Call, at_work: &AtWork) -> Vec<Duration> {
        let action = self.faults.due(call, self.timeline.now());
        match &action {
            Some(Action::Delay { ms }) => at_work.sleep(Duration::from_millis(*ms)).await,
            Some(Action::Hold { calls, ms }) => {
                let wait = self.timeline.wait(Duration::from_millis(ms.unwrap_or_default()));
                let rest = self.timeline.rest();
                tokio::select! {
                    () = self.recorder.after(calls.unwrap_or_default()), if calls.is_some() => {}
                    () = wait.over(), if ms.is_some() => {}
                    else => {}
                }
                drop(rest);
            }
            _ => {}
        }
        let code = action.as_ref().map(|action| action.name().to_owned());
        self.recorder.record(call, None, &Outcome { status: 202, code, units: None });
        action.map_or_else(|| vec![Duration::ZERO], |action| action.arrivals(call))
    }
}

/// Kills the environment that makes the call; the client's calls are left alone.
fn kill(call: &Call) {
    if let Some(running) = &call.running {
        running.kill();
    }
}

/// What a call that was made has started.
fn starts(call: &Call, response: &Response) -> Option<String> {
    let path = match call.operation.as_str() {
        "Invoke" => {
            return response.headers().get("x-amzn-requestid")?.to_str().ok().map(str::to_owned);
        }
        "StartExecution" => "/executionArn",
        "StartBuild" => "/build/id",
        "SendCommand" => "/Command/CommandId",
        _ => return None,
    };
    let body: Value = serde_json::from_slice(&response.body().bytes()?).ok()?;
    body.pointer(path)?.as_str().map(str::to_owned)
}

/// Status and error name of a response.
fn outcome(response: &Response) -> Outcome {
    let code = response.extensions().get::<ErrorCode>().map(|code| code.0.clone());
    let units = response.extensions().get::<Units>().map(|units| units.0);
    Outcome { status: response.status().as_u16(), code: code.or_else(|| code_in_xml(response)), units }
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
