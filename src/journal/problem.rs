//! Why the journal cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::IllegalTransition;
use crate::id::ExecutionId;

/// What SQLite says when it cannot make room in the memory that processes share.
const NO_SHARED_ROOM: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no room for more.
    #[error("the journal cannot be written: the disk is full")]
    Full,
    /// The file is not what was written into it.
    #[error("the journal is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// SQLite's own words.
    #[error("the journal cannot be used")]
    Sqlite(#[source] rusqlite::Error),
    /// The folder or the lock file cannot be made.
    #[error("the journal's folder cannot be used")]
    Folder(#[from] io::Error),
    /// What was wrong when it was opened, and where it is.
    #[error("{}", file.display())]
    At {
        /// The journal's file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        error: Box<Self>,
    },
    /// A later version has been here.
    #[error("the journal was written by a newer jitney; use that version, or another `--home`")]
    Newer,
    /// An event is not readable: another version wrote it, or the file is damaged.
    #[error("an event of execution {0} cannot be read")]
    Unreadable(ExecutionId, #[source] serde_json::Error),
    /// An event that cannot follow the others.
    #[error("the journal of execution {0} is inconsistent")]
    Impossible(ExecutionId, #[source] IllegalTransition),
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map(|found| found.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) if extended == Some(NO_SHARED_ROOM) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl JournalError {
    /// The same with the journal's file, where it says nothing of that itself.
    pub(super) fn at(self, file: &Path) -> Self {
        match self {
            Self::Newer => self,
            error => Self::At { file: file.to_owned(), error: Box::new(error) },
        }
    }

    /// What is wrong, wherever it is.
    pub fn kind(&self) -> &Self {
        match self {
            Self::At { error, .. } => error.kind(),
            other => other,
        }
    }

    /// Whether the journal may well be read, though not written.
    pub(super) fn is_unwritable(&self) -> bool {
        let codes =
            [ErrorCode::ReadOnly, ErrorCode::CannotOpen, ErrorCode::PermissionDenied, ErrorCode::SystemIoFailure];
        match self.kind() {
            Self::Full | Self::Folder(_) => true,
            Self::Sqlite(error) => error.sqlite_error_code().is_some_and(|code| codes.contains(&code)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::journal::Journal;

    #[test]
    fn a_full_disk_is_reported_as_such_and_what_is_there_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let pages: u32 = journal.lock().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        journal.lock().pragma_update(None, "max_page_count", pages).unwrap();
        let text = "x".repeat(100_000);
        let id = ExecutionId::new("e");
        let task = crate::id::TaskId::new("t");
        let written = journal.log(&id, clock::now(), &task, crate::task::Level::Info, &text);
        assert!(matches!(written, Err(JournalError::Full)), "{written:?}");
        assert!(journal.logs(&id).unwrap().is_empty());
    }
}
