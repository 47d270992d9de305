//! A command that ended on an instance. The event names command and instance; Systems Manager knows the rest.

use common::{
    aws::{Aws, AwsError, Class},
    claim::Ending,
    executor::Executor,
    ids::{InstanceId, OrderNum, RunId},
    keys::Share,
    status::Outcome,
};

use super::{Lost, told_by_exit};
use crate::event::CommandState;

/// What is read of an invocation.
#[derive(Debug)]
struct Invocation<'a> {
    comment: &'a str,
    status_details: &'a str,
    response_code: i64,
}

/// What the end of a command means for the order's share on the instance; nothing for commands of others.
pub(crate) async fn lost(aws: &Aws, command: &CommandState) -> Result<Option<Lost>, AwsError> {
    let Ok(instance) = command.instance_id.parse::<InstanceId>() else { return Ok(None) };
    let action = || format!("look at the command `{}` on `{instance}`", command.command_id);
    let request = aws.ssm().get_command_invocation().command_id(&command.command_id).instance_id(&command.instance_id);
    let answer = match request.send().await.map_err(|error| AwsError::of(action(), error)) {
        Ok(answer) => answer,
        // Commands are kept for 30 days: this event is of no use any more.
        Err(error) if error.class == Class::Refused => {
            tracing::warn!(%error, "an event is left alone");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let invocation = Invocation {
        comment: answer.comment().unwrap_or_default(),
        status_details: answer.status_details().unwrap_or_default(),
        response_code: i64::from(answer.response_code()),
    };
    Ok(judge(command, instance, &invocation))
}

fn judge(command: &CommandState, instance: InstanceId, invocation: &Invocation<'_>) -> Option<Lost> {
    let outcome = match command.status.as_str() {
        "Success" | "Failed" => Outcome::Failed,
        "TimedOut" => Outcome::TimedOut,
        "Cancelled" => Outcome::Cancelled,
        _ => return None,
    };
    let (run, order) = invocation.comment.split_once(':')?;
    let (run, order): (RunId, OrderNum) = (run.parse().ok()?, order.parse().ok()?);
    let details = match invocation.status_details {
        "" => command.status.as_str(),
        details => details,
    };
    let code = match invocation.response_code {
        // Systems Manager's word for a command that did not get so far.
        -1 => String::new(),
        code => format!(" with exit code {code}"),
    };
    Some(Lost {
        run,
        share: Share::of_instance(order, instance.clone()),
        by: Executor::Ssm(command.command_id.clone(), instance),
        told: told_by_exit(Some(invocation.response_code)),
        otherwise: Ending::new(outcome, format!("its command ended as {details}{code} and without a result")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lost::Told;

    fn judged(status: &str, comment: &str, details: &str, response_code: i64) -> Option<Lost> {
        let command =
            CommandState { command_id: "c-1".to_owned(), instance_id: "i-1".to_owned(), status: status.to_owned() };
        let invocation = Invocation { comment, status_details: details, response_code };
        judge(&command, "i-1".parse().unwrap(), &invocation)
    }

    #[test]
    fn a_command_names_its_share_and_itself() {
        let lost = judged("TimedOut", "r.1:0003", "DeliveryTimedOut", -1).unwrap();
        assert_eq!((lost.run.as_str(), lost.share.to_string().as_str()), ("r.1", "0003/i-1"));
        assert_eq!(lost.by.to_string(), "ssm:c-1:i-1");
        assert_eq!(lost.otherwise.outcome, Outcome::TimedOut);
        assert_eq!(lost.otherwise.reason, "its command ended as DeliveryTimedOut and without a result");
        let lost = judged("Failed", "r:0001", "Failed", 137).unwrap();
        assert_eq!(lost.otherwise.reason, "its command ended as Failed with exit code 137 and without a result");
        assert_eq!(judged("Failed", "r:0001", "Failed", 42).unwrap().told, Some(Told::Exit(Outcome::TimedOut)));
    }

    #[test]
    fn commands_of_others_and_those_that_go_on_are_left_alone() {
        assert_eq!(judged("Failed", "patching", "Failed", 1), None);
        assert_eq!(judged("Failed", "team: restart", "Failed", 1), None);
        assert_eq!(judged("InProgress", "r:0001", "InProgress", -1), None);
    }
}
