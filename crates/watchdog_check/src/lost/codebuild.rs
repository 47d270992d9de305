//! A build that ended.

use common::{claim::Ending, executor::Executor, ids::OrderNum, status::Outcome};

use super::{Lost, told_by_exit};
use crate::event::BuildState;

/// What the end of a build means for its order; nothing for a build that goes on or is none of the engine's.
pub(crate) fn lost(build: &BuildState) -> Option<Lost> {
    let (outcome, how) = match build.build_status.as_str() {
        "SUCCEEDED" => (Outcome::Failed, "ended without a result".to_owned()),
        "FAILED" => (Outcome::Failed, "failed".to_owned()),
        "FAULT" => (Outcome::Failed, "was lost by CodeBuild (FAULT)".to_owned()),
        "TIMED_OUT" => (Outcome::TimedOut, "timed out".to_owned()),
        "STOPPED" => (Outcome::Cancelled, "was stopped".to_owned()),
        _ => return None,
    };
    let variables = &build.additional_information.environment.environment_variables;
    let value = |name: &str| Some(variables.iter().find(|variable| variable.name == name)?.value.as_str());
    let run = value("RUN_ID")?.parse().ok()?;
    let order: OrderNum = value("ORDER_NUM")?.parse().ok()?;
    let (_, id) = build.build_id.split_once(":build/")?;
    let contexts = || build.additional_information.phases.iter().flat_map(|phase| &phase.phase_context);
    let what = contexts().find(|text| !text.trim_matches([':', ' ']).is_empty());
    let what = what.map_or_else(String::new, |text| format!(": {}", text.trim()));
    Some(Lost {
        run,
        share: order.into(),
        by: Executor::Codebuild(id.to_owned()),
        told: told_by_exit(contexts().find_map(|text| exit_status(text))),
        otherwise: Ending::new(outcome, format!("its build {how}{what}")),
    })
}

/// The number behind the last `exit status` of a phase's context, as in `… Reason: exit status 3`.
fn exit_status(context: &str) -> Option<i64> {
    let (_, rest) = context.rsplit_once("exit status ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{event::Event, lost::Told};

    fn build(status: &str, context: &str) -> Option<Lost> {
        let event = json!({
            "detail-type": "CodeBuild Build State Change",
            "detail": {
                "build-status": status,
                "project-name": "exe-sys-worker",
                "build-id": "arn:aws:codebuild:us-east-1:000000000000:build/exe-sys-worker:9b1c",
                "additional-information": {
                    "environment": {"environment-variables": [
                        {"name": "RUN_ID", "type": "PLAINTEXT", "value": "r"},
                        {"name": "ORDER_NUM", "type": "PLAINTEXT", "value": "0002"},
                    ]},
                    "phases": [{"phase-type": "SUBMITTED"}, {"phase-type": "BUILD", "phase-context": [context]}],
                },
            },
        });
        match Event::read(event).unwrap() {
            Event::Build(build) => lost(&build),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_build_that_ended_names_its_order_and_itself() {
        let lost = build("FAULT", ": ").unwrap();
        assert_eq!((lost.run.as_str(), lost.share.to_string().as_str()), ("r", "0002"));
        assert_eq!(lost.by.to_string(), "codebuild:exe-sys-worker:9b1c");
        assert_eq!(lost.otherwise.reason, "its build was lost by CodeBuild (FAULT)");
        assert_eq!(build("TIMED_OUT", "").unwrap().otherwise.outcome, Outcome::TimedOut);
        assert_eq!(build("IN_PROGRESS", ""), None);
    }

    #[test]
    fn the_exit_code_tells_what_could_not_be_delivered() {
        let context = |code| {
            format!(
                "COMMAND_EXECUTION_ERROR: Error while executing command: aws-exe worker. Reason: exit status {code}"
            )
        };
        assert_eq!(build("FAILED", &context(40)).unwrap().told, Some(Told::Exit(Outcome::Succeeded)));
        let lost = build("FAILED", &context(137)).unwrap();
        assert_eq!(lost.told, None);
        assert!(lost.otherwise.reason.ends_with("exit status 137"), "{}", lost.otherwise.reason);
    }
}
