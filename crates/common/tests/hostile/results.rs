//! `result.json` as anybody may have written it: each field with each kind of JSON that it cannot have.

use common::{clock::Timestamp, outcome::OrderResult, status::Outcome};
use serde_json::{Value, json};

/// A value of each kind, beside null. What has no fraction is a whole number.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("bool", json!(true)),
        ("negative", json!(-1)),
        ("large", json!(u64::MAX)),
        ("number", json!(1.5)),
        ("huge", json!(1e300)),
        ("string", json!("\u{1b}[2Jtext")),
        ("list", json!([1])),
        ("list", json!([[[]]])),
        ("object", json!({})),
        ("object", json!({"a": {"b": null}})),
    ]
}

/// Fields with the kinds that each may be, and null where it may be left out.
const FIELDS: [(&str, &[&str]); 13] = [
    ("status", &[]),
    ("log", &["string"]),
    ("schema_version", &["null"]),
    ("reason", &["string", "null"]),
    ("exit_code", &["negative", "null"]),
    ("failed_command", &["large", "null"]),
    ("started_at", &["number", "null"]),
    ("finished_at", &["number", "null"]),
    ("writer", &["string", "null"]),
    ("skipped", &["bool"]),
    ("log_truncated", &["bool", "null"]),
    ("log_location", &["string", "null"]),
    ("events", &[]),
];
const EVENT: [(&str, &[&str]); 4] =
    [("event_type", &["string"]), ("status", &["string"]), ("epoch", &["number"]), ("data", &["object"])];

#[test]
fn fields_of_every_wrong_kind() {
    let mut failed = 0;
    let mut fails = |result: &Value, field: &str| {
        let at = Timestamp::from_secs(1_700_000_000);
        let read = OrderResult::read(&serde_json::to_vec(result).unwrap(), at);
        let reason = read.reason.unwrap_or_default();
        assert_eq!(read.status, Outcome::Failed, "{result}");
        let told =
            reason.strip_prefix("its result.json cannot be read: ").unwrap_or_else(|| panic!("{result}: {reason}"));
        assert!(told.starts_with(field) && told.len() < 1_000 && !told.contains(char::is_control), "{result}: {told}");
        failed += 1;
    };
    for (kind, value) in kinds().into_iter().chain([("null", Value::Null)]) {
        for (field, _) in FIELDS.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
            let mut result = json!({"status": "succeeded", "log": ""});
            result[*field] = value.clone();
            fails(&result, field);
        }
        for (field, _) in EVENT.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
            let mut event = json!({"event_type": "e", "status": "s", "epoch": 1, "data": {}});
            event[*field] = value.clone();
            fails(&json!({"status": "succeeded", "events": [event]}), &format!("events[0].{field}"));
        }
    }
    for status in [
        "",
        "Succeeded",
        "SUCCEEDED",
        "success",
        "ok",
        "running",
        "queued",
        "init",
        "succeeded ",
        "s\u{443}cceeded",
        "null",
    ] {
        fails(&json!({"status": status}), "status");
    }
    for word in [String::new(), "x".repeat(129)] {
        let event = json!({"event_type": word, "status": "s", "epoch": 1});
        fails(&json!({"status": "succeeded", "events": [event]}), "events[0].event_type");
        let event = json!({"event_type": "e", "status": word, "epoch": 1});
        fails(&json!({"status": "succeeded", "events": [event]}), "events[0].status");
    }
    for time in
        ["", "-1", "1e3", "1.1234567890", "18446744073709551616", "now", "2024-01-01T00:00:00Z", "1 ", "\u{661}"]
    {
        fails(&json!({"status": "succeeded", "started_at": time}), "started_at");
        fails(&json!({"status": "succeeded", "finished_at": time}), "finished_at");
        let event = json!({"event_type": "e", "status": "s", "epoch": time});
        fails(&json!({"status": "succeeded", "events": [event]}), "events[0].epoch");
    }
    println!("{failed} results failed their order");
    assert!(failed >= 200);
}
