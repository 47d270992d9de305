//! Which entries are allowed: names, kinds, and how entries relate to each other.
//!
//! Links that stay inside are decided without a file system. A target is any number of `..` and then plain names; the
//! `..` start at the folder of the link, which is a real folder because no entry may lie below a link, so they can be
//! counted. Whatever follows goes down, perhaps through other links, and each of those stays inside by the same rule.
//! A `..` after a name could climb from wherever another link leads, so it is refused.

use std::collections::{HashMap, HashSet};

use super::ArchiveError;

/// Longest name of an entry in bytes, and longest target of a link: Linux' own limit on paths.
pub(super) const MAX_NAME: usize = 4_095;

/// Most parts of a name; deeper trees exhaust stacks and file handles of whoever walks them.
const MAX_DEPTH: usize = 100;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
    Link,
}

impl Kind {
    /// From name, length and the Unix mode in the directory of the zip, which is absent or zero in zips of other systems.
    pub(super) fn of(name: &[u8], length: u64, mode: Option<u32>) -> Result<Self, ArchiveError> {
        let mode = mode.unwrap_or(0);
        let slash = name.ends_with(b"/");
        match mode & 0o170_000 {
            0 | 0o100_000 if !slash => Ok(Self::File { executable: mode & 0o111 != 0 }),
            0 | 0o040_000 if slash => Ok(Self::Folder),
            // Writers on Windows often leave out that it is a folder.
            0o100_000 if slash && length == 0 => Ok(Self::Folder),
            0o120_000 if !slash => Ok(Self::Link),
            0 | 0o040_000 | 0o100_000 | 0o120_000 => {
                Err(ArchiveError::refused(name, "its name and its mode disagree about what it is"))
            }
            _ => Err(ArchiveError::refused(name, "it is a device, a pipe or a socket")),
        }
    }
}

/// The name as a relative path without a trailing slash.
pub(super) fn name(raw: &[u8]) -> Result<&str, ArchiveError> {
    let refuse = |reason| Err(ArchiveError::refused(raw, reason));
    let Ok(text) = std::str::from_utf8(raw) else {
        return refuse("its name is not UTF-8");
    };
    let path = text.strip_suffix('/').unwrap_or(text);
    if text.len() > MAX_NAME {
        return refuse("its name is too long");
    }
    if text.contains('\0') {
        return refuse("its name has a NUL");
    }
    if text.contains('\\') {
        return refuse("its name has a backslash");
    }
    if text.starts_with('/') {
        return refuse("its name is absolute");
    }
    if matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return refuse("its name has a drive letter");
    }
    let mut depth = 0;
    for part in path.split('/') {
        match part {
            "" => return refuse("its name has an empty part"),
            "." | ".." => return refuse("its name has a part `.` or `..`"),
            // Linux' own limit on one name.
            part if part.len() > 255 => return refuse("a part of its name is too long"),
            _ => depth += 1,
        }
    }
    if depth > MAX_DEPTH {
        return refuse("it lies too deep");
    }
    Ok(path)
}

/// Whether a link of this name with this target stays inside; the reason when it does not.
pub(super) fn link_target(name: &str, target: &str) -> Result<(), &'static str> {
    let depth = name.matches('/').count();
    if target.is_empty() || target.len() > MAX_NAME || target.contains(['\0', '\\']) {
        return Err("its target is no path");
    }
    if target.starts_with('/') {
        return Err("it is a link to an absolute path");
    }
    let (mut up, mut down) = (0, false);
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if down => return Err("it is a link whose target has `..` after a name"),
            ".." => up += 1,
            _ => down = true,
        }
    }
    if up > depth { Err("it is a link that leads outside") } else { Ok(()) }
}

/// The entries seen so far: none twice, none below what is not a folder.
#[derive(Default)]
pub(super) struct Tree<'a> {
    entries: HashMap<&'a str, Kind>,
    /// Every proper prefix of a name: these have to be folders.
    parents: HashSet<&'a str>,
}

impl<'a> Tree<'a> {
    pub(super) fn add(&mut self, name: &'a str, kind: Kind) -> Result<(), ArchiveError> {
        let refuse = |reason| Err(ArchiveError::refused(name.as_bytes(), reason));
        if self.entries.insert(name, kind).is_some() {
            return refuse("another entry has the same name");
        }
        if kind != Kind::Folder && self.parents.contains(name) {
            return refuse("other entries lie below it");
        }
        for (at, _) in name.match_indices('/') {
            let parent = &name[..at];
            if self.entries.get(parent).is_some_and(|kind| *kind != Kind::Folder) {
                return refuse("it lies below an entry that is not a folder");
            }
            self.parents.insert(parent);
        }
        Ok(())
    }
}
