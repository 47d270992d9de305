//! How much engine time was skipped, shared between processes by the length of a file.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The file. It has no content: its length alone counts, one byte a millisecond, and takes no room on the disk.
#[derive(Debug)]
pub(super) struct Skips {
    path: PathBuf,
    file: File,
}

impl PartialEq for Skips {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Skips {
    /// Makes the file, or goes on with the one that is there. It stays open as long as the process runs, so that a clock can be copied freely.
    pub(super) fn create(path: &Path) -> io::Result<&'static Self> {
        Ok(Self::leak(path, OpenOptions::new().write(true).create(true).truncate(false).open(path)?))
    }

    /// Opens another process's file.
    pub(super) fn open(path: &Path) -> io::Result<&'static Self> {
        Ok(Self::leak(path, File::open(path)?))
    }

    fn leak(path: &Path, file: File) -> &'static Self {
        Box::leak(Box::new(Self { path: path.to_owned(), file }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was skipped so far. The length of an open file can be had as long as the process runs.
    pub(super) fn total(&self) -> Duration {
        self.file.metadata().map(|file| Duration::from_millis(file.len())).unwrap_or_default()
    }

    /// Skips this much more, rounded up to a millisecond.
    pub(super) fn add(&self, duration: Duration) -> io::Result<()> {
        let millis = u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        self.file.set_len(self.file.metadata()?.len().saturating_add(millis))
    }
}
