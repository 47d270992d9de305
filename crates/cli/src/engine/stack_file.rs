//! The names of a deployed stack: from what `terraform output -json` prints, or from the variables that the functions
//! themselves are told by. What is missing is named, all of it at once.

use std::{fs, path::Path};

use common::env::{self, Environment, Variable};
use serde_json::{Map, Value};

use super::Names;
use crate::{code::Code, failure::Failure};

/// What is needed of a stack, each by its variable; its output has the variable's name in lower case, without the
/// prefix.
const NEEDED: [Variable; 6] = [
    env::ORDERS_TABLE,
    env::ORDER_EVENTS_TABLE,
    env::LOCKS_TABLE,
    env::INTERNAL_BUCKET,
    env::DONE_BUCKET,
    env::API_URL,
];

/// Largest file that is read: outputs are some kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// What a stack says of itself.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) names: Names,
    pub(crate) api_url: String,
    /// Where it is, if it says so.
    pub(crate) region: Option<String>,
}

/// Reads the file that `terraform output -json` wrote.
pub(crate) fn read(path: &Path) -> Result<Described, Failure> {
    let shown = path.display();
    let unreadable = |problem: String| {
        Failure::new(Code::StackUnreadable, problem).hint("write it with `terraform output -json > stack.json`")
    };
    let size = fs::metadata(path).map_err(|error| unreadable(format!("failed to read `{shown}`: {error}")))?.len();
    if size > MAX_BYTES {
        return Err(unreadable(format!("`{shown}` has {size} bytes, more than any outputs: {MAX_BYTES}")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(format!("failed to read `{shown}`: {error}")))?;
    let outputs: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| unreadable(format!("`{shown}` is no JSON object: {error}")))?;
    let output = |name: &str| {
        let given = outputs.get(name)?;
        // As Terraform prints it, or already without its types.
        let value = given.get("value").unwrap_or(given);
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let described = describe(|variable| output(&output_name(variable)), output("region"));
    described.map_err(|missing| {
        let names: Vec<String> = missing.iter().map(|variable| format!("`{}`", output_name(variable))).collect();
        Failure::new(Code::StackIncomplete, format!("`{shown}` has no output {}", names.join(", ")))
            .hint("`terraform output -json` of the stack that has the engine prints all of them")
    })
}

/// Reads the variables, if one of them is set.
pub(crate) fn from_variables(environment: &Environment) -> Option<Result<Described, Failure>> {
    let value = |variable: &Variable| environment.get(variable.name).filter(|text| !text.is_empty());
    NEEDED.iter().find_map(value)?;
    let described = describe(|variable| value(variable).map(str::to_owned), None);
    Some(described.map_err(|missing| {
        let names: Vec<String> = missing.iter().map(|variable| format!("`{}`", variable.name)).collect();
        Failure::new(Code::StackIncomplete, format!("{} is not set, but other names of a stack are", names.join(", ")))
            .hint("set what is missing, or name the stack with `--stack FILE`, or speak to an embedded AWS with `--local`")
    }))
}

fn describe(
    value: impl Fn(&Variable) -> Option<String>,
    region: Option<String>,
) -> Result<Described, Vec<&'static Variable>> {
    let [orders, events, locks, internal, done, api] = NEEDED.each_ref().map(&value);
    let (Some(orders_table), Some(order_events_table), Some(locks_table)) = (orders, events, locks) else {
        return Err(missing(value));
    };
    let (Some(internal_bucket), Some(done_bucket), Some(api_url)) = (internal, done, api) else {
        return Err(missing(value));
    };
    let names = Names { orders_table, order_events_table, locks_table, internal_bucket, done_bucket };
    Ok(Described { names, api_url, region })
}

fn missing(value: impl Fn(&Variable) -> Option<String>) -> Vec<&'static Variable> {
    const ALL: &[Variable] = &NEEDED;
    ALL.iter().filter(|variable| value(variable).is_none()).collect()
}

fn output_name(variable: &Variable) -> String {
    variable.name.trim_start_matches("AWS_EXE_SYS_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "orders_table": {"sensitive": false, "type": "string", "value": "t-orders"},
        "order_events_table": {"value": "t-events"}, "locks_table": {"value": "t-locks"},
        "internal_bucket": {"value": "b-internal"}, "done_bucket": {"value": "b-done"},
        "api_url": {"value": "https://x.execute-api.eu-west-1.amazonaws.com"}, "region": {"value": "eu-west-1"},
        "something_else": {"value": ["a"]}
    }"#;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn outputs_as_terraform_prints_them() {
        let described = read(file(WHOLE).path()).unwrap();
        assert_eq!(described.names.locks_table, "t-locks");
        assert_eq!(described.api_url, "https://x.execute-api.eu-west-1.amazonaws.com");
        assert_eq!(described.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let failure = read(file(r#"{"orders_table": {"value": "t"}, "api_url": {"value": ""}}"#).path()).unwrap_err();
        for name in ["order_events_table", "locks_table", "internal_bucket", "done_bucket", "api_url"] {
            assert!(failure.message.contains(&format!("`{name}`")), "{name}: {}", failure.message);
        }
        assert!(!failure.message.contains("`orders_table`"), "{}", failure.message);
        for text in ["[]", "no", ""] {
            assert_eq!(read(file(text).path()).unwrap_err().code, Code::StackUnreadable);
        }
    }

    #[test]
    fn variables_count_when_one_is_set() {
        let of = |pairs: &[(&str, &str)]| {
            from_variables(&Environment::of(pairs.iter().map(|(name, value)| (*name, *value))))
        };
        assert!(of(&[("PATH", "/bin")]).is_none());
        let failure = of(&[(env::LOCKS_TABLE.name, "t-locks")]).unwrap().unwrap_err();
        assert!(failure.message.contains("`AWS_EXE_SYS_API_URL`"), "{}", failure.message);
        assert!(!failure.message.contains("LOCKS_TABLE"), "{}", failure.message);
        let all = NEEDED.map(|variable| (variable.name, "x"));
        assert_eq!(of(&all).unwrap().unwrap().names.orders_table, "x");
    }
}
