//! Faults by script: which calls are to fail, and how.
//!
//! A [`Script`] is a JSON list of rules. Each call is held against the rules in order; each rule counts the calls that
//! match it and that its action fits, and the first rule that is due acts.
//!
//! ```json
//! [{"function": "orchestrator", "service": "dynamodb", "operation": "UpdateItem", "key": "lock:", "nth": 2,
//!   "action": {"error_before": {"code": "ThrottlingException"}}},
//!  {"function": "orchestrator", "service": "s3", "for_ms": 90000, "action": "throttle"},
//!  {"times": 3, "chance": {"seed": 7, "permille": 20}, "action": "kill_after"}]
//! ```
//!
//! Async events (S3 notifications, `Event` invokes, what the event bus passes on, records for a destination) pass as
//! calls of the service `lambda` and operation `Deliver` whose function is the one that is to get them; only these can be
//! dropped, duplicated and held. Step Functions invokes, and asks S3, as the function `states`.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::clock::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    errors::ApiError,
    record::{CLIENT, Call, DELIVER},
    service::Service,
};

/// The rules, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script(pub Vec<Rule>);

/// Which calls, and what happens to them. A field that is left out matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Function role that calls, e.g. `orchestrator`, or `client`, `codebuild`, `instance`, `states`; the receiver for
    /// `Deliver`.
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
    /// How many matching calls from there on are concerned; with `chance` how many at most.
    #[serde(default = "one")]
    pub times: u64,
    /// Instead of `times`: all matching calls for so many milliseconds of engine time from the first concerned one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Only some of them, by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// What happens.
    pub action: Action,
}

/// A call is concerned or not by a draw from the seed and the call itself (who calls what about what, and how often that
/// was before), so that it is drawn alike in another run in which other calls come in another order. The client's calls are
/// left alone unless the rule names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Seed of the draws.
    pub seed: u64,
    /// How many of a thousand calls.
    pub permille: u64,
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
        /// The error's name, e.g. `AccessDeniedException`.
        code: String,
        /// HTTP status; by default the one that AWS sends with this name.
        #[serde(default)]
        status: Option<u16>,
    },
    /// The service refuses for now, with its own error for too many requests, and does nothing.
    Throttle,
    /// The connection is cut before anything is done.
    CutBefore,
    /// The service does what was asked and answers with its internal error (HTTP 500).
    ErrorAfter,
    /// The service does what was asked and the connection is cut before the answer.
    CutAfter,
    /// The calling environment is killed, and nothing is done.
    KillBefore,
    /// What was asked is done, and the calling environment is killed before it has the answer.
    KillAfter,
    /// The call waits first. Its caller does nothing meanwhile, as one whose machine stands still.
    Delay {
        /// Milliseconds of engine time.
        ms: u64,
    },
    /// Every lease of a run item runs out, and then the call waits: its caller comes back as a holder whose lease is
    /// somebody else's.
    Zombie {
        /// Milliseconds of engine time.
        ms: u64,
    },
    /// The caller's session expires before the call.
    EndSession,
    /// Of a `BatchWriteItem` only the first half is written; the rest is named unprocessed.
    Unprocessed,
    /// A `Query` of an index finds nothing yet: indexes follow their tables.
    Stale,
    /// The event never arrives.
    Drop,
    /// The event arrives twice, with one request id.
    Duplicate,
    /// The event arrives once after each of these times, with one request id.
    Arrive {
        /// Milliseconds of engine time.
        after_ms: Vec<u64>,
    },
    /// The event arrives several times, at random times and so in random order.
    Storm {
        /// How often it arrives.
        copies: u64,
        /// The latest time, in milliseconds of engine time.
        within_ms: u64,
        /// Seed of the times.
        seed: u64,
    },
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

