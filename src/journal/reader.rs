//! A second connection to the journal, for what takes long to read: SQLite lets it read while the first one writes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::open::BUSY_TIMEOUT;
use super::{Journal, Result};

/// A connection that only reads, opened when it is first used.
pub(super) struct ReadConnection {
    file: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl ReadConnection {
    /// A reader of a journal that is there.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), connection: Mutex::default() }
    }

    /// A reader that is open already.
    pub(super) fn over(file: &Path, connection: Connection) -> Self {
        Self { file: file.to_owned(), connection: Mutex::new(Some(connection)) }
    }

    fn open(&self) -> Result<Connection> {
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

impl Journal {
    /// Reads what was written before this call, and nobody waits for it who writes.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut held = self.reader.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match held.take() {
            Some(connection) => connection,
            None => self.reader.open()?,
        };
        read(held.insert(connection))
    }
}
