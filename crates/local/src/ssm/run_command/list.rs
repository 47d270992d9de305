//! `ListCommands`, `ListCommandInvocations`, `GetCommandInvocation`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    dates,
    errors::ApiError,
    ssm::{
        Answer,
        request::{number, objects, optional, page, text, validation},
        run_command::{
            RunCommand,
            commands::{Command, Invocation},
            describe::{command_json, invocation_json, standing_of, step_json},
            send::no_such_command,
        },
    },
};

impl RunCommand {
    /// `ListCommands`, the latest first.
    pub(super) fn list_commands(&self, request: &Value) -> Answer {
        let mut commands = self.wanted(request)?;
        if let Some(id) = optional(request, "InstanceId") {
            commands.retain(|command| command.on(id).is_some());
        }
        for filter in objects(request, "Filters") {
            match (text(filter, "key")?, text(filter, "value")?) {
                ("Status", status) => commands.retain(|command| {
                    let (general, details) = standing_of(command);
                    general == status || details == status
                }),
                ("ExecutionStage", stage) => commands.retain(|command| {
                    let over = command.invocations.iter().all(|invocation| invocation.status().is_over());
                    stage == if over { "Complete" } else { "Executing" }
                }),
                (key, value) => retain(&mut commands, key, value)?,
            }
        }
        let (commands, next) =
            page(commands, size(request)?, optional(request, "NextToken"), |command| command.request.id.clone())?;
        let commands: Vec<Value> = commands.iter().map(|command| command_json(command)).collect();
        Ok(paged(json!({"Commands": commands}), next))
    }

    /// `ListCommandInvocations`, those of the latest command first.
    pub(super) fn list_invocations(&self, request: &Value) -> Answer {
        let mut commands = self.wanted(request)?;
        let mut statuses = Vec::new();
        for filter in objects(request, "Filters") {
            match (text(filter, "key")?, text(filter, "value")?) {
                ("Status", status) => statuses.push(status),
                (key, value) => retain(&mut commands, key, value)?,
            }
        }
        let instance = optional(request, "InstanceId");
        let mut found: Vec<(Arc<Command>, Arc<Invocation>)> = Vec::new();
        for command in commands {
            for invocation in &command.invocations {
                let status = invocation.status();
                if instance.is_none_or(|id| id == invocation.instance)
                    && statuses.iter().all(|wanted| [status.name(), status.details()].contains(wanted))
                {
                    found.push((Arc::clone(&command), Arc::clone(invocation)));
                }
            }
        }
        let details = request.get("Details").and_then(Value::as_bool) == Some(true);
        let key = |(command, invocation): &(Arc<Command>, Arc<Invocation>)| {
            format!("{}/{}", command.request.id, invocation.instance)
        };
        let (found, next) = page(found, size(request)?, optional(request, "NextToken"), key)?;
        let found = found.iter().map(|(command, invocation)| {
            let instance = self.instances.get(&invocation.instance);
            let name = instance.and_then(|instance| instance.tags.get("Name")).map_or("", String::as_str);
            invocation_json(command, invocation, name, details)
        });
        Ok(paged(json!({"CommandInvocations": found.collect::<Vec<Value>>()}), next))
    }

    /// `GetCommandInvocation`: a step, the only one if none is named; of several and none named, the whole invocation.
    pub(super) fn get_invocation(&self, request: &Value) -> Answer {
        let (id, instance) = (text(request, "CommandId")?, text(request, "InstanceId")?);
        let command = self.find(id);
        let found = command.as_ref().and_then(|command| Some((command, command.on(instance)?)));
        let (command, invocation) = found.ok_or_else(|| {
            let message = format!("The command {id} was not sent to the instance {instance}.");
            ApiError::client("InvocationDoesNotExist", message)
        })?;
        let state = invocation.state();
        let step =
            match optional(request, "PluginName").filter(|name| !name.is_empty()) {
                Some(name) => Some(state.steps.iter().find(|step| step.name == name).ok_or_else(|| {
                    ApiError::client("InvalidPluginName", format!("The document has no step `{name}`."))
                })?),
                None if state.steps.len() == 1 => state.steps.first(),
                None => None,
            };
        Ok(step_json(command, instance, &state, step))
    }

    /// The commands that a list is about, the latest first.
    fn wanted(&self, request: &Value) -> Result<Vec<Arc<Command>>, ApiError> {
        match optional(request, "CommandId") {
            Some(id) => Ok(vec![self.find(id).ok_or_else(|| no_such_command(id))?]),
            None => Ok(self.lock().iter().rev().cloned().collect()),
        }
    }
}

/// Applies a filter that both lists know.
fn retain(commands: &mut Vec<Arc<Command>>, key: &str, value: &str) -> Result<(), ApiError> {
    match key {
        "DocumentName" => commands.retain(|command| command.request.document == value),
        "InvokedAfter" | "InvokedBefore" => {
            let at = dates::parse_iso8601(value).ok_or_else(|| validation(&format!("`{value}` is no date")))?;
            commands.retain(|command| (command.request.requested >= at) == (key == "InvokedAfter"));
        }
        _ => {
            return Err(ApiError::client("InvalidFilterKey", format!("The specified key {key} is not valid.")));
        }
    }
    Ok(())
}

fn size(request: &Value) -> Result<usize, ApiError> {
    Ok(usize::try_from(number(request, "MaxResults", 1, 50, 50)?).unwrap_or(50))
}

fn paged(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    answer
}
