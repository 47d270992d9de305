//! What is drawn, as it is seen.

use proptest::prelude::*;

use super::*;
use crate::job_file::source::Format;

const PLAIN: Style = Style { colour: false, width: 80 };

fn source(text: &str) -> Source {
    Source { name: "job.yaml".to_owned(), text: text.into(), format: Format::Yaml }
}

/// A problem at the first place that has this part.
fn at(source: &Source, part: &str, problem: &str) -> Marked {
    let start = source.text.find(part).unwrap();
    Marked { place: Some(start..start + part.len()), problem: problem.to_owned() }
}

fn nowhere(problem: &str) -> Marked {
    Marked { place: None, problem: problem.to_owned() }
}

#[test]
fn several_in_the_order_of_their_places() {
    let source = source("a: 1\nb: 2\n\nd: 4, e: 5\nf: 6\n");
    let problems = [
        at(&source, "f: 6", "f is wrong"),
        nowhere("the whole is wrong"),
        at(&source, "5", "e is wrong"),
        at(&source, "4", "d is wrong"),
        at(&source, "1", "a is wrong"),
    ];
    insta::assert_snapshot!(render("error: all of it", &source, &problems, PLAIN), @r"
    error: all of it
      --> job.yaml:1:4
       |
     1 | a: 1
       |    ^ a is wrong
    ...
     4 | d: 4, e: 5
       |    ^ d is wrong
       |          ^ e is wrong
     5 | f: 6
       | ^^^^ f is wrong
       |
       = the whole is wrong
    ");
}

#[test]
fn more_than_anybody_reads_are_counted() {
    let text = (0..30).map(|number| format!("f{number}: 0")).collect::<Vec<_>>().join("\n");
    let source = source(&text);
    let problems: Vec<_> = (0..30).map(|number| at(&source, &format!("f{number}: 0"), "is wrong")).collect();
    let drawn = render("t", &source, &problems, PLAIN);
    assert_eq!(drawn.matches("is wrong").count(), MOST);
    assert!(drawn.ends_with("20 | f19: 0\n    | ^^^^^^ is wrong\n    |\n    = and 10 more, with `--json`"), "{drawn}");
}

#[test]
fn only_what_there_is_room_for() {
    let long = format!("cmds: [{}timeout: 0, {}]", "echo, ".repeat(1_000_000), "echo, ".repeat(1_000_000));
    let source = source(&long);
    let told =
        "orders[0].timeout: 900 and `stop_grace` 10 are together more than the 840 s that a `lambda` order may take";
    let problems = [at(&source, "timeout: 0", told), at(&source, "[", "orders[0].cmds: is wrong")];
    insta::assert_snapshot!(render("t", &source, &problems, Style { colour: false, width: 60 }), @r"
    t
      --> job.yaml:1:7
       |
     1 | cmds: [echo, echo, echo, echo, echo, echo, echo, echo…
       |       ^ orders[0].cmds: is wrong
    ...
     1 | …cho, echo, echo, timeout: 0, echo, echo, echo, echo, …
       |                   ^^^^^^^^^^
       |     orders[0].timeout: 900 and `stop_grace` 10 are
       |     together more than the 840 s that a `lambda` order
       |     may take
    ");
}

#[test]
fn tabs_wide_characters_and_what_is_not_seen() {
    let source = source("\tname: 日本語\u{1b}[31m\u{202e}, x: 1 \r\n");
    let problems = [at(&source, "日本語", "wide"), at(&source, "x: 1", "a \u{1b}[31m problem")];
    insta::assert_snapshot!(render("t", &source, &problems, PLAIN), @r"
    t
      --> job.yaml:1:8
       |
     1 |     name: 日本語�[31m�, x: 1 
       |           ^^^^^^ wide
       |                         ^^^^ a \u{1b}[31m problem
    ");
}

#[test]
fn colours_only_what_is_ours() {
    let source = source("a: 1\n");
    let drawn = render("t", &source, &[at(&source, "1", "wrong")], Style { colour: true, width: 80 });
    assert_eq!(
        drawn.replace('\u{1b}', "␛"),
        "t\n␛[1;34m  -->␛[0m job.yaml:1:4\n␛[1;34m   |␛[0m\n␛[1;34m 1 |␛[0m a: 1\n␛[1;34m   |␛[0m    ␛[1;31m^␛[0m ␛[1;31mwrong␛[0m"
    );
}

#[test]
fn a_mark_ends_with_its_line_and_is_never_nothing() {
    let source = source("a: |\n  b\n  c\n");
    let whole = Marked { place: Some(3..source.text.len()), problem: "wrong".to_owned() };
    let end = Marked { place: Some(source.text.len()..source.text.len()), problem: "ended".to_owned() };
    insta::assert_snapshot!(render("t", &source, &[whole, end], PLAIN), @r"
    t
      --> job.yaml:1:4
       |
     1 | a: |
       |    ^ wrong
    ...
     4 | 
       | ^ ended
    ");
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_is_hidden(
        text in "[a-c日\\t\\x1b\\u{202e}\\r\\n ]{0,80}",
        places in prop::collection::vec((0..90_usize, 0..90_usize, "[a b日\\x1b\\n]{0,60}"), 0..30),
        width in 0..100_usize,
    ) {
        let source = source(&text);
        let problems: Vec<_> = places
            .iter()
            .map(|(start, end, problem)| Marked { place: (start != end).then_some(*start..*end), problem: problem.clone() })
            .collect();
        let drawn = render("t", &source, &problems, Style { colour: false, width });
        prop_assert!(!drawn.contains(|char| char != '\n' && common::text::is_hidden(char)), "{drawn}");
        prop_assert!(drawn.lines().filter(|line| line.contains('^')).count() == problems.iter().filter(|p| p.place.is_some()).count().min(MOST));
    }
}
