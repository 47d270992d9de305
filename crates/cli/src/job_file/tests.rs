//! Jobs as they are read, and what people see of those that are wrong.

use common::intake::validate::validate;
use serde_json::json;

use super::{excerpt::Style, *};
use crate::verbs::validate::rules;

mod generated;

const STYLE: Style = Style { colour: false, width: 90 };

fn source(name: &str, text: &str) -> Source {
    let format = if name.ends_with("json") { Format::Json } else { Format::Yaml };
    Source { name: name.to_owned(), text: text.into(), format }
}

fn reading(name: &str, text: &str, vars: &[&str]) -> Result<JobFile, BadJob> {
    let vars: Vec<_> = vars.iter().map(|text| (*text).to_owned()).collect();
    JobFile::of(Arc::new(source(name, text)), &Variables::of(&vars, &Environment::default()).unwrap())
}

/// What is wrong with a job, as `validate` finds it.
fn bad(name: &str, text: &str, vars: &[&str]) -> BadJob {
    let job = match reading(name, text, vars) {
        Ok(job) => job,
        Err(bad) => return bad,
    };
    let problems = validate(&job.document, &rules(&Environment::default(), false).unwrap()).unwrap_err();
    job.invalid(problems)
}

fn shown(name: &str, text: &str, vars: &[&str]) -> String {
    let bad = bad(name, text, vars);
    let hint = bad.hint.iter().map(|hint| format!("\nhint: {hint}"));
    bad.shown(&format!("error: {}", bad.title()), STYLE) + &hint.collect::<String>()
}

#[test]
fn json_and_yaml_give_the_same_job() {
    let folder = tempfile::tempdir().unwrap();
    let read_as = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let args = JobArgs { job: Some(path), ..JobArgs::default() };
        read(&args, &Environment::default()).map(|job| job.document).map_err(|bad| bad.title())
    };
    let yaml = "username: me\norders:\n  - cmds: [\"true\"]\n    timeout: 5\n    must_succeed: false\n";
    let job = json!({"username": "me", "orders": [{"cmds": ["true"], "timeout": 5, "must_succeed": false}]});
    for (name, text) in [
        ("job.yaml", yaml),
        ("job", yaml),
        ("job.yml", &job.to_string()),
        ("job", &job.to_string()),
        ("job.json", &job.to_string()),
        ("job.json", &format!("\u{feff}\n {job}")),
        ("job.yaml", &format!("\u{feff}{yaml}")),
    ] {
        assert_eq!(read_as(name, text), Ok(job.clone()), "{name} {text}");
    }
    let told = read_as("job.json", yaml).unwrap_err();
    assert!(told.ends_with("/job.json` is not JSON"), "{told}");
    let told = read_as("job.yaml", &"#".repeat(MAX_JOB_BYTES + 1)).unwrap_err();
    assert!(told.ends_with("/job.yaml` is larger than 10485760 bytes"), "{told}");
}

