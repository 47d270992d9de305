//! What the Terraform calls things and gives the functions, against the constants of the code.

use std::collections::{BTreeMap, BTreeSet};

use common::{
    env::{self, Environment},
    intake::{settings::Settings as Intake, validate::Entry},
    keys,
    stack::{Function, Stack as Names},
    telemetry::Telemetry,
};
use infra::{
    Module,
    hcl::{self, Body},
    module::{attribute, inner},
};

use super::{ACCOUNT, REGION, module};
use crate::support::Stack;

fn text(module: &Module, body: &Body, key: &str) -> Option<String> {
    Some(module.value(attribute(body, key)?, None).as_str()?.to_owned())
}

#[test]
fn names_are_those_of_the_embedded_aws() {
    let names = Names::embedded();
    let deployed = module().texts(&["name"]);
    let bucket = |name: String| format!("{name}-{ACCOUNT}-{REGION}");
    let mut ours = BTreeMap::from([
        ("orders_table", names.orders_table()),
        ("order_events_table", names.order_events_table()),
        ("locks_table", names.locks_table()),
        ("internal_bucket", bucket(names.internal_bucket())),
        ("done_bucket", bucket(names.done_bucket())),
        ("state_machine", names.state_machine()),
        ("codebuild_project", names.codebuild_project()),
        ("ssm_document", names.ssm_document()),
    ]);
    ours.extend(Function::ALL.map(|function| (function.name(), names.function(function))));
    for (what, name) in ours {
        assert_eq!(deployed[what], name, "{what}");
    }
}

/// Whether a function can start with these variables.
fn starts(function: &str, environment: &Environment) -> Result<(), env::BadSettings> {
    match function {
        "init_job" => Intake::load(environment, Entry::Init).map(drop),
        "ssm_config" => Intake::load(environment, Entry::Ssm).map(drop),
        "orchestrator" => orchestrator::Settings::load(environment).map(drop),
        "watchdog_check" => watchdog_check::Settings::load(environment).map(drop),
        "worker" | "codebuild" => worker::Settings::load(environment).map(drop),
        other => panic!("there is no function `{other}`"),
    }
}

#[test]
fn each_function_gets_the_variables_that_it_needs_and_no_others() {
    let module = module();
    let known = env::ALL.iter().chain(env::OPEN_TELEMETRY).map(|variable| variable.name).chain(["RUST_LOG"]);
    let known: BTreeSet<&str> = known.collect();
    let functions = module.local(&["environment"]).as_object().unwrap().keys().cloned();
    for function in functions.collect::<Vec<_>>() {
        let given = module.texts(&["environment", &function]);
        starts(&function, &Environment::of(given.clone())).unwrap_or_else(|error| panic!("{function}: {error}"));
        for name in given.keys() {
            assert!(known.contains(name.as_str()), "{function} gets `{name}`, which nobody reads");
            let needed = env::ALL.iter().any(|variable| variable.name == name && variable.default.is_none());
            if needed {
                let others = given.iter().filter(|(other, _)| *other != name);
                let without = Environment::of(others.map(|(name, value)| (name.clone(), value.clone())));
                assert!(starts(&function, &without).is_err(), "{function} gets `{name}`, which it does not need");
            }
        }
    }
}

