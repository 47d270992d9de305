//! Schedules: which call of a reference job goes wrong, and how.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

/// How long a kind of call is refused, a call takes, and a holder of the lease stands still.
const THROTTLED: Duration = Duration::from_secs(90);
const SLOW: Duration = Duration::from_secs(20);
const STANDS_STILL: Duration = Duration::from_secs(40);

/// A call of a reference job: the nth of an operation by a function, or the nth event for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    pub(super) function: String,
    service: String,
    pub(super) operation: String,
    nth: u64,
}

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The caller dies before the call, or after it was applied.
    KillBefore,
    KillAfter,
    /// The call is not applied; its caller is told so by an error, or by a broken connection.
    ErrorBefore,
    CutBefore,
    /// The call is applied, and its caller is told that it failed.
    ErrorAfter,
    CutAfter,
    /// It and all of its kind by this function are refused for a minute and a half.
    Throttle,
    /// It takes twenty seconds.
    Slow,
    /// The lease runs out just then, another pass comes in between, and the holder goes on.
    Zombie,
    /// The caller's credentials expire.
    EndSession,
    /// A batch is written only in part.
    Unprocessed,
    /// The event never comes.
    Drop,
    /// It comes twice, at once or with an hour in between.
    Twice,
    Again,
    /// It comes five hours late.
    Late,
    /// It comes after others that were sent later.
    Overtaken,
}

/// One run that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) site: Site,
    pub(super) kind: Kind,
}

const CALLS: [Kind; 9] = [
    Kind::KillBefore,
    Kind::KillAfter,
    Kind::ErrorBefore,
    Kind::CutBefore,
    Kind::ErrorAfter,
    Kind::CutAfter,
    Kind::Throttle,
    Kind::Slow,
    Kind::EndSession,
];
const EVENTS: [Kind; 5] = [Kind::Drop, Kind::Twice, Kind::Again, Kind::Late, Kind::Overtaken];

/// The calls of a run that a fault can meet: all but the client's own.
pub(super) fn sites(calls: &[Value]) -> Vec<Site> {
    let mut counts: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for call in calls {
        let text = |field: &str| call[field].as_str().unwrap().to_owned();
        if text("function") != "client" {
            *counts.entry((text("function"), text("service"), text("operation"))).or_default() += 1;
        }
    }
    let of = |((function, service, operation), count): ((String, String, String), u64)| {
        (1..=count).map(move |nth| Site {
            function: function.clone(),
            service: service.clone(),
            operation: operation.clone(),
            nth,
        })
    };
    counts.into_iter().flat_map(of).collect()
}

impl Site {
    /// Every way in which it can go wrong.
    pub(super) fn schedules(&self) -> impl Iterator<Item = Schedule> {
        let is_batch = self.operation == "BatchWriteItem";
        let holds_lease = self.function == "orchestrator";
        let kinds: Vec<Kind> = match (self.function.as_str(), self.operation.as_str()) {
            (_, "Deliver") => EVENTS.to_vec(),
            // No process of ours that could be killed or have credentials.
            ("states", _) => vec![Kind::ErrorBefore, Kind::CutBefore, Kind::ErrorAfter, Kind::Throttle, Kind::Slow],
            _ => {
                let further = [(Kind::Unprocessed, is_batch), (Kind::Zombie, holds_lease)];
                let further = further.into_iter().filter(|(_, fits)| *fits).map(|(kind, _)| kind);
                CALLS.into_iter().chain(further).collect()
            }
        };
        kinds.into_iter().map(|kind| Schedule { site: self.clone(), kind })
    }
}

impl Schedule {
    /// Names it in messages; its run is called so.
    pub(super) fn name(&self) -> String {
        let Site { function, operation, nth, .. } = &self.site;
        format!("{function}.{operation}.{nth}.{:?}", self.kind)
    }

    /// The fault script.
    pub(super) fn script(&self) -> Value {
        let site = |action: Value| {
            let Site { function, service, operation, nth } = &self.site;
            json!({"function": function, "service": service, "operation": operation, "nth": nth, "action": action})
        };
        match self.kind {
            Kind::KillBefore => json!([site("kill_before".into())]),
            Kind::KillAfter => json!([site("kill_after".into())]),
            Kind::ErrorBefore => json!([site(json!({"error_before": {"code": "InternalError", "status": 500}}))]),
            Kind::CutBefore => json!([site("cut_before".into())]),
            Kind::ErrorAfter => json!([site("error_after".into())]),
            Kind::CutAfter => json!([site("cut_after".into())]),
            Kind::Throttle => {
                let mut rule = site("throttle".into());
                rule["for_ms"] = millis(THROTTLED).into();
                json!([rule])
            }
            Kind::Slow => json!([site(json!({"delay": {"ms": millis(SLOW)}}))]),
            // Every wake-up comes a second time while the holder stands still: one of them takes the lease over.
            Kind::Zombie => json!([
                site(json!({"zombie": {"ms": millis(STANDS_STILL)}})),
                {"function": "orchestrator", "operation": "Deliver", "times": 1_000,
                 "action": {"arrive": {"after_ms": [0, 20_000]}}},
            ]),
            Kind::EndSession => json!([site("end_session".into())]),
            Kind::Unprocessed => json!([site("unprocessed".into())]),
            Kind::Drop => json!([site("drop".into())]),
            Kind::Twice => json!([site("duplicate".into())]),
            Kind::Again => json!([site(json!({"arrive": {"after_ms": [0, 3_600_000]}}))]),
            Kind::Late => json!([site(json!({"arrive": {"after_ms": [18_000_000]}}))]),
            Kind::Overtaken => json!([site(json!({"hold": {"calls": 12, "ms": 30_000}}))]),
        }
    }

    /// How long it keeps a service or a process away.
    pub(super) const fn lasts(&self) -> Duration {
        match self.kind {
            Kind::Throttle => THROTTLED,
            Kind::Slow => SLOW,
            Kind::Zombie => STANDS_STILL,
            _ => Duration::ZERO,
        }
    }

    /// What the record says of a call that met the fault.
    pub(super) fn mark(&self) -> &'static str {
        match self.kind {
            Kind::KillBefore => "KillBefore",
            Kind::KillAfter => "KillAfter",
            Kind::ErrorBefore => "InternalError",
            Kind::CutBefore => "CutBefore",
            Kind::ErrorAfter => "ErrorAfter",
            Kind::CutAfter => "CutAfter",
            Kind::Throttle => "Thrott",
            Kind::Slow => "Delay",
            Kind::Zombie => "Zombie",
            Kind::EndSession => "EndSession",
            Kind::Unprocessed => "Unprocessed",
            Kind::Drop => "Drop",
            Kind::Twice => "Duplicate",
            Kind::Again | Kind::Late => "Arrive",
            Kind::Overtaken => "Hold",
        }
    }

    /// Whether it may cost an order: whoever runs its commands is hit, and what has begun is not begun again. The URLs that
    /// an instance reports by end with the session of the orchestrator that signed them.
    pub(super) fn may_differ(&self) -> bool {
        let function = self.site.function.as_str();
        ["worker", "codebuild", "instance"].contains(&function)
            || (function == "orchestrator" && self.kind == Kind::EndSession)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}
