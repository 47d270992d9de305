//! Spans as OTLP/HTTP takes them in JSON: the message `ExportTraceServiceRequest`, and what of the answer matters.
//!
//! The form is that of <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: ids in hex, 64-bit numbers as
//! texts, enums as numbers, names in lowerCamelCase. Why it is written here and by no library says decision 19.

use serde::Serialize;

use super::span::{Span, Value};
use crate::{clock::Timestamp, text::sentence};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`. A span without a status is `STATUS_CODE_UNSET`, which is no error.
const ERROR: u8 = 2;
/// Characters of a collector's message that are kept.
const MAX_MESSAGE: usize = 200;

/// The body of a request. `resource` says whose the spans are.
pub(super) fn body(resource: &[(String, String)], spans: &[Span]) -> serde_json::Result<Vec<u8>> {
    let attributes = resource.iter().map(|(key, value)| Attribute { key, value: Any::Text(value) }).collect();
    let scope = Scope { name: "aws-exe", version: env!("CARGO_PKG_VERSION") };
    let spans = spans.iter().map(Written::of).collect();
    let scope_spans = [ScopeSpans { scope, spans }];
    serde_json::to_vec(&Request { resource_spans: [ResourceSpans { resource: Resource { attributes }, scope_spans }] })
}

/// What a collector did not take, and why, if it says so in its answer of 200.
pub(super) fn rejected(answer: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    // A 64-bit number: a text, or from senders who know better a number.
    let count = partial.get("rejectedSpans")?;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| *count > 0)?;
    let message = partial.get("errorMessage").and_then(serde_json::Value::as_str).unwrap_or("it does not say why");
    Some(format!("the collector refused {count} of the spans: {}", sentence(message, MAX_MESSAGE)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: Any<'a>,
}

#[derive(Serialize)]
enum Any<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

impl<'a> Written<'a> {
    fn of(span: &'a Span) -> Self {
        let attribute = |(key, value): &'a (&'static str, Value)| {
            let value = match value {
                Value::Text(text) => Any::Text(text),
                Value::Number(number) => Any::Number(number.to_string()),
                Value::Flag(flag) => Any::Flag(*flag),
            };
            Attribute { key, value }
        };
        Self {
            trace_id: hex::encode(span.trace),
            span_id: hex::encode(span.id),
            parent_span_id: span.parent.map(hex::encode),
            name: &span.name,
            kind: INTERNAL,
            start_time_unix_nano: nanos(span.start),
            end_time_unix_nano: nanos(span.end),
            attributes: span.attributes.iter().map(attribute).collect(),
            status: span.failed.then_some(Status { code: ERROR }),
        }
    }
}

/// Nanoseconds since the epoch. As text, because after the year 2554 they do not fit 64 bits.
fn nanos(at: Timestamp) -> String {
    format!("{}000", at.micros())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{ids::OrderNum, status::Outcome, telemetry::Place};

    /// Each form once, as the specification has it; its own example is at
    /// <https://github.com/open-telemetry/opentelemetry-proto/blob/main/examples/trace.json>.
    #[test]
    fn a_request_has_the_form_of_the_specification() {
        let (run, order) = ("r".parse().unwrap(), OrderNum::of_index(0));
        let at = |micros: u64| Timestamp::from_micros(1_700_000_000_000_000 + micros);
        let root = Span::of(&run, Place::Run, at(0), at(3));
        let failed = Span::of(&run, Place::Order(order), at(1), at(2))
            .called("build")
            .number("aws_exe.order.exit_code", 3)
            .flag("aws_exe.order.must_succeed", true)
            .status(Outcome::Failed);
        let resource = [("service.name".to_owned(), "aws-exe".to_owned())];
        let body: Json = serde_json::from_slice(&body(&resource, &[root.clone(), failed.clone()]).unwrap()).unwrap();
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let spans = json!([
            {
                "traceId": hex::encode(root.trace), "spanId": hex::encode(root.id), "name": "run", "kind": 1,
                "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000003000",
                "attributes": [text("aws_exe.run_id", "r")],
            },
            {
                "traceId": hex::encode(root.trace), "spanId": hex::encode(failed.id),
                "parentSpanId": hex::encode(root.id), "name": "order build", "kind": 1,
                "startTimeUnixNano": "1700000000000001000", "endTimeUnixNano": "1700000000000002000",
                "attributes": [
                    text("aws_exe.run_id", "r"),
                    {"key": "aws_exe.order.exit_code", "value": {"intValue": "3"}},
                    {"key": "aws_exe.order.must_succeed", "value": {"boolValue": true}},
                    text("aws_exe.status", "failed"),
                ],
                "status": {"code": 2},
            },
        ]);
        let scope = json!({"name": "aws-exe", "version": env!("CARGO_PKG_VERSION")});
        let wanted = json!({"resourceSpans": [{
            "resource": {"attributes": [text("service.name", "aws-exe")]},
            "scopeSpans": [{"scope": scope, "spans": spans}],
        }]});
        assert_eq!(body, wanted);
    }

    #[test]
    fn what_a_collector_refuses_is_told() {
        for (answer, told) in [
            ("", None),
            ("{}", None),
            ("not JSON", None),
            (r#"{"partialSuccess":{}}"#, None),
            (r#"{"partialSuccess":{"rejectedSpans":"0","errorMessage":"a hint"}}"#, None),
            (
                r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too\nold"}}"#,
                Some(r"the collector refused 2 of the spans: too\nold"),
            ),
            (
                r#"{"partialSuccess":{"rejectedSpans":1}}"#,
                Some("the collector refused 1 of the spans: it does not say why"),
            ),
        ] {
            assert_eq!(rejected(answer.as_bytes()).as_deref(), told, "{answer}");
        }
    }
}