#[test]
fn what_is_not_chosen_is_what_the_functions_take_for_it() {
    let module = module();
    let mut compared = 0;
    for function in Function::ALL {
        let given = module.texts(&["environment", function.name()]);
        // The module of these tests chooses a bucket and headers.
        let chosen = [env::SOURCE_BUCKETS.name, env::OTLP_HEADERS_PARAMETER.name];
        for variable in env::ALL.iter().filter(|variable| !chosen.contains(&variable.name)) {
            if let (Some(given), Some(default)) = (given.get(variable.name), variable.default) {
                assert_eq!(given, default, "`{}` of {}", variable.name, function.name());
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "only {compared} defaults were compared");
}

#[test]
fn whoever_sends_traces_is_told_where_to() {
    let module = module();
    for function in module.local(&["environment"]).as_object().unwrap().keys() {
        let given = module.texts(&["environment", function]);
        let sends = Telemetry::load(&Environment::of(given), function).is_on();
        assert_eq!(sends, function != "watchdog_check", "{function}");
    }
}

#[test]
fn functions_may_take_as_long_as_they_think() {
    let module = module();
    for function in Function::ALL {
        let timeout = module.local(&["functions", function.name(), "timeout"]);
        assert_eq!(timeout.as_u64(), Some(function.timeout_secs()), "{}", function.name());
    }
}

#[test]
fn the_outputs_are_the_contracts() {
    let module = module();
    let outputs: BTreeSet<&str> = module.of_kind("output").map(|block| block.labels()[0].as_str()).collect();
    // What the functions and nobody else are given.
    let inner = [env::EVENTS_DIR, env::JOB_JSON, env::CLOCK, env::LOCAL_SOURCES].map(|variable| variable.name);
    let public = env::ALL.iter().map(|variable| variable.name).filter(|name| !inner.contains(name));
    let names = public.map(|name| name.trim_start_matches("AWS_EXE_SYS_").to_lowercase());
    for name in names.chain(["api_url".to_owned(), "region".to_owned()]) {
        assert!(outputs.contains(name.as_str()), "there is no output `{name}`");
    }
}

#[test]
fn results_invoke_the_orchestrator() {
    let module = module();
    let notification = module.resource("aws_s3_bucket_notification", "internal").body();
    let filter = inner(notification, "lambda_function");
    assert_eq!(text(&module, filter, "filter_prefix").as_deref(), Some(keys::CALLBACKS));
    assert_eq!(text(&module, filter, "filter_suffix").as_deref(), Some(keys::RESULT));
    let events = module.value(attribute(filter, "events").unwrap(), None);
    assert_eq!(events, hcl::value!(["s3:ObjectCreated:*"]));
}

#[test]
fn what_expires_is_what_runs_leave_behind_and_not_before_they_end() {
    let module = module();
    let rules = module.resource("aws_s3_bucket_lifecycle_configuration", "internal").body();
    let mut days = BTreeMap::new();
    for rule in rules.blocks().filter(|block| block.identifier() == "rule") {
        let Some(expiration) = rule.body().blocks().find(|block| block.identifier() == "expiration") else { continue };
        let prefix = text(&module, inner(rule.body(), "filter"), "prefix").unwrap();
        days.insert(prefix, module.value(attribute(expiration.body(), "days").unwrap(), None).as_u64().unwrap());
    }
    let [tmp, logs, workers] = keys::OWN_PREFIXES;
    // What the command line sends for a submission; the workers for instances stay.
    let uploads = ["jobs/uploads/", "sources/uploads/"];
    assert_eq!(days.keys().collect::<Vec<_>>(), [uploads[0], logs, uploads[1], tmp], "not {workers}");
    let longest: u64 = env::MAX_JOB_TIMEOUT.default.unwrap().parse().unwrap();
    assert!(longest + 2 * 3600 <= days[tmp] * 86_400, "a run of {longest} s loses its objects");
}

/// Key attributes of a table or an index, hash key first.
type Keys = Vec<String>;

#[tokio::test]
async fn tables_have_the_keys_and_indexes_of_the_embedded_aws() {
    let module = module();
    let stack = Stack::start().await;
    for (name, table) in
        [("orders", "exe-sys-orders"), ("order_events", "exe-sys-order-events"), ("locks", "exe-sys-locks")]
    {
        let body = module.resource("aws_dynamodb_table", name).body();
        let keys = |body: &Body| -> Keys {
            ["hash_key", "range_key"].into_iter().filter_map(|key| text(&module, body, key)).collect()
        };
        let indexes: BTreeMap<String, Keys> = body
            .blocks()
            .filter(|block| block.identifier() == "global_secondary_index")
            .map(|block| (text(&module, block.body(), "name").unwrap(), keys(block.body())))
            .collect();
        let described = stack.aws.dynamodb().describe_table().table_name(table).send().await.unwrap().table.unwrap();
        let keys_of = |schema: &[aws_sdk_dynamodb::types::KeySchemaElement]| -> Keys {
            schema.iter().map(|element| element.attribute_name.clone()).collect()
        };
        assert_eq!(keys(body), keys_of(described.key_schema()), "{table}");
        let there = described.global_secondary_indexes().iter();
        let there: BTreeMap<String, Keys> =
            there.map(|index| (index.index_name().unwrap().to_owned(), keys_of(index.key_schema()))).collect();
        assert_eq!(indexes, there, "{table}");
        assert_eq!(text(&module, inner(body, "ttl"), "attribute_name").as_deref(), Some("ttl"), "{table}");
    }
}

#[test]
fn what_is_deployed_is_what_the_embedded_aws_runs() {
    let module = module();
    for (kind, name, file) in [
        ("aws_sfn_state_machine", "watchdog", "watchdog.asl.json"),
        ("aws_ssm_document", "run_commands", "run-commands.yaml"),
        ("aws_cloudwatch_event_rule", "codebuild", "codebuild-events.json"),
        ("aws_cloudwatch_event_rule", "ssm", "ssm-events.json"),
        ("aws_codebuild_project", "worker", "buildspec.yml"),
    ] {
        let said = hcl::format::to_string(module.resource(kind, name)).unwrap();
        assert!(said.contains(&format!("file(\"${{path.module}}/{file}\"")), "{kind}.{name} is not made from `{file}`");
    }
}
