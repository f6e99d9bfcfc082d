//! The files of a namespace, which flows read and pass to scripts.
//!
//! They are in `_files/{namespace}` next to the flow's file. A path that is not there is looked for next to the flow
//! itself, so that a single flow needs no folders. No path leads out of these two.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use crate::secret::is_of_secrets;

/// The folder of all namespaces' files, next to the flows.
const FOLDER: &str = "_files";
/// What the address of a file of this machine begins with.
const FILE: &str = "file://";

/// The files of one namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceFiles {
    flows: PathBuf,
    namespace: String,
}

impl NamespaceFiles {
    /// The files of a namespace, for a flow in this folder.
    ///
    /// # Errors
    /// When the namespace is no name.
    pub(crate) fn new(flows: &Path, namespace: &str) -> Result<Self, String> {
        let is_name = !namespace.is_empty()
            && !namespace.starts_with('.')
            && namespace.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if !is_name {
            return Err(format!("`{namespace}` is not a valid namespace"));
        }
        let flows = std::path::absolute(flows).unwrap_or_else(|_| flows.to_owned());
        Ok(Self { flows, namespace: namespace.to_owned() })
    }

    /// The folder of the namespace's files, which need not be there.
    pub(crate) fn folder(&self) -> PathBuf {
        self.flows.join(FOLDER).join(&self.namespace)
    }

    /// The file of a path, or of an address that [`NamespaceFiles::uri`] gave.
    ///
    /// # Errors
    /// When nothing is there, or the path leads outside.
    pub(crate) fn find(&self, path: &str) -> Result<PathBuf, String> {
        let folders = [self.folder(), self.flows.clone()];
        let candidates = match path.strip_prefix(FILE) {
            Some(absolute) => vec![PathBuf::from(absolute)],
            None => {
                let relative = relative(path)?;
                folders.iter().map(|folder| folder.join(&relative)).collect()
            }
        };
        match candidates.iter().find(|candidate| candidate.is_file()) {
            Some(found) if is_of_secrets(found) => Err(format!("`{path}` contains secrets: read them with `secret()`")),
            Some(found) if is_below(found, &folders) => Ok(found.clone()),
            Some(_) => Err(outside(path)),
            None => {
                let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
                Err(format!("there is no file `{path}`; looked at {}", looked.join(" and ")))
            }
        }
    }

    /// The address of a file, for tasks that take one.
    ///
    /// # Errors
    /// As [`NamespaceFiles::find`].
    pub(crate) fn uri(&self, path: &str) -> Result<String, String> {
        Ok(format!("{FILE}{}", self.find(path)?.display()))
    }

    /// The files in the namespace's folder by their relative paths, in order. Links that lead out of it are left out, and
    /// so is `.env`.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be read.
    pub(crate) fn all(&self) -> io::Result<Vec<String>> {
        let folder = self.folder();
        let mut found = Vec::new();
        files_below(&folder, "", &mut found)?;
        let is_wanted = |file: &Path| is_below(file, std::slice::from_ref(&folder)) && !is_of_secrets(file);
        found.retain(|name| is_wanted(&folder.join(name)));
        Ok(found)
    }
}

/// The files below a folder by their relative paths, in order; linked folders are not entered.
///
/// # Errors
/// When a folder cannot be read, or a name in it is not UTF-8 text.
pub(crate) fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().map_err(|name| not_utf8(&folder.join(name)))?;
        let name = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), &format!("{name}/"), found)?;
        } else if entry.path().is_file() {
            found.push(name);
        }
    }
    Ok(())
}

/// A path in a flow is UTF-8 text; a file with another name would be ignored silently.
fn not_utf8(file: &Path) -> io::Error {
    io::Error::other(format!("the name of {} is not UTF-8 text", file.display()))
}

/// A file below a folder, all links followed; none when it lies elsewhere.
pub(crate) fn real_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let file = folder.join(name);
    is_below(&file, &[folder.to_owned()]).then(|| file.canonicalize().ok()).flatten()
}

/// Opens a file for reading, and no link.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open_no_link(file: &Path) -> io::Result<fs::File> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    fs::File::options().read(true).custom_flags(no_link).open(file)
}

/// A path as Kestra has it too, with a slash or `nsfile:///` before it.
fn relative(path: &str) -> Result<PathBuf, String> {
    let relative = Path::new(path.strip_prefix("nsfile://").unwrap_or(path).trim_start_matches('/'));
    let is_inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if is_inside && relative.file_name().is_some() { Ok(relative.to_owned()) } else { Err(outside(path)) }
}

/// Whether a file lies in one of the folders, all links followed.
fn is_below(file: &Path, folders: &[PathBuf]) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    folders.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| file.starts_with(folder))
}

fn outside(path: &str) -> String {
    format!("`{path}` leads out of the folders of the flow and its namespace")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }

    #[test]
    fn a_namespaces_file_comes_before_one_beside_the_flow() {
        let place = tempfile::tempdir().unwrap();
        let files = NamespaceFiles::new(place.path(), "team.taxi").unwrap();
        for name in ["a.sql", "_files/team.taxi/a.sql", "b.sql", "_files/team.taxi/sub/c.sql", "_files/other/d.sql"] {
            put(place.path(), name);
        }
        let found = |path: &str| files.find(path).map(|found| fs::read_to_string(found).unwrap());
        assert_eq!(found("a.sql").unwrap(), "_files/team.taxi/a.sql");
        assert_eq!(found("nsfile:///sub/c.sql").unwrap(), "_files/team.taxi/sub/c.sql");
        assert_eq!(found("/b.sql").unwrap(), "b.sql");
        assert_eq!(found(&files.uri("b.sql").unwrap()).unwrap(), "b.sql");
        assert!(found("d.sql").unwrap_err().starts_with("there is no file `d.sql`; looked at /"));
        put(place.path(), "_files/team.taxi/.env");
        put(place.path(), ".env");
        assert_eq!(files.all().unwrap(), ["a.sql", "sub/c.sql"]);
        assert!(found(".env").unwrap_err().contains("`secret()`"));
    }

    #[cfg(unix)]
    #[test]
    fn no_path_leads_outside() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(elsewhere.path(), "secret");
        put(place.path(), "_files/n/a.sql");
        let secret = elsewhere.path().join("secret");
        std::os::unix::fs::symlink(&secret, place.path().join("_files/n/link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), place.path().join("_files/n/folder")).unwrap();
        let files = NamespaceFiles::new(place.path(), "n").unwrap();
        let absolute = format!("file://{}", secret.display());
        for path in ["../x", "a/../../x", "", ".", "link", "folder/secret", "nsfile:///../x", &absolute] {
            assert!(files.find(path).unwrap_err().contains("leads out"), "{path:?} was accepted");
        }
        assert_eq!(files.all().unwrap(), ["a.sql"]);
        for namespace in ["", "..", "a/b", ".hidden"] {
            assert!(NamespaceFiles::new(place.path(), namespace).is_err(), "{namespace:?} was accepted");
        }
    }
}
