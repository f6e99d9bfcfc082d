//! The files that tasks hand to each other, named by URI and kept under one folder.
//!
//! A URI reads `jitney:///{execution}/{task run}/{name}`. It is the only name that crosses a task's border: a path never
//! leaves this module unless it lies below the storage's own folder.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::id::{ExecutionId, RunId};
use crate::text::hex;

const SCHEME: &str = "jitney:///";

/// The folder of an execution's files where it is noted where they come from.
const ORIGINS: &str = ".origins";

/// The folder of an execution's files where it is noted which of them hold rejected rows.
const REJECTS: &str = ".rejects";

/// The files of one execution.
#[derive(Clone, Debug)]
pub struct Storage {
    root: PathBuf,
    execution: ExecutionId,
}

/// A file in storage: where it is and what later tasks call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The name that goes into a task's outputs.
    pub uri: String,
    /// The file on this machine.
    pub path: PathBuf,
}

/// Length and SHA-256, in hex, of a file.
pub fn checksum(path: &Path) -> io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let (mut hasher, mut total, mut block) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => return Ok((total, hex(&hasher.finalize()))),
            read => {
                hasher.update(&block[..read]);
                total += read as u64;
            }
        }
    }
}

/// The disk of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes in all.
    pub all: u64,
}

impl DiskSpace {
    /// The disk of a folder that is there.
    ///
    /// # Errors
    /// When it cannot be asked.
    #[cfg(unix)]
    pub fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { free: bytes(disk.f_bavail), all: bytes(disk.f_blocks) })
    }

    /// The disk of a folder that is there.
    ///
    /// # Errors
    /// Always: it cannot be asked here.
    #[cfg(not(unix))]
    pub fn of(_: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether people should make room soon: less than a twentieth and less than 10 GB are free.
    pub fn is_nearly_full(self) -> bool {
        self.free < self.all / 20 && self.free < 10_000_000_000
    }

    /// Whether less than this is free; of a small disk less than a twentieth.
    pub fn lacks(self, room: u64) -> bool {
        self.free < room.min(self.all / 20)
    }
}

/// What is left for the files of others when a task has failed for want of room.
const MIN_FREE_BYTES: u64 = 8 << 20;

impl Storage {
    /// The storage of one execution below `root`. Nothing is created yet.
    pub fn new(root: impl Into<PathBuf>, execution: ExecutionId) -> Self {
        Self { root: root.into(), execution }
    }

    /// The place for a file that a task run is about to write. The folder exists afterwards, the file need not.
    ///
    /// # Errors
    /// When `name` is not a plain file name, or the folder cannot be made.
    pub fn place(&self, run: &RunId, name: &str) -> io::Result<StoredFile> {
        if Path::new(name).components().count() != 1 || !is_plain(Path::new(name)) {
            return Err(invalid(format!("`{name}` is not a plain file name")));
        }
        let folder = self.folder().join(run.as_str());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let uri = format!("{SCHEME}{}/{run}/{name}", self.execution);
        Ok(StoredFile { uri, path: folder.join(name) })
    }

    /// The path behind a URI of this storage. The file need not be there any more.
    ///
    /// # Errors
    /// When the text is not such a URI, or points outside the storage.
    pub fn path(&self, uri: &str) -> io::Result<PathBuf> {
        let relative =
            uri.strip_prefix(SCHEME).ok_or_else(|| invalid(format!("`{uri}` is not a {SCHEME}… address")))?;
        let relative = Path::new(relative);
        if !is_plain(relative) {
            return Err(invalid(format!("`{uri}` points outside the storage")));
        }
        Ok(self.root.join(relative))
    }

    /// Notes where a file of the storage comes from: an address without secrets, the same in every execution.
    ///
    /// # Errors
    /// When the file is not of the storage, or the note cannot be written.
    pub fn note_origin(&self, path: &Path, origin: &str) -> io::Result<()> {
        self.note(ORIGINS, path, origin)
    }

    /// What is noted of where a file of the storage comes from, of whichever execution.
    pub fn origin(&self, path: &Path) -> Option<String> {
        fs::read_to_string(self.note_in(ORIGINS, path)?).ok()
    }

    /// A file of the storage by its task run and name, which are the same in every execution.
    pub fn within(&self, path: &Path) -> Option<String> {
        let mut parts = path.strip_prefix(&self.root).ok()?.components();
        parts.next()?;
        Some(parts.as_path().to_string_lossy().into_owned())
    }

    fn note(&self, notes: &str, path: &Path, text: &str) -> io::Result<()> {
        let note = self.note_in(notes, path);
        let note = note.ok_or_else(|| invalid(format!("{} is not in the storage", path.display())))?;
        if let Some(folder) = note.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        fs::write(note, text)
    }

    fn note_in(&self, notes: &str, path: &Path) -> Option<PathBuf> {
        let mut parts = path.strip_prefix(&self.root).ok()?.components();
        let execution = parts.next()?;
        Some(self.root.join(execution).join(notes).join(parts.as_path()))
    }

    /// Notes that a file of the storage holds rejected rows, which are nowhere else: [`Storage::purge_but_rejects`]
    /// keeps it.
    ///
    /// # Errors
    /// When the file is not of the storage, or the note cannot be written.
    pub fn note_rejects(&self, path: &Path) -> io::Result<()> {
        self.note(REJECTS, path, "")
    }

