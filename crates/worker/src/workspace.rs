//! A fresh folder for one invocation, gone afterwards whatever commands did to it.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::user::CommandUser;

/// The folder of one invocation, for this user alone.
#[derive(Debug)]
pub struct Workspace {
    /// None once removed.
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Workspace {
    /// Makes a new folder with mode 0700 below `parent`.
    ///
    /// With a user of the commands' own, that one may pass through it to the folders that it is given.
    pub fn create(parent: &Path, user: Option<&CommandUser>) -> io::Result<Self> {
        let mode = if user.is_some() { 0o711 } else { 0o700 };
        let dir =
            tempfile::Builder::new().prefix("order-").permissions(Permissions::from_mode(mode)).tempdir_in(parent)?;
        let path = dir.path().to_owned();
        insist(&path, mode)?;
        Ok(Self { dir: Some(dir), path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder inside, with mode 0700.
    pub fn subfolder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        insist(&path, 0o700)?;
        Ok(path)
    }

    /// Removes it with everything inside. Nothing may run in it any more.
    ///
    /// After an error something may be left that the next invocation could see: the worker should exit.
    pub fn remove(mut self) -> io::Result<()> {
        if let Some(dir) = self.dir.take() {
            // From here on the folder is ours to remove, and not tempfile's.
            remove_tree(&dir.keep())?;
        }
        Ok(())
    }
}

/// Gives a new folder its mode where the mask of this process took something away.
fn insist(folder: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(folder)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(mode))
}

impl Drop for Workspace {
    /// For invocations that fail on their way.
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take()
            && let Err(error) = remove_tree(&dir.keep())
        {
            tracing::error!(path = %self.path.display(), %error, "a workspace could not be removed");
        }
    }
}

/// Removes what commands left beside their own folder: everything in `parent` that belongs to this process's user.
///
/// For a `parent` that is the worker's alone, as `/tmp` is on Lambda.
pub(crate) fn clear(parent: &Path) -> io::Result<()> {
    let me = geteuid().as_raw();
    let found = fs::metadata(parent)?;
    if found.uid() == me {
        // Commands of the same user may have locked it, and with it every order to come.
        fs::set_permissions(parent, Permissions::from_mode(found.permissions().mode() | 0o700))?;
    }
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.uid() == me {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

/// Removes a folder whatever its modes and however deep it is.
///
/// `remove_dir_all` gives up at a folder without permissions, and keeps a file open for each level. Here every folder
/// that is found is opened up and moved to the top first, so that no path is longer than two names and nothing
/// recurses. Links are removed and never followed.
fn remove_tree(root: &Path) -> io::Result<()> {
    // Commands may have moved the root itself away, or put something else in its place.
    match fs::symlink_metadata(root) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return fs::remove_file(root),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let mut moved = 0_u64;
    let mut waiting = vec![root.to_owned()];
    // The root is looked at first, and again when all that was moved into it is gone.
    while let Some(folder) = waiting.last().cloned() {
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            } else if fs::remove_dir(entry.path()).is_err() {
                // Most folders are empty; not this one.
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            fs::remove_dir(&folder)?;
            waiting.pop();
        }
        for path in found {
            // Moving a folder changes its `..`, for which it has to be writable itself.
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            let top = free_name(root, &mut moved);
            fs::rename(&path, &top)?;
            waiting.push(top);
        }
    }
    Ok(())
}

/// A name in the root that nothing has.
fn free_name(root: &Path, moved: &mut u64) -> PathBuf {
    loop {
        *moved += 1;
        let path = root.join(format!(".removing-{moved}"));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn each_is_new_and_private() {
        let parent = tempfile::tempdir().unwrap();
        let (a, b) = (Workspace::create(parent.path(), None).unwrap(), Workspace::create(parent.path(), None).unwrap());
        assert_ne!(a.path(), b.path());
        assert_eq!((mode(a.path()), mode(&a.subfolder("code").unwrap())), (0o700, 0o700));
        assert!(a.subfolder("code").is_err(), "it is there already");
        a.remove().unwrap();
        drop(b);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn locked_folders_and_links_are_removed_and_links_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "mine").unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o500)).unwrap();
        let workspace = Workspace::create(parent.path(), None).unwrap();
        let locked = workspace.path().join("a/b/c");
        fs::create_dir_all(&locked).unwrap();
        fs::create_dir(workspace.path().join(".removing-1")).unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        symlink(&outside, workspace.path().join("a/folder")).unwrap();
        symlink("/nowhere", locked.join("dangling")).unwrap();
        for folder in ["a/b/c", "a/b", "a", "."] {
            fs::set_permissions(workspace.path().join(folder), Permissions::from_mode(0o000)).unwrap();
        }
        workspace.remove().unwrap();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "mine");
        assert_eq!(mode(&outside), 0o500);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_locked_folder_of_all_is_opened_and_emptied() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("left"), "x").unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o000)).unwrap();
        clear(parent.path()).unwrap();
        assert_eq!((mode(parent.path()), fs::read_dir(parent.path()).unwrap().count()), (0o700, 0));
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(parent.path(), None).unwrap();
        // 3,000 levels of names whose path is 12,000 bytes long, built from the inside out.
        let (root, mut inner) = (workspace.path().to_owned(), workspace.path().join("000"));
        fs::create_dir(&inner).unwrap();
        for level in 1..3_000 {
            let outer = root.join(format!("{level:03}"));
            fs::create_dir(&outer).unwrap();
            fs::rename(&inner, outer.join("in")).unwrap();
            inner = outer;
        }
        workspace.remove().unwrap();
        assert!(!root.exists());
    }
}
