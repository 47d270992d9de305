//! Colours of statuses, alike in all pictures. Every fill is light enough for dark text; what they say is always said
//! by a sign as well, for whoever sees no difference between them.

use common::status::{Outcome, Status};

/// How an order of some status is painted, on a light background and on a dark one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    /// The status's word, or `order`: classes of CSS and of Mermaid.
    pub(super) class: &'static str,
    pub(super) light: Pair,
    pub(super) dark: Pair,
}

/// Colours of a box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) fill: &'static str,
    pub(super) line: &'static str,
}

/// Text on a light background and on a dark one.
pub(super) const TEXT: [&str; 2] = ["#1f2328", "#e6edf3"];

/// The paint of a status, and of orders without one.
pub(super) fn paint(status: Option<Status>) -> Paint {
    let (light, dark) = match status {
        None => (("#f6f8fa", "#57606a"), ("#161b22", "#8b949e")),
        Some(Status::Queued) => (("#f6f8fa", "#6e7781"), ("#161b22", "#8b949e")),
        Some(Status::Running) => (("#ddf4ff", "#0969da"), ("#0c2d4d", "#58a6ff")),
        Some(Status::Ended(Outcome::Succeeded)) => (("#e3f5e6", "#1a7f37"), ("#11281a", "#3fb950")),
        Some(Status::Ended(Outcome::Failed)) => (("#ffe9e7", "#cf222e"), ("#3a1518", "#f85149")),
        Some(Status::Ended(Outcome::TimedOut)) => (("#fff5cc", "#9a6700"), ("#33260c", "#d29922")),
        Some(Status::Ended(Outcome::Cancelled)) => (("#f5ecff", "#8250df"), ("#271a40", "#ab7df8")),
    };
    let pair = |(fill, line)| Pair { fill, line };
    Paint { class: status.map_or("order", Status::as_str), light: pair(light), dark: pair(dark) }
}
