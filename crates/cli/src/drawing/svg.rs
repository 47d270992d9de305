//! The drawing as an SVG picture: boxes from top to bottom in dependency order. It stands alone (no script, no font, no
//! address of anything else), has a light and a dark look, and shows a status by a colour and by a sign, which is drawn
//! because few fonts have all of them.

use common::status::{Outcome, Status};

use super::{
    Drawing, Node,
    layers::{Arrangement, arrange, whole},
    names,
    paint::paint,
    places::{BOX_HEIGHT, Places, place},
    push, shown,
    style::style,
};
use crate::columns::{cut, width as columns};

/// Around everything.
const MARGIN: i64 = 20;

/// The title and the line below it.
const HEADER: i64 = 56;

/// Widths of boxes: enough for a target and a time, and for what a name says in most jobs.
const NARROWEST: i64 = 120;
const WIDEST: i64 = 260;

/// Space at both ends of a box, and what a sign takes before the name.
const PADDING: i64 = 12;
const SIGN: i64 = 20;

/// Tenths of pixels that a character takes at the sizes below; all common monospace fonts have up to 0.602 em.
const NAME_TENTHS: i64 = 79;
const SMALL_TENTHS: i64 = 67;
const TITLE_TENTHS: i64 = 97;

/// Dependencies that a tooltip names.
const MOST_NAMES: usize = 10;

