//! Where spans are sent and how, from OpenTelemetry's own variables.
//!
//! What cannot be used is said and left out, as the specification wants it; nothing here stops a function from
//! starting.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::env::{self, Environment, Variable};

/// What sending may take at once when nothing is said. The specification has 10 s, which a function pays for and
/// whoever submits waits for.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The longest that can be chosen: the specification's own, far below the time of each function.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The one protocol, in the words of the variable.
const PROTOCOL: &str = "http/json";

/// The headers of each request, in lower case; their values may be secrets.
pub(super) type Headers = Vec<(String, SecretString)>;

/// Where spans are sent and how.
#[derive(Debug)]
pub(super) struct Settings {
    /// The whole URL. Some collectors have a token in it.
    pub(super) url: SecretString,
    pub(super) headers: Headers,
    /// The parameter that has further headers.
    pub(super) headers_parameter: Option<String>,
    pub(super) timeout: Duration,
    /// Whose the spans are.
    pub(super) resource: Vec<(String, String)>,
}

/// What a variable says that cannot be used, and what is done instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) variable: &'static str,
    pub(super) reason: String,
}

/// Reads the settings of a role. `None`: there is no collector, or traces are switched off.
pub(super) fn read(environment: &Environment, role: &str, problems: &mut Vec<Problem>) -> Option<Settings> {
    let get = |variable: Variable| environment.get(variable.name).map(|text| (variable, text.trim()));
    // What is said for traces alone counts first.
    let first = |one: Variable, other: Variable| get(one).or_else(|| get(other));
    let endpoint = first(env::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, env::OTEL_EXPORTER_OTLP_ENDPOINT)?;
    if get(env::OTEL_SDK_DISABLED).is_some_and(|(_, text)| text.eq_ignore_ascii_case("true")) {
        return None;
    }
    let mut problem = |(variable, _): (Variable, &str), reason: String| {
        problems.push(Problem { variable: variable.name, reason });
    };
    match get(env::OTEL_TRACES_EXPORTER) {
        Some((_, "none")) => return None,
        Some((_, "otlp")) | None => {}
        Some(other) => problem(other, "only `otlp` and `none` are known; spans are sent by `otlp`".to_owned()),
    }
    let url = match url(endpoint) {
        Ok(url) => url,
        Err(reason) => {
            problem(endpoint, format!("it {reason}; no spans are sent"));
            return None;
        }
    };
    if let Some(protocol) = first(env::OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, env::OTEL_EXPORTER_OTLP_PROTOCOL)
        && protocol.1 != PROTOCOL
    {
        problem(protocol, format!("only `{PROTOCOL}` is spoken; spans are sent by that"));
    }
    let mut timeout = TIMEOUT;
    if let Some(chosen) = first(env::OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, env::OTEL_EXPORTER_OTLP_TIMEOUT) {
        match chosen.1.parse() {
            Ok(millis @ 1..) => timeout = Duration::from_millis(millis).min(LONGEST_TIMEOUT),
            _ => problem(chosen, format!("it must be milliseconds; {} ms are taken", TIMEOUT.as_millis())),
        }
    }
    let mut headers = Headers::new();
    if let Some(given) = first(env::OTEL_EXPORTER_OTLP_TRACES_HEADERS, env::OTEL_EXPORTER_OTLP_HEADERS) {
        match self::headers(given.1) {
            Ok(given) => headers = given,
            Err(reason) => problem(given, format!("{reason}; none of them is sent")),
        }
    }
    let mut resource = Vec::new();
    if let Some(given) = get(env::OTEL_RESOURCE_ATTRIBUTES) {
        match pairs(given.1) {
            Ok(given) => resource = given,
            Err(reason) => problem(given, format!("{reason}; none of them is sent")),
        }
    }
    let mut set = |key: &str, value: &str| {
        resource.retain(|(other, _)| other != key);
        resource.push((key.to_owned(), value.to_owned()));
    };
    if let Some((_, name)) = get(env::OTEL_SERVICE_NAME) {
        set("service.name", name);
    }
    set("aws_exe.role", role);
    for (key, value) in [
        ("service.name", env::OTEL_SERVICE_NAME.default.unwrap_or_default()),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        if !resource.iter().any(|(other, _)| other == key) {
            resource.push((key.to_owned(), value.to_owned()));
        }
    }
    let headers_parameter = get(env::OTLP_HEADERS_PARAMETER).map(|(_, name)| name.to_owned());
    Some(Settings { url, headers, headers_parameter, timeout, resource })
}

/// The URL that spans are sent to. What is wrong with it completes "it …"; the URL itself is not told.
fn url((variable, text): (Variable, &str)) -> Result<SecretString, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "is no URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with `http://` or `https://`");
    }
    if variable.name == env::OTEL_EXPORTER_OTLP_ENDPOINT.name {
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
    }
    // It is never sent, and has no meaning for whoever answers.
    url.set_fragment(None);
    Ok(String::from(url).into())
}

