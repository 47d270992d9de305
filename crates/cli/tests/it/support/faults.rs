//! Fault scripts in words: which call, and what happens to it.

use serde_json::{Value, json};

use super::stack::Stack;

/// One rule of a script.
#[derive(Clone, Debug)]
pub(crate) struct Fault(Value);

/// A fault at calls of `service` and `operation`.
pub(crate) fn at(service: &str, operation: &str) -> Fault {
    Fault(json!({"service": service, "operation": operation}))
}

/// A fault at the delivery of an async event to `function`.
pub(crate) fn delivery_to(function: &str) -> Fault {
    at("lambda", "Deliver").by(function)
}

impl Fault {
    /// Only calls of this function.
    pub(crate) fn by(self, function: &str) -> Self {
        self.with("function", function)
    }

    /// Only calls whose key has this part.
    pub(crate) fn about(self, key: &str) -> Self {
        self.with("key", key)
    }

    /// The nth of them and not the first.
    pub(crate) fn nth(self, nth: u64) -> Self {
        self.with("nth", nth)
    }

    /// So many of them and not one.
    pub(crate) fn times(self, times: u64) -> Self {
        self.with("times", times)
    }

    /// What happens: `drop`, `duplicate`, `error_after`, `cut_after`, `kill_before`, `kill_after`.
    pub(crate) fn then(self, action: &str) -> Self {
        self.with("action", action)
    }

    /// They are refused with this error.
    pub(crate) fn refused(self, code: &str) -> Self {
        self.with("action", json!({"error_before": {"code": code}}))
    }

    /// They wait, in engine time.
    pub(crate) fn delayed(self, ms: u64) -> Self {
        self.with("action", json!({"delay": {"ms": ms}}))
    }

    /// The event waits until this many further calls were made.
    pub(crate) fn held_for_calls(self, calls: u64) -> Self {
        self.with("action", json!({"hold": {"calls": calls}}))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }
}

impl From<Fault> for Value {
    fn from(fault: Fault) -> Self {
        fault.0
    }
}

impl Stack {
    /// Another script, from now on.
    pub(crate) async fn script(&self, script: &Value) {
        let answer = self.post("/_embedded/faults", script).await;
        assert_eq!(answer.status, 200, "{}: {script}", answer.text());
    }

    /// Lets so much engine time pass, in milliseconds. For one started with `skip_idle`.
    pub(crate) async fn pass(&self, ms: u64) {
        let answer = self.post("/_embedded/pass", &json!({"ms": ms})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits until nothing is left to do: no event is on its way, no watchdog waits. For one started with `skip_idle`.
    pub(crate) async fn settle(&self) {
        let answer = self.post("/_embedded/settle", &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The credentials of a function's processes expire, and with them what they signed.
    pub(crate) async fn end_sessions(&self, function: &str) {
        let answer = self.post("/_embedded/sessions/end", &json!({"function": function})).await;
        assert!(answer.status == 200 && answer.json()["ended"].as_u64() > Some(0), "{}", answer.text());
    }
}
