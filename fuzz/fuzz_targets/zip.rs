//! A zip from a stranger: whatever is in it, nothing is written outside of the folder, and not more than the limits say.
#![no_main]

use std::{fs, io::Cursor, path::Path};

use common::archive::{Limits, inspect, unpack};
use libfuzzer_sys::fuzz_target;

/// Small, so that many are tried a second.
const LIMITS: Limits = Limits { entries: 64, bytes: 1 << 20, ratio: 200, links: false };

/// Bytes of files; there is nothing but files and folders.
fn bytes(folder: &Path) -> u64 {
    let size = |entry: fs::DirEntry| {
        let found = fs::symlink_metadata(entry.path()).unwrap();
        assert!(found.is_dir() || found.is_file());
        if found.is_dir() { bytes(&entry.path()) } else { found.len() }
    };
    fs::read_dir(folder).unwrap().map(|entry| size(entry.unwrap())).sum()
}

fuzz_target!(|zip: &[u8]| {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let names = inspect(Cursor::new(zip), LIMITS);
    let unpacked = unpack(Cursor::new(zip), &inner, LIMITS);
    assert!(names.is_ok() || unpacked.is_err(), "what is refused by its directory is not unpacked");
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    assert!(bytes(&inner) <= LIMITS.bytes);
});