#[test]
fn without_a_file_the_job_is_the_variables() {
    let from = |environment: &Environment| read(&JobArgs::default(), environment);
    let job = from(&Environment::of([(JOB_JSON.name, r#"{"username": "me"}"#)])).unwrap();
    assert_eq!(job.document, json!({"username": "me"}));
    let bad = from(&Environment::of([(JOB_JSON.name, "username: me")])).unwrap_err();
    insta::assert_snapshot!(bad.shown(&bad.title(), STYLE), @r"
    `$AWS_EXE_SYS_JOB_JSON` is not JSON
      --> $AWS_EXE_SYS_JOB_JSON:1:1
       |
     1 | username: me
       | ^ expected value
    ");
    let bad = from(&Environment::default()).unwrap_err();
    assert_eq!((bad.title().as_str(), bad.hint.is_some()), ("no job is given", true));
}

const YAML: &str = "\
# My job.
username: me
orders:
  - order_name: build
    execution_target: lambda
    timeout: 0
    cmds: [make]
  - order_name: test
    execution_target: lamda
    dependencies: [biuld]
    cmds: make test
    env_vars: {STAGE: test, RUN_ID: x, 1A: y}
    timout: 5
";

#[test]
fn an_invalid_job_in_yaml() {
    insta::assert_snapshot!(shown("job.yaml", YAML, &[]), @r"
    error: the job is not valid: 8 problems
       --> job.yaml:6:14
        |
      6 |     timeout: 0
        |              ^ orders[0].timeout: must be at least 1, not 0
    ...
      8 |   - order_name: test
        |     ^^^^^^^^^^^^^^^^ orders[1].timeout: is missing
      9 |     execution_target: lamda
        |                       ^^^^^
        |     orders[1].execution_target: `lamda` is none of `lambda`, `codebuild`, `ssm`,
        |     `auto`
     10 |     dependencies: [biuld]
        |                    ^^^^^
        |     orders[1].dependencies[0]: `biuld` is no order's name or queue id; did you mean
        |     `build`?
     11 |     cmds: make test
        |           ^^^^^^^^^ orders[1].cmds: must be a list, not a string
     12 |     env_vars: {STAGE: test, RUN_ID: x, 1A: y}
        |                             ^^^^^^ orders[1].env_vars.RUN_ID: is set by the engine
        |                                        ^^
        |           orders[1].env_vars.1A: is no variable's name; use `[A-Za-z_][A-Za-z0-9_]*`
     13 |     timout: 5
        |     ^^^^^^ orders[1].timout: is no known field; did you mean `timeout`?
    ");
}

#[test]
fn an_invalid_job_in_json() {
    let document = reading("job.yaml", YAML, &[]).unwrap().document;
    insta::assert_snapshot!(shown("job.json", &serde_json::to_string_pretty(&document).unwrap(), &[]), @r#"
    error: the job is not valid: 8 problems
       --> job.json:9:18
        |
      9 |       "timeout": 0
        |                  ^ orders[0].timeout: must be at least 1, not 0
    ...
     11 |     {
        |     ^ orders[1].timeout: is missing
     12 |       "cmds": "make test",
        |               ^^^^^^^^^^^ orders[1].cmds: must be a list, not a string
    ...
     14 |         "biuld"
        |         ^^^^^^^
        |     orders[1].dependencies[0]: `biuld` is no order's name or queue id; did you mean
        |     `build`?
    ...
     17 |         "1A": "y",
        |         ^^^^
        |         orders[1].env_vars.1A: is no variable's name; use `[A-Za-z_][A-Za-z0-9_]*`
     18 |         "RUN_ID": "x",
        |         ^^^^^^^^ orders[1].env_vars.RUN_ID: is set by the engine
    ...
     21 |       "execution_target": "lamda",
        |                           ^^^^^^^
        |     orders[1].execution_target: `lamda` is none of `lambda`, `codebuild`, `ssm`,
        |     `auto`
    ...
     23 |       "timout": 5
        |       ^^^^^^^^ orders[1].timout: is no known field; did you mean `timeout`?
    "#);
    insta::assert_snapshot!(shown("job.json", &document.to_string(), &[]), @r#"
    error: the job is not valid: 8 problems
      --> job.json:1:88
       |
     1 | …er_name":"build","timeout":0},{"cmds":"make test","dependencies":["biuld"],"env_var…
       |                             ^ orders[0].timeout: must be at least 1, not 0
       |                                ^ orders[1].timeout: is missing
       |                                        ^^^^^^^^^^^
       |                                        orders[1].cmds: must be a list, not a string
       |                                                                    ^^^^^^^
       |     orders[1].dependencies[0]: `biuld` is no order's name or queue id; did you mean
       |     `build`?
    ...
     1 | …ies":["biuld"],"env_vars":{"1A":"y","RUN_ID":"x","STAGE":"test"},"execution_target"…
       |                             ^^^^
       |            orders[1].env_vars.1A: is no variable's name; use `[A-Za-z_][A-Za-z0-9_]*`
       |                                      ^^^^^^^^
       |                                      orders[1].env_vars.RUN_ID: is set by the engine
    ...
     1 | …"test"},"execution_target":"lamda","order_name":"test","timout":5}],"username":"me"…
       |                             ^^^^^^^
       |     orders[1].execution_target: `lamda` is none of `lambda`, `codebuild`, `ssm`,
       |     `auto`
       |                                                         ^^^^^^^^
       |                          orders[1].timout: is no known field; did you mean `timeout`?
    "#);
}

#[test]
fn a_job_that_is_wrong_as_a_whole() {
    insta::assert_snapshot!(shown("job.yaml", "- username: me\n", &[]), @r"
    error: the job is not valid: 1 problem
      --> job.yaml
       |
       = must be an object, not a list
    ");
    insta::assert_snapshot!(shown("job.json", "{}", &[]), @r"
    error: the job is not valid: 2 problems
      --> job.json:1:1
       |
     1 | {}
       | ^ username: is missing
       | ^ orders: is missing
    ");
}

#[test]
fn more_problems_than_a_report_has() {
    let job = json!({"username": "me", "orders": vec![json!({"cmds": []}); 300]});
    let shown = shown("job.json", &serde_json::to_string_pretty(&job).unwrap(), &[]);
    assert_eq!(shown.lines().next(), Some("error: the job is not valid: more than 200 problems"));
    assert!(
        shown.ends_with("|       ^^^^^^ orders[9].cmds: must not be empty\n    |\n    = and 181 more, with `--json`"),
        "{shown}"
    );
}

#[test]
fn what_is_no_json() {
    for (text, place, told) in [
        ("", "1:1", "EOF while parsing a value"),
        ("[1,\n\n", "1:4", "EOF while parsing a value"),
        ("{\"a\": 1,\n}", "2:1", "trailing comma"),
        ("{\"ü\": 1, b}", "1:10", "key must be a string"),
        ("{}\n\nx", "3:1", "trailing characters"),
        ("{\"a\": \"\n\"}", "1:8", "control character (\\u0000-\\u001F) found while parsing a string"),
    ] {
        let shown = shown("job.json", text, &[]);
        assert!(shown.contains(&format!("--> job.json:{place}\n")) && shown.ends_with(told), "{text:?}: {shown}");
    }
    insta::assert_snapshot!(shown("job.json", "{\n  \"username\": \"me\",\n  \"orders\": [\n}\n", &[]), @r"
    error: `job.json` is not JSON
      --> job.json:4:1
       |
     4 | }
       | ^ expected value
    ");
}

#[test]
fn what_is_no_yaml() {
    for (text, place, told) in [
        ("a: [1,", "1:4", "unclosed bracket '['"),
        ("a:\n\t- b", "2:2", "tabs disallowed within this context (block indentation)"),
        ("ü: *x", "1:4", "reference to unknown value"),
        ("a: 1\na: 2", "2:1", "duplicate mapping key: a not allowed here"),
        ("a: .nan", "1:4", "value `.nan` is not a finite number"),
        ("--- 1\n--- 2", "2:5", "only single YAML document expected but multiple found"),
    ] {
        let shown = shown("job.yaml", text, &[]);
        assert!(shown.contains(&format!("--> job.yaml:{place}\n")) && shown.ends_with(told), "{text:?}: {shown}");
    }
    insta::assert_snapshot!(shown("job.yaml", "username: me\norders:\n  - cmds: [make\n    timeout: 5\n", &[]), @r"
    error: `job.yaml` is not YAML
      --> job.yaml:4:12
       |
     4 |     timeout: 5
       |            ^ illegal placement of ':' indicator
    ");
}

#[test]
fn a_job_that_cannot_be_filled_in() {
    let text = "username: ${var.USER}\norders:\n  - timeout: ${var.TIME}\n    cmds:\n      - |\n        make\n        echo ${var.STAGE} $${var.STAGE} ${var.1}\n";
    insta::assert_snapshot!(shown("job.yaml", text, &["TIMES=5", "USER=me"]), @r"
    error: the job cannot be filled in: 4 problems
      --> job.yaml:3:14
       |
     3 |   - timeout: ${var.TIME}
       |              ^^^^^^^^^^^
       |              orders[0].timeout: `${var.TIME}` has no value; did you mean `TIMES`?
    ...
     7 |         echo ${var.STAGE} $${var.STAGE} ${var.1}
       |              ^^^^^^^^^^^^ orders[0].cmds[0]: `${var.STAGE}` has no value
       |                                         ^^^^^^^^
       |            orders[0].cmds[0]: `1` is no name of a value; use `[A-Za-z_][A-Za-z0-9_]*`
       |
       = `--var TIMES` is used nowhere in the job
    hint: give it with `--var STAGE=VALUE`, or with `--var STAGE` if the environment has a variable of that name
    ");
    insta::assert_snapshot!(shown("job.json", r#"{"username": "${var.USER}"}"#, &[]), @r#"
    error: the job cannot be filled in: 1 problem
      --> job.json:1:15
       |
     1 | {"username": "${var.USER}"}
       |               ^^^^^^^^^^^ username: `${var.USER}` has no value
    hint: give it with `--var USER=VALUE`, or with `--var USER` if the environment has a variable of that name
    "#);
}

#[test]
fn a_value_that_does_not_fit_is_shown_where_it_is_used() {
    let text = "username: me\norders:\n  - timeout: ${var.TIME}\n    cmds: [make]\n";
    insta::assert_snapshot!(shown("job.yaml", text, &["TIME=long"]), @r"
    error: the job is not valid: 1 problem
      --> job.yaml:3:14
       |
     3 |   - timeout: ${var.TIME}
       |              ^^^^^^^^^^^ orders[0].timeout: must be an integer, not a string
    ");
}

#[test]
fn a_filled_job_is_held_against_the_limit() {
    // Escaped in JSON, each line end is two characters.
    let lines = "\n".repeat(MAX_JOB_BYTES / 2);
    let bad = reading("job.yaml", "username: ${var.LINES}\n", &[&format!("LINES={lines}")]).unwrap_err();
    assert_eq!(bad.title(), "the job `job.yaml` is larger than 10485760 bytes as JSON");
}