/// Draws it in SVG.
pub(crate) fn draw(drawing: &Drawing) -> String {
    let cards: Vec<Card> = drawing.nodes.iter().map(card).collect();
    let dependencies: Vec<&[usize]> = drawing.nodes.iter().map(|node| node.dependencies.as_slice()).collect();
    let rows = arrange(cards.iter().map(|card| card.width).collect(), &dependencies, &drawing.dependents());
    let places = place(&rows);
    let title = shown(&drawing.title);
    let legend = legend(drawing);
    let header = (whole(columns(&title)) * TITLE_TENTHS / 10).min(600).max(legend.1);
    let inner = places.width.max(header);
    let (width, height) = (inner + 2 * MARGIN, places.height + HEADER + 2 * MARGIN);
    let mut svg = format!(
        "<svg class=\"aws-exe\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(&format!("{title}: {}", drawing.size())),
    );
    push(&mut svg, format_args!("<title>{}</title>\n<style>\n{}</style>\n", escaped(&title), style()));
    push(&mut svg, format_args!("<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"));
    let title = cut(&title, usize::try_from(inner * 10 / TITLE_TENTHS).unwrap_or(0));
    push(&mut svg, format_args!("<text class=\"title\" x=\"{MARGIN}\" y=\"34\">{}</text>\n", escaped(&title)));
    svg.push_str(&legend.0);
    let left = MARGIN + (inner - places.width) / 2;
    push(&mut svg, format_args!("<g transform=\"translate({left},{})\">\n", MARGIN + HEADER));
    write_lines(&mut svg, &rows, &places);
    for (index, card) in cards.iter().enumerate() {
        write_box(&mut svg, drawing, index, card, &rows, &places);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// What a box says.
struct Card {
    name: String,
    small: String,
    width: i64,
}

fn card(node: &Node) -> Card {
    let sign = if node.status.is_some() { SIGN } else { 0 };
    let room = WIDEST - 2 * PADDING - sign;
    let name = middle_cut(&node.name, room * 10 / NAME_TENTHS);
    let small = [node.target.to_string()].into_iter().chain(node.remarks()).collect::<Vec<_>>().join(" · ");
    let small = cut(&small, usize::try_from(room * 10 / SMALL_TENTHS).unwrap_or(0));
    let text = (whole(columns(&name)) * NAME_TENTHS).max(whole(columns(&small)) * SMALL_TENTHS);
    // Even, so that the middle is a whole number.
    let width = ((text / 10 + 2 * PADDING + sign).clamp(NARROWEST, WIDEST) + 1) / 2 * 2;
    Card { name, small, width }
}

fn write_box(svg: &mut String, drawing: &Drawing, index: usize, card: &Card, rows: &Arrangement, places: &Places) {
    let node = &drawing.nodes[index];
    let (x, y) = (places.middle[index] - card.width / 2, places.top[rows.row_of[index]]);
    let class = paint(node.status).class;
    let more = match (node.must_succeed, node.reused) {
        (true, false) => "",
        (false, false) => " may_fail",
        (true, true) => " reused",
        (false, true) => " may_fail reused",
    };
    push(svg, format_args!("<g class=\"{class}{more}\" transform=\"translate({x},{y})\">"));
    push(svg, format_args!("<title>{}</title>", escaped(&tooltip(drawing, node))));
    push(svg, format_args!("<rect width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"7\"/>", card.width));
    if !node.dependencies.is_empty() {
        push(svg, format_args!("<path class=\"tip\" d=\"M{} -7h8l-4 7z\"/>", card.width / 2 - 4));
    }
    let mut text = PADDING;
    if let Some(status) = node.status {
        push(svg, format_args!("<path class=\"sign\" transform=\"translate({PADDING},7)\" d=\"{}\"/>", sign(status)));
        text += SIGN;
    }
    push(svg, format_args!("<text x=\"{text}\" y=\"19\">{}</text>", escaped(&card.name)));
    push(svg, format_args!("<text class=\"small\" x=\"{text}\" y=\"35\">{}</text></g>\n", escaped(&card.small)));
}

fn tooltip(drawing: &Drawing, node: &Node) -> String {
    let status = node.status.map_or_else(String::new, |status| format!(" {status}"));
    let mut lines = vec![format!("{} {}{status} on {}", node.number, node.name, node.target)];
    if !node.dependencies.is_empty() {
        let all: Vec<&str> = node.dependencies.iter().map(|index| drawing.nodes[*index].name.as_str()).collect();
        lines.push(format!("after {}", names(all.into_iter(), MOST_NAMES)));
    }
    lines.extend(node.remarks());
    lines.join("\n")
}

/// Lines, below boxes: those that pass behind boxes first.
fn write_lines(svg: &mut String, rows: &Arrangement, places: &Places) {
    let top = |item: usize| places.top[rows.row_of[item]];
    let bottom = |item: usize| top(item) + BOX_HEIGHT;
    let mut line = |class: &str, path: &str| push(svg, format_args!("<path class=\"{class}\" d=\"{path}\"/>\n"));
    for (from, to) in &rows.behind {
        line("behind", &curve((places.middle[*from], bottom(*from)), (places.middle[*to], top(*to))));
    }
    for (item, below) in rows.below.iter().enumerate().filter(|(_, below)| !below.is_empty()) {
        let mut path = String::new();
        if item >= rows.boxes {
            push(&mut path, format_args!("M{} {}v{BOX_HEIGHT}", places.middle[item], top(item)));
        }
        for lower in below {
            path.push_str(&curve((places.middle[item], bottom(item)), (places.middle[*lower], top(*lower))));
        }
        line("line", &path);
    }
}

/// From one point down to another, leaving and arriving straight.
fn curve((x, y): (i64, i64), (to_x, to_y): (i64, i64)) -> String {
    let middle = i64::midpoint(y, to_y);
    if x == to_x { format!("M{x} {y}V{to_y}") } else { format!("M{x} {y}C{x} {middle} {to_x} {middle} {to_x} {to_y}") }
}

/// The line below the title, and how wide it is: how many orders have which status, and what a dashed box means.
fn legend(drawing: &Drawing) -> (String, i64) {
    let mut entries = vec![];
    for (status, count) in drawing.statuses() {
        let class = paint(Some(status)).class;
        entries.push((class, sign(status), format!("{count} {}", status.as_str().replace('_', " "))));
    }
    if entries.is_empty() {
        entries.push(("order", "", drawing.size()));
    }
    if drawing.nodes.iter().any(|node| !node.must_succeed) {
        // A dashed line in place of a sign.
        entries.push(("order", "M0 7h3m2 0h4m2 0h3", "may fail".to_owned()));
    }
    let (mut legend, mut x) = (String::new(), 0);
    for (class, sign, words) in entries {
        push(&mut legend, format_args!("<g class=\"{class}\" transform=\"translate({},46)\">", MARGIN + x));
        let text = if sign.is_empty() { 0 } else { SIGN };
        if !sign.is_empty() {
            push(&mut legend, format_args!("<path class=\"sign\" d=\"{sign}\"/>"));
        }
        push(&mut legend, format_args!("<text class=\"small\" x=\"{text}\" y=\"11\">{words}</text></g>\n"));
        x += text + whole(columns(&words)) * SMALL_TENTHS / 10 + SIGN;
    }
    (legend, x - SIGN)
}

/// A sign in a square of 14 pixels, as a path.
fn sign(status: Status) -> &'static str {
    match status {
        Status::Queued => "M4 7a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",
        Status::Running => "M4 2l8 5l-8 5z",
        Status::Ended(Outcome::Succeeded) => "M2 8l3 4l7 -9",
        Status::Ended(Outcome::Failed) => "M3 3l8 8m0 -8l-8 8",
        Status::Ended(Outcome::TimedOut) => "M3 2h8l-8 10h8z",
        Status::Ended(Outcome::Cancelled) => "M1 7a6 6 0 1 0 12 0a6 6 0 1 0 -12 0m2 -4l8 8",
    }
}

/// A name that is too wide without its middle: what tells names apart is often at their ends.
fn middle_cut(name: &str, most: i64) -> String {
    let (most, length) = (usize::try_from(most).unwrap_or(0), name.chars().count());
    if length <= most {
        return name.to_owned();
    }
    let end = most / 3;
    let begin = most - end - 1;
    name.chars().take(begin).chain(['…']).chain(name.chars().skip(length - end)).collect()
}

/// A text for XML, also within quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;
    use crate::drawing::samples::{diamond, drawing, every_status};

    /// What a picture shows, in its order: texts, lines, and boxes by class, place, width, texts and tooltip.
    fn outline(svg: &str) -> String {
        let document = Document::parse(svg).unwrap();
        let mut outline = String::new();
        for element in document.descendants().filter(roxmltree::Node::is_element) {
            let attribute = |name| element.attribute(name).unwrap_or_default();
            let children = |tag: &'static str| element.children().filter(move |child| child.tag_name().name() == tag);
            let texts: Vec<&str> = children("text").filter_map(|text| text.text()).collect();
            let class = attribute("class");
            match element.tag_name().name() {
                "svg" => {
                    let (role, says, size) = (attribute("role"), attribute("aria-label"), attribute("viewBox"));
                    push(&mut outline, format_args!("{role} {says:?} {size}\n"));
                }
                "g" if children("rect").count() == 1 => {
                    let (place, tooltip) = (attribute("transform"), children("title").find_map(|title| title.text()));
                    let width = children("rect").find_map(|rect| rect.attribute("width")).unwrap_or_default();
                    push(&mut outline, format_args!("{class} at {place}, {width} wide: {texts:?}\n"));
                    push(&mut outline, format_args!("    {:?}\n", tooltip.unwrap_or_default()));
                }
                "g" if !texts.is_empty() => push(&mut outline, format_args!("legend {class} {texts:?}\n")),
                "path" if ["line", "behind"].contains(&class) => {
                    push(&mut outline, format_args!("{class}{}\n", attribute("d").replace('M', "\n    M")));
                }
                _ => {}
            }
        }
        outline
    }

    #[test]
    fn a_job_in_svg() {
        insta::assert_snapshot!(outline(&draw(&diamond())), @r#"
        img "job.json: 4 orders" 0 0 316 306
        legend order ["4 orders"]
        legend order ["may fail"]
        line
            M134 44C134 63 60 63 60 83
            M134 44C134 63 207 63 207 83
        line
            M60 127C60 146 134 146 134 166
        line
            M207 127C207 146 134 146 134 166
        order at translate(74,0), 120 wide: ["build", "lambda"]
            "0001 build on lambda"
        order at translate(0,83), 120 wide: ["test", "lambda"]
            "0002 test on lambda\nafter build"
        order may_fail at translate(138,83), 138 wide: ["lint", "lambda · may fail"]
            "0003 lint on lambda\nafter build\nmay fail"
        order at translate(74,166), 120 wide: ["deploy", "codebuild"]
            "0004 deploy on codebuild\nafter test, lint"
        "#);
    }

    #[test]
    fn a_run_in_svg() {
        insta::assert_snapshot!(outline(&draw(&every_status())), @r#"
        img "run 34cd32c5: 7 orders" 0 0 828 434
        legend queued ["1 queued"]
        legend running ["1 running"]
        legend succeeded ["2 succeeded"]
        legend failed ["1 failed"]
        legend timed_out ["1 timed out"]
        legend cancelled ["1 cancelled"]
        legend order ["may fail"]
        line
            M406 44C406 80 69 80 69 116
            M406 44C406 80 285 80 285 116
            M406 44C406 80 541 80 541 116
            M406 44C406 80 728 80 728 116
        line
            M69 160C69 190 299 190 299 220
        line
            M285 160C285 190 299 190 299 220
        line
            M541 160C541 190 299 190 299 220
        line
            M299 264V294
        succeeded reused at translate(277,0), 258 wide: ["build", "lambda · reused from run 12ab34…"]
            "0001 build succeeded on lambda\nreused from run 12ab34cd"
        succeeded at translate(0,116), 138 wide: ["unit", "lambda · 0.2 s"]
            "0002 unit succeeded on lambda\nafter build\n0.2 s"
        failed may_fail at translate(156,116), 258 wide: ["lint", "lambda · may fail · 0.4 s, exit…"]
            "0003 lint failed on lambda\nafter build\nmay fail\n0.4 s, exit code 3"
        timed_out at translate(432,116), 218 wide: ["slow", "lambda · its 60 s are over"]
            "0004 slow timed_out on lambda\nafter build\nits 60 s are over"
        cancelled at translate(239,220), 120 wide: ["deploy", "ssm"]
            "0005 deploy cancelled on ssm\nafter unit, lint, slow"
        running at translate(668,116), 120 wide: ["pack", "lambda"]
            "0006 pack running on lambda\nafter build"
        queued at translate(239,294), 120 wide: ["notify", "lambda"]
            "0007 notify queued on lambda\nafter deploy"
        "#);
    }

    #[test]
    fn a_long_way_goes_around_boxes() {
        let way = draw(&drawing(&[("a", &[]), ("b", &[0]), ("c", &[1, 0])]));
        insta::assert_snapshot!(outline(&way), @r#"
        img "job.json: 3 orders" 0 0 200 298
        legend order ["3 orders"]
        line
            M60 44C60 61 100 61 100 79
            M60 44C60 61 19 61 19 79
        line
            M100 123C100 140 60 140 60 158
        line
            M19 79v44
            M19 123C19 140 60 140 60 158
        order at translate(0,0), 120 wide: ["a", "lambda"]
            "0001 a on lambda"
        order at translate(40,79), 120 wide: ["b", "lambda"]
            "0002 b on lambda\nafter a"
        order at translate(0,158), 120 wide: ["c", "lambda"]
            "0003 c on lambda\nafter b, a"
        "#);
    }

    #[test]
    fn a_long_name_keeps_both_its_ends() {
        assert_eq!(middle_cut("integration-test-of-the-storage-0017", 20), "integration-t…e-0017");
        assert_eq!(middle_cut("shard-001 … shard-800", 21), "shard-001 … shard-800");
    }
}
