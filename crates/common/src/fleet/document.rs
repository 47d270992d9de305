//! The dispatch document of an SSM order: what its instances need and have no role for. It holds the variables of the
//! commands in clear and signed URLs, so it is a secret itself: encrypted at rest, reached by one signed URL, deleted when
//! the order has ended.
//!
//! It is printed with one field a line, because the few lines of shell that fetch the worker read two of them with `sed`:
//! `  "worker_<machine>_url": "…",` and `  "worker_<machine>_sha256": "…",`. JSON has no raw newline in its strings, so no
//! value can pass for such a line.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, OrderNum, RunId};

/// What the instances of an order are given.
#[derive(Serialize, Deserialize)]
pub struct Document {
    /// [`crate::plan::SCHEMA_VERSION`] of its writer.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// The order.
    pub order_num: OrderNum,
    /// `worker_<machine>_url` and `worker_<machine>_sha256` of each worker binary.
    #[serde(flatten)]
    pub workers: BTreeMap<String, String>,
    /// GET of `exec.zip`.
    pub bundle_url: String,
    /// SHA-256 of `exec.zip` in hex.
    pub bundle_sha256: String,
    /// GET of the code, if the order has code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_url: Option<String>,
    /// GET of the order's own claim, which the engine takes to end the order.
    pub order_claim_url: String,
    /// Every variable of the commands, in clear.
    pub variables: BTreeMap<String, String>,
    /// What each instance reports to.
    pub instances: BTreeMap<InstanceId, ShareUrls>,
}

/// Signed URLs for one instance's share.
#[derive(Serialize, Deserialize)]
pub struct ShareUrls {
    /// PUT of the claim, signed with `If-None-Match: *`.
    pub claim_url: String,
    /// GET of the claim, to see whose it is.
    pub claim_get_url: String,
    /// GET of the request to stop.
    pub stop_url: String,
    /// PUT of the result, signed with `If-None-Match: *`.
    pub result_url: String,
    /// PUT of the log.
    pub log_url: String,
}

impl Document {
    /// Adds a worker binary for a machine such as `x86_64`.
    pub fn add_worker(&mut self, machine: &str, url: String, sha256: &str) {
        self.workers.insert(format!("worker_{machine}_url"), url);
        self.workers.insert(format!("worker_{machine}_sha256"), sha256.to_owned());
    }

    /// The variables of a bundle as the document holds them.
    pub fn in_clear(variables: &BTreeMap<String, SecretString>) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
    }

    /// The bytes, one field a line.
    ///
    /// # Errors
    /// Never for values of this type; the signature is `serde_json`'s.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("run_id", &self.run_id)
            .field("order_num", &self.order_num)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ShareUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareUrls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_for_the_shell_cannot_be_forged() {
        let mut document = Document {
            schema_version: 1,
            run_id: "r".parse().unwrap(),
            order_num: OrderNum::of_index(0),
            workers: BTreeMap::new(),
            bundle_url: "https://b".to_owned(),
            bundle_sha256: "00".to_owned(),
            code_url: None,
            order_claim_url: "https://c".to_owned(),
            variables: [
                ("A".to_owned(), "x\n  \"worker_x86_64_url\": \"https://evil\",\n".to_owned()),
                ("worker_x86_64_url".to_owned(), "https://evil".to_owned()),
            ]
            .into(),
            instances: BTreeMap::new(),
        };
        document.add_worker("x86_64", "https://good?a=b&c=d".to_owned(), "ab");
        let text = String::from_utf8(document.to_bytes().unwrap()).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("  \"worker_x86_64_url\"")).collect();
        assert_eq!(lines, ["  \"worker_x86_64_url\": \"https://good?a=b&c=d\","]);
        let read: Document = serde_json::from_str(&text).unwrap();
        assert_eq!(read.workers["worker_x86_64_sha256"], "ab");
        assert_eq!(format!("{read:?}"), "Document { run_id: RunId(\"r\"), order_num: OrderNum(1), .. }");
    }
}
