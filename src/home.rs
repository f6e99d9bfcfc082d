//! Jitney's home folder, which nobody else may look into.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

/// What a home folder is known by.
const KNOWN_BY: [&str; 2] = ["journal.db", "postgres"];

/// Makes the folder, for its owner alone. One that is there and is a home of ours already is closed to others; of any
/// other folder, what else may be in it is not known, and it stays as it is.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private(home: &Path) -> io::Result<()> {
    if let Some(above) = home.parent() {
        fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o700).create(home) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && home.is_dir() => close(home),
        made => made,
    }
}

fn close(home: &Path) -> io::Result<()> {
    let found = fs::metadata(home)?;
    let is_ours = found.uid() == geteuid().as_raw() && KNOWN_BY.iter().any(|name| home.join(name).exists());
    // Nor is a folder like /tmp closed.
    if !is_ours || found.mode() & 0o1000 != 0 || found.mode() & 0o077 == 0 {
        return Ok(());
    }
    // Root's private Postgres runs as another user, who has to pass.
    let lets_pass = geteuid().is_root() && home.join("postgres").exists();
    if lets_pass {
        close_content(home)?;
    }
    fs::set_permissions(home, Permissions::from_mode(if lets_pass { 0o711 } else { 0o700 }))
}

/// Closes what is in the folder, except for Postgres, which sees to it itself.
fn close_content(home: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home)? {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
        let kind = kind?;
        if !kind.is_symlink() && !path.ends_with("postgres") {
            fs::set_permissions(path, Permissions::from_mode(if kind.is_dir() { 0o700 } else { 0o600 }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_home_is_for_its_owner_alone_and_any_other_folder_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("above/home");
        make_private(&home).unwrap();
        assert_eq!(mode(&home), 0o700);
        let open = || fs::set_permissions(&home, Permissions::from_mode(0o755)).unwrap();
        open();
        make_private(&home).unwrap();
        assert_eq!(mode(&home), 0o755, "nothing says that it is ours");
        fs::write(home.join("journal.db"), "").unwrap();
        make_private(&home).unwrap();
        assert_eq!(mode(&home), 0o700);
        fs::set_permissions(&home, Permissions::from_mode(0o1777)).unwrap();
        make_private(&home).unwrap();
        assert_eq!(mode(&home), 0o1777);
    }

    #[test]
    fn a_home_that_postgres_must_pass_is_closed_inside() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["postgres", "storage"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        make_private(folder.path()).unwrap();
        if geteuid().is_root() {
            assert_eq!((mode(folder.path()), mode(&folder.path().join("storage"))), (0o711, 0o700));
            assert_eq!(mode(&folder.path().join("postgres")), 0o755);
        } else {
            assert_eq!(mode(folder.path()), 0o700);
        }
    }
}
