//! The style sheet of the SVG picture: a light look, and a dark one for whoever prefers that.

use common::status::Status;

use super::{
    paint::{Pair, TEXT, paint},
    push,
};

/// What has all its characters of one width, on any system.
const FONT: &str = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";

/// A light and a dark page, lines, and what is less important than the rest.
const PAGE: [&str; 2] = ["#ffffff", "#0d1117"];
const LINE: [&str; 2] = ["#8c959f", "#6e7681"];
const MUTED: [&str; 2] = ["#57606a", "#9198a1"];

/// The style sheet. Its rules hold below the class of this picture alone: a page that it is put into has others.
pub(super) fn style() -> String {
    let font = format!("font-family:{FONT}");
    let mut style = String::new();
    for (selector, declarations) in [
        ("text", &*font),
        ("text", "font-size:13px;font-weight:600"),
        (".small", "font-size:11px;font-weight:400"),
        (".title", "font-size:16px"),
        (".line", "fill:none;stroke-width:1.5"),
        (".behind", "fill:none;stroke-opacity:.35"),
        ("rect", "stroke-width:1.5"),
        (".may_fail rect", "stroke-dasharray:5 3"),
        (".reused rect", "fill-opacity:.25"),
        (".sign", "fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round"),
    ] {
        rule(&mut style, selector, declarations);
    }
    colours(&mut style, 0);
    style.push_str("@media(prefers-color-scheme:dark){\n");
    colours(&mut style, 1);
    style.push_str("}\n");
    style
}

/// The colours of the light look (0) or of the dark one (1).
fn colours(style: &mut String, look: usize) {
    rule(style, ".page", &format!("fill:{}", PAGE[look]));
    rule(style, "text", &format!("fill:{}", TEXT[look]));
    rule(style, ".small", &format!("fill:{}", MUTED[look]));
    rule(style, ".line", &format!("stroke:{}", LINE[look]));
    rule(style, ".behind", &format!("stroke:{}", LINE[look]));
    rule(style, ".tip", &format!("fill:{}", LINE[look]));
    for status in [None].into_iter().chain(Status::ALL.map(Some)) {
        let paint = paint(status);
        let Pair { fill, line } = [paint.light, paint.dark][look];
        rule(style, &format!(".{} rect", paint.class), &format!("fill:{fill};stroke:{line}"));
        rule(style, &format!(".{} .sign", paint.class), &format!("stroke:{line}"));
    }
}

fn rule(style: &mut String, selector: &str, declarations: &str) {
    push(style, format_args!(".aws-exe {selector}{{{declarations}}}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_has_a_light_look_and_a_dark_one() {
        insta::assert_snapshot!(style(), @r"
        .aws-exe text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
        .aws-exe text{font-size:13px;font-weight:600}
        .aws-exe .small{font-size:11px;font-weight:400}
        .aws-exe .title{font-size:16px}
        .aws-exe .line{fill:none;stroke-width:1.5}
        .aws-exe .behind{fill:none;stroke-opacity:.35}
        .aws-exe rect{stroke-width:1.5}
        .aws-exe .may_fail rect{stroke-dasharray:5 3}
        .aws-exe .reused rect{fill-opacity:.25}
        .aws-exe .sign{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
        .aws-exe .page{fill:#ffffff}
        .aws-exe text{fill:#1f2328}
        .aws-exe .small{fill:#57606a}
        .aws-exe .line{stroke:#8c959f}
        .aws-exe .behind{stroke:#8c959f}
        .aws-exe .tip{fill:#8c959f}
        .aws-exe .order rect{fill:#f6f8fa;stroke:#57606a}
        .aws-exe .order .sign{stroke:#57606a}
        .aws-exe .queued rect{fill:#f6f8fa;stroke:#6e7781}
        .aws-exe .queued .sign{stroke:#6e7781}
        .aws-exe .running rect{fill:#ddf4ff;stroke:#0969da}
        .aws-exe .running .sign{stroke:#0969da}
        .aws-exe .succeeded rect{fill:#e3f5e6;stroke:#1a7f37}
        .aws-exe .succeeded .sign{stroke:#1a7f37}
        .aws-exe .failed rect{fill:#ffe9e7;stroke:#cf222e}
        .aws-exe .failed .sign{stroke:#cf222e}
        .aws-exe .timed_out rect{fill:#fff5cc;stroke:#9a6700}
        .aws-exe .timed_out .sign{stroke:#9a6700}
        .aws-exe .cancelled rect{fill:#f5ecff;stroke:#8250df}
        .aws-exe .cancelled .sign{stroke:#8250df}
        @media(prefers-color-scheme:dark){
        .aws-exe .page{fill:#0d1117}
        .aws-exe text{fill:#e6edf3}
        .aws-exe .small{fill:#9198a1}
        .aws-exe .line{stroke:#6e7681}
        .aws-exe .behind{stroke:#6e7681}
        .aws-exe .tip{fill:#6e7681}
        .aws-exe .order rect{fill:#161b22;stroke:#8b949e}
        .aws-exe .order .sign{stroke:#8b949e}
        .aws-exe .queued rect{fill:#161b22;stroke:#8b949e}
        .aws-exe .queued .sign{stroke:#8b949e}
        .aws-exe .running rect{fill:#0c2d4d;stroke:#58a6ff}
        .aws-exe .running .sign{stroke:#58a6ff}
        .aws-exe .succeeded rect{fill:#11281a;stroke:#3fb950}
        .aws-exe .succeeded .sign{stroke:#3fb950}
        .aws-exe .failed rect{fill:#3a1518;stroke:#f85149}
        .aws-exe .failed .sign{stroke:#f85149}
        .aws-exe .timed_out rect{fill:#33260c;stroke:#d29922}
        .aws-exe .timed_out .sign{stroke:#d29922}
        .aws-exe .cancelled rect{fill:#271a40;stroke:#ab7df8}
        .aws-exe .cancelled .sign{stroke:#ab7df8}
        }
        ");
    }
}
