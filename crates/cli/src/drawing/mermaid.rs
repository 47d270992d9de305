//! The drawing as a flowchart of Mermaid's (<https://mermaid.js.org/syntax/flowchart.html>), for Markdown.
//!
//! The ids are the orders' numbers; names and notes stand in quoted labels alone. Mermaid looks for much before it
//! parses (directives `%%{…}%%`, HTML, Markdown between backticks, entities `#…;`), also within quotes. So whatever
//! could have a meaning to it is written as one of its entities.

use common::{status::Status, text::sentence};

use super::{
    Drawing, Node,
    paint::{TEXT, paint},
    push, shown,
};

/// Most characters of a remark in a box.
const MOST_CHARACTERS: usize = 60;

/// Edges, and UTF-16 units of text, up to which Mermaid draws. Whoever shows the chart may allow more; the chart itself
/// cannot (`maxEdges` and `maxTextSize` in <https://mermaid.js.org/config/schema-docs/config.html>).
const MOST_EDGES: usize = 500;
const MOST_TEXT: usize = 50_000;

/// Draws it in Mermaid's language.
pub(crate) fn draw(drawing: &Drawing) -> String {
    // Texts of JSON are texts of YAML as well.
    let title = serde_json::Value::from(format!("{}: {}", shown(&drawing.title), drawing.size()));
    let mut chart = format!("---\ntitle: {title}\n---\nflowchart LR\n");
    for node in &drawing.nodes {
        push(&mut chart, format_args!("    {}[\"{}\"]:::{}\n", node.id(), label(node), paint(node.status).class));
    }
    for node in &drawing.nodes {
        for dependency in &node.dependencies {
            push(&mut chart, format_args!("    {} --> {}\n", drawing.nodes[*dependency].id(), node.id()));
        }
    }
    let tolerated: Vec<String> = drawing.nodes.iter().filter(|node| !node.must_succeed).map(Node::id).collect();
    if !tolerated.is_empty() {
        push(&mut chart, format_args!("    class {} may_fail\n", tolerated.join(",")));
        chart.push_str("    classDef may_fail stroke-dasharray:5 3\n");
    }
    for status in [None].into_iter().chain(Status::ALL.map(Some)) {
        if drawing.nodes.iter().any(|node| node.status == status) {
            let (paint, [text, _]) = (paint(status), TEXT);
            let (class, fill, line) = (paint.class, paint.light.fill, paint.light.line);
            push(&mut chart, format_args!("    classDef {class} fill:{fill},stroke:{line},color:{text}\n"));
        }
    }
    chart
}

/// Why Mermaid, as it is by default, refuses this chart of the drawing; nothing when it does not.
pub(crate) fn refusal(drawing: &Drawing, chart: &str) -> Option<String> {
    let edges: usize = drawing.nodes.iter().map(|node| node.dependencies.len()).sum();
    let text = chart.encode_utf16().count();
    if edges > MOST_EDGES {
        Some(format!("Mermaid draws up to {MOST_EDGES} edges unless its `maxEdges` is raised; these are {edges}"))
    } else if text > MOST_TEXT {
        Some(format!("Mermaid draws up to {MOST_TEXT} characters unless its `maxTextSize` is raised; these are {text}"))
    } else {
        None
    }
}

fn label(node: &Node) -> String {
    let remarks = node.remarks().into_iter().map(|remark| sentence(&remark, MOST_CHARACTERS));
    let lines = [node.signed_name(), node.place()].into_iter().chain(remarks);
    lines.map(|line| escaped(&line)).collect::<Vec<_>>().join("<br/>")
}

