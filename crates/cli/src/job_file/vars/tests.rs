//! What becomes of texts with uses of values, and every way in which they do not fit.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn given(texts: &[&str]) -> Variables {
    let environment = Environment::of([("BRANCH", "main"), ("EMPTY", "")]);
    Variables::of(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), &environment).unwrap()
}

fn filled(texts: &[&str], mut job: Value) -> Value {
    given(texts).fill(&mut job).unwrap_or_else(|misfits| panic!("{misfits:?}"));
    job
}

fn misfits(texts: &[&str], mut job: Value) -> Vec<String> {
    given(texts).fill(&mut job).unwrap_err().problems
}

/// One text filled in.
fn text(texts: &[&str], text: &str) -> String {
    filled(texts, json!({"username": text}))["username"].as_str().unwrap().to_owned()
}

#[test]
fn values_are_filled_in_once() {
    assert_eq!(text(&["A=1", "B=2"], "${var.A}-${var.B}${var.A}"), "1-21");
    assert_eq!(text(&["A=${var.B}$", "B=x"], "${var.A}{var.B} ${var.B}"), "${var.B}${var.B} x");
    assert_eq!(text(&["A="], "[${var.A}]"), "[]");
    assert_eq!(text(&["A=a=b"], "${var.A}"), "a=b");
    assert_eq!(text(&["BRANCH"], "${var.BRANCH}"), "main");
}

#[test]
fn everything_else_is_the_shells() {
    for shell in ["$A ${A} ${A:-x} $(a) $$ ${var} ${variable} ${var_A} $var.A {var.A}", "${VAR.A}", "$"] {
        assert_eq!(text(&[], shell), shell);
    }
    assert_eq!(text(&[], "$${var.A} $${var."), "${var.A} ${var.");
    assert_eq!(text(&["A=x"], "$$${var.A}${var.A}"), "$${var.A}x");
}

#[test]
fn a_value_becomes_what_the_schema_wants() {
    let order = json!({"timeout": "${var.T}", "must_succeed": "${var.B}", "order_name": "${var.T}", "env_vars": {"T": "${var.T}"}});
    let job = filled(&["T=60", "B=false"], json!({"orders": [order], "max_parallel": "${var.T}", "else": "${var.T}"}));
    let order = json!({"timeout": 60, "must_succeed": false, "order_name": "60", "env_vars": {"T": "60"}});
    assert_eq!(job, json!({"orders": [order], "max_parallel": 60, "else": "60"}));
    // What is none stays a text, of which the validator says what it should be.
    for none in ["60s", "", "-", "+1", " 1", "1.5", "1e3", "true", "99999999999999999999"] {
        let job = filled(&[&format!("T={none}")], json!({"job_timeout": "${var.T}"}));
        assert_eq!(job["job_timeout"], none);
    }
    assert_eq!(filled(&["T=-1"], json!({"job_timeout": "${var.T}"}))["job_timeout"], -1);
    assert_eq!(filled(&["T=6"], json!({"job_timeout": "${var.T}0"}))["job_timeout"], "60");
    assert_eq!(
        filled(&["B=yes"], json!({"orders": [{"must_succeed": "${var.B}"}]}))["orders"][0]["must_succeed"],
        "yes"
    );
}

#[test]
fn what_does_not_fit_is_told_all_at_once() {
    let order = json!({"cmds": ["${var.TAGS}", "${var.tag:-x} ${var.open", "${var.\n}"], "env_vars": {"${var.TAG}": "", "a.b": "${var.X}"}});
    assert_eq!(
        misfits(&["TAG=1", "UNUSED=1"], json!({"orders": [order]})),
        [
            "orders[0].cmds[0]: `${var.TAGS}` has no value; did you mean `TAG`?",
            "orders[0].cmds[1]: `tag:-x` is no name of a value; use `[A-Za-z_][A-Za-z0-9_]*`",
            "orders[0].cmds[1]: `${var.` has no `}` behind it; `$${var.` writes it as it is",
            "orders[0].cmds[2]: `${var.` has no `}` behind it; `$${var.` writes it as it is",
            "orders[0].env_vars.${var.TAG}: has `${var.` in its name; values are filled into texts alone",
            "orders[0].env_vars.a.b: `${var.X}` has no value",
            "`--var TAG` is used nowhere in the job",
            "`--var UNUSED` is used nowhere in the job",
        ]
    );
    let told = given(&[]).fill(&mut json!(["${var.A} ${var.B}"])).unwrap_err();
    assert_eq!(
        (told.undefined.as_deref(), told.parts),
        (Some("A"), vec!["${var.A}".to_owned(), "${var.B}".to_owned()])
    );
}

#[test]
fn values_that_cannot_be_used() {
    let of = |texts: &[&str]| {
        let environment = Environment::of([("EMPTY", "")]);
        Variables::of(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), &environment).unwrap_err()
    };
    assert_eq!(
        of(&["A=1", "A=1", "1=2", "=x", "MISSING", "EMPTY"]),
        [
            "`--var A` is given twice",
            "`--var` takes NAME=VALUE or NAME, and `1` is no name",
            "`--var` takes NAME=VALUE or NAME, and `` is no name",
            "`--var MISSING` takes the environment's variable, which is not set or is empty",
            "`--var EMPTY` takes the environment's variable, which is not set or is empty",
        ]
    );
}

#[test]
fn a_filled_job_is_never_larger_than_a_job_may_be() {
    let long = "x".repeat(MAX_JOB_BYTES / 10);
    let uses: Vec<_> = (0..11).map(|_| "${var.A}").collect();
    let told = misfits(&[&format!("A={long}")], json!({"orders": [{"cmds": uses}]}));
    assert_eq!(told, ["the job has more than 10485760 bytes with the values of `--var`"]);
    let told = misfits(&[&format!("A={long}")], json!({"username": "${var.A}".repeat(1_000_000)}));
    assert_eq!(told, ["the job has more than 10485760 bytes with the values of `--var`"]);
}

proptest! {
    /// Against a slow reference: the text is taken apart at the first use, again and again.
    #[test]
    fn filling_in_is_what_it_is_said_to_be(parts in prop::collection::vec(prop_oneof![
        Just("${var.A}"), Just("${var.B}"), Just("$${var.A}"), Just("$"), Just("{"), Just("}"), Just("var."), Just("a"), Just("${")
    ], 0..12)) {
        let written = parts.concat();
        let mut job = json!([written, "${var.A}${var.B}"]);
        let result = given(&["A=1", "B=${var.A}"]).fill(&mut job);
        if let Some(wanted) = reference(&written) {
            prop_assert!(result.is_ok());
            prop_assert_eq!(job[0].as_str().unwrap(), wanted);
        } else {
            prop_assert!(result.is_err());
        }
    }

    #[test]
    fn no_text_panics(text in "(\\$|\\{|\\}|var\\.|A|ü|\\n|\\PC){0,20}", name in "\\PC{0,4}") {
        let mut job = json!({"orders": [{"cmds": [text]}], name: text});
        let _either = given(&["A=x"]).fill(&mut job);
    }
}

fn reference(text: &str) -> Option<String> {
    let Some(at) = text.find("${var.") else { return Some(text.to_owned()) };
    let (before, rest) = (&text[..at], &text[at + 6..]);
    if let Some(before) = before.strip_suffix('$') {
        return Some(format!("{before}${{var.{}", reference(rest)?));
    }
    let (name, rest) = rest.split_once('}')?;
    let value = match name {
        "A" => "1",
        "B" => "${var.A}",
        _ => return None,
    };
    Some(format!("{before}{value}{}", reference(rest)?))
}
