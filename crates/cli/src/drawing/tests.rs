//! What holds of every drawing, in each format.

use std::collections::BTreeMap;

use common::{ids::OrderNum, text::is_hidden};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::{
    Drawing, dot, mermaid,
    samples::{HOSTILE, diamond, drawings},
    svg, text,
};
use crate::terminal::Look;

/// The edges of a drawing as its numbers, sorted.
fn edges(drawing: &Drawing) -> Vec<(OrderNum, OrderNum)> {
    let mut edges = vec![];
    for node in &drawing.nodes {
        edges.extend(node.dependencies.iter().map(|dependency| (drawing.nodes[*dependency].number, node.number)));
    }
    edges.sort_unstable();
    edges
}

/// The numbers of a drawing, sorted.
fn numbers(drawing: &Drawing) -> Vec<OrderNum> {
    let mut numbers: Vec<OrderNum> = drawing.nodes.iter().map(|node| node.number).collect();
    numbers.sort_unstable();
    numbers
}

/// The number in an id.
fn number(id: &str) -> OrderNum {
    id.trim_matches('"').strip_prefix('o').unwrap().parse().unwrap()
}

/// Reads lines that are edges with such an arrow, and those of nodes, which have this behind their id.
fn read(lines: &str, arrow: &str, node: &str) -> (Vec<OrderNum>, Vec<(OrderNum, OrderNum)>) {
    let (mut nodes, mut edges) = (vec![], vec![]);
    for line in lines.lines().map(str::trim) {
        // What strangers wrote stands in the lines of nodes, and may look like an arrow.
        if line.contains(node) {
            nodes.push(number(line.split([' ', '[']).next().unwrap()));
        } else if let Some((from, to)) = line.split_once(arrow) {
            edges.push((number(from), number(to.trim_end_matches(';'))));
        }
    }
    nodes.sort_unstable();
    edges.sort_unstable();
    (nodes, edges)
}

/// Whether nothing in it is obeyed by a terminal or deceives a reader.
fn is_plain(text: &str) -> bool {
    !text.contains(|char| char != '\n' && is_hidden(char))
}

