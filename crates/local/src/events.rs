//! EventBridge, as far as the stack uses it: services tell of what changed, and the stack's rules pass on what they
//! match to `watchdog_check`. Delivery is Lambda's asynchronous invoke, at least once, as on AWS.

use std::sync::Arc;

use common::{clock::Clock, stack::Stack};
use serde_json::{Value, json};

use crate::{
    ACCOUNT, REGION, dates,
    event_pattern::Pattern,
    ids,
    lambda::{Invocation, Pool, queue::Queue},
};

/// Event patterns of the stack's rules, which Terraform deploys as well: only the ends of builds and of commands on
/// instances reach the function. `${codebuild_project}` is replaced as `templatefile` does it.
const RULES: [&str; 2] = [
    include_str!("../../../infra/02-deploy/codebuild-events.json"),
    include_str!("../../../infra/02-deploy/ssm-events.json"),
];

/// The default event bus with the stack's rules.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    watchdog_check: Option<Arc<Pool>>,
    queue: Queue,
    clock: Clock,
    rules: Arc<[Pattern]>,
}

impl Bus {
    /// A bus whose rules pass on to this function what they match.
    pub(crate) fn new(watchdog_check: Option<Arc<Pool>>, queue: Queue, clock: Clock) -> Result<Self, String> {
        Ok(Self { watchdog_check, queue, clock, rules: rules()?.into() })
    }

    /// Emits an event of a service such as `aws.codebuild`. `parent` is the request id of the invocation that caused it.
    pub(crate) async fn emit(&self, source: &str, kind: &str, resource: &str, detail: Value, parent: Option<String>) {
        let Some(pool) = &self.watchdog_check else { return };
        let event = json!({
            "version": "0",
            "id": ids::request_id(),
            "detail-type": kind,
            "source": source,
            "account": ACCOUNT,
            "time": dates::iso8601(self.clock.now()),
            "region": REGION,
            "resources": [resource],
            "detail": detail,
        });
        if !self.rules.iter().any(|rule| rule.matches(&event)) {
            return;
        }
        let invocation = Invocation { parent, ..pool.invocation(event.to_string().into(), None) };
        if let Err(error) = self.queue.accept(pool, invocation, &format!("{kind} {resource}")).await {
            tracing::error!(%error, kind, "an event could not be stored");
        }
    }
}

fn rules() -> Result<Vec<Pattern>, String> {
    let project = Stack::embedded().codebuild_project();
    RULES.into_iter().map(|rule| Pattern::parse(&rule.replace("${codebuild_project}", &project))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(source: &str, kind: &str, detail: &Value) -> bool {
        let event = json!({"source": source, "detail-type": kind, "detail": detail});
        rules().unwrap().iter().any(|rule| rule.matches(&event))
    }

    #[test]
    fn only_ends_are_passed_on() {
        let build = |project: &str, status: &str| {
            let detail = json!({"project-name": project, "build-status": status});
            passed_on("aws.codebuild", "CodeBuild Build State Change", &detail)
        };
        for status in ["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"] {
            assert!(build("exe-sys-worker", status), "{status}");
        }
        assert!(!build("exe-sys-worker", "IN_PROGRESS") && !build("other", "FAILED"));
        let command = |kind: &str, status: &str| passed_on("aws.ssm", kind, &json!({"status": status}));
        for status in ["Success", "TimedOut", "Cancelled", "Failed"] {
            assert!(command("EC2 Command Invocation Status-change Notification", status), "{status}");
            assert!(!command("EC2 Command Status-change Notification", status), "a command is not an invocation");
        }
        for status in ["Pending", "InProgress", "Cancelling"] {
            assert!(!command("EC2 Command Invocation Status-change Notification", status), "{status}");
        }
    }
}
