//! What the schema says besides the types agrees with the rules that submissions are held against.

use proptest::prelude::*;
use regex_lite::Regex;

use super::*;
use crate::{
    git,
    intake::validate::{Entry, Rules, validate},
};

fn rules() -> Rules {
    Rules {
        entry: Entry::Init,
        max_job_timeout: 79_200,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "internal".to_owned(),
        account: None,
        source_buckets: Vec::new(),
        git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
    }
}

/// The problems of a job of one order with these fields besides what it needs.
fn problems(job: &Value, order: &Value) -> Vec<String> {
    let mut document =
        json!({"username": "me", "orders": [{"cmds": ["true"], "timeout": 60, "execution_target": "lambda"}]});
    let extend = |fields: &mut Value, over: &Value| {
        fields.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    };
    extend(&mut document["orders"][0], order);
    extend(&mut document, job);
    validate(&document, &rules()).err().unwrap_or_default()
}

/// The pattern at a place of the schema.
fn pattern(schema: &Value, pointer: &str) -> Regex {
    Regex::new(schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).as_str().unwrap()).unwrap()
}

#[test]
fn every_field_is_described_in_a_sentence() {
    let schema = schema();
    let mut described = 0;
    for object in [&schema, &schema["$defs"]["OrderDocument"], &schema["$defs"]["SsmTargets"]] {
        assert_eq!(object["additionalProperties"], false);
        for (name, field) in object["properties"].as_object().unwrap() {
            let description = field["description"].as_str().unwrap_or_else(|| panic!("{name}"));
            assert!(description.ends_with('.') && !description.contains('\n'), "{name}: {description}");
            described += 1;
        }
    }
    assert_eq!(described, 37);
}

#[test]
fn defaults_are_what_is_taken_without_them() {
    let schema = schema();
    let defaults = |object: &Value| -> serde_json::Map<String, Value> {
        let fields = object["properties"].as_object().unwrap().iter();
        fields.filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone()))).collect()
    };
    let (of_job, of_order) = (defaults(&schema), defaults(&schema["$defs"]["OrderDocument"]));
    assert_eq!((of_job.len(), of_order.len()), (2, 3));
    let mut document = json!({"username": "me", "orders": [{"cmds": ["true"], "timeout": 60}]});
    let without = format!("{:?}", validate(&document, &rules()).unwrap());
    document["orders"][0].as_object_mut().unwrap().extend(of_order);
    document.as_object_mut().unwrap().extend(of_job);
    assert_eq!(format!("{:?}", validate(&document, &rules()).unwrap()), without);
}

#[test]
fn every_example_is_accepted() {
    let schema = schema();
    let examples = |object: &Value| -> Vec<(String, Value)> {
        let fields = object["properties"].as_object().unwrap();
        let of = |(name, field): (&String, &Value)| {
            let examples = field.get("examples").and_then(Value::as_array).cloned().unwrap_or_default();
            examples.into_iter().map(|example| (name.clone(), example)).collect::<Vec<_>>()
        };
        fields.iter().flat_map(of).collect()
    };
    let none = json!({});
    for (name, example) in examples(&schema) {
        assert_eq!(problems(&json!({name: example}), &none), [] as [&str; 0]);
    }
    for (name, example) in examples(&schema["$defs"]["OrderDocument"]) {
        let told = problems(&none, &json!({name.clone(): example}));
        // Whose buckets may be named is up to the deployment.
        assert!(told.is_empty() || told[0].contains("does not allow as a source"), "{name}: {told:?}");
    }
    for (name, example) in examples(&schema["$defs"]["SsmTargets"]) {
        let targets = match name.as_str() {
            "instance_ids" | "tags" => json!({name: example}),
            _ => json!({"instance_ids": ["i-1"], name: example}),
        };
        assert_eq!(problems(&none, &json!({"execution_target": "ssm", "ssm_targets": targets})), [] as [&str; 0]);
    }
}

proptest! {
    #[test]
    fn patterns_say_what_the_rules_say(text in "[a-cZ09._ :/%~\\-]{0,4}|\\PC{0,3}|(0|1|10|99|101)%?|1{6,8}|s3://[a-c]{2,4}/.{0,2}(\\.zip)?") {
        let schema = schema();
        let none = json!({});
        let accepts = |job: Value, order: Value| problems(&job, &order).is_empty();
        let matches = |pointer: &str| pattern(&schema, pointer).is_match(&text);
        prop_assert_eq!(matches("/properties/username/pattern"), accepts(json!({"username": text}), none.clone()));
        prop_assert_eq!(matches("/properties/flow_label/pattern"), accepts(json!({"flow_label": text}), none.clone()));
        let order = "/$defs/OrderDocument/properties";
        for name in ["order_name", "queue_id"] {
            prop_assert_eq!(matches(&format!("{order}/{name}/pattern")), accepts(none.clone(), json!({name: text})));
        }
        let is_variable = accepts(none.clone(), json!({"env_vars": {text.clone(): ""}}));
        prop_assert_eq!(matches(&format!("{order}/env_vars/propertyNames/pattern")), is_variable);
        for name in ["max_concurrency", "max_errors"] {
            let targets = json!({"instance_ids": ["i-1"], name: text});
            let is_limit = accepts(none.clone(), json!({"execution_target": "ssm", "ssm_targets": targets}));
            prop_assert_eq!(matches(&format!("/$defs/SsmTargets/properties/{name}/pattern")), is_limit, "{}", name);
        }
        let told = problems(&none, &json!({"s3_location": text}));
        let is_location = told.is_empty() || told[0].contains("does not allow as a source");
        // The rules know of characters that are not seen, too.
        prop_assert!(matches(&format!("{order}/s3_location/pattern")) || !is_location, "{text}");
    }
}
