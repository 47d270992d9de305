//! Recordings: what a host is asked, and what it answers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::clock::Clock;
use serde::Deserialize;
use serde_json::Value;

/// The answers of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recording {
    /// The document that it is made after.
    source: String,
    pub(crate) exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) expect: Expected,
    pub(crate) answer: Reply,
}

/// What a request must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) method: String,
    /// Below the API's address.
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Reply {
    Given {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<Value>,
    },
    Word(Word),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// The connection ends.
    Cut,
}

/// The folder of all recordings.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vcs/recorded")
}

impl Recording {
    /// Reads a recording, with what each placeholder stands for.
    pub(crate) fn read(name: &str, placeholders: &[(&str, &str)]) -> Self {
        let path = folder().join(format!("{name}.json"));
        let mut text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (placeholder, value) in placeholders {
            text = text.replace(placeholder, value);
        }
        while let Some((before, after)) = text.split_once("{now+") {
            let (seconds, after) = after.split_once('}').unwrap();
            let then = Clock::REAL.now().plus(Duration::from_secs(seconds.parse().unwrap()));
            text = format!("{before}{}{after}", then.secs());
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

#[test]
fn each_recording_names_the_document_that_it_is_made_after() {
    let mut count = 0;
    for host in ["github", "gitlab", "bitbucket"] {
        for file in fs::read_dir(folder().join(host)).unwrap() {
            let name = file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            let recording = Recording::read(&format!("{host}/{name}"), &[]);
            let official = [
                "docs.github.com",
                "docs.gitlab.com",
                "gitlab.com",
                "developer.atlassian.com",
                "support.atlassian.com",
            ];
            let document = recording.source.strip_prefix("https://").and_then(|rest| rest.split('/').next());
            assert!(
                document.is_some_and(|document| official.contains(&document)),
                "{host}/{name}: {}",
                recording.source
            );
            assert!(!recording.exchanges.is_empty(), "{host}/{name}");
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}
