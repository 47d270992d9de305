//! The order's bundle, `exec.zip`: what its worker needs and nobody else can read.
//!
//! | entry | content |
//! | --- | --- |
//! | `cmds.json` | the commands, a list of strings |
//! | `manifest.json` | [`Manifest`] |
//! | `secrets.enc.json` | a SOPS file: every variable of the commands |
//! | `env_vars.env` | names of the variables that are no secrets, one a line |
//! | `secrets.src` | `NAME=<where it comes from>` of each secret, one a line |

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::{self, ArchiveError},
    clock::Timestamp,
    ids::{OrderName, OrderNum, RunId, TraceId},
    sops::{self, SopsError},
};

/// Largest bundle that a worker reads: commands, variables and their encoding; code is apart.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Largest entry of a bundle.
const MAX_ENTRY_BYTES: usize = 64 * 1024 * 1024;

/// `manifest.json`: what a worker needs to know of the order, without secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`crate::plan::SCHEMA_VERSION`] of its writer.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// The order.
    pub order_num: OrderNum,
    /// Its name.
    pub order_name: OrderName,
    /// The run's trace.
    pub trace_id: TraceId,
    /// Seconds for all commands.
    pub timeout: u64,
    /// Seconds between SIGINT and SIGKILL.
    pub stop_grace: u64,
    /// When the job's time is out.
    pub deadline: Timestamp,
    /// The order's code.
    pub code: Option<Code>,
}

/// Where the code of an order lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Key in the internal bucket.
    pub key: String,
    /// SHA-256 of the zip, in hex.
    pub sha256: String,
    /// Working directory inside.
    pub folder: Option<String>,
    /// The full commit that a git source resolved to.
    pub commit: Option<String>,
}

/// A bundle, opened or about to be sealed.
#[derive(Debug)]
pub struct Bundle {
    /// The commands.
    pub cmds: Vec<String>,
    /// What the worker needs to know.
    pub manifest: Manifest,
    /// Every variable of the commands.
    pub variables: BTreeMap<String, SecretString>,
    /// Which of them are no secrets.
    pub plain: BTreeSet<String>,
    /// Where the secrets come from.
    pub sources: BTreeMap<String, String>,
}

/// Why a bundle cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Its bytes are not the ones that were planned.
    #[error("the bundle is not the one that was submitted: its SHA-256 differs")]
    Digest,
    /// An entry is missing.
    #[error("the bundle has no `{0}`")]
    Missing(&'static str),
    /// An entry is malformed.
    #[error("failed to read `{0}` of the bundle: {1}")]
    Entry(&'static str, String),
    /// The zip is broken.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Sops(#[from] SopsError),
}

impl Bundle {
    /// Seals the bundle for these recipients; gives the zip.
    pub fn seal(&self, recipients: &[String], now: Timestamp) -> Result<Vec<u8>, BundleError> {
        let json = |name, value: serde_json::Result<Vec<u8>>| {
            value.map_err(|error| BundleError::Entry(name, error.to_string()))
        };
        let lines = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect::<String>();
        let cmds = json("cmds.json", serde_json::to_vec(&self.cmds))?;
        let manifest = json("manifest.json", serde_json::to_vec(&self.manifest))?;
        let sealed = sops::seal(&self.variables, recipients, now)?;
        let plain = lines(self.plain.iter().cloned().collect());
        let sources = lines(self.sources.iter().map(|(name, source)| format!("{name}={source}")).collect());
        Ok(archive::pack_entries(&[
            ("cmds.json", &cmds),
            ("manifest.json", &manifest),
            ("secrets.enc.json", sealed.as_bytes()),
            ("env_vars.env", plain.as_bytes()),
            ("secrets.src", sources.as_bytes()),
        ])?)
    }

    /// Checks the digest and opens the zip; the key is asked for only once the rest is known to be sound.
    pub fn read(zip: &[u8], sha256: &str) -> Result<Sealed, BundleError> {
        if digest(zip) != sha256 {
            return Err(BundleError::Digest);
        }
        let entry =
            |name: &'static str| archive::read_entry(zip, name, MAX_ENTRY_BYTES)?.ok_or(BundleError::Missing(name));
        let text = |name: &'static str| {
            String::from_utf8(entry(name)?).map_err(|error| BundleError::Entry(name, error.to_string()))
        };
        let parsed = |name: &'static str, error: serde_json::Error| BundleError::Entry(name, error.to_string());
        Ok(Sealed {
            cmds: serde_json::from_slice(&entry("cmds.json")?).map_err(|error| parsed("cmds.json", error))?,
            manifest: serde_json::from_slice(&entry("manifest.json")?)
                .map_err(|error| parsed("manifest.json", error))?,
            document: text("secrets.enc.json")?,
            plain: text("env_vars.env")?.lines().map(str::to_owned).collect(),
        })
    }
}

/// A bundle whose variables are still sealed.
#[derive(Debug)]
pub struct Sealed {
    /// The commands.
    pub cmds: Vec<String>,
    /// What the worker needs to know.
    pub manifest: Manifest,
    /// Which variables are no secrets.
    pub plain: BTreeSet<String>,
    document: String,
}

impl Sealed {
    /// Every variable of the commands.
    pub fn open(&self, identity: &sops::Identity) -> Result<BTreeMap<String, SecretString>, BundleError> {
        Ok(sops::open(&self.document, identity)?)
    }
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
