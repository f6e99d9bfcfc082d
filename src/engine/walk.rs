//! Finding the flow files of folders. Whatever links are in them, a look ends: a folder is entered once, and nothing
//! outside of the folders is looked at.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::diagnostic::Diagnostic;

/// How deep below its beginning a folder is looked into.
const MAX_DEPTH: usize = 16;
/// How many files and folders are looked at.
const MAX_ENTRIES: usize = 200_000;

/// What tells a file's texts apart without reading them.
pub(super) type FileVersion = (Option<SystemTime>, u64);

/// What was found in folders.
#[derive(Default)]
pub(super) struct FlowFiles {
    /// The files, and what tells whether they have changed.
    pub(super) files: BTreeMap<OsString, FileVersion>,
    /// Folders that are not read, and why.
    unread: Vec<(PathBuf, String)>,
    /// Links that are not followed, and why.
    links: Vec<(PathBuf, String)>,
}

impl FlowFiles {
    /// Whether a file is there, as far as that can be known.
    pub(super) fn may_contain(&self, file: &OsString) -> bool {
        let is_hidden = || self.unread.iter().chain(&self.links).any(|(folder, _)| Path::new(file).starts_with(folder));
        self.files.contains_key(file) || is_hidden()
    }

    /// The links that are not followed: the folders are read without them.
    pub(super) fn links(&self) -> Vec<Diagnostic> {
        self.links.iter().map(|(_, problem)| Diagnostic::warning(problem.clone())).collect()
    }

    /// What is wrong with the folders.
    pub(super) fn problems(&self) -> Vec<Diagnostic> {
        self.unread.iter().map(|(_, problem)| Diagnostic::error(problem.clone())).collect()
    }
}

/// The YAML files of folders and the folders below them, except for folders of these names. What begins with `.` or `_` is
/// something else. A file that is reached in several ways is found once.
pub(super) fn find(folders: &[PathBuf], skipped: &[&str]) -> FlowFiles {
    let roots = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    let mut walk = Walk {
        roots,
        skipped,
        seen: HashSet::new(),
        links: Vec::new(),
        remaining: MAX_ENTRIES,
        found: FlowFiles::default(),
    };
    for folder in folders {
        walk.root(folder);
    }
    walk.found
}

struct Walk<'w> {
    /// Where the folders really are.
    roots: Vec<PathBuf>,
    skipped: &'w [&'w str],
    /// The files and folders that have been found, by device and number.
    seen: HashSet<(u64, u64)>,
    /// Links, each with how deep it stands. They come last: a file is known by its own path rather than a link's.
    links: Vec<(PathBuf, usize)>,
    /// How many files and folders may still be looked at.
    remaining: usize,
    found: FlowFiles,
}

