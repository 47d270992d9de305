//! What is tampered with, by its name.

use checker::Evidence;
use serde_json::{Value, json};

use crate::healthy::{at, put};

pub(super) fn item(evidence: &mut Evidence) -> &mut Value {
    evidence.item.as_mut().unwrap()
}

pub(super) fn row<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    evidence.rows.get_mut(number).unwrap()
}

pub(super) fn body<'e>(evidence: &'e mut Evidence, key: &str) -> &'e mut Value {
    evidence.objects.get_mut(key).unwrap_or_else(|| panic!("there is no `{key}`")).body.as_mut().unwrap()
}

pub(super) fn result<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    body(evidence, &format!("tmp/callbacks/runs/run-1/{number}/result.json"))
}

pub(super) fn claim<'e>(evidence: &'e mut Evidence, number: &str) -> &'e mut Value {
    body(evidence, &format!("tmp/claims/run-1/{number}.json"))
}

pub(super) fn done(evidence: &mut Evidence) -> &mut Value {
    evidence.done.as_mut().unwrap().body.as_mut().unwrap()
}

pub(super) fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field);
}

pub(super) fn remove_object(evidence: &mut Evidence, key: &str) {
    evidence.objects.remove(key).unwrap();
}

pub(super) fn event_of<'e>(evidence: &'e mut Evidence, name: &str, kind: &str) -> &'e mut Value {
    evidence.events.iter_mut().find(|event| event["order_name"] == name && event["event_type"] == kind).unwrap()
}

pub(super) fn drop_event(evidence: &mut Evidence, name: &str, kind: &str) {
    evidence.events.retain(|event| event["order_name"] != name || event["event_type"] != kind);
}

pub(super) fn add_event(evidence: &mut Evidence, event: Value) {
    evidence.events.push(event);
    evidence.events.sort_by_key(|event| event["epoch"].as_str().unwrap().to_owned());
}

pub(super) fn claim_for_engine(evidence: &mut Evidence, key: &str, status: &str, seconds: u64) {
    put(
        evidence,
        key,
        seconds,
        json!({"nonce": key, "by": "engine", "at": at(seconds), "status": status, "reason": "r"}),
    );
}
