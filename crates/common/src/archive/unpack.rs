//! Reading zips entry by entry.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink},
    path::Path,
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    ArchiveError, Limits, RATIO_FLOOR,
    check::{self, Kind, MAX_NAME, Tree},
    shown,
};

/// Bytes of the record at the end of a zip that tells where its directory is.
const END_RECORD: usize = 22;

/// Bytes of the record that announces zip64, directly before the end record.
const ZIP64_LOCATOR: usize = 20;

/// Puts the contents of a zip into a folder, which is made if it is not there and should be empty.
///
/// Folders get mode 0755, files 0644 or, if anyone may execute them, 0755: neither set-uid bits nor owners nor times
/// are taken from the zip. Nothing that exists is overwritten. After an error some entries may have been written.
pub fn unpack(zip: impl Read + Seek, into: &Path, limits: Limits) -> Result<(), ArchiveError> {
    walk(zip, limits, Some(into)).map(drop)
}

/// Everything that [`unpack`] checks, contents and checksums included, without writing. Gives the names of the entries.
pub fn inspect(zip: impl Read + Seek, limits: Limits) -> Result<Vec<String>, ArchiveError> {
    walk(zip, limits, None)
}

/// One file of a zip that is in memory; nothing if it has none of that name, an error above `limit` bytes.
pub fn read_entry(zip: &[u8], name: &str, limit: usize) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut archive = open(Cursor::new(zip), Limits::OWN)?;
    let Some(at) = archive.index_for_name(name) else {
        return Ok(None);
    };
    let entry = archive.by_index(at)?;
    let mut content = Vec::new();
    let read = entry.take(limit as u64 + 1).read_to_end(&mut content);
    read.map_err(|error| broken(name, &error))?;
    if content.len() > limit {
        return Err(ArchiveError::TooLarge(format!("`{}` is longer than {limit} bytes", shown(name.as_bytes()))));
    }
    Ok(Some(content))
}

/// An entry whose name and kind are checked.
struct Checked {
    at: usize,
    name: String,
    kind: Kind,
}

fn walk(mut zip: impl Read + Seek, limits: Limits, into: Option<&Path>) -> Result<Vec<String>, ArchiveError> {
    let length = zip.seek(SeekFrom::End(0)).map_err(ArchiveError::io("read", "the zip"))?;
    let mut archive = open(zip, limits)?;
    let entries = check_entries(&mut archive, limits)?;
    let mut budget = Budget { limits, length, used: 0 };
    let mut links = Vec::new();
    if let Some(root) = into {
        fs::create_dir_all(root).map_err(ArchiveError::io("create", root))?;
    }
    for Checked { at, name, kind } in &entries {
        let mut entry = archive.by_index(*at)?;
        let path = into.map(|root| root.join(name));
        if let Some(parent) = path.as_deref().and_then(Path::parent) {
            folder(parent)?;
        }
        match (kind, path) {
            (Kind::Folder, path) => {
                budget.copy(&mut entry, name, &mut io::sink())?;
                path.as_deref().map_or(Ok(()), folder)?;
            }
            (Kind::Link, path) => {
                let target = budget.target(&mut entry, name)?;
                links.extend(path.map(|path| (path, target)));
            }
            (Kind::File { .. }, None) => budget.copy(&mut entry, name, &mut io::sink())?,
            (Kind::File { executable }, Some(path)) => {
                let mode = if *executable { 0o755 } else { 0o644 };
                let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
                budget.copy(&mut entry, name, &mut file.map_err(ArchiveError::io("create", path))?)?;
            }
        }
    }
    // Last of all, so that nothing is ever written through a link.
    for (path, target) in links {
        symlink(target, &path).map_err(ArchiveError::io("link", path))?;
    }
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

/// The zip's directory, if it is one that all readers understand alike.
fn open<R: Read + Seek>(mut zip: R, limits: Limits) -> Result<ZipArchive<R>, ArchiveError> {
    check_end(&mut zip, limits)?;
    let mut archive = ZipArchive::new(zip)?;
    // Local headers agree with the directory, no two entries share bytes, none has a name that stands twice.
    archive.validate_header_consistency()?;
    Ok(archive)
}

/// Looks at every record that could be the end of the zip before the library reserves memory for what it promises.
fn check_end(zip: &mut (impl Read + Seek), limits: Limits) -> Result<(), ArchiveError> {
    let read = |error| ArchiveError::Invalid(format!("it cannot be read: {error}"));
    let length = zip.seek(SeekFrom::End(0)).map_err(read)?;
    // The record is followed by a comment of at most 65,535 bytes.
    let tail = length.min((END_RECORD + ZIP64_LOCATOR + 0xffff) as u64);
    zip.seek(SeekFrom::Start(length - tail)).map_err(read)?;
    let mut bytes = Vec::new();
    zip.read_to_end(&mut bytes).map_err(read)?;
    let records = bytes.windows(END_RECORD).enumerate().filter(|(_, record)| record.starts_with(b"PK\x05\x06"));
    for (at, record) in records {
        let entries = usize::from(u16::from_le_bytes([record[10], record[11]]));
        if entries > limits.entries {
            return Err(ArchiveError::TooLarge(format!("it has more than {} entries", limits.entries)));
        }
        if at >= ZIP64_LOCATOR && bytes[at - ZIP64_LOCATOR..].starts_with(b"PK\x06\x07") {
            return Err(ArchiveError::TooLarge("it is in the zip64 format, of 4 GiB or 65,536 entries".to_owned()));
        }
    }
    Ok(())
}

fn check_entries<R: Read + Seek>(archive: &mut ZipArchive<R>, limits: Limits) -> Result<Vec<Checked>, ArchiveError> {
    if archive.len() > limits.entries {
        return Err(ArchiveError::TooLarge(format!("it has more than {} entries", limits.entries)));
    }
    let mut entries = Vec::with_capacity(archive.len());
    for at in 0..archive.len() {
        let entry = archive.by_index_data(at)?;
        let raw = entry.name_raw();
        let kind = Kind::of(raw, entry.size(), entry.unix_mode())?;
        let name = check::name(raw)?.to_owned();
        if kind == Kind::Link && !limits.links {
            return Err(ArchiveError::refused(raw, "it is a symbolic link"));
        }
        if entry.encrypted() {
            return Err(ArchiveError::refused(raw, "it is encrypted"));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::refused(raw, "it is compressed by another method than deflate"));
        }
        entries.push(Checked { at, name, kind });
    }
    let mut tree = Tree::default();
    for Checked { name, kind, .. } in &entries {
        tree.add(name, *kind)?;
    }
    Ok(entries)
}