impl Walk<'_> {
    fn root(&mut self, folder: &Path) {
        if fs::metadata(folder).is_ok_and(|metadata| !self.is_new(&metadata)) {
            return;
        }
        self.folder(folder, 0);
        while let Some((link, depth)) = self.links.pop() {
            self.link(&link, depth);
        }
        if self.remaining == 0 {
            let problem = format!("there are more than {MAX_ENTRIES} files and folders in {}", folder.display());
            self.found.unread.push((folder.to_owned(), format!("{problem}; the others are ignored")));
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        let mut entries = match fs::read_dir(folder)
            .and_then(|entries| entries.take(self.remaining).collect::<io::Result<Vec<_>>>())
        {
            Ok(entries) => entries,
            // What is gone before it could be looked at is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => return,
            Err(error) => {
                let problem = format!("cannot read the folder {}: {error}", folder.display());
                return self.found.unread.push((folder.to_owned(), problem));
            }
        };
        self.remaining -= entries.len();
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            // It was there a moment ago: what is gone by now counts no more.
            let Ok(kind) = entry.file_type() else { continue };
            if name.to_str().is_none_or(|name| name.starts_with(['.', '_'])) || (kind.is_file() && !is_yaml(&name)) {
                continue;
            }
            if kind.is_symlink() {
                self.links.push((entry.path(), depth));
            } else if let Ok(metadata) = entry.metadata() {
                self.entry(&entry.path(), &metadata, depth);
            }
        }
    }

    fn entry(&mut self, path: &Path, metadata: &Metadata, depth: usize) {
        let name = path.file_name().unwrap_or_default();
        let is_wanted = match metadata.is_dir() {
            true => depth < MAX_DEPTH && !self.skipped.iter().any(|skipped| name == *skipped),
            false => metadata.is_file() && is_yaml(name),
        };
        if !is_wanted || !self.is_new(metadata) {
            return;
        }
        if metadata.is_dir() {
            self.folder(path, depth + 1);
        } else {
            self.found.files.insert(path.as_os_str().to_owned(), (metadata.modified().ok(), metadata.len()));
        }
    }

    /// A link counts as what it leads to, as long as that is in one of the folders.
    fn link(&mut self, link: &Path, depth: usize) {
        let (Ok(metadata), Ok(target)) = (fs::metadata(link), link.canonicalize()) else { return };
        if self.roots.iter().any(|root| target.starts_with(root)) {
            return self.entry(link, &metadata, depth);
        }
        if metadata.is_dir() || is_yaml(link.as_os_str()) {
            let problem = format!("the link {} leads out of the folder of flows, and is not followed", link.display());
            self.found.links.push((link.to_owned(), problem));
        }
    }

    fn is_new(&mut self, metadata: &Metadata) -> bool {
        self.seen.insert((metadata.dev(), metadata.ino()))
    }
}

fn is_yaml(name: &std::ffi::OsStr) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let flows = place.path().join("flows");
        for name in ["team/a.yaml", "b.yml", "_files/c.yaml", ".hidden/d.yaml", "node_modules/e.yaml", "f.txt"] {
            let file = flows.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "id: a").unwrap();
        }
        (place, flows)
    }

    fn names(found: &FlowFiles, flows: &Path) -> Vec<String> {
        let name = |file: &OsString| Path::new(file).strip_prefix(flows).unwrap().display().to_string();
        found.files.keys().map(name).collect()
    }

    #[test]
    fn links_within_the_folders_are_followed_once() {
        let (_place, flows) = place();
        for (target, link) in [(".", "x"), (".", "y"), ("team", "again"), ("team/a.yaml", "z.yaml"), ("nothing", "n")] {
            symlink(target, flows.join(link)).unwrap();
        }
        symlink("..", flows.join("team/up")).unwrap();
        symlink(".hidden", flows.join("current")).unwrap();
        let found = find(&[flows.clone(), flows.join("team"), flows.join("x")], &["node_modules"]);
        assert_eq!(names(&found, &flows), ["b.yml", "current/d.yaml", "team/a.yaml"]);
        assert_eq!(found.problems(), []);
    }

    #[test]
    fn links_that_lead_outside_are_reported_and_not_followed() {
        let (place, flows) = place();
        fs::write(place.path().join("out.yaml"), "id: out").unwrap();
        for (target, link) in [("/proc", "system"), ("..", "up"), ("../out.yaml", "out.yaml"), ("/etc/passwd", "x.txt")]
        {
            symlink(target, flows.join(link)).unwrap();
        }
        let found = find(std::slice::from_ref(&flows), &[]);
        assert_eq!(names(&found, &flows), ["b.yml", "node_modules/e.yaml", "team/a.yaml"]);
        assert_eq!(found.problems(), []);
        let mut problems: Vec<String> = found.links().into_iter().map(|problem| problem.message).collect();
        problems.sort();
        let problem = |link: &str| {
            format!("the link {} leads out of the folder of flows, and is not followed", flows.join(link).display())
        };
        assert_eq!(problems, ["out.yaml", "system", "up"].map(problem));
    }
}