proptest! {
    #[test]
    fn the_tree_has_every_order_once_below_what_it_waits_for(drawing in drawings(40), collapse: bool) {
        let drawing = if collapse { drawing.collapsed() } else { drawing };
        let tree = text::draw(&drawing, Look::default());
        prop_assert!(is_plain(&tree), "{tree}");
        prop_assert_eq!(&tree, &text::draw(&drawing, Look::default()));
        let lines = tree.lines().enumerate().skip(1);
        let lines: BTreeMap<&str, usize> = lines.map(|(row, line)| (name(line), row)).collect();
        prop_assert_eq!(tree.lines().count(), drawing.nodes.len() + 1);
        for node in &drawing.nodes {
            for dependency in &node.dependencies {
                prop_assert!(lines[&*drawing.nodes[*dependency].name] < lines[&*node.name], "{}", tree);
            }
        }
    }

    #[test]
    fn no_line_of_the_tree_is_wider_than_asked_for(drawing in drawings(20), width in 0_usize..120) {
        let tree = text::draw(&drawing, Look { width: Some(width), colour: false });
        prop_assert!(tree.lines().all(|line| line.width() <= width), "{}", tree);
        let coloured = text::draw(&drawing, Look { width: Some(width), colour: true });
        prop_assert_eq!(without_colours(&coloured), tree);
    }

    #[test]
    fn dot_has_every_order_and_every_edge(drawing in drawings(40)) {
        let dot = dot::draw(&drawing);
        prop_assert!(is_plain(&dot), "{dot}");
        let read = read(&dot, " -> ", "[label=");
        prop_assert_eq!(read, (numbers(&drawing), edges(&drawing)));
        for line in dot.lines() {
            // In quoted texts `\"` and `\\` are the only escapes of the language; outside nothing is a stranger's.
            let line = line.replace("\\\\", "").replace("\\\"", "");
            prop_assert!(line.matches('"').count() % 2 == 0, "{}", line);
            let outside: String = line.split('"').step_by(2).collect();
            let ours = |char: char| char.is_ascii_alphanumeric() || " =,[]{};->_".contains(char);
            prop_assert!(outside.chars().all(ours), "{}", line);
        }
    }

    #[test]
    fn mermaid_has_every_order_and_every_edge(drawing in drawings(40)) {
        let chart = mermaid::draw(&drawing);
        prop_assert!(is_plain(&chart), "{chart}");
        let (_, body) = chart.split_once("\n---\n").unwrap();
        let read = read(body, " --> ", "[\"");
        prop_assert_eq!(read, (numbers(&drawing), edges(&drawing)));
        for line in body.lines().filter(|line| line.contains('"')) {
            let label = line.split('"').nth(1).unwrap();
            prop_assert_eq!(line.matches('"').count(), 2);
            prop_assert!(!label.replace("<br/>", "").contains(['<', '>', '`', '%', '{', '&', '|']), "{}", line);
        }
    }

    #[test]
    fn the_picture_is_xml_with_every_order_once(drawing in drawings(40), collapse: bool) {
        let drawing = if collapse { drawing.collapsed() } else { drawing };
        let svg = svg::draw(&drawing);
        prop_assert!(is_plain(&svg), "{svg}");
        prop_assert!(!["url(", "@import", "<script"].iter().any(|text| svg.contains(text)), "{svg}");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let mut shown: Vec<String> = vec![];
        for element in document.descendants().filter(roxmltree::Node::is_element) {
            let tag = element.tag_name().name();
            prop_assert!(["svg", "title", "style", "rect", "g", "path", "text"].contains(&tag), "{}", tag);
            for attribute in element.attributes() {
                let name = attribute.name();
                prop_assert!(!["href", "src"].contains(&name) && !name.starts_with("on"), "{}", name);
            }
            if tag == "title" && element.parent_element().unwrap().tag_name().name() == "g" {
                shown.push(element.text().unwrap().split(' ').next().unwrap().to_owned());
            }
        }
        shown.sort_unstable();
        prop_assert_eq!(shown, numbers(&drawing).iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn a_collapsed_drawing_stands_for_the_same_orders(drawing in drawings(40)) {
        let collapsed = drawing.collapsed();
        prop_assert_eq!(collapsed.orders(), drawing.nodes.len());
        prop_assert_eq!(collapsed.statuses(), drawing.statuses());
        prop_assert_eq!(collapsed.nodes.len(), collapsed.collapsed().nodes.len());
    }
}

/// The name on a line of the tree.
fn name(line: &str) -> &str {
    let line = line.trim_start_matches(['│', ' ', '├', '└', '─', '↓', '┄', '·', '▸', '✓', '✗', '⧖', '⊘']);
    line.split("  ").next().unwrap()
}

/// A text without ANSI's sequences of colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

#[test]
fn what_strangers_write_is_text_in_every_format() {
    let mut drawing = diamond();
    drawing.title = HOSTILE.to_owned();
    for node in &mut drawing.nodes {
        node.note = Some(HOSTILE.to_owned());
    }
    let tree = text::draw(&drawing, Look::default());
    assert_eq!(tree.lines().count(), 5, "{tree}");
    for drawn in [tree, dot::draw(&drawing), mermaid::draw(&drawing), svg::draw(&drawing)] {
        assert!(is_plain(&drawn), "{drawn}");
        assert!(drawn.contains("red") && !drawn.contains('\u{ffff}'), "{drawn}");
    }
    let svg = svg::draw(&drawing);
    let document = roxmltree::Document::parse(&svg).unwrap();
    assert!(document.descendants().any(|node| node.text().is_some_and(|text| text.contains("<b>b</b> </svg>]]> -->"))));
    assert_eq!(svg.matches("</svg>").count(), 1);
}