/// What is left of the limits while contents stream.
struct Budget {
    limits: Limits,
    /// Bytes of the zip.
    length: u64,
    /// Bytes of content so far.
    used: u64,
}

impl Budget {
    fn spend(&mut self, name: &str, bytes: usize) -> Result<(), ArchiveError> {
        self.used += bytes as u64;
        let what = if self.used > self.limits.bytes {
            format!("its contents are longer than {} bytes", self.limits.bytes)
        } else if self.used > RATIO_FLOOR && self.used / self.limits.ratio > self.length {
            format!("its contents are more than {} times as long as the zip", self.limits.ratio)
        } else {
            return Ok(());
        };
        Err(ArchiveError::TooLarge(format!("{what} (at `{}`)", shown(name.as_bytes()))))
    }

    fn copy(&mut self, entry: &mut impl Read, name: &str, out: &mut impl Write) -> Result<(), ArchiveError> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match entry.read(&mut buffer).map_err(|error| broken(name, &error))? {
                0 => return Ok(()),
                read => {
                    self.spend(name, read)?;
                    out.write_all(&buffer[..read]).map_err(ArchiveError::io("write", name))?;
                }
            }
        }
    }

    fn target(&mut self, entry: &mut impl Read, name: &str) -> Result<String, ArchiveError> {
        let mut bytes = Vec::new();
        entry.take(MAX_NAME as u64 + 1).read_to_end(&mut bytes).map_err(|error| broken(name, &error))?;
        self.spend(name, bytes.len())?;
        let target = String::from_utf8(bytes).map_err(|_| "its target is no path");
        let target = target.and_then(|target| check::link_target(name, &target).map(|()| target));
        target.map_err(|reason| ArchiveError::refused(name.as_bytes(), reason))
    }
}

fn broken(name: &str, error: &io::Error) -> ArchiveError {
    ArchiveError::Invalid(format!("`{}` cannot be read: {error}", shown(name.as_bytes())))
}

/// A folder with all above it; no part of it can be a link, since links are made last.
fn folder(path: &Path) -> Result<(), ArchiveError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(ArchiveError::io("create", path))
}