impl Action {
    /// The action's name in records.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ErrorBefore { .. } => "ErrorBefore",
            Self::Throttle => "Throttle",
            Self::CutBefore => "CutBefore",
            Self::ErrorAfter => "ErrorAfter",
            Self::CutAfter => "CutAfter",
            Self::KillBefore => "KillBefore",
            Self::KillAfter => "KillAfter",
            Self::Delay { .. } => "Delay",
            Self::Zombie { .. } => "Zombie",
            Self::EndSession => "EndSession",
            Self::Unprocessed => "Unprocessed",
            Self::Stale => "Stale",
            Self::Drop => "Drop",
            Self::Duplicate => "Duplicate",
            Self::Arrive { .. } => "Arrive",
            Self::Storm { .. } => "Storm",
            Self::Hold { .. } => "Hold",
        }
    }

    /// Whether it can happen to such a call.
    fn fits(&self, call: &Call) -> bool {
        let is_event = call.operation == DELIVER;
        match self {
            Self::Drop | Self::Duplicate | Self::Arrive { .. } | Self::Storm { .. } | Self::Hold { .. } => is_event,
            Self::Delay { .. } => true,
            Self::KillBefore | Self::KillAfter | Self::EndSession | Self::Zombie { .. } => call.running.is_some(),
            Self::Unprocessed => call.operation == "BatchWriteItem",
            Self::Stale => call.operation == "Query",
            Self::ErrorBefore { .. } | Self::Throttle | Self::CutBefore | Self::ErrorAfter | Self::CutAfter => {
                !is_event
            }
        }
    }

    /// When an event arrives, as far as this is told before it waits.
    pub(crate) fn arrivals(&self, call: &Call) -> Vec<Duration> {
        match self {
            Self::Drop => Vec::new(),
            Self::Duplicate => vec![Duration::ZERO; 2],
            Self::Arrive { after_ms } => after_ms.iter().copied().map(Duration::from_millis).collect(),
            Self::Storm { copies, within_ms, seed } => {
                let event = draw(*seed, &[call.starts.as_deref().unwrap_or_default(), &call.key]);
                let time = |copy: u64| draw(event.wrapping_add(copy), &[]) % within_ms.saturating_add(1);
                (0..*copies).map(|copy| Duration::from_millis(time(copy))).collect()
            }
            _ => vec![Duration::ZERO],
        }
    }
}

impl Rule {
    fn matches(&self, call: &Call) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        is(&self.function, &call.function)
            && is(&self.service, call.service.name())
            && is(&self.operation, &call.operation)
            && self.key.as_deref().is_none_or(|part| call.key.contains(part))
            && self.action.fits(call)
            && (self.chance.is_none() || self.function.is_some() || call.function != CLIENT)
    }
}

/// A rule and what it has seen.
#[derive(Debug)]
struct Watch {
    rule: Rule,
    seen: u64,
    acted: u64,
    /// The first call that was concerned.
    since: Option<Timestamp>,
    /// How often each call was there, for draws.
    same: HashMap<u64, u64>,
}

impl Watch {
    fn new(rule: Rule) -> Self {
        Self { rule, seen: 0, acted: 0, since: None, same: HashMap::new() }
    }

    /// Counts a call that matches; says whether it is concerned.
    fn is_due(&mut self, call: &Call, now: Timestamp) -> bool {
        self.seen += 1;
        if self.seen < self.rule.nth || !self.is_drawn(call) {
            return false;
        }
        let is_due = match (self.rule.for_ms, self.since) {
            (Some(ms), Some(since)) => since.until(now) <= Duration::from_millis(ms),
            (Some(_), None) => true,
            (None, _) => self.acted < self.rule.times,
        };
        if is_due {
            self.since.get_or_insert(now);
            self.acted += 1;
        }
        is_due
    }

    fn is_drawn(&mut self, call: &Call) -> bool {
        let Some(Chance { seed, permille }) = self.rule.chance else { return true };
        let same = draw(seed, &[&call.function, call.service.name(), &call.operation, &call.key]);
        let before = self.same.entry(same).or_default();
        *before += 1;
        draw(same.wrapping_add(*before), &[]) % 1_000 < permille
    }
}

