//! Amazon States Language: a definition read and checked.
//!
//! Known are Task (of a Lambda function, or S3's `HeadObject`), Wait, Choice, Pass, Succeed and Fail, with paths,
//! Parameters, Retry and Catch; and `JSONata` in Task, as far as [`jsonata`] has it. Anything else is refused here, so that
//! the interpreter never meets it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::step_functions::{jsonata, paths};

/// The one service integration that is embedded, as AWS names it.
const HEAD_OBJECT: &str = "arn:aws:states:::aws-sdk:s3:headObject";
/// What it is given.
const HEAD_OBJECT_FIELDS: [&str; 2] = ["Bucket", "Key"];

/// A state machine's definition.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Definition {
    #[serde(default)]
    query_language: Language,
    pub(crate) start_at: String,
    pub(crate) states: BTreeMap<String, State>,
}

/// A state with what all kinds have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct State {
    #[serde(flatten)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) input_path: Path,
    #[serde(default)]
    pub(crate) output_path: Path,
    #[serde(default)]
    pub(crate) result_path: Path,
    pub(crate) parameters: Option<Value>,
    #[serde(rename = "QueryLanguage", default)]
    pub(crate) language: Language,
    /// In `JSONata`, instead of `InputPath` and `Parameters`.
    pub(crate) arguments: Option<Value>,
    /// In `JSONata`, instead of `ResultPath` and `OutputPath`.
    pub(crate) output: Option<Value>,
    pub(crate) next: Option<String>,
    #[serde(default)]
    pub(crate) end: bool,
}

/// How a state takes parts of its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Language {
    /// Paths, in fields of their own.
    #[default]
    #[serde(rename = "JSONPath")]
    Paths,
    /// Expressions, anywhere in `Arguments` and `Output`.
    #[serde(rename = "JSONata")]
    Jsonata,
}

/// Whom a Task asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Lambda,
    /// S3, by `HeadObject`.
    S3,
}

impl Service {
    /// Whose resource this is; nobody's that is embedded otherwise.
    pub(crate) fn of(resource: &str) -> Option<Self> {
        let is_integration = resource.contains(":states:::");
        match resource {
            HEAD_OBJECT => Some(Self::S3),
            _ if is_integration => None,
            _ => (resource.contains(":lambda:") || resource.contains(":function:")).then_some(Self::Lambda),
        }
    }
}

/// A state's choice of a part of its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Path {
    /// Not given: all of it.
    #[default]
    Whole,
    /// `null`: nothing of it.
    Nothing,
    /// What is there.
    At(String),
}

impl Path {
    fn at(&self) -> Option<&str> {
        if let Self::At(path) = self { Some(path) } else { None }
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Nothing, Self::At))
    }
}

/// What a state does.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "Type")]
pub(crate) enum Kind {
    #[serde(rename_all = "PascalCase")]
    Task {
        resource: String,
        timeout_seconds: Option<u64>,
        #[serde(default)]
        retry: Vec<Retrier>,
        #[serde(default)]
        catch: Vec<Catcher>,
    },
    #[serde(rename_all = "PascalCase")]
    Wait {
        seconds: Option<u64>,
        seconds_path: Option<String>,
        timestamp: Option<String>,
        timestamp_path: Option<String>,
    },
    #[serde(rename_all = "PascalCase")]
    Choice {
        choices: Vec<Branch>,
        default: Option<String>,
    },
    #[serde(rename_all = "PascalCase")]
    Pass {
        result: Option<Value>,
    },
    Succeed,
    #[serde(rename_all = "PascalCase")]
    Fail {
        error: Option<String>,
        cause: Option<String>,
    },
}

/// When and how often a task is tried again.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Retrier {
    pub(crate) error_equals: Vec<String>,
    #[serde(default = "one")]
    pub(crate) interval_seconds: u64,
    #[serde(default = "three")]
    pub(crate) max_attempts: u32,
    #[serde(default = "two")]
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<u64>,
}

/// Where a task's failure leads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Catcher {
    pub(crate) error_equals: Vec<String>,
    pub(crate) next: String,
    #[serde(default)]
    pub(crate) result_path: Path,
    /// In `JSONata`, instead of `ResultPath`.
    pub(crate) output: Option<Value>,
}

/// One way out of a Choice.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Branch {
    #[serde(rename = "Next")]
    pub(crate) next: String,
    #[serde(flatten)]
    pub(crate) rule: Value,
}

const fn one() -> u64 {
    1
}
const fn three() -> u32 {
    3
}
const fn two() -> f64 {
    2.0
}

/// Comparisons of a Choice; each may end in `Path` to compare with another part of the input.
const COMPARISONS: &[&str] = &[
    "BooleanEquals",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "StringEquals",
    "StringGreaterThan",
    "StringGreaterThanEquals",
    "StringLessThan",
    "StringLessThanEquals",
    "TimestampEquals",
    "TimestampGreaterThan",
    "TimestampGreaterThanEquals",
    "TimestampLessThan",
    "TimestampLessThanEquals",
];
/// Questions of a Choice about the kind of a value.
const QUESTIONS: &[&str] = &["IsBoolean", "IsNull", "IsNumeric", "IsPresent", "IsString", "IsTimestamp"];