/// Headers as the variables and the parameter have them. No value is in the error.
pub(super) fn headers(text: &str) -> Result<Headers, &'static str> {
    let checked = |(name, value): (String, String)| {
        let known = HeaderName::try_from(&name).map_err(|_| "a name is none of a header")?;
        HeaderValue::try_from(&value).map_err(|_| "a value cannot stand in a header")?;
        Ok((known.as_str().to_owned(), SecretString::from(value)))
    };
    pairs(text)?.into_iter().map(checked).collect()
}

/// `name=value,…` with percent-encoded values.
fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or("it must have the form `name=value,…`")?;
        let decoded = percent_decode_str(value.trim()).decode_utf8().map_err(|_| "a value is not UTF-8")?;
        match name.trim() {
            "" => Err("a name is missing"),
            name => Ok((name.to_owned(), decoded.into_owned())),
        }
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    fn settings(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<Problem>) {
        let mut problems = Vec::new();
        let settings = read(&Environment::of(variables.iter().copied()), "orchestrator", &mut problems);
        (settings, problems)
    }

    fn sent_to(variables: &[(&str, &str)]) -> Option<String> {
        let (settings, problems) = settings(variables);
        assert_eq!(problems, []);
        settings.map(|settings| settings.url.expose_secret().to_owned())
    }

    #[test]
    fn there_are_no_traces_unless_a_collector_is_named_and_they_are_not_switched_off() {
        assert_eq!(sent_to(&[]), None);
        assert_eq!(sent_to(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(sent_to(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), None);
        assert_eq!(sent_to(&[ON, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(sent_to(&[ON, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert!(sent_to(&[ON, ("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")]).is_some());
    }

    #[test]
    fn a_base_gets_the_path_of_traces_and_a_url_for_traces_is_taken_as_it_is() {
        for (base, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://host/mine/", "https://host/mine/v1/traces"),
            ("https://host/mine?key=1", "https://host/mine/v1/traces?key=1"),
        ] {
            assert_eq!(sent_to(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]).as_deref(), Some(url));
        }
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:1/in");
        assert_eq!(sent_to(&[ON, own]).as_deref(), Some("http://other:1/in"));
        assert_eq!(sent_to(&[own]).as_deref(), Some("http://other:1/in"));
    }

    #[test]
    fn what_cannot_be_used_is_told_with_the_variable_and_without_the_value() {
        for (name, value, is_on) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector-canary:4318", false),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "canary", false),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", true),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf", true),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2s", true),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "canary", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=canary", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%0d%0ab", true),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "=canary", true),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,canary%ff=%ff", true),
            ("OTEL_TRACES_EXPORTER", "zipkin", true),
        ] {
            let (settings, problems) = settings(&[ON, (name, value)]);
            assert_eq!(settings.is_some(), is_on, "{name}={value}");
            assert_eq!(problems.iter().map(|problem| problem.variable).collect::<Vec<_>>(), [name]);
            assert!(!problems[0].reason.contains("canary"), "{}", problems[0].reason);
            assert!(settings.is_none_or(|settings| settings.headers.is_empty() && settings.timeout == TIMEOUT));
        }
    }

    #[test]
    fn headers_are_decoded_and_shown_nowhere() {
        let (settings, _) =
            settings(&[ON, ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20canary%3D, x-team = mine ,")]);
        let settings = settings.unwrap();
        let shown: Vec<_> =
            settings.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(shown, [("authorization", "Basic canary="), ("x-team", "mine")]);
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn the_longest_timeout_is_the_specifications() {
        let timeout = |millis| settings(&[ON, ("OTEL_EXPORTER_OTLP_TIMEOUT", millis)]).0.unwrap().timeout;
        assert_eq!(timeout("500"), Duration::from_millis(500));
        assert_eq!(timeout("60000"), LONGEST_TIMEOUT);
    }

    #[test]
    fn the_resource_is_the_service_with_its_role() {
        let resource = |variables: &[(&str, &str)]| {
            let mut resource = settings(&[&[ON], variables].concat()).0.unwrap().resource;
            resource.sort();
            resource
        };
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let version = own("service.version", env!("CARGO_PKG_VERSION"));
        let role = own("aws_exe.role", "orchestrator");
        assert_eq!(resource(&[]), [role.clone(), own("service.name", "aws-exe"), version.clone()]);
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=p%20q");
        let environment = own("deployment.environment.name", "p q");
        assert_eq!(
            resource(&[attributes]),
            [role.clone(), environment.clone(), own("service.name", "a"), version.clone()]
        );
        let name = ("OTEL_SERVICE_NAME", "b");
        assert_eq!(resource(&[attributes, name]), [role, environment, own("service.name", "b"), version]);
    }
}
