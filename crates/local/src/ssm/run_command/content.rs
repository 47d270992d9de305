//! What a document says: schema 2.2 with steps of `aws:runShellScript`, read, checked, and filled in with parameters.

use std::collections::BTreeMap;

use regex_lite::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::errors::ApiError;

/// The one schema of documents that this interpreter runs.
pub(crate) const SCHEMA: &str = "2.2";
/// What the agent takes for a step that names no time, or one that it does not allow, in seconds.
const DEFAULT_TIMEOUT: u64 = 3_600;
/// The least and the most time that the agent allows a step, in seconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 5..=172_800;

/// A document.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) description: Option<String>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    steps: Vec<Step>,
    placeholder: Regex,
}

/// A parameter of a document.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) kind: Kind,
    pub(crate) description: Option<String>,
    /// Without one the parameter has to be given.
    pub(crate) default: Option<Vec<String>>,
    allowed_pattern: Option<Regex>,
    allowed_values: Option<Vec<String>>,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Kind {
    /// One text.
    String,
    /// Any number of texts.
    StringList,
}

/// A step as it is written.
#[derive(Debug)]
struct Step {
    name: String,
    inputs: Inputs,
}

/// What a command runs: a step with its parameters filled in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Script {
    /// The step's name.
    pub(crate) name: String,
    pub(crate) text: String,
    /// How long it may run.
    pub(crate) timeout_secs: u64,
    pub(crate) working_directory: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    description: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, RawParameter>,
    main_steps: Vec<RawStep>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawParameter {
    #[serde(rename = "type")]
    kind: Kind,
    description: Option<String>,
    default: Option<Lines>,
    allowed_pattern: Option<String>,
    allowed_values: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawStep {
    action: String,
    name: String,
    inputs: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inputs {
    run_command: Lines,
    timeout_seconds: Option<TextOrNumber>,
    working_directory: Option<String>,
}

/// A text, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

fn invalid(why: impl std::fmt::Display) -> ApiError {
    ApiError::client("InvalidDocumentContent", format!("The content of the document is not valid: {why}"))
}

/// Reads the text of a document as JSON or YAML.
pub(crate) fn value(text: &str, format: &str) -> Result<Value, ApiError> {
    if format == "JSON" {
        serde_json::from_str(text).map_err(invalid)
    } else {
        serde_saphyr::from_str(text).map_err(invalid)
    }
}

impl Content {
    /// Reads a document, and refuses what AWS refuses and what is not embedded.
    pub(crate) fn parse(document: Value) -> Result<Self, ApiError> {
        let version = document.get("schemaVersion").and_then(Value::as_str).unwrap_or_default();
        if version != SCHEMA {
            let message =
                format!("The schema version `{version}` is not part of the embedded AWS, which runs {SCHEMA}.");
            return Err(ApiError::client("InvalidDocumentSchemaVersion", message));
        }
        let raw: RawDocument = serde_json::from_value(document).map_err(invalid)?;
        let mut parameters = BTreeMap::new();
        for (name, raw) in raw.parameters {
            let parameter = Parameter::of(&name, raw)?;
            parameters.insert(name, parameter);
        }
        if raw.main_steps.is_empty() {
            return Err(invalid("`mainSteps` is empty"));
        }
        let mut steps: Vec<Step> = Vec::new();
        for RawStep { action, name, inputs } in raw.main_steps {
            if action != "aws:runShellScript" {
                return Err(invalid(format!("the action `{action}` of step `{name}` is not part of the embedded AWS")));
            }
            // It names a folder, too.
            if !common::ids::is_name(&name, 128) || name.starts_with('.') || steps.iter().any(|step| step.name == name)
            {
                return Err(invalid(format!("the step name `{name}` is not valid, or is there twice")));
            }
            let inputs = serde_json::from_value(inputs).map_err(|error| invalid(format!("step `{name}`: {error}")))?;
            steps.push(Step { name, inputs });
        }
        // Text between braces that is no name, such as a template of another program, is left alone.
        let placeholder = Regex::new(r"\{\{\s*([A-Za-z0-9_]+|(?:ssm|global):[^{}\s]+)\s*\}\}").map_err(invalid)?;
        let content = Self { description: raw.description, parameters, steps, placeholder };
        content.check_placeholders()?;
        Ok(content)
    }

    fn check_placeholders(&self) -> Result<(), ApiError> {
        for step in &self.steps {
            let mut texts: Vec<&str> = step.inputs.run_command.texts();
            texts.extend(step.inputs.working_directory.as_deref());
            if let Some(TextOrNumber::Text(text)) = &step.inputs.timeout_seconds {
                texts.push(text);
            }
            for found in texts.iter().flat_map(|text| self.placeholder.captures_iter(text)) {
                if !self.parameters.contains_key(&found[1]) {
                    return Err(invalid(format!("step `{}` uses `{}`, which is no parameter", step.name, &found[1])));
                }
            }
        }
        Ok(())
    }

    /// The scripts of the steps, with what a command gives for the parameters.
    pub(crate) fn scripts(&self, given: &BTreeMap<String, Vec<String>>) -> Result<Vec<Script>, ApiError> {
        let mut values = BTreeMap::new();
        if let Some(unknown) = given.keys().find(|name| !self.parameters.contains_key(*name)) {
            return Err(bad_parameters(format!("`{unknown}` is no parameter of the document")));
        }
        for (name, parameter) in &self.parameters {
            let value = given.get(name).or(parameter.default.as_ref());
            let value = value.ok_or_else(|| bad_parameters(format!("the parameter `{name}` has to be given")))?;
            if given.contains_key(name) {
                parameter.check(value).map_err(|why| bad_parameters(format!("the parameter `{name}` {why}")))?;
            }
            values.insert(name.as_str(), (parameter.kind, value.as_slice()));
        }
        Ok(self.steps.iter().map(|step| self.fill(step, &values)).collect())
    }

    fn fill(&self, step: &Step, values: &BTreeMap<&str, (Kind, &[String])>) -> Script {
        // In one pass: what a value says is text, also when it looks like a placeholder.
        let fill = |text: &str| {
            let replaced = self.placeholder.replace_all(text, |found: &Captures<'_>| match values.get(&found[1]) {
                Some((Kind::String, value)) => value.concat(),
                // As the agent does with a list inside of a text.
                Some((Kind::StringList, value)) => Value::from(value.to_vec()).to_string(),
                None => found[0].to_owned(),
            });
            replaced.into_owned()
        };
        let text = match &step.inputs.run_command {
            Lines::Many(lines) => lines.iter().map(|line| fill(line)).collect::<Vec<_>>().join("\n"),
            Lines::One(line) => match self.placeholder.captures(line).filter(|found| found[0] == *line.trim()) {
                Some(found) => values.get(&found[1]).map(|(_, value)| value.join("\n")).unwrap_or_default(),
                None => fill(line),
            },
        };
        let timeout = match &step.inputs.timeout_seconds {
            Some(TextOrNumber::Number(seconds)) => Some(*seconds),
            Some(TextOrNumber::Text(text)) => fill(text).trim().parse().ok(),
            None => None,
        };
        Script {
            name: step.name.clone(),
            text: text + "\n",
            timeout_secs: timeout.filter(|seconds| TIMEOUTS.contains(seconds)).unwrap_or(DEFAULT_TIMEOUT),
            working_directory: step.inputs.working_directory.as_deref().map(fill).filter(|text| !text.is_empty()),
        }
    }
}

impl Parameter {
    fn of(name: &str, raw: RawParameter) -> Result<Self, ApiError> {
        let pattern = raw.allowed_pattern.as_deref().map(Regex::new).transpose();
        let allowed_pattern = pattern.map_err(|error| invalid(format!("parameter `{name}`: {error}")))?;
        let default = raw.default.as_ref().map(|lines| lines.texts().into_iter().map(str::to_owned).collect());
        let parameter = Self {
            kind: raw.kind,
            description: raw.description,
            default,
            allowed_pattern,
            allowed_values: raw.allowed_values,
        };
        if let Some(default) = &parameter.default {
            parameter.check(default).map_err(|why| invalid(format!("the default of `{name}` {why}")))?;
        }
        Ok(parameter)
    }

    /// What is wrong with a value; a fragment that follows the parameter's name. It does not repeat the value, which
    /// may be a signed URL.
    fn check(&self, values: &[String]) -> Result<(), String> {
        if self.kind == Kind::String && values.len() != 1 {
            return Err(format!("takes one value, not {}", values.len()));
        }
        if let Some(pattern) = &self.allowed_pattern
            && !values.iter().all(|value| pattern.is_match(value))
        {
            return Err(format!("does not match the allowed pattern `{pattern}`"));
        }
        if let Some(allowed) = &self.allowed_values
            && !values.iter().all(|value| allowed.contains(value))
        {
            return Err(format!("is none of the allowed values `{}`", allowed.join("`, `")));
        }
        Ok(())
    }
}

impl Lines {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

fn bad_parameters(why: String) -> ApiError {
    ApiError::client("InvalidParameters", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(yaml: &str) -> Result<Content, ApiError> {
        Content::parse(value(yaml, "YAML")?)
    }

    fn given(name: &str, values: &[&str]) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(name.to_owned(), values.iter().map(|&value| value.to_owned()).collect())])
    }

    const LIST: &str = r#"
schemaVersion: "2.2"
parameters:
  Lines: {type: StringList, default: [a]}
  Where: {type: String, default: /, allowedValues: [/, /tmp]}
mainSteps:
  - {action: "aws:runShellScript", name: all, inputs: {runCommand: "{{ Lines }}", workingDirectory: "{{Where}}"}}
  - action: aws:runShellScript
    name: one
    inputs: {timeoutSeconds: 7, runCommand: ["echo '{{ Lines }}' {{.Name}}", b]}
"#;

    #[test]
    fn parameters_are_filled_in_once() {
        let content = parse(LIST).unwrap();
        let scripts = content.scripts(&given("Lines", &["x {{ Where }}", "y"])).unwrap();
        assert_eq!(scripts[0].text, "x {{ Where }}\ny\n");
        assert_eq!((scripts[0].working_directory.as_deref(), scripts[0].timeout_secs), (Some("/"), 3_600));
        assert_eq!(scripts[1].text, "echo '[\"x {{ Where }}\",\"y\"]' {{.Name}}\nb\n");
        assert_eq!(scripts[1].timeout_secs, 7);
        for bad in [given("Where", &["/etc"]), given("Where", &["/", "/tmp"]), given("Wher", &["/"])] {
            assert_eq!(content.scripts(&bad).unwrap_err().code, "InvalidParameters", "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (from, to, code) in [
            ("\"2.2\"", "\"0.3\"", "InvalidDocumentSchemaVersion"),
            ("aws:runShellScript", "aws:runPowerShellScript", "InvalidDocumentContent"),
            ("StringList", "StringMap", "InvalidDocumentContent"),
            ("{{Where}}", "{{There}}", "InvalidDocumentContent"),
            ("{{Where}}", "{{ssm:/there}}", "InvalidDocumentContent"),
            ("default: /,", "default: /etc,", "InvalidDocumentContent"),
            ("name: one", "name: all", "InvalidDocumentContent"),
            ("name: one", "name: ../one", "InvalidDocumentContent"),
            ("timeoutSeconds: 7", "timeout: 7", "InvalidDocumentContent"),
            ("mainSteps:", "steps:", "InvalidDocumentContent"),
            ("parameters:", "- x", "InvalidDocumentContent"),
        ] {
            assert_eq!(parse(&LIST.replace(from, to)).unwrap_err().code, code, "{from} → {to}");
        }
    }

    #[test]
    fn the_stacks_document_takes_urls_that_can_stand_in_its_script() {
        let content = parse(crate::ssm::run_command::documents::RUN_COMMANDS).unwrap();
        let url = "https://b.s3.amazonaws.com/tmp/exec/r/0001/dispatch.json?X-Amz-Signature=a%2Fb&X-Amz-Expires=60";
        let scripts = content.scripts(&given("Dispatch", &[url])).unwrap();
        assert_eq!(scripts.len(), 1);
        assert!(scripts[0].text.contains(&format!("fetch '{url}' ")) && !scripts[0].text.contains("{{"));
        for bad in ["'", "\"", " ", "\\", "$", "`", "\n", "{", "}", "<", "|"] {
            let bad = given("Dispatch", &[&format!("{url}{bad}")]);
            assert_eq!(content.scripts(&bad).unwrap_err().code, "InvalidParameters", "{bad:?}");
        }
        for (time, code) in [("5", None), ("172800", None), ("4", Some(())), ("172801", Some(())), ("1h", Some(()))] {
            let mut parameters = given("Dispatch", &[url]);
            parameters.insert("ExecutionTimeout".to_owned(), vec![time.to_owned()]);
            let scripts = content.scripts(&parameters);
            assert_eq!(scripts.as_ref().err().map(|_| ()), code, "{time}");
            assert!(scripts.is_err() || scripts.is_ok_and(|scripts| scripts[0].timeout_secs.to_string() == time));
        }
    }
}
