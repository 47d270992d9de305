//! Reading a job: from a file, from standard input, or from the environment; JSON or YAML.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use common::{
    env::{Environment, JOB_JSON},
    intake::request::MAX_JOB_BYTES,
};
use serde_json::Value;

use crate::exit::Failure;

/// Reads the job. Without a path it is the variable's.
pub(crate) fn read(path: Option<&Path>, environment: &Environment) -> Result<Value, Failure> {
    let Some(path) = path else {
        let text = environment.get(JOB_JSON.name).ok_or_else(|| {
            Failure::input("no job is given")
                .hint(format!("name a file, or `-` for standard input, or set `{}`", JOB_JSON.name))
        })?;
        return serde_json::from_str(text)
            .map_err(|error| Failure::input(format!("`{}` is not JSON: {error}", JOB_JSON.name)));
    };
    let shown = path.display();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(
            File::open(path).map_err(|error| Failure::input(format!("failed to open the job `{shown}`: {error}")))?,
        )
    };
    let mut bytes = Vec::new();
    let read = source.take(MAX_JOB_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::input(format!("failed to read the job `{shown}`: {error}")))?;
    if bytes.len() > MAX_JOB_BYTES {
        return Err(Failure::input(format!("the job `{shown}` is larger than {MAX_JOB_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::input(format!("the job `{shown}` is not UTF-8")))?;
    parse(&text, path)
}

/// JSON if it looks like an object, YAML if the file's name says so or it does not.
fn parse(text: &str, path: &Path) -> Result<Value, Failure> {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !is_yaml && text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|error| Failure::input(format!("`{}` is not JSON: {error}", path.display())));
    }
    // `no`, `on` and `y` are words, as YAML 1.2 has it.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Failure::input(format!("`{}` is not YAML: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_give_the_same_job() {
        let yaml = "username: me\norders:\n  - cmds: [\"true\"]\n    timeout: 5\n    must_succeed: false\n";
        let job = json!({"username": "me", "orders": [{"cmds": ["true"], "timeout": 5, "must_succeed": false}]});
        assert_eq!(parse(yaml, Path::new("job.yaml")).unwrap(), job);
        assert_eq!(parse(yaml, Path::new("-")).unwrap(), job);
        assert_eq!(parse(&job.to_string(), Path::new("-")).unwrap(), job);
        assert_eq!(parse(&job.to_string(), Path::new("job.yml")).unwrap(), job);
    }

    #[test]
    fn words_are_no_booleans() {
        let job = parse("env_vars: {COUNTRY: no, SWITCH: on, FLAG: y}", Path::new("job.yaml")).unwrap();
        assert_eq!(job, json!({"env_vars": {"COUNTRY": "no", "SWITCH": "on", "FLAG": "y"}}));
    }

    #[test]
    fn what_is_neither_says_where() {
        let failure = parse("{\"username\": }", Path::new("job.json")).unwrap_err();
        assert!(failure.problems[0].contains("line 1 column"), "{failure:?}");
        assert!(parse("a: [", Path::new("job.yaml")).is_err());
    }
}
