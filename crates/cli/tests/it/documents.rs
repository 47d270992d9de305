//! `docs/SEMANTICS.md` and `SECURITY.md` name tests that there are, and the former promises nothing without one.
//!
//! Whether a test shows what the page says is for readers; here it is only found by file and name.

use std::path::{Path, PathBuf};

/// References that the page has at least.
const REFERENCES: usize = 25;
/// References that the threat model has at least.
const SECURITY_REFERENCES: usize = 75;
/// Sections that promise nothing.
const WITHOUT_PROMISES: [&str; 2] = ["How to read this page", "What is not promised"];

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/SEMANTICS.md")).unwrap()
}

/// File and function of each reference, which is written as a code span in brackets.
fn references(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("[`").skip(1).filter_map(|rest| rest.split_once("`]")?.0.split_once("::"))
}

/// Paragraphs, items of lists and rows of tables, each with the section in which it stands. What stands before the
/// first section, and a paragraph that only leads to a table, is not among them.
fn promises(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        let blocks: Vec<&str> = body.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
        for (index, block) in blocks.iter().enumerate() {
            let leads = blocks.get(index + 1).is_some_and(|next| next.starts_with('|'));
            if block.starts_with('|') {
                // The first two lines are the head.
                found.extend(block.lines().skip(2).map(|row| (title, row)));
            } else if !leads {
                found.extend(block.split("\n- ").map(|item| (title, item)));
            }
        }
    }
    found
}

#[test]
fn every_test_that_the_semantics_name_exists() {
    let page = page();
    let mut count = 0;
    for (file, name) in references(&page) {
        let source = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("`{file}`: {error}"));
        assert!(source.contains(&format!("fn {name}(")), "there is no `{name}` in `{file}`");
        count += 1;
    }
    assert!(count >= REFERENCES, "only {count} references");
    assert_eq!(count, page.matches("[`").count(), "a reference is not of the form `file::test`");
}

#[test]
fn the_semantics_promise_nothing_without_a_test() {
    let page = page();
    let promises = promises(&page);
    for title in WITHOUT_PROMISES {
        assert!(promises.iter().any(|(section, _)| *section == title), "there is no section `{title}`");
    }
    for (section, text) in promises.iter().filter(|(section, _)| !WITHOUT_PROMISES.contains(section)) {
        assert!(references(text).next().is_some(), "`{section}` promises without a test: {text}");
    }
}

/// Each code span with `::` in it is a test: `<file>::<function>`, of Python `<file>::<class>.<method>`.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let page = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let spans = page.split('`').skip(1).step_by(2);
    let mut count = 0;
    for (file, name) in spans.filter_map(|span| span.split_once("::")) {
        let source = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("`{file}`: {error}"));
        let is_there = match name.split_once('.') {
            None => source.contains(&format!("fn {name}(")),
            Some((class, method)) => {
                source.contains(&format!("class {class}(")) && source.contains(&format!("def {method}("))
            }
        };
        assert!(is_there, "there is no `{name}` in `{file}`");
        count += 1;
    }
    assert!(count >= SECURITY_REFERENCES, "only {count} references");
}
