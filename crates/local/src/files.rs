//! Files that outlive the process: replaced whole or not at all, and readable by their owner alone.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::ids;

/// Makes a folder that only its owner can enter, with all above it.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces a file, mode 0600: whoever reads it sees the old content or the new one.
pub(crate) fn replace_now(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", ids::token()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report; a leftover has a name that nothing reads.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Makes the content of one file appear under a second name: by a hard link, else a symbolic one, else a copy.
pub(crate) fn share(source: &Path, target: &Path) -> io::Result<()> {
    fs::hard_link(source, target)
        .or_else(|_| std::os::unix::fs::symlink(source, target))
        .or_else(|_| fs::copy(source, target).map(drop))
}

/// [`replace_now`] off the async threads.
pub(crate) async fn replace(path: &Path, content: Vec<u8>) -> io::Result<()> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || replace_now(&path, &content)).await.map_err(io::Error::other)?
}
