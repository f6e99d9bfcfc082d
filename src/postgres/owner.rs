//! The user that the private server runs as: ourselves, or, since Postgres refuses root, an unprivileged one.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

/// Who runs the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerOwner {
    /// The user of this process.
    CurrentUser,
    /// We are root; this user is not.
    Unprivileged {
        /// The number in `/etc/passwd`.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
}

impl ServerOwner {
    /// Finds out who may run the server.
    ///
    /// # Errors
    /// When we are root and there is neither a user `postgres` nor `nobody`.
    pub(super) fn find() -> io::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::CurrentUser);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"].into_iter().find_map(|name| account(&accounts, name)).ok_or_else(|| {
            io::Error::other("Postgres does not run as root, and there is no user `postgres` or `nobody` to run it")
        })
    }

    /// A command that runs as this user, with nothing of our environment that could bend Postgres.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        if let Self::Unprivileged { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Makes a folder that only this user may enter. One that is there already must be this user's: under `/tmp`
    /// anybody could have put one, or a link to somewhere else.
    pub(super) fn make_private_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Ok(()) => self.give_to_owner(folder)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(folder)?;
                let is_ours = match self {
                    Self::CurrentUser => true,
                    // One of root's was made by a jitney that was killed before it gave it away.
                    Self::Unprivileged { uid, .. } => [0, *uid].contains(&found.uid()),
                };
                if !found.is_dir() || !is_ours {
                    return Err(io::Error::other(format!("{} belongs to somebody else", folder.display())));
                }
                self.give_to_owner(folder)?;
            }
            Err(error) => return Err(error),
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }

    /// Makes a folder of ours that the server's user may pass through, but not change.
    pub(super) fn make_shared_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mode = if *self == Self::CurrentUser { 0o700 } else { 0o711 };
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))
    }

    /// Gives a file or folder to this user.
    pub(super) fn give_to_owner(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::CurrentUser => Ok(()),
            Self::Unprivileged { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether this user can reach `folder`: whether every folder above it that exists lets it pass.
    pub(super) fn can_reach(&self, folder: &Path) -> bool {
        let Self::Unprivileged { uid, gid } = self else { return true };
        let is_traversable = |metadata: fs::Metadata| {
            let bit = if metadata.uid() == *uid {
                0o100
            } else if metadata.gid() == *gid {
                0o010
            } else {
                0o001
            };
            metadata.mode() & bit != 0
        };
        folder.ancestors().skip(1).filter_map(|above| fs::metadata(above).ok()).all(is_traversable)
    }
}

fn account(accounts: &str, wanted: &str) -> Option<ServerOwner> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != wanted {
            return None;
        }
        Some(ServerOwner::Unprivileged { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

/// The folder of the server's files: below `wanted` if the owner can reach it, else one of root's own places.
pub(super) fn reachable_folder(wanted: PathBuf, owner: &ServerOwner, short_name: &str) -> PathBuf {
    if owner.can_reach(&wanted) { wanted } else { Path::new("/var/lib/jitney").join(short_name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name_alone() {
        let accounts = "postgresql:x:1:1::/:\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(account(accounts, "postgres"), Some(ServerOwner::Unprivileged { uid: 101, gid: 104 }));
        assert_eq!(account(accounts, "nobody"), None);
    }

    #[test]
    fn a_private_folder_stops_other_users() {
        let home = tempfile::tempdir().unwrap();
        let below = home.path().join("postgres");
        let stranger = ServerOwner::Unprivileged { uid: 4_000_000, gid: 4_000_000 };
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.can_reach(&below));
        assert!(ServerOwner::CurrentUser.can_reach(&below));
        assert_eq!(reachable_folder(below.clone(), &stranger, "abc"), Path::new("/var/lib/jitney/abc"));
        assert_eq!(reachable_folder(below.clone(), &ServerOwner::CurrentUser, "abc"), below);
    }
}
