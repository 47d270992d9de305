//! Zips: how code and bundles are packed, and how nobody's zip ever does more than put files into one folder.
//!
//! Reading trusts nothing. [`inspect`] and [`unpack`] share one walk over the entries: names and kinds are checked for
//! all of them before the first byte is written, contents are counted while they stream, and the zip library's own
//! `extract` is never used. Writing is deterministic: the same tree gives the same bytes, so that its hash can name it.

mod check;
mod pack;
mod unpack;

use std::{io, path::PathBuf};

pub use pack::{Packed, pack_entries, pack_folder, pack_paths};
pub use unpack::{inspect, read_entry, unpack};
use zip::result::ZipError;

/// How much a zip may hold, and whether it may hold symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries, at most 65,535: larger directories need the zip64 format, which is refused.
    pub entries: usize,
    /// Most bytes of all contents together.
    pub bytes: u64,
    /// Most bytes of content for a byte of the zip, looked at once [`RATIO_FLOOR`] is passed.
    pub ratio: u64,
    /// Whether symbolic links that stay inside are allowed; else each is refused.
    pub links: bool,
}

impl Limits {
    /// For zips that users bring. 2 GiB fits a worker's disk; honest text stays far below 200 to 1, a bomb needs more.
    pub const FOREIGN: Self = Self { entries: 65_535, bytes: 2 << 30, ratio: 200, links: false };
    /// For code that the engine packed itself, where repositories may have links and long runs of zeros.
    pub const OWN: Self = Self { entries: 65_535, bytes: 2 << 30, ratio: 1_100, links: true };
}

/// Bytes of content up to which the ratio is not looked at: small files of one repeated byte are harmless.
pub const RATIO_FLOOR: u64 = 16 << 20;

/// Why a zip could not be written, or is not read. Names of entries are shown with control characters escaped.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are no zip that can be read safely.
    #[error("the zip is not valid: {0}")]
    Invalid(String),
    /// An entry that is refused for its name or kind.
    #[error("entry `{name}` is refused: {reason}")]
    Refused {
        /// The entry.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than [`Limits`] allow.
    #[error("the zip is too large: {0}")]
    TooLarge(String),
    /// A file of a folder that cannot go into a zip.
    #[error("`{name}` cannot be packed: {reason}")]
    Unpackable {
        /// The file, relative to the folder.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Reading or writing failed.
    #[error("failed to {doing} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ArchiveError {
    fn refused(name: &[u8], reason: &'static str) -> Self {
        Self::Refused { name: shown(name), reason }
    }

    fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

impl From<ZipError> for ArchiveError {
    fn from(error: ZipError) -> Self {
        Self::Invalid(error.to_string().escape_debug().take(300).collect())
    }
}

/// A name for an error message: escaped, and not longer than a line.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().take(200).collect()
}

#[cfg(test)]
mod tests;