impl Definition {
    /// Reads and checks a definition; the error is what `CreateStateMachine` says.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let definition: Self =
            serde_json::from_str(text).map_err(|error| format!("INVALID_JSON_DESCRIPTION: {error}"))?;
        let problems = definition.problems();
        if problems.is_empty() {
            Ok(definition)
        } else {
            Err(format!("SCHEMA_VALIDATION_FAILED: {}", problems.join("; ")))
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.query_language == Language::Jsonata {
            problems.push("JSONata is embedded in states that say so, and not for a whole state machine".to_owned());
        }
        let mut target = |from: &str, to: &str| {
            if !self.states.contains_key(to) {
                problems.push(format!("{from} leads to `{to}`, which is not a state"));
            }
        };
        target("StartAt", &self.start_at);
        for (name, state) in &self.states {
            let from = format!("state `{name}`");
            if let Some(next) = &state.next {
                target(&from, next);
            }
            match &state.kind {
                Kind::Task { catch, .. } => catch.iter().for_each(|catcher| target(&from, &catcher.next)),
                Kind::Choice { choices, default } => {
                    for next in choices.iter().map(|branch| &branch.next).chain(default) {
                        target(&from, next);
                    }
                }
                _ => {}
            }
        }
        for (name, state) in &self.states {
            problems.extend(state.problems().into_iter().map(|problem| format!("state `{name}`: {problem}")));
        }
        problems
    }
}

impl State {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let goes_on = matches!(self.kind, Kind::Task { .. } | Kind::Wait { .. } | Kind::Pass { .. });
        if goes_on == (self.next.is_none() && !self.end) || (self.next.is_some() && self.end) {
            problems.push("needs either Next or End, and only Task, Wait and Pass take them".to_owned());
        }
        let given = [&self.input_path, &self.output_path, &self.result_path];
        let mut all: Vec<&str> = given.into_iter().filter_map(Path::at).collect();
        match &self.kind {
            Kind::Task { resource, retry, .. } => {
                match Service::of(resource) {
                    Some(Service::Lambda) => {}
                    Some(Service::S3) => problems.extend(self.head_object_problem()),
                    None => problems.push(format!(
                        "`{resource}` is neither a Lambda function nor `{HEAD_OBJECT}`, and nothing else is embedded"
                    )),
                }
                if retry.iter().any(|retrier| retrier.error_equals.is_empty() || retrier.backoff_rate < 1.0) {
                    problems.push("a retrier needs ErrorEquals and a BackoffRate of at least 1".to_owned());
                }
            }
            Kind::Wait { seconds, seconds_path, timestamp, timestamp_path } => {
                let ways = [seconds.is_some(), seconds_path.is_some(), timestamp.is_some(), timestamp_path.is_some()];
                if ways.into_iter().filter(|way| *way).count() != 1 {
                    problems.push("needs exactly one of Seconds, SecondsPath, Timestamp, TimestampPath".to_owned());
                }
                all.extend([seconds_path, timestamp_path].into_iter().flatten().map(String::as_str));
            }
            Kind::Choice { choices, .. } => {
                if choices.is_empty() {
                    problems.push("needs at least one choice".to_owned());
                }
                problems.extend(choices.iter().filter_map(|branch| rule_problem(&branch.rule)));
            }
            _ => {}
        }
        problems.extend(
            all.iter().filter(|path| paths::parse(path).is_none()).map(|path| format!("`{path}` is not a path")),
        );
        problems.extend(self.language_problems());
        problems
    }

    /// Fields of the other language, and expressions that are not embedded.
    fn language_problems(&self) -> Vec<String> {
        let none: &[Catcher] = &[];
        let catch = if let Kind::Task { catch, .. } = &self.kind { catch.as_slice() } else { none };
        if self.language == Language::Paths {
            let given = [&self.arguments, &self.output].into_iter().chain(catch.iter().map(|catcher| &catcher.output));
            let is_given = given.into_iter().any(Option::is_some);
            return is_given.then(|| "Arguments and Output are for JSONata".to_owned()).into_iter().collect();
        }
        let mut problems = Vec::new();
        if !matches!(self.kind, Kind::Task { .. }) {
            problems.push("JSONata is embedded in Task alone".to_owned());
        }
        let paths = [&self.input_path, &self.output_path, &self.result_path];
        let all = paths.into_iter().chain(catch.iter().map(|catcher| &catcher.result_path));
        if self.parameters.is_some() || all.into_iter().any(|path| *path != Path::Whole) {
            problems.push("Parameters and paths are not for JSONata".to_owned());
        }
        let of_state = [(&self.arguments, ["input"].as_slice()), (&self.output, &["input", "result"])];
        let of_catch = catch.iter().map(|catcher| (&catcher.output, ["input", "errorOutput"].as_slice()));
        let templates = of_state.into_iter().chain(of_catch);
        problems.extend(templates.filter_map(|(template, known)| jsonata::problem(template.as_ref()?, known)));
        problems
    }

    fn head_object_problem(&self) -> Option<String> {
        let given = match self.language {
            Language::Paths => &self.parameters,
            Language::Jsonata => &self.arguments,
        };
        let fields = given.as_ref().and_then(Value::as_object);
        let names = fields.into_iter().flatten().map(|(name, _)| name.strip_suffix(".$").unwrap_or(name));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        (names != HEAD_OBJECT_FIELDS).then(|| format!("headObject takes {}", HEAD_OBJECT_FIELDS.join(" and ")))
    }
}

