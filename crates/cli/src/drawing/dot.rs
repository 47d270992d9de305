//! The drawing in DOT, the language of Graphviz (<https://graphviz.org/doc/info/lang.html>): `aws-exe graph JOB --dot |
//! dot -Tsvg`.
//!
//! The ids are the orders' numbers; names and notes stand in labels alone. There Graphviz reads `\` as the beginning of
//! an escape and `&` as that of an entity (<https://graphviz.org/docs/attr-types/escString/>), so both are escaped.

use common::text::sentence;

use super::{
    Drawing, Node,
    paint::{TEXT, paint},
    push, shown,
};

/// Most characters of a remark in a box. There are no tooltips with the rest: Graphviz 2.43 reads escapes there twice.
const MOST_CHARACTERS: usize = 60;

/// Draws it in DOT.
pub(crate) fn draw(drawing: &Drawing) -> String {
    let mut dot = String::from("digraph \"job\" {\n");
    let title = label(&format!("{}: {}", shown(&drawing.title), drawing.size()));
    let [text, _] = TEXT;
    push(&mut dot, format_args!("  graph [rankdir=LR, label={title}, labelloc=t, fontname=\"sans-serif\"];\n"));
    push(
        &mut dot,
        format_args!("  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontcolor=\"{text}\"];\n"),
    );
    push(&mut dot, format_args!("  edge [color=\"{}\"];\n", paint(None).light.line));
    for node in &drawing.nodes {
        write_node(&mut dot, node);
    }
    for node in &drawing.nodes {
        for dependency in &node.dependencies {
            push(&mut dot, format_args!("  \"{}\" -> \"{}\";\n", drawing.nodes[*dependency].id(), node.id()));
        }
    }
    dot.push_str("}\n");
    dot
}

fn write_node(dot: &mut String, node: &Node) {
    let colours = paint(node.status).light;
    let mut lines = vec![node.signed_name(), node.place()];
    lines.extend(node.remarks().iter().map(|remark| sentence(remark, MOST_CHARACTERS)));
    let (id, label) = (node.id(), label(&lines.join("\n")));
    let (fill, line) = (colours.fill, colours.line);
    push(dot, format_args!("  \"{id}\" [label={label}, fillcolor=\"{fill}\", color=\"{line}\"];\n"));
    if !node.must_succeed {
        push(dot, format_args!("  \"{id}\" [style=\"rounded,filled,dashed\"];\n"));
    }
}

/// A quoted text of DOT, with Graphviz's `\n` between its lines.
fn label(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '&' => quoted.push_str("&amp;"),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::samples::{diamond, every_status};

    #[test]
    fn a_job_in_dot() {
        insta::assert_snapshot!(draw(&diamond()), @r##"
        digraph "job" {
          graph [rankdir=LR, label="job.json: 4 orders", labelloc=t, fontname="sans-serif"];
          node [shape=box, style="rounded,filled", fontname="sans-serif", fontcolor="#1f2328"];
          edge [color="#57606a"];
          "o0001" [label="build\nlambda", fillcolor="#f6f8fa", color="#57606a"];
          "o0002" [label="test\nlambda", fillcolor="#f6f8fa", color="#57606a"];
          "o0003" [label="lint\nlambda\nmay fail", fillcolor="#f6f8fa", color="#57606a"];
          "o0003" [style="rounded,filled,dashed"];
          "o0004" [label="deploy\ncodebuild", fillcolor="#f6f8fa", color="#57606a"];
          "o0001" -> "o0002";
          "o0001" -> "o0003";
          "o0002" -> "o0004";
          "o0003" -> "o0004";
        }
        "##);
    }

    #[test]
    fn a_run_in_dot() {
        insta::assert_snapshot!(draw(&every_status()), @r##"
        digraph "job" {
          graph [rankdir=LR, label="run 34cd32c5: 7 orders", labelloc=t, fontname="sans-serif"];
          node [shape=box, style="rounded,filled", fontname="sans-serif", fontcolor="#1f2328"];
          edge [color="#57606a"];
          "o0001" [label="✓ build\nlambda, succeeded\nreused from run 12ab34cd", fillcolor="#e3f5e6", color="#1a7f37"];
          "o0002" [label="✓ unit\nlambda, succeeded\n0.2 s", fillcolor="#e3f5e6", color="#1a7f37"];
          "o0003" [label="✗ lint\nlambda, failed\nmay fail\n0.4 s, exit code 3", fillcolor="#ffe9e7", color="#cf222e"];
          "o0003" [style="rounded,filled,dashed"];
          "o0004" [label="⧖ slow\nlambda, timed_out\nits 60 s are over", fillcolor="#fff5cc", color="#9a6700"];
          "o0005" [label="⊘ deploy\nssm, cancelled", fillcolor="#f5ecff", color="#8250df"];
          "o0006" [label="▸ pack\nlambda, running", fillcolor="#ddf4ff", color="#0969da"];
          "o0007" [label="· notify\nlambda, queued", fillcolor="#f6f8fa", color="#6e7781"];
          "o0001" -> "o0002";
          "o0001" -> "o0003";
          "o0001" -> "o0004";
          "o0002" -> "o0005";
          "o0003" -> "o0005";
          "o0004" -> "o0005";
          "o0001" -> "o0006";
          "o0005" -> "o0007";
        }
        "##);
    }

    #[test]
    fn what_graphviz_reads_is_escaped() {
        insta::assert_snapshot!(label("\"\\N\" & &lt; <b>\n\\"), @r#""\"\\N\" &amp; &amp;lt; <b>\n\\""#);
    }
}
