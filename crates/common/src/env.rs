//! Every variable of the environment that the engine reads, one documented constant each, and how they are read.
//!
//! Functions get their settings from here ([`Settings::load`]): one that starts without a variable it needs names all
//! that are missing. What the variables are called is part of the contract; CLI help and documents use these constants.

use std::{collections::BTreeMap, env, fmt, str::FromStr};

use crate::clock::Clock;

/// One variable: its name and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The whole name: the engine's own begin with `AWS_EXE_SYS_`, those of OpenTelemetry with `OTEL_`.
    pub name: &'static str,
    /// What it holds, in a sentence.
    pub meaning: &'static str,
    /// What is used when it is not set; without one, functions that need it refuse to start.
    pub default: Option<&'static str>,
}

macro_rules! variables {
    (
        $(#[doc = $of_all:literal])+ $all:ident, $prefix:literal:
        $($(#[doc = $doc:literal])+ $ident:ident = $name:literal, $default:expr;)+
    ) => {
        $($(#[doc = $doc])+ pub const $ident: Variable = Variable {
            name: concat!($prefix, $name), meaning: concat!($($doc),+), default: $default,
        };)+
        $(#[doc = $of_all])+
        pub const $all: &[Variable] = &[$($ident),+];
    };
}

variables! {
    /// All of the engine's own, in the order of the documents.
    ALL, "AWS_EXE_SYS_":
    /// Table of one row an order, which outsiders read.
    ORDERS_TABLE = "ORDERS_TABLE", None;
    /// Table of the events of runs and orders.
    ORDER_EVENTS_TABLE = "ORDER_EVENTS_TABLE", None;
    /// Table of the run items, which hold lease and ledger.
    LOCKS_TABLE = "LOCKS_TABLE", None;
    /// Bucket of bundles, results, claims and logs.
    INTERNAL_BUCKET = "INTERNAL_BUCKET", None;
    /// Bucket of the `done` objects.
    DONE_BUCKET = "DONE_BUCKET", None;
    /// Name or ARN of the worker function.
    WORKER_LAMBDA = "WORKER_LAMBDA", None;
    /// Name of the CodeBuild project of the worker.
    CODEBUILD_PROJECT = "CODEBUILD_PROJECT", None;
    /// User that the worker runs commands as in a CodeBuild container; by default its own.
    COMMAND_USER = "COMMAND_USER", Some("");
    /// ARN of the watchdog's state machine.
    WATCHDOG_SFN = "WATCHDOG_SFN", None;
    /// Name of the SSM document that runs an order on an instance.
    SSM_DOCUMENT = "SSM_DOCUMENT", None;
    /// Folder into which commands put the JSON files that become events; set for commands.
    EVENTS_DIR = "EVENTS_DIR", None;
    /// Seconds that events are kept.
    EVENT_TTL_SECONDS = "EVENT_TTL_SECONDS", Some("7776000");
    /// First path element of the engine's own parameters.
    SSM_PREFIX = "SSM_PREFIX", Some("exe-sys");
    /// ARN of the KMS key that keys of runs are encrypted with; by default AWS's own for parameters.
    KMS_KEY_ARN = "KMS_KEY_ARN", Some("");
    /// URL of the HTTP API that takes jobs; for the command line alone.
    API_URL = "API_URL", None;
    /// Hosts that jobs may fetch git code from, separated by commas.
    GIT_HOSTS = "GIT_HOSTS", Some("github.com,gitlab.com,bitbucket.org");
    /// Account of the deployment, whose buckets jobs name as a source if these say nothing else.
    ACCOUNT_ID = "ACCOUNT_ID", None;
    /// Buckets that jobs may name as a source, `bucket` or `bucket=account`, separated by commas; by default the internal one alone.
    SOURCE_BUCKETS = "SOURCE_BUCKETS", Some("");
    /// Longest `job_timeout` in seconds; below the life of the objects under `tmp/`.
    MAX_JOB_TIMEOUT = "MAX_JOB_TIMEOUT", Some("79200");
    /// Most orders of one run at once, per execution target.
    MAX_PARALLEL = "MAX_PARALLEL", Some("lambda=500,codebuild=20,ssm=50");
    /// A job as JSON, for `aws-exe run` without a file.
    JOB_JSON = "JOB_JSON", None;
    /// Engine time for tests, `<origin in epoch ms>@<factor>`; real time when it is not set.
    CLOCK = "CLOCK", Some("");
    /// Set by the embedded AWS: git sources may be paths and `file://` URLs.
    LOCAL_SOURCES = "LOCAL_SOURCES", Some("");
    /// Name of the parameter that holds the headers for the collector of traces, in the form of `OTEL_EXPORTER_OTLP_HEADERS`.
    OTLP_HEADERS_PARAMETER = "OTLP_HEADERS_PARAMETER", Some("");
}

variables! {
    /// Those of OpenTelemetry that the engine reads; what they mean is said by
    /// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and
    /// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
    OPEN_TELEMETRY, "OTEL_":
    /// `true` switches everything off.
    OTEL_SDK_DISABLED = "SDK_DISABLED", Some("");
    /// `none` switches traces off.
    OTEL_TRACES_EXPORTER = "TRACES_EXPORTER", Some("otlp");
    /// Base URL of the collector; `/v1/traces` is put behind it. Without this one and the next there are no traces.
    OTEL_EXPORTER_OTLP_ENDPOINT = "EXPORTER_OTLP_ENDPOINT", None;
    /// URL for traces, taken as it is.
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "EXPORTER_OTLP_TRACES_ENDPOINT", None;
    /// Headers of each request, `name=value,…`, percent-encoded; may be a secret.
    OTEL_EXPORTER_OTLP_HEADERS = "EXPORTER_OTLP_HEADERS", None;
    /// The same for traces alone.
    OTEL_EXPORTER_OTLP_TRACES_HEADERS = "EXPORTER_OTLP_TRACES_HEADERS", None;
    /// Milliseconds that sending may take, at most 10000.
    OTEL_EXPORTER_OTLP_TIMEOUT = "EXPORTER_OTLP_TIMEOUT", Some("2000");
    /// The same for traces alone.
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT = "EXPORTER_OTLP_TRACES_TIMEOUT", None;
    /// `http/json` is the only protocol that is spoken.
    OTEL_EXPORTER_OTLP_PROTOCOL = "EXPORTER_OTLP_PROTOCOL", Some("http/json");
    /// The same for traces alone.
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL = "EXPORTER_OTLP_TRACES_PROTOCOL", None;
    /// Name of the service in traces.
    OTEL_SERVICE_NAME = "SERVICE_NAME", Some("aws-exe");
    /// Attributes of the service, `name=value,…`, percent-encoded.
    OTEL_RESOURCE_ATTRIBUTES = "RESOURCE_ATTRIBUTES", None;
}

/// Variables by which a machine says how https is reached from it; what fetches code is given these as well.
pub const HTTPS_SETTINGS: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "GIT_SSL_CAINFO"];

/// Variables that a function needs and does not have, or has with a value that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the settings: {}", .0.join("; "))]
pub struct BadSettings(pub Vec<String>);

/// The environment of this process, read once at start; in tests, any map.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl fmt::Debug for Environment {
    /// The names alone: among the values are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The real environment. Variables that are not UTF-8 are none of ours and are left out.
    pub fn of_process() -> Self {
        Self(env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// An environment of these variables alone.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The value of any variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A reader that collects every problem before it reports.
    pub fn reader(&self) -> Reader<'_> {
        Reader { environment: self, problems: Vec::new() }
    }

    /// The clock that [`CLOCK`] asks for.
    pub fn clock(&self) -> Result<Clock, BadSettings> {
        self.get(CLOCK.name)
            .map_or(Ok(Clock::REAL), |text| text.parse().map_err(|e| BadSettings(vec![format!("{}: {e}", CLOCK.name)])))
    }
}

/// Reads variables and remembers what is wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The value, or its default; an empty text and a remembered problem when there is neither.
    pub fn text(&mut self, variable: Variable) -> String {
        let value = self.environment.get(variable.name).or(variable.default).map(str::to_owned);
        value.unwrap_or_else(|| {
            self.problems.push(format!("`{}` is not set ({})", variable.name, variable.meaning.trim()));
            String::new()
        })
    }

    /// The value parsed; `fallback` and a remembered problem when it cannot be.
    pub fn parsed<T: FromStr>(&mut self, variable: Variable, fallback: T) -> T {
        let text = self.text(variable);
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!("`{}` cannot be `{text}` ({})", variable.name, variable.meaning.trim()));
            fallback
        })
    }

    /// The parts of a list separated by commas; blanks and empty parts are left out.
    pub fn list(&mut self, variable: Variable) -> Vec<String> {
        self.text(variable).split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// The same with each part parsed; those that cannot be are remembered as problems.
    pub fn parsed_list<T: FromStr<Err: std::fmt::Display>>(&mut self, variable: Variable) -> Vec<T> {
        let parts = self.list(variable);
        let parsed = parts.iter().map(|part| part.parse().map_err(|error| (part, error)));
        let (parsed, problems): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
        let told = problems.into_iter().filter_map(Result::err);
        self.problems.extend(told.map(|(part, error)| format!("`{}`: `{part}` {error}", variable.name)));
        parsed.into_iter().filter_map(Result::ok).collect()
    }

    /// Remembers a problem that a caller found.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// `value`, unless a problem was found on the way.
    pub fn finish<T>(self, value: T) -> Result<T, BadSettings> {
        if self.problems.is_empty() { Ok(value) } else { Err(BadSettings(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let environment = Environment::of([(LOCKS_TABLE.name, "locks")]);
        let mut reader = environment.reader();
        assert_eq!(reader.text(LOCKS_TABLE), "locks");
        reader.text(ORDERS_TABLE);
        reader.text(INTERNAL_BUCKET);
        let error = reader.finish(()).unwrap_err().to_string();
        assert!(error.contains("AWS_EXE_SYS_ORDERS_TABLE") && error.contains("AWS_EXE_SYS_INTERNAL_BUCKET"), "{error}");
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", Environment::of([("AWS_SECRET_ACCESS_KEY", "canary")]));
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn names_are_unique_and_described() {
        let all = [ALL, OPEN_TELEMETRY].concat();
        let mut names: Vec<_> = all.iter().map(|v| v.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|v| v.meaning.len() > 10));
    }
}
