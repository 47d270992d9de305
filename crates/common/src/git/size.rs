//! How large a repository is: on its way here, and before it is checked out.

use std::{ops::ControlFlow, path::Path, time::Duration};

use walkdir::WalkDir;

use super::{GitError, Limits, process::Git};

/// How often what git has stored so far is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Ends when what lies in the folder has outgrown the limit; never before.
pub(super) async fn outgrown(folder: &Path, url: &str, limits: Limits) -> GitError {
    loop {
        tokio::time::sleep(LOOK).await;
        // A few files, so that this takes no time worth another thread. What git removes meanwhile has no length.
        let files = WalkDir::new(folder).into_iter().filter_map(|entry| entry.ok()?.metadata().ok());
        let bytes: u64 = files.filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()).sum();
        if bytes > limits.bytes {
            let reason = format!("more than {} bytes were fetched", limits.bytes);
            return GitError::TooLarge { url: url.to_owned(), reason };
        }
    }
}

/// Counts what a commit that is here would put into the folder.
pub(super) async fn check(git: &Git, folder: &Path, id: &str, url: &str, limits: Limits) -> Result<(), GitError> {
    let mut tally = Tally::new(limits);
    let listing = ["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", id];
    let ended = git.run_reading(folder, listing, &mut |part| tally.add(part)).await?;
    let url = || url.to_owned();
    match tally.exceeded {
        Some(reason) => Err(GitError::TooLarge { url: url(), reason }),
        None if ended.success => Ok(()),
        None => Err(GitError::Failed { url: url(), said: ended.said }),
    }
}

/// Adds up what `git ls-tree -r -t -l -z` lists: `<mode> <type> <id> <length>\t<path>\0` for each file and folder, where
/// the length is filled up with blanks in front and `-` for what has none (a folder, another repository).
struct Tally {
    limits: Limits,
    files: u64,
    bytes: u64,
    /// What stands before the path of the entry that is being read; nothing once the path has begun.
    head: Option<Vec<u8>>,
    exceeded: Option<String>,
}

/// Mode, type, id of at most 64 digits, length of at most 20, and blanks.
const MAX_HEAD: usize = 128;

impl Tally {
    fn new(limits: Limits) -> Self {
        Self { limits, files: 0, bytes: 0, head: Some(Vec::new()), exceeded: None }
    }

    fn add(&mut self, part: &[u8]) -> ControlFlow<()> {
        for byte in part {
            match (byte, &mut self.head) {
                (0, _) => self.head = Some(Vec::new()),
                (b'\t', Some(head)) => {
                    let length = head.rsplit(|byte| *byte == b' ').next().map(String::from_utf8_lossy);
                    self.bytes = self.bytes.saturating_add(length.and_then(|n| n.parse().ok()).unwrap_or(0));
                    self.files += 1;
                    self.head = None;
                }
                (byte, Some(head)) if head.len() < MAX_HEAD => head.push(*byte),
                _ => {}
            }
        }
        if self.files > self.limits.files {
            self.exceeded = Some(format!("it has more than {} files and folders", self.limits.files));
        } else if self.bytes > self.limits.bytes {
            self.exceeded = Some(format!("its files have more than {} bytes together", self.limits.bytes));
        }
        if self.exceeded.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(listing: &[u8], at_once: usize, files: u64, bytes: u64) -> (u64, u64, Option<String>) {
        let mut tally = Tally::new(Limits { time: Duration::ZERO, files, bytes });
        let broken = listing.chunks(at_once).any(|part| tally.add(part).is_break());
        assert_eq!(broken, tally.exceeded.is_some());
        (tally.files, tally.bytes, tally.exceeded)
    }

    #[tokio::test]
    async fn what_is_stored_on_the_way_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pack")).unwrap();
        std::fs::write(folder.path().join("pack/tmp"), [0; 1_001]).unwrap();
        let limits = Limits { bytes: 1_000, ..Limits::SUBMISSION };
        let error = outgrown(folder.path(), "https://h/r", limits).await;
        assert_eq!(error.to_string(), "the repository `https://h/r` is too large: more than 1000 bytes were fetched");
    }

    #[test]
    fn files_and_bytes_are_added_up_however_the_list_is_cut() {
        let listing = b"100644 blob 0123456789012345678901234567890123456789       5\ta b\n\tc\0\
            120000 blob 0123456789012345678901234567890123456789      12\tlink\0\
            160000 commit 0123456789012345678901234567890123456789       -\tsub\0\
            100755 blob 0123456789012345678901234567890123456789 1000000\tx 7\0";
        for at_once in 1..listing.len() {
            assert_eq!(tally(listing, at_once, 4, 1_000_017), (4, 1_000_017, None));
        }
        assert_eq!(tally(listing, 7, 3, u64::MAX).2.unwrap(), "it has more than 3 files and folders");
        assert_eq!(tally(listing, 7, 9, 16).2.unwrap(), "its files have more than 16 bytes together");
    }
}
