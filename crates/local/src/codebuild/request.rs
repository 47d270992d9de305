//! What a `StartBuild` asks for, checked. Pure.

use serde_json::{Map, Value};

use crate::{
    codebuild::{
        buildspec::Buildspec,
        project::{Project, QUEUED_TIMEOUT_MINUTES, TIMEOUT_MINUTES},
        record::{Token, Variable},
    },
    errors::ApiError,
};

/// What may be asked for. AWS knows more, and whoever sends that means it.
const FIELDS: [&str; 6] = [
    "projectName",
    "environmentVariablesOverride",
    "timeoutInMinutesOverride",
    "queuedTimeoutInMinutesOverride",
    "buildspecOverride",
    "idempotencyToken",
];

/// A build that is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) token: Option<Token>,
    pub(crate) buildspec: String,
    pub(crate) variables: Vec<Variable>,
    pub(crate) timeout_minutes: u64,
    pub(crate) queued_timeout_minutes: u64,
}

impl Wanted {
    /// Reads a request for a build of `project`.
    pub(crate) fn of(request: &Value, project: &Project) -> Result<Self, ApiError> {
        let none = Map::new();
        let fields = request.as_object().unwrap_or(&none);
        if let Some(other) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(invalid(format!("`{other}` is not part of the embedded AWS")));
        }
        let buildspec = text(request, "buildspecOverride")?.unwrap_or(project.buildspec);
        Buildspec::parse(buildspec).map_err(|error| invalid(format!("`buildspecOverride`: {error}")))?;
        let token = text(request, "idempotencyToken")?;
        Ok(Self {
            token: token.map(|token| Token { token: token.to_owned(), request: request.clone() }),
            buildspec: buildspec.to_owned(),
            variables: variables(request.get("environmentVariablesOverride"), &project.variables)?,
            // The limits are AWS's.
            timeout_minutes: minutes(request, "timeoutInMinutesOverride", 5..=2160, TIMEOUT_MINUTES)?,
            queued_timeout_minutes: minutes(
                request,
                "queuedTimeoutInMinutesOverride",
                5..=480,
                QUEUED_TIMEOUT_MINUTES,
            )?,
        })
    }
}

/// A request that CodeBuild does not take.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidInputException", message)
}

/// A text that may be left out but not be empty.
pub(crate) fn text<'r>(request: &'r Value, field: &str) -> Result<Option<&'r str>, ApiError> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(invalid(format!("`{field}` must be a text and not empty"))),
    }
}

fn minutes(request: &Value, field: &str, limits: std::ops::RangeInclusive<u64>, default: u64) -> Result<u64, ApiError> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_u64().filter(|minutes| limits.contains(minutes)).ok_or_else(|| {
            invalid(format!("`{field}` must be from {} to {}, and is {value}", limits.start(), limits.end()))
        }),
    }
}

/// The project's variables, and the request's over them.
fn variables(given: Option<&Value>, of_project: &[Variable]) -> Result<Vec<Variable>, ApiError> {
    let mut all = of_project.to_vec();
    let given = match given {
        None | Some(Value::Null) => return Ok(all),
        Some(given) => given.as_array().ok_or_else(|| invalid("`environmentVariablesOverride` must be a list"))?,
    };
    for (number, entry) in given.iter().enumerate() {
        let field = |name: &str| entry.get(name).and_then(Value::as_str);
        let (Some(name), Some(value)) = (field("name").filter(|name| !name.is_empty()), field("value")) else {
            return Err(invalid(format!("`environmentVariablesOverride[{number}]` must have a name and a value")));
        };
        if field("type").is_some_and(|kind| kind != "PLAINTEXT") {
            let message = format!("the variable `{name}`: only PLAINTEXT is part of the embedded AWS");
            return Err(invalid(message));
        }
        all.retain(|known| known.name != name);
        all.push(Variable { name: name.to_owned(), value: value.to_owned() });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;
    use serde_json::json;

    use super::*;

    fn project() -> Project {
        let user = ("AWS_EXE_SYS_COMMAND_USER".to_owned(), "worker".to_owned());
        Project::of_stack(&[user, ("OTHER".to_owned(), "x".to_owned())], Timestamp::from_secs(1)).unwrap()
    }

    #[test]
    fn what_is_not_said_is_the_projects() {
        let wanted = Wanted::of(&json!({"projectName": "exe-sys-worker"}), &project()).unwrap();
        assert_eq!((wanted.timeout_minutes, wanted.queued_timeout_minutes), (60, 480));
        assert!(wanted.token.is_none() && wanted.buildspec.contains("aws-exe worker"));
        let variables: Vec<_> = wanted.variables.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(variables, [("AWS_EXE_SYS_COMMAND_USER", "worker")]);
    }

    #[test]
    fn the_requests_variables_win() {
        let request = json!({"environmentVariablesOverride": [
            {"name": "AWS_EXE_SYS_COMMAND_USER", "value": "", "type": "PLAINTEXT"}, {"name": "A", "value": "1"},
        ]});
        let wanted = Wanted::of(&request, &project()).unwrap();
        let variables: Vec<_> = wanted.variables.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(variables, [("AWS_EXE_SYS_COMMAND_USER", ""), ("A", "1")]);
    }

    #[test]
    fn bad_requests_are_refused() {
        for (request, named) in [
            (json!({"timeoutInMinutesOverride": 4}), "from 5 to 2160"),
            (json!({"timeoutInMinutesOverride": 2161}), "timeoutInMinutesOverride"),
            (json!({"timeoutInMinutesOverride": 7.5}), "timeoutInMinutesOverride"),
            (json!({"queuedTimeoutInMinutesOverride": 481}), "from 5 to 480"),
            (json!({"queuedTimeoutInMinutesOverride": -5}), "queuedTimeoutInMinutesOverride"),
            (json!({"imageOverride": "x"}), "imageOverride"),
            (json!({"idempotencyToken": ""}), "idempotencyToken"),
            (json!({"buildspecOverride": "version: 0.2"}), "buildspecOverride"),
            (json!({"environmentVariablesOverride": [{"name": "A"}]}), "[0]"),
            (json!({"environmentVariablesOverride": [{"name": "", "value": ""}]}), "[0]"),
            (json!({"environmentVariablesOverride": [{"name": "A", "value": "/p", "type": "PARAMETER_STORE"}]}), "`A`"),
        ] {
            let error = Wanted::of(&request, &project()).unwrap_err();
            assert_eq!(error.code, "InvalidInputException");
            assert!(error.message.contains(named), "{}", error.message);
        }
    }
}
