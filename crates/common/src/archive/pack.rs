//! Writing zips whose bytes depend on names, contents, executable bits and links alone.

use std::{
    fs::{self, File, FileType},
    io::{self, Cursor, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;
use zip::{DateTime, ZipWriter, write::SimpleFileOptions};

use super::{ArchiveError, Limits, check, shown};

/// What came of packing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the zip, in lower-case hex.
    pub sha256: String,
    /// Length of the zip in bytes.
    pub bytes: u64,
}

/// Packs everything below `root` but `.git`, in order of names, with one fixed time.
///
/// Executable bits and links that stay inside are kept. A link that leads outside, a device and a name that could not
/// be unpacked again are errors, as is more than [`Limits::OWN`]: leaving something out would run other code than was
/// asked for.
pub fn pack_folder(root: &Path, out: impl Read + Write + Seek) -> Result<Packed, ArchiveError> {
    let walk = WalkDir::new(root)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != ".git");
    let mut packing = Packing::new(root, out);
    for entry in walk {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            ArchiveError::Io { doing: "read", path, source: error.into() }
        })?;
        let kind = entry.file_type();
        if kind.is_symlink() {
            packing.link(entry.path())?;
        } else {
            packing.add(entry.path(), kind)?;
        }
    }
    packing.finish()
}

/// Packs these files and folders below `root`, in the order given, with one fixed time: for whoever unpacks the archives
/// of strangers, which hold no links. `each` is told the bytes of files that are packed so far.
///
/// A link to a file below `root` is packed as that file; any other link, and what [`pack_folder`] refuses, is an error.
pub fn pack_paths(
    root: &Path,
    paths: impl IntoIterator<Item = PathBuf>,
    out: impl Read + Write + Seek,
    mut each: impl FnMut(u64),
) -> Result<Packed, ArchiveError> {
    let real_root = fs::canonicalize(root).map_err(ArchiveError::io("read", root))?;
    let mut packing = Packing::new(root, out);
    for path in paths {
        let kind = fs::symlink_metadata(&path).map_err(ArchiveError::io("read", &path))?.file_type();
        let kind = if kind.is_symlink() {
            let target = fs::canonicalize(&path).map_err(ArchiveError::io("read", &path))?;
            if !target.starts_with(&real_root) {
                return Err(packing.unpackable(&path, "it is a link that leads outside"));
            }
            let kind = fs::metadata(&target).map_err(ArchiveError::io("read", &target))?.file_type();
            if !kind.is_file() {
                return Err(packing.unpackable(&path, "it is a link to a folder"));
            }
            kind
        } else {
            kind
        };
        packing.add(&path, kind)?;
        each(packing.bytes);
    }
    packing.finish()
}

/// A zip that is being written.
struct Packing<'r, W: Read + Write + Seek> {
    root: &'r Path,
    zip: ZipWriter<W>,
    entries: usize,
    bytes: u64,
}

impl<'r, W: Read + Write + Seek> Packing<'r, W> {
    fn new(root: &'r Path, out: W) -> Self {
        Self { root, zip: ZipWriter::new(out), entries: 0, bytes: 0 }
    }

    /// A folder or a file.
    fn add(&mut self, path: &Path, kind: FileType) -> Result<(), ArchiveError> {
        let name = name_of(self.root, path)?;
        if kind.is_dir() {
            self.zip.add_directory(name, options(0o755))?;
        } else if kind.is_file() {
            let mut file = File::open(path).map_err(ArchiveError::io("read", path))?;
            let metadata = file.metadata().map_err(ArchiveError::io("read", path))?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            self.zip.start_file(name, options(if executable { 0o755 } else { 0o644 }))?;
            self.bytes += io::copy(&mut file, &mut self.zip).map_err(ArchiveError::io("pack", path))?;
        } else {
            return Err(self.unpackable(path, "it is a device, a pipe or a socket"));
        }
        self.count()
    }

    /// A link, as it is.
    fn link(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let name = name_of(self.root, path)?;
        let target = fs::read_link(path).map_err(ArchiveError::io("read", path))?;
        let target = target.to_str().ok_or_else(|| self.unpackable(path, "it is a link whose target is not UTF-8"))?;
        check::link_target(&name, target).map_err(|reason| self.unpackable(path, reason))?;
        self.zip.add_symlink(name, target, options(0o777))?;
        self.count()
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries <= Limits::OWN.entries && self.bytes <= Limits::OWN.bytes {
            return Ok(());
        }
        Err(ArchiveError::TooLarge(format!(
            "the folder has more than {} entries or {} bytes",
            Limits::OWN.entries,
            Limits::OWN.bytes
        )))
    }

    fn finish(self) -> Result<Packed, ArchiveError> {
        let mut out = self.zip.finish()?;
        hash(&mut out).map_err(ArchiveError::io("hash", self.root))
    }

    fn unpackable(&self, path: &Path, reason: &'static str) -> ArchiveError {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        ArchiveError::Unpackable { name: shown(relative.as_os_str().as_encoded_bytes()), reason }
    }
}

/// A zip of these files, in the order given.
pub fn pack_entries(entries: &[(&str, &[u8])]) -> Result<Vec<u8>, ArchiveError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        check::name(name.as_bytes())?;
        zip.start_file(*name, options(0o644))?;
        zip.write_all(content).map_err(ArchiveError::io("pack", *name))?;
    }
    Ok(zip.finish()?.into_inner())
}

fn options(mode: u32) -> SimpleFileOptions {
    // The first instant that zips can express: a real one would give each packing other bytes.
    SimpleFileOptions::default().last_modified_time(DateTime::default()).unix_permissions(mode)
}

fn name_of(root: &Path, path: &Path) -> Result<String, ArchiveError> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let unpackable = |reason| ArchiveError::Unpackable { name: shown(relative.as_os_str().as_encoded_bytes()), reason };
    let name = relative.to_str().ok_or_else(|| unpackable("its name is not UTF-8"))?;
    match check::name(name.as_bytes()) {
        Ok(name) => Ok(name.to_owned()),
        Err(ArchiveError::Refused { reason, .. }) => Err(unpackable(reason)),
        Err(other) => Err(other),
    }
}

fn hash(out: &mut (impl Read + Seek)) -> io::Result<Packed> {
    out.rewind()?;
    let (mut sha256, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        match out.read(&mut buffer)? {
            0 => return Ok(Packed { sha256: hex::encode(sha256.finalize()), bytes }),
            read => {
                sha256.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