/// A number from a seed and texts, alike in every process and version: `SplitMix64` over their bytes.
fn draw(seed: u64, texts: &[&str]) -> u64 {
    let mix = |state: u64| {
        let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    mix(bytes.fold(mix(seed), |state, byte| mix(state ^ u64::from(byte))))
}

/// The script as it runs.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Spares calls the lock while there is no script.
    armed: AtomicBool,
    rules: Mutex<Vec<Watch>>,
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
        *rules = script.0.into_iter().map(Watch::new).collect();
    }

    /// What is to happen to this call, if anything. Counts the call.
    pub(crate) fn due(&self, call: &Call, now: Timestamp) -> Option<Action> {
        if !self.armed.load(Ordering::Relaxed) {
            return None;
        }
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = None;
        for watch in rules.iter_mut().filter(|watch| watch.rule.matches(call)) {
            if due.is_some() {
                // Another acts: seen, but not used up.
                watch.seen += 1;
            } else if watch.is_due(call, now) {
                due = Some(watch.rule.action.clone());
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

/// What a service calls it when there are too many requests.
pub(crate) const fn throttle(service: Service) -> &'static str {
    match service {
        Service::S3 => "SlowDown",
        Service::Lambda => "TooManyRequestsException",
        _ => "ThrottlingException",
    }
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
            signer: None,
            parent: None,
            starts: None,
            bytes: 0,
            running: None,
        }
    }

    fn faults(rule: serde_json::Value) -> Faults {
        Faults::new(serde_json::from_value(serde_json::json!([rule])).unwrap())
    }

    fn due(faults: &Faults, call: &Call, at_secs: u64) -> bool {
        faults.due(call, Timestamp::from_secs(at_secs)).is_some()
    }

    #[test]
    fn the_nth_matching_call_is_hit_and_no_other() {
        let rule = serde_json::json!({
            "function": "worker", "key": "/result", "nth": 2, "action": {"error_before": {"code": "SlowDown"}},
        });
        let faults = faults(rule);
        let hits =
            [("worker", "a/result"), ("worker", "a/claim"), ("orchestrator", "a/result"), ("worker", "b/result")]
                .map(|(function, key)| due(&faults, &call(function, key), 1));
        assert_eq!(hits, [false, false, false, true]);
        assert!(!due(&faults, &call("worker", "c/result"), 1));
    }

    #[test]
    fn all_calls_of_a_time_are_hit() {
        let faults = faults(serde_json::json!({"nth": 2, "for_ms": 5_000, "action": "throttle"}));
        let hits = [1, 2, 3, 7, 8].map(|at| due(&faults, &call("worker", "a"), at));
        assert_eq!(hits, [false, true, true, true, false]);
    }

    #[test]
    fn chance_draws_alike_in_whatever_order_calls_come() {
        let rule = serde_json::json!({"times": 1_000, "chance": {"seed": 3, "permille": 300}, "action": "error_after"});
        let (one, other) = (faults(rule.clone()), faults(rule));
        let calls: Vec<_> = (0..200).map(|number| call("worker", &format!("key {}", number % 50))).collect();
        let hits: usize = calls.iter().filter(|call| due(&one, call, 1)).count();
        let again: usize = calls.iter().rev().filter(|call| due(&other, call, 1)).count();
        assert_eq!(hits, again);
        assert!((30..90).contains(&hits), "{hits} of 200 at 300 in a thousand");
    }

    #[test]
    fn an_action_is_kept_for_calls_that_it_fits() {
        let faults = faults(serde_json::json!({"action": "drop"}));
        assert!(!due(&faults, &call("worker", "a"), 1));
        let event = Call { service: Service::Lambda, operation: DELIVER.to_owned(), ..call("worker", "a") };
        assert!(due(&faults, &event, 1));
    }

    #[test]
    fn a_script_that_is_misspelt_is_refused() {
        let script = serde_json::json!([{"fnction": "worker", "action": "drop"}]);
        assert!(serde_json::from_value::<Script>(script).is_err());
    }
}
