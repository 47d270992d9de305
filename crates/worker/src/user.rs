//! The user whom commands run as, where the worker is root: in a build container, so that a command can read neither the
//! worker's memory nor its environment with the credentials of the build's role.

use std::{
    io,
    os::unix::fs::lchown,
    path::{Path, PathBuf},
};

use nix::unistd::{Uid, User};

/// Another user than the worker's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandUser {
    uid: u32,
    gid: u32,
}

/// Why commands cannot run as this user; completes "`VARIABLE` …".
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none.
    #[error("names the user `{0}`, who is not there")]
    Unknown(String),
    /// Only root can start processes of others.
    #[error("needs a worker that runs as root")]
    NotRoot,
    /// It would change nothing.
    #[error("names root, from whom nothing can be kept")]
    Root,
    /// The list of users cannot be read.
    #[error("cannot be looked up: {0}")]
    Lookup(io::Error),
}

impl CommandUser {
    /// The user of this name.
    pub fn find(name: &str) -> Result<Self, UserError> {
        let user = User::from_name(name).map_err(|error| UserError::Lookup(error.into()))?;
        let user = user.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
        if user.uid.is_root() {
            return Err(UserError::Root);
        }
        if !Uid::effective().is_root() {
            return Err(UserError::NotRoot);
        }
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// User and group ids.
    pub(crate) fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Gives the user a folder and all that is in it.
    pub(crate) fn take_over(&self, folder: &Path) -> io::Result<()> {
        let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
        while let Some(path) = waiting.pop() {
            // Links are given away themselves and never followed.
            lchown(&path, Some(self.uid), Some(self.gid))?;
            if path.symlink_metadata()?.is_dir() {
                for entry in path.read_dir()? {
                    waiting.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_user_who_is_there_and_less_than_root_will_do() {
        assert!(matches!(CommandUser::find("no-such-user"), Err(UserError::Unknown(_))));
        assert!(matches!(CommandUser::find("root"), Err(UserError::Root)));
        let nobody = CommandUser::find("nobody");
        if Uid::effective().is_root() {
            assert!(nobody.is_ok());
        } else {
            assert!(matches!(nobody, Err(UserError::NotRoot)));
        }
    }
}