/// A text without anything that Mermaid reads. The last two characters are what it writes entities with for a while.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        if char.is_ascii_punctuation() && !matches!(char, '.' | ',' | '_' | '-' | '/') || matches!(char, 'ﬂ' | '¶') {
            push(&mut escaped, format_args!("#{};", u32::from(char)));
        } else {
            escaped.push(char);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::samples::{diamond, every_status, fan};

    #[test]
    fn a_job_in_mermaid() {
        insta::assert_snapshot!(draw(&diamond()), @r#"
        ---
        title: "job.json: 4 orders"
        ---
        flowchart LR
            o0001["build<br/>lambda"]:::order
            o0002["test<br/>lambda"]:::order
            o0003["lint<br/>lambda<br/>may fail"]:::order
            o0004["deploy<br/>codebuild"]:::order
            o0001 --> o0002
            o0001 --> o0003
            o0002 --> o0004
            o0003 --> o0004
            class o0003 may_fail
            classDef may_fail stroke-dasharray:5 3
            classDef order fill:#f6f8fa,stroke:#57606a,color:#1f2328
        "#);
    }

    #[test]
    fn a_run_in_mermaid() {
        insta::assert_snapshot!(draw(&every_status()), @r#"
        ---
        title: "run 34cd32c5: 7 orders"
        ---
        flowchart LR
            o0001["✓ build<br/>lambda, succeeded<br/>reused from run 12ab34cd"]:::succeeded
            o0002["✓ unit<br/>lambda, succeeded<br/>0.2 s"]:::succeeded
            o0003["✗ lint<br/>lambda, failed<br/>may fail<br/>0.4 s, exit code 3"]:::failed
            o0004["⧖ slow<br/>lambda, timed_out<br/>its 60 s are over"]:::timed_out
            o0005["⊘ deploy<br/>ssm, cancelled"]:::cancelled
            o0006["▸ pack<br/>lambda, running"]:::running
            o0007["· notify<br/>lambda, queued"]:::queued
            o0001 --> o0002
            o0001 --> o0003
            o0001 --> o0004
            o0002 --> o0005
            o0003 --> o0005
            o0004 --> o0005
            o0001 --> o0006
            o0005 --> o0007
            class o0003 may_fail
            classDef may_fail stroke-dasharray:5 3
            classDef queued fill:#f6f8fa,stroke:#6e7781,color:#1f2328
            classDef running fill:#ddf4ff,stroke:#0969da,color:#1f2328
            classDef succeeded fill:#e3f5e6,stroke:#1a7f37,color:#1f2328
            classDef failed fill:#ffe9e7,stroke:#cf222e,color:#1f2328
            classDef timed_out fill:#fff5cc,stroke:#9a6700,color:#1f2328
            classDef cancelled fill:#f5ecff,stroke:#8250df,color:#1f2328
        "#);
    }

    #[test]
    fn what_mermaid_reads_is_escaped() {
        let mut drawing = diamond();
        drawing.nodes.truncate(1);
        drawing.nodes[0].note = Some("`<i>\" %%{i}%% #35; ﬂ°¶".to_owned());
        drawing.title = "\"a\"\n---\n".to_owned();
        insta::assert_snapshot!(draw(&drawing), @r#"
        ---
        title: "\"a\"\\n---\\n: 1 order"
        ---
        flowchart LR
            o0001["build<br/>lambda<br/>#96;#60;i#62;#34; #37;#37;#123;i#125;#37;#37; #35;35#59; #64258;°#182;"]:::order
            classDef order fill:#f6f8fa,stroke:#57606a,color:#1f2328
        "#);
    }

    #[test]
    fn what_mermaid_refuses_is_told() {
        let told = |drawing: &Drawing| refusal(drawing, &draw(drawing));
        assert_eq!(told(&fan(500)), None);
        assert_eq!(
            told(&fan(501)).unwrap(),
            "Mermaid draws up to 500 edges unless its `maxEdges` is raised; these are 501"
        );
        assert_eq!(told(&fan(501).collapsed()), None);
        let mut long = fan(500);
        for node in &mut long.nodes {
            node.note = Some("#".repeat(60));
        }
        assert_eq!(
            told(&long).unwrap(),
            "Mermaid draws up to 50000 characters unless its `maxTextSize` is raised; these are 153895"
        );
    }
}
