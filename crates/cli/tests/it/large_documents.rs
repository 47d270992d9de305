//! Documents of ten megabytes, of whatever they are made: each is read and judged within 256 MB, or refused for its size.

use std::{fmt::Write as _, process::Command};

use crate::support::aws_exe::{BINARY, call, command};

/// Bytes of the largest document that is taken.
const BYTES: usize = 10 * 1024 * 1024;
/// Bytes that a process may have for all that it writes to: heap and stacks.
const MEMORY: &str = "--data=256000000";

/// A document of the largest size: what begins it, a part again and again with its number for `#`, what ends it.
fn filled(begin: &str, part: &str, end: &str) -> String {
    let mut text = String::with_capacity(BYTES);
    text.push_str(begin);
    let mut number = 0;
    loop {
        let next = part.replace('#', &number.to_string());
        if text.len() + next.len() + end.len() > BYTES {
            break;
        }
        text.push_str(&next);
        number += 1;
    }
    // The last comma goes.
    if text.ends_with(',') {
        text.pop();
    }
    write!(text, "{end}").unwrap();
    text
}

/// Names, by whose endings the form is known, and texts.
fn documents() -> Vec<(&'static str, String)> {
    let order = |begin: &str, part: &str, end: &str| {
        let begin =
            format!(r#"{{"username":"u","orders":[{{"cmds":["x"],"timeout":1,"execution_target":"lambda",{begin}"#);
        filled(&begin, part, &format!("{end}}}]}}"))
    };
    vec![
        ("zeros.json", filled("{\"orders\":[", "0,", "]}")),
        ("lists.json", filled("{\"orders\":[", "[],", "]}")),
        ("objects.json", filled("{\"orders\":[", "{},", "]}")),
        ("texts.json", filled("{\"orders\":[", "\"\",", "]}")),
        ("long.json", filled("{\"username\":\"", "a", "\"}")),
        ("escapes.json", filled("{\"username\":\"", "\\u00e9", "\"}")),
        ("fields.json", filled("{", "\"#\":0,", "}")),
        ("long-fields.json", filled("{", "\"username-#\":0,", "}")),
        ("same-field.json", filled("{", "\"a\":0,", "}")),
        ("orders.json", filled("{\"username\":\"u\",\"orders\":[", "{\"cmds\":[\"x\"],\"timeout\":1},", "]}")),
        ("order-fields.json", order("", "\"f#\":0,", "")),
        ("variables.json", order("\"env_vars\":{", "\"#-\":\"\",", "}")),
        ("good-variables.json", order("\"env_vars\":{", "\"V#\":\"\",", "}")),
        // As many values as are taken, or nearly.
        ("most-variables.json", order("\"env_vars\":{", "\"V#\":\"123456789\",", "}")),
        ("most-bad-variables.json", order("\"env_vars\":{", "\"#-\":\"123456789\",", "}")),
        ("most-fields.json", filled("{", "\"username#\":\"12\",", "}")),
        ("dependencies.json", order("\"dependencies\":[", "\"d#\",", "]")),
        ("names-and-dependencies.json", {
            let named = |n| format!(r#"{{"order_name":"name-{n}","cmds":["x"],"timeout":1}},"#);
            let orders: Vec<String> = (0..5_000).map(named).collect();
            let last = r#"{"cmds":["x"],"timeout":1,"dependencies":["#;
            let begin = format!(r#"{{"username":"u","orders":[{}{last}"#, orders.concat());
            filled(&begin, "\"name-of-#-and-more\",", "]}]}")
        }),
        ("commands.json", order("\"cmds\":[", "\"x\",", "]")),
        ("parameters.json", order("\"ssm_paths\":[", "\"/#\",", "]")),
        ("instances.json", order("\"ssm_targets\":{\"instance_ids\":[", "\"i-#\",", "]}")),
        ("tags.json", order("\"ssm_targets\":{\"tags\":{", "\"#\":\"\",", "}}")),
        ("deep.json", filled("{\"orders\":", "[", "")),
        ("blanks.json", filled("{", " ", "}")),
        ("zeros.yaml", filled("orders: [", "0,", "]")),
        ("lines.yaml", filled("orders:\n", "- 0\n", "")),
        ("fields.yaml", filled("", "f#: 0\n", "")),
        ("orders.yaml", filled("username: u\norders:\n", "- cmds: [x]\n  timeout: 1\n", "")),
        ("deep.yaml", filled("", "- ", "0")),
        ("brackets.yaml", filled("a: ", "[", "")),
        ("anchors.yaml", filled("", "f#: &a# 0\n", "")),
        ("aliases.yaml", filled("a: &a [0,0,0,0,0,0,0,0,0,0]\nb: [", "*a,", "]")),
        ("comments.yaml", filled("", "# #\n", "a: 1")),
        ("documents.yaml", filled("", "--- 0\n", "")),
        ("long.yaml", filled("username: \"", "a", "\"")),
        ("folded.yaml", filled("username: >\n", "  a\n", "")),
    ]
}

#[tokio::test]
async fn whatever_ten_megabytes_are_made_of_fits_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        assert!((BYTES - 100..=BYTES).contains(&text.len()), "{name} has {} bytes", text.len());
        std::fs::write(folder.path().join(name), &text).unwrap();
        let plain = command(folder.path(), &["validate", name]);
        let mut limited = Command::new("prlimit");
        limited.args([MEMORY, BINARY]).args(plain.get_args()).current_dir(folder.path());
        limited
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let said = call(limited).await;
        // 2 is for bad input; a process without memory is ended by a signal.
        if said.code != 2 || said.stderr.len() > 64 * 1024 {
            wrong.push(format!("{name}: exit {}, {:.300}", said.code, said.stderr));
        }
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