fn rule_problem(rule: &Value) -> Option<String> {
    let Some(fields) = rule.as_object() else { return Some("a choice is not an object".to_owned()) };
    if let Some(all) = fields.get("And").or_else(|| fields.get("Or")) {
        return match all.as_array().filter(|all| !all.is_empty()) {
            Some(all) => all.iter().find_map(rule_problem),
            None => Some("And and Or take a list of rules".to_owned()),
        };
    }
    if let Some(inner) = fields.get("Not") {
        return rule_problem(inner);
    }
    let variable = fields.get("Variable").and_then(Value::as_str);
    if variable.and_then(paths::parse).is_none() {
        return Some("a choice needs a Variable that is a path".to_owned());
    }
    let mut known = 0;
    for name in fields.keys().filter(|name| !matches!(name.as_str(), "Variable" | "Comment")) {
        let plain = name.strip_suffix("Path").unwrap_or(name);
        if !COMPARISONS.contains(&plain) && !QUESTIONS.contains(&name.as_str()) {
            return Some(format!("`{name}` is not a comparison"));
        }
        known += 1;
    }
    (known != 1).then(|| "a choice needs exactly one comparison".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployed_definition_is_understood() {
        let text = include_str!("../../../../infra/02-deploy/watchdog.asl.json");
        let text = text.replace("${watchdog_check_arn}", "arn:aws:lambda:us-east-1:000000000000:function:f");
        Definition::parse(&text.replace("${partition}", "aws")).unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |states: &str| Definition::parse(&format!(r#"{{"StartAt":"A","States":{states}}}"#)).unwrap_err();
        assert!(wrong(r#"{"A":{"Type":"Wait","Seconds":1,"Next":"B"}}"#).contains("`B`, which is not a state"));
        assert!(wrong(r#"{"A":{"Type":"Parallel","End":true}}"#).contains("Parallel"));
        assert!(wrong(r#"{"A":{"Type":"Wait","End":true}}"#).contains("exactly one of"));
        assert!(wrong(r#"{"A":{"Type":"Pass"}}"#).contains("either Next or End"));
        let choice = r#"{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","Equals":1,"Next":"A"}]}}"#;
        assert!(wrong(choice).contains("`Equals` is not a comparison"));
    }

    #[test]
    fn resources_and_expressions_that_are_not_embedded_are_refused() {
        let problem = |fields: serde_json::Value| {
            let mut state = serde_json::json!({"Type": "Task", "End": true});
            state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let definition = serde_json::json!({"StartAt": "A", "States": {"A": state}});
            Definition::parse(&definition.to_string()).err()
        };
        let head = |language: &str, field: &str, parameters: serde_json::Value| {
            problem(serde_json::json!({"Resource": HEAD_OBJECT, "QueryLanguage": language, field: parameters}))
        };
        let by_path = serde_json::json!({"Bucket": "b", "Key.$": "$.k"});
        let by_expression = serde_json::json!({"Bucket": "b", "Key": "{% $states.input.k %}"});
        assert_eq!(head("JSONPath", "Parameters", by_path.clone()), None);
        assert_eq!(head("JSONata", "Arguments", by_expression.clone()), None);
        let says =
            |problem: Option<String>, words: &str| assert!(problem.as_ref().unwrap().contains(words), "{problem:?}");
        says(head("JSONPath", "Arguments", by_expression), "Arguments and Output are for JSONata");
        says(head("JSONata", "Parameters", by_path), "Parameters and paths are not for JSONata");
        says(head("JSONata", "Arguments", serde_json::json!({"Bucket": "b"})), "headObject takes Bucket and Key");
        let merged = serde_json::json!({"Bucket": "b", "Key": "{% $merge([]) %}"});
        says(head("JSONata", "Arguments", merged), "no path into $states.input");
        for resource in [
            "arn:aws:states:::aws-sdk:s3:getObject",
            "arn:aws-cn:states:::aws-sdk:s3:headObject",
            "arn:aws:states:::lambda:invoke",
            "arn:aws:states:us-east-1:000000000000:activity:a",
        ] {
            says(problem(serde_json::json!({"Resource": resource})), "nothing else is embedded");
        }
        let other = r#"{"A":{"Type":"Wait","Seconds":1,"End":true,"QueryLanguage":"JSONata"}}"#;
        let whole = format!(r#"{{"StartAt":"A","QueryLanguage":"JSONata","States":{other}}}"#);
        let both = Definition::parse(&whole).unwrap_err();
        assert!(both.contains("in Task alone") && both.contains("not for a whole state machine"), "{both}");
    }
}
