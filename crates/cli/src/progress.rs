//! A bar for what has a size: packing and sending. On a terminal alone, and never for programs, which get an event at its
//! end.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Draws a second, as the live view.
const REDRAWS: u8 = 10;

/// A bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many bytes.
    pub(crate) fn new(output: &Output, what: &'static str, bytes: u64) -> Self {
        let target =
            if output.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(REDRAWS) };
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(what);
        match ProgressStyle::with_template("{msg:>8} {wide_bar} {bytes}/{total_bytes} {eta:>4}") {
            Ok(style) => bar.set_style(style),
            Err(error) => tracing::debug!(%error, "the bar looks as it does by default"),
        }
        Self(bar)
    }

    /// So many bytes are done.
    pub(crate) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// It is done, and the line free again.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
