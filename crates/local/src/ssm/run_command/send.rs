//! `SendCommand` and `CancelCommand`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    ACCOUNT,
    errors::ApiError,
    ids,
    service::Service,
    ssm::{
        Answer,
        request::{number, objects, optional, optional_list, text, validation},
        run_command::{
            RunCommand,
            commands::{Command, Request, Status},
            describe::command_json,
            rate::Rate,
        },
    },
};

/// Most instance ids, and most values of one target, as on AWS.
const MOST_IDS: usize = 50;
/// Most targets, as on AWS.
const MOST_TARGETS: usize = 5;
/// Longest comment in characters, as on AWS.
const COMMENT_LIMIT: usize = 100;

impl RunCommand {
    /// `SendCommand`.
    pub(super) fn send_command(self: &Arc<Self>, request: &Value) -> Answer {
        let version = optional(request, "DocumentVersion");
        let document = self.documents.find(text(request, "DocumentName")?, version)?;
        let comment = optional(request, "Comment").unwrap_or_default();
        if comment.chars().count() > COMMENT_LIMIT {
            return Err(validation(&format!(
                "1 validation error detected: Value at 'comment' failed to satisfy constraint: Member must have length \
                 less than or equal to {COMMENT_LIMIT}"
            )));
        }
        let timeout_secs = number(request, "TimeoutSeconds", 30, 2_592_000, 3_600)?;
        let max_concurrency = rate(request, "MaxConcurrency", 1, "50")?;
        let max_errors = rate(request, "MaxErrors", 0, "0")?;
        let goes_to = self.goes_to(request)?;
        let parameters = parameters(request)?;
        let scripts = document.content.scripts(&parameters)?;
        let given = optional_list(request, "InstanceIds").unwrap_or_default();
        let asked = Request {
            id: ids::request_id(),
            document: document.name.clone(),
            document_version: version.unwrap_or("$DEFAULT").to_owned(),
            comment: comment.to_owned(),
            parameters,
            instance_ids: given.into_iter().map(str::to_owned).collect(),
            targets: objects(request, "Targets").into(),
            max_concurrency,
            max_errors,
            timeout_secs,
            requested: self.timeline.now(),
            scripts,
            goes_to,
        };
        let command = Command::create(asked, self.dir.as_deref())
            .map_err(|error| ApiError::internal(Service::Ssm, format!("the command could not be saved: {error}")))?;
        let command = Arc::new(command);
        let answer = json!({"Command": command_json(&command)});
        self.lock().push(Arc::clone(&command));
        self.start(command);
        Ok(answer)
    }

    /// The instances that a command goes to.
    fn goes_to(&self, request: &Value) -> Result<Vec<String>, ApiError> {
        let (ids, targets) = (optional_list(request, "InstanceIds"), objects(request, "Targets"));
        let ids = ids.unwrap_or_default();
        match (ids.is_empty(), targets.is_empty()) {
            (false, true) => self.all_valid(ids),
            (true, false) => self.targeted(targets),
            (false, false) => Err(validation("InstanceIds and Targets cannot both be given.")),
            (true, true) => Err(validation("Either InstanceIds or Targets has to be given.")),
        }
    }

    fn all_valid(&self, ids: Vec<&str>) -> Result<Vec<String>, ApiError> {
        if ids.len() > MOST_IDS {
            return Err(validation(&format!(
                "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have \
                 length less than or equal to {MOST_IDS}"
            )));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = ids.iter().find(|id| !seen.insert(**id)) {
            return Err(ApiError::client("DuplicateInstanceId", format!("The instance id {twice} was given twice.")));
        }
        let ready = |id: &&str| self.instances.get(id).is_some_and(|instance| instance.online);
        let invalid: Vec<&str> = ids.iter().copied().filter(|id| !ready(id)).collect();
        if !invalid.is_empty() {
            let message = format!("Instances [[{}]] not in a valid state for account {ACCOUNT}", invalid.join(", "));
            return Err(ApiError::client("InvalidInstanceId", message));
        }
        Ok(ids.into_iter().map(str::to_owned).collect())
    }

    /// Those that every target means. Who is offline is meant as well: its agent may come back in time.
    fn targeted(&self, targets: &[Value]) -> Result<Vec<String>, ApiError> {
        if targets.len() > MOST_TARGETS {
            return Err(validation(&format!("there may be at most {MOST_TARGETS} targets")));
        }
        let mut found: Vec<_> = self.instances.all().collect();
        for target in targets {
            let key = text(target, "Key")?;
            let values = optional_list(target, "Values").unwrap_or_default();
            if !(1..=MOST_IDS).contains(&values.len()) {
                return Err(validation(&format!("a target has 1 to {MOST_IDS} values")));
            }
            match (key, key.strip_prefix("tag:").filter(|tag| !tag.is_empty())) {
                (_, Some(tag)) => found.retain(|instance| instance.is_tagged(tag, &values)),
                ("InstanceIds" | "instanceids", _) => {
                    found.retain(|instance| values.contains(&instance.id.as_str()));
                }
                _ => return Err(validation(&format!("the target key `{key}` is not part of the embedded AWS"))),
            }
        }
        Ok(found.into_iter().map(|instance| instance.id.as_str().to_owned()).collect())
    }

    /// `CancelCommand`: what has not begun is over at once, what runs is killed.
    pub(super) async fn cancel_command(&self, request: &Value) -> Answer {
        let id = text(request, "CommandId")?;
        let command = self.find(id).ok_or_else(|| no_such_command(id))?;
        let only = optional_list(request, "InstanceIds").filter(|ids| !ids.is_empty());
        if let Some(unknown) = only.iter().flatten().find(|id| command.on(id).is_none()) {
            let message = format!("The command was not sent to the instance {unknown}.");
            return Err(ApiError::client("InvalidInstanceId", message));
        }
        for invocation in &command.invocations {
            if only.as_ref().is_none_or(|ids| ids.contains(&invocation.instance.as_str())) {
                invocation.cancel.cancel();
                if invocation.end_unbegun(Status::Cancelled) {
                    self.tell(&command, invocation, Status::Cancelled).await;
                }
            }
        }
        Ok(json!({}))
    }
}

pub(super) fn no_such_command(id: &str) -> ApiError {
    ApiError::client("InvalidCommandId", format!("The command {id} is not there."))
}

fn rate(request: &Value, field: &str, least: usize, default: &str) -> Result<Rate, ApiError> {
    let text = optional(request, field).unwrap_or(default);
    Rate::parse(text, least).ok_or_else(|| {
        validation(&format!(
            "1 validation error detected: Value '{text}' at '{field}' failed to satisfy constraint: Member must be a \
             number, or a percentage up to 100%"
        ))
    })
}

fn parameters(request: &Value) -> Result<BTreeMap<String, Vec<String>>, ApiError> {
    match request.get("Parameters").filter(|given| !given.is_null()) {
        None => Ok(BTreeMap::new()),
        Some(given) => serde_json::from_value(given.clone())
            .map_err(|error| ApiError::serialization(format!("`Parameters` is no map of lists: {error}"))),
    }
}
