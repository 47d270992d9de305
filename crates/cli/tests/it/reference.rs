//! `docs/CLI.md`, the reference of the command line: made from what the binary says of itself and from the constants of the
//! variables, and held against them. `UPDATE_REFERENCE=1 cargo test --workspace --test it reference` writes it again.

use std::{fmt::Write as _, fs, path::Path};

use common::env;

use crate::support::aws_exe::{call, command};

const HEAD: &str = "\
# The command line

Every verb of `aws-exe` with everything that it takes, as `aws-exe VERB --help` prints it, and every variable. This page is
generated: see `crates/cli/tests/it/reference.rs`. What the verbs mean and print is told in
[CONTRACT.md](CONTRACT.md#9-the-command-line), how they are used in [TUTORIAL.md](TUTORIAL.md) and [HOWTO.md](HOWTO.md),
what their errors mean in [errors/](errors/README.md).
";

async fn help(folder: &Path, arguments: &[&str]) -> String {
    let said = call(command(folder, arguments)).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{arguments:?}");
    said.stdout.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[tokio::test]
async fn the_reference_is_what_the_binary_says() {
    let folder = tempfile::tempdir().unwrap();
    let whole = help(folder.path(), &["--help"]).await;
    let verbs = whole.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    let mut page = format!("{HEAD}\n```text\n{whole}```\n");
    for verb in verbs {
        write!(page, "\n## {verb}\n\n```text\n{}```\n", help(folder.path(), &[verb, "--help"]).await).unwrap();
    }
    page.push_str("\n## Variables\n\n| variable | | default |\n| --- | --- | --- |\n");
    for variable in env::ALL {
        let default = variable.default.map_or_else(String::new, |default| match default {
            "" => "empty".to_owned(),
            default => format!("`{default}`"),
        });
        writeln!(page, "| `{}` | {} | {default} |", variable.name, variable.meaning.trim()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_REFERENCE") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/CLI.md is not what the binary says: see the first lines of this file");
}

/// The figures of the tool: how long a call takes that only says something. Printed, not judged: machines differ.
#[tokio::test]
async fn figures_of_the_tool() {
    let folder = tempfile::tempdir().unwrap();
    let order = |number: usize| {
        let dependencies: Vec<String> = if number < 50 { Vec::new() } else { vec![format!("o{}", number - 50)] };
        serde_json::json!({"order_name": format!("o{number}"), "cmds": ["true"], "timeout": 60, "dependencies": dependencies})
    };
    let orders: Vec<_> = (0..1_000).map(order).collect();
    let job = serde_json::json!({"username": "tester", "orders": orders});
    fs::write(folder.path().join("job.json"), job.to_string()).unwrap();
    for arguments in [&["--help"][..], &["validate", "job.json"], &["graph", "job.json"], &["explain", "job.json"]] {
        let mut took = Vec::new();
        for _ in 0..5 {
            let began = common::clock::Clock::REAL.now();
            assert_eq!(call(command(folder.path(), arguments)).await.code, 0);
            took.push(began.until(common::clock::Clock::REAL.now()));
        }
        took.sort();
        println!("aws-exe {}: {:?} (median of 5, debug build)", arguments[0], took[2]);
    }
}
