//! What a call prints, without what differs from run to run.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Stack, aws_exe::Said};

/// What differs, and what stands for it.
static CHANGING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "<time>"),
        (r"\b\d\d:\d\d:\d\d\b", "<time>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"tester:[0-9a-f]{8}-", "tester:<trace>-"),
        (r"http://127\.0\.0\.1:\d+", "<endpoint>"),
        // With the spaces before it, which depend on its length.
        (r" +\d+\.\d s\b", " <took>"),
        (r" {2,}\d+ s\b", "  <took>"),
        (r"git version \S+", "git version <version>"),
    ]
    .map(|(pattern, stands)| (Regex::new(pattern).unwrap(), stands))
    .into()
});

impl Said {
    /// Exit code and both outputs in one text, for a snapshot.
    pub(crate) fn steady(&self) -> String {
        let version = Regex::new(r"(✓ aws-exe +)\d+\.\d+\.\d+").unwrap();
        let shown = self.shown();
        let text = version.replace_all(&shown, "$1<version>").into_owned();
        CHANGING.iter().fold(text, |text, (pattern, stands)| pattern.replace_all(&text, *stands).into_owned())
    }
}

impl Stack {
    /// What a verb prints that speaks to this stack, for a snapshot.
    pub(crate) async fn screen(&self, arguments: &[&str]) -> String {
        self.call(arguments).await.steady()
    }
}
