//! The files of this machine that a task's fields name.

use std::path::{Path, PathBuf};

use super::{DENIED, TaskContext, TaskError};
use crate::diagnostic::Diagnostic;
use crate::storage;

impl TaskContext {
    /// The path behind a field that names a file: a storage URI, or a path relative to the flow's folder.
    ///
    /// # Errors
    /// When the URI is malformed, the file may not be read, or nothing is there.
    pub fn input_file(&self, field: &str, from: &str) -> Result<PathBuf, TaskError> {
        let path = if storage::is_uri(from) {
            self.storage
                .path(from)
                .map_err(|error| TaskError::permanent(format!("cannot read `{from}`")).because(error))?
        } else {
            self.files.path(from)
        };
        self.files.check(from, &path).map_err(|finding| self.denied(field, *finding))?;
        if crate::secret::is_of_secrets(&path) && path.is_file() {
            return Err(TaskError::permanent(format!("`{from}` holds secrets")).help("ask for one with `secret()`"));
        }
        if path.is_file() {
            return Ok(path);
        }
        Err(TaskError::permanent(format!("there is no file `{from}`"))
            .code("no file")
            .help(format!("looked at {}; relative paths start at the flow's own folder", path.display())))
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

    /// Notes where a file in storage comes from, for those who ask later whether they know it.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub fn note_origin(&self, path: &Path, origin: &str) -> Result<(), TaskError> {
        self.storage.note_origin(path, origin).map_err(|error| {
            TaskError::permanent(format!("cannot note where {} is from", path.display())).because(error)
        })
    }
}
