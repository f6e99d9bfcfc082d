//! The files of this machine that a task's fields name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{DENIED, TaskContext, TaskError};
use crate::diagnostic::Diagnostic;
use crate::file_access::handle;
use crate::storage;

/// A file that a value from outside names, kept open: its link leads to this file, whatever takes the file's place.
pub struct OpenInput {
    file: File,
    path: PathBuf,
    link: PathBuf,
}

impl OpenInput {
    /// Keeps a file open, behind a link of the same name in a new folder.
    fn new(file: File, path: PathBuf, folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let link = folder.join(path.file_name().ok_or_else(|| io::Error::other("it has no name"))?);
        let target = handle(&file);
        let mut pinned = Self { file, path, link };
        if target.exists() {
            symlink(&target, &pinned.link)?;
        } else {
            // Elsewhere than on Linux nothing leads to an open file, and a copy takes the link's place.
            io::copy(&mut pinned.file, &mut File::create_new(&pinned.link)?)?;
        }
        Ok(pinned)
    }
}

impl Drop for OpenInput {
    fn drop(&mut self) {
        // What stays is removed with the other folders that tasks worked in.
        self.link.parent().map(fs::remove_dir_all);
    }
}

impl TaskContext {
    /// The path behind a field that names a file: a storage URI, or a path relative to the flow's folder. Where the value
    /// may come from outside, the path leads to the file that was found to be allowed as long as this context is there.
    ///
    /// # Errors
    /// When the URI is malformed, the file may not be read, or nothing is there.
    pub fn input_file(&self, field: &str, from: &str) -> Result<PathBuf, TaskError> {
        let path = if storage::is_uri(from) {
            self.storage
                .path(from)
                .map_err(|error| TaskError::permanent(format!("cannot read `{from}`")).caused_by(error))?
        } else {
            self.files.path(from)
        };
        self.files.check(from, &path).map_err(|finding| self.denied(field, *finding))?;
        if crate::secret::is_of_secrets(&path) && path.is_file() {
            return Err(TaskError::permanent(format!("`{from}` contains secrets")).help("read them with `secret()`"));
        }
        if path.is_file() {
            return self.pinned(field, from, path);
        }
        if let Some(run) = storage::run_of(from) {
            let replay = match run.task() {
                "inputs" => String::new(),
                task => format!(", or replay from the task that creates it, `{task}`"),
            };
            return Err(TaskError::permanent(format!("the file `{from}` no longer exists"))
                .code("no file")
                .help(format!("`purge_files` or `jitney clean` has removed it: run the flow again{replay}")));
        }
        Err(TaskError::permanent(format!("there is no file `{from}`"))
            .code("no file")
            .help(format!("looked at {}; relative paths are relative to the flow's folder", path.display())))
    }

    /// A path that leads to the file that is there now. Nobody else writes into the storage, and a path that is written in
    /// the flow may lead anywhere.
    fn pinned(&self, field: &str, from: &str, path: PathBuf) -> Result<PathBuf, TaskError> {
        if !self.files.is_restricted() || self.files.is_literal(from) || self.storage.holds(&path) {
            return Ok(path);
        }
        let failed = |error| TaskError::permanent(format!("cannot read `{from}`")).caused_by(error);
        let file = self.files.open(from, &path).map_err(|finding| self.denied(field, *finding))?.map_err(failed)?;
        let folder = self.settings.home.join("work").join(format!("{}.{}", self.execution, uuid::Uuid::new_v4()));
        let pinned = OpenInput::new(file, path, &folder).map_err(failed)?;
        let link = pinned.link.clone();
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).push(pinned);
        Ok(link)
    }

    /// The path that a field names, of a file that need not be there.
    ///
    /// # Errors
    /// When the field's value may not name it.
    pub fn named_path(&self, field: &str, text: &str) -> Result<PathBuf, TaskError> {
        self.files.resolve(text).map_err(|finding| self.denied(field, *finding))
    }

    fn denied(&self, field: &str, finding: Diagnostic) -> TaskError {
        TaskError::from(self.files.in_field(field, finding)).code(DENIED)
    }

    /// Where a file is that [`TaskContext::input_file`] gave the path of.
    pub fn place_of(&self, path: &Path) -> PathBuf {
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        pinned.iter().find(|pinned| pinned.link == path).map_or_else(|| path.to_owned(), |pinned| pinned.path.clone())
    }

    /// Notes where a file in storage comes from, for those who ask later whether they know it.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn note_origin(&self, path: &Path, origin: &str) -> Result<(), TaskError> {
        self.storage.note_origin(path, origin).map_err(|error| {
            TaskError::permanent(format!("cannot record the origin of {}", path.display())).caused_by(error)
        })
    }
}
