//! Faults by script: which calls are to fail, and how.
//!
//! A [`Script`] is a JSON list of rules. Each call is held against the rules in order; each rule counts the calls that
//! match it, and the first whose count is due acts.
//!
//! ```json
//! [{"function": "orchestrator", "service": "dynamodb", "operation": "UpdateItem", "key": "lock:", "nth": 2,
//!   "action": {"error_before": {"code": "ThrottlingException"}}}]
//! ```
//!
//! Async events (S3 notifications, `Event` invokes, what the event bus passes on, records for a destination) pass as
//! calls of the service `lambda` and operation `Deliver` whose function is the one that is to get them; only these can be
//! dropped, duplicated and held.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{errors::ApiError, record::Call, service::Service};

/// The rules, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script(pub Vec<Rule>);

/// Which calls, and what happens to them. A field that is left out matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Function role that calls, e.g. `orchestrator`, or `client`; the receiver for `Deliver`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Service by its name in credential scopes, e.g. `dynamodb`, `states`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Operation, e.g. `PutObject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Part of the call's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The first matching call that is concerned, from 1.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many matching calls from there on are concerned.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens.
    pub action: Action,
}

const fn one() -> u64 {
    1
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The service answers with this error and does nothing.
    ErrorBefore {
        /// The error's name, e.g. `ThrottlingException`.
        code: String,
        /// HTTP status; by default the one that AWS sends with this name.
        #[serde(default)]
        status: Option<u16>,
    },
    /// The service does what was asked and answers with its internal error (HTTP 500).
    ErrorAfter,
    /// The service does what was asked and the connection is cut before the answer.
    CutAfter,
    /// The calling environment is killed, and nothing is done.
    KillBefore,
    /// What was asked is done, and the calling environment is killed before it has the answer.
    KillAfter,
    /// The call waits first.
    Delay {
        /// Milliseconds of engine time.
        ms: u64,
    },
    /// The caller's session expires before the call.
    EndSession,
    /// The event never arrives.
    Drop,
    /// The event arrives twice, with one request id.
    Duplicate,
    /// The event waits for that many further calls or that long, whichever comes first.
    Hold {
        /// Further calls of anyone.
        #[serde(default)]
        calls: Option<u64>,
        /// Milliseconds of engine time.
        #[serde(default)]
        ms: Option<u64>,
    },
}

impl Rule {
    fn matches(&self, call: &Call) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        is(&self.function, &call.function)
            && is(&self.service, call.service.name())
            && is(&self.operation, &call.operation)
            && self.key.as_deref().is_none_or(|part| call.key.contains(part))
    }
}

/// The script as it runs.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Spares calls the lock while there is no script.
    armed: AtomicBool,
    rules: Mutex<Vec<(Rule, u64)>>,
}

impl Faults {
    /// Starts with this script.
    pub(crate) fn new(script: Script) -> Self {
        let faults = Self { armed: AtomicBool::new(false), rules: Mutex::default() };
        faults.replace(script);
        faults
    }

    /// Another script from now on, its counts at zero.
    pub(crate) fn replace(&self, script: Script) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        self.armed.store(!script.0.is_empty(), Ordering::Relaxed);
        *rules = script.0.into_iter().map(|rule| (rule, 0)).collect();
    }

    /// What is to happen to this call, if anything. Counts the call.
    pub(crate) fn due(&self, call: &Call) -> Option<Action> {
        if !self.armed.load(Ordering::Relaxed) {
            return None;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = None;
        for (rule, seen) in rules.iter_mut().filter(|(rule, _)| rule.matches(call)) {
            *seen += 1;
            if due.is_none() && (rule.nth..rule.nth.saturating_add(rule.times)).contains(seen) {
                due = Some(rule.action.clone());
            }
        }
        due
    }
}

/// The error that a script asks for, with the status that SDKs expect under that name.
pub(crate) fn injected(service: Service, code: &str, status: Option<u16>) -> ApiError {
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(match code {
        "SlowDown" | "ServiceUnavailable" | "ServiceUnavailableException" => StatusCode::SERVICE_UNAVAILABLE,
        "TooManyRequestsException" => StatusCode::TOO_MANY_REQUESTS,
        "AccessDenied" | "AccessDeniedException" | "ExpiredToken" if service != Service::DynamoDb => {
            StatusCode::FORBIDDEN
        }
        "ConditionalRequestConflict" => StatusCode::CONFLICT,
        code if code.starts_with("Internal") || code == "ServiceException" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    });
    ApiError::new(status, code, "injected by the fault script")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: &str, key: &str) -> Call {
        Call {
            function: function.to_owned(),
            service: Service::S3,
            operation: "PutObject".to_owned(),
            key: key.to_owned(),
            parent: None,
            running: None,
        }
    }

    #[test]
    fn the_nth_matching_call_is_hit_and_no_other() {
        let script = serde_json::json!([{
            "function": "worker", "key": "/result", "nth": 2,
            "action": {"error_before": {"code": "SlowDown"}},
        }]);
        let faults = Faults::new(serde_json::from_value(script).unwrap());
        let hits =
            [("worker", "a/result"), ("worker", "a/claim"), ("orchestrator", "a/result"), ("worker", "b/result")]
                .map(|(function, key)| faults.due(&call(function, key)).is_some());
        assert_eq!(hits, [false, false, false, true]);
        assert_eq!(faults.due(&call("worker", "c/result")), None);
    }

    #[test]
    fn a_script_that_is_misspelt_is_refused() {
        let script = serde_json::json!([{"fnction": "worker", "action": "drop"}]);
        assert!(serde_json::from_value::<Script>(script).is_err());
    }
}
