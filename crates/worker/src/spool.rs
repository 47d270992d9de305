//! The whole masked output of an order in a file of this machine, for the log in S3.
//!
//! It is made before any command runs, and on Linux has no name, so that no command can put another in its place, change
//! it or take it away. A worker makes one and empties it between orders: to make a file for each of a thousand short
//! orders takes longer than to write what they print.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of output kept in a file. More has no reader, and the disk of a worker has to hold code and work as well.
pub const MAX_SPOOLED: u64 = 256 << 20;

/// A file for the output of one order after the other.
#[derive(Debug)]
pub struct Spool {
    file: File,
    /// The path by which this process opens it.
    path: PathBuf,
    bytes: AtomicU64,
}

/// That of a worker, once it has one. Clones share it.
pub type OwnSpool = Arc<OnceLock<Spool>>;

impl Spool {
    /// A new file at `path`, readable by this user alone. On Linux it has that name for a moment only.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let path = nameless(&file, path)?;
        Ok(Self { file, path, bytes: AtomicU64::new(0) })
    }

    /// The worker's own, made at `path` if it has none yet.
    pub(crate) fn of_worker<'a>(own: &'a OwnSpool, path: &Path) -> io::Result<&'a Self> {
        if let Some(spool) = own.get() {
            return Ok(spool);
        }
        let spool = Self::create(path)?;
        Ok(own.get_or_init(|| spool))
    }

    /// Takes everything out of it, for the next order.
    pub(crate) fn empty(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).rewind()?;
        self.bytes.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// The path by which this process, and no other that may not look into it, opens the file.
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// Bytes in it: all of the output, unless it is longer than [`MAX_SPOOLED`] or writing failed.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Writes the next bytes, as far as there is room.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let room = usize::try_from(MAX_SPOOLED - self.bytes()).unwrap_or(usize::MAX);
        let mut rest = &bytes[..bytes.len().min(room)];
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(written) => {
                    self.bytes.fetch_add(written as u64, Ordering::Relaxed);
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Takes the name from a file; gives the path by which this process opens it.
fn nameless(file: &File, path: &Path) -> io::Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        return Ok(path.to_owned());
    }
    fs::remove_file(path)?;
    Ok(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
}

#[cfg(test)]
impl Spool {
    /// One on a disk that is full.
    pub(crate) fn full() -> Self {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        Self { file, path: PathBuf::from("/dev/full"), bytes: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_no_name_and_can_be_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("log");
        let own = OwnSpool::default();
        let spool = Spool::of_worker(&own, &at).unwrap();
        spool.write(b"one ").unwrap();
        spool.write(b"two").unwrap();
        assert_eq!((fs::read_to_string(spool.file()).unwrap().as_str(), spool.bytes()), ("one two", 7));
        spool.empty().unwrap();
        let spool = Spool::of_worker(&own, &at).unwrap();
        spool.write(b"2").unwrap();
        assert_eq!((fs::read_to_string(spool.file()).unwrap().as_str(), spool.bytes()), ("2", 1));
        #[cfg(target_os = "linux")]
        assert!(!at.exists(), "nobody else finds it");
        fs::write(&at, "theirs").unwrap();
        assert!(Spool::create(&at).is_err(), "a file that is there is not taken");
    }

    #[test]
    fn a_full_disk_is_told() {
        let spool = Spool::full();
        assert_eq!(spool.write(b"one").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(spool.bytes(), 0);
    }
}