    /// The files of the execution, with their addresses, in the order of these.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(&self) -> io::Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        let folder = self.folder();
        if folder.exists() {
            collect_files(&folder, &mut files)?;
        }
        files.sort();
        let stored = files.into_iter().filter_map(|path| {
            let uri = format!("{SCHEME}{}", path.strip_prefix(&self.root).ok()?.to_string_lossy());
            Some(StoredFile { uri, path })
        });
        Ok(stored.collect())
    }

    /// Deletes the files of the execution but those of rejected rows; gives how many were deleted, and those kept.
    ///
    /// # Errors
    /// When a file cannot be removed. Files removed until then stay removed; a repeat continues.
    pub fn purge_but_rejects(&self) -> io::Result<(usize, Vec<StoredFile>)> {
        let holds_rejects = |file: &StoredFile| self.note_in(REJECTS, &file.path).is_some_and(|note| note.exists());
        let (kept, others): (Vec<_>, Vec<_>) = self.files()?.into_iter().partition(holds_rejects);
        if kept.is_empty() {
            return Ok((self.purge()?, kept));
        }
        for file in &others {
            fs::remove_file(&file.path)?;
        }
        Ok((others.len(), kept))
    }

    /// Whether a file lies in the storage, of whichever execution.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// Removes what a task run has left if the disk has no room: nothing can continue from there, and nothing else could be
    /// written, not even that it failed.
    pub fn make_room(&self, run: &RunId) {
        if DiskSpace::of(&self.root).is_ok_and(|disk| disk.lacks(MIN_FREE_BYTES)) {
            // A folder that was never made need not be removed.
            let _ = fs::remove_dir_all(self.folder().join(run.as_str()));
        }
    }

    /// Deletes every file of the execution and says how many there were.
    ///
    /// # Errors
    /// When a file cannot be removed. Files removed until then stay removed; a repeat continues.
    pub fn purge(&self) -> io::Result<usize> {
        let folder = self.folder();
        if !folder.exists() {
            return Ok(0);
        }
        let count = self.files()?.len();
        fs::remove_dir_all(&folder)?;
        Ok(count)
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.execution.as_str())
    }
}

/// The execution whose file an address names.
pub fn execution_of(uri: &str) -> Option<ExecutionId> {
    uri.strip_prefix(SCHEME)?.split('/').next()?.parse().ok()
}

/// Whether the text names a file in storage.
pub fn is_uri(text: &str) -> bool {
    text.starts_with(SCHEME)
}

/// The task run whose file a text names, if it names one in storage.
pub fn run_of(text: &str) -> Option<RunId> {
    text.strip_prefix(SCHEME)?.split('/').nth(1).map(RunId::new)
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            _ if is_notes(&entry) => {}
            true => collect_files(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

fn is_notes(entry: &fs::DirEntry) -> bool {
    [ORIGINS, REJECTS].iter().any(|notes| entry.file_name() == *notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(root: &Path) -> Storage {
        Storage::new(root, ExecutionId::new("e1"))
    }

    #[test]
    fn a_file_is_found_again_by_its_uri_until_it_is_purged() {
        let root = tempfile::tempdir().unwrap();
        let storage = storage(root.path());
        let file = storage.place(&RunId::new("extract"), "a.csv").unwrap();
        fs::write(&file.path, "x").unwrap();
        assert_eq!(file.uri, "jitney:///e1/extract/a.csv");
        assert_eq!(storage.path(&file.uri).unwrap(), file.path);
        storage.note_origin(&file.path, "https://example.org/a.csv").unwrap();
        assert_eq!(storage.origin(&file.path).unwrap(), "https://example.org/a.csv");
        assert_eq!(storage.within(&file.path).unwrap(), "extract/a.csv");
        assert_eq!(storage.purge().unwrap(), 1);
        assert!(!file.path.exists());
        assert_eq!(storage.purge().unwrap(), 0);
    }

    #[test]
    fn rejected_rows_outlive_the_other_files() {
        let root = tempfile::tempdir().unwrap();
        let storage = storage(root.path());
        let place = |task: &str, name: &str| {
            let file = storage.place(&RunId::new(task), name).unwrap();
            fs::write(&file.path, "x").unwrap();
            file
        };
        let (csv, rejected) = (place("extract", "a.csv"), place("load", "rejected.csv"));
        storage.note_origin(&csv.path, "https://example.org/a.csv").unwrap();
        storage.note_rejects(&rejected.path).unwrap();
        assert_eq!(storage.files().unwrap(), [csv.clone(), rejected.clone()]);
        assert_eq!(storage.purge_but_rejects().unwrap(), (1, vec![rejected.clone()]));
        assert_eq!((csv.path.exists(), rejected.path.exists()), (false, true));
        assert_eq!(storage.purge().unwrap(), 1);
        assert_eq!(storage.purge_but_rejects().unwrap(), (0, Vec::new()));
    }

    #[test]
    fn nothing_outside_the_folder_can_be_named() {
        let root = tempfile::tempdir().unwrap();
        let storage = storage(root.path());
        for name in ["../a", "a/b", "/etc/passwd", "..", ""] {
            assert!(storage.place(&RunId::new("t"), name).is_err(), "{name:?} was accepted");
        }
        for uri in ["jitney:///../x", "jitney:////etc/passwd", "jitney:///e1/../../x", "file:///etc/passwd"] {
            assert!(storage.path(uri).is_err(), "{uri:?} was accepted");
        }
    }
}
