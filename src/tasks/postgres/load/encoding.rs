//! Encodings of files, so far as this program reads them as the server does.

use super::stored::SessionSettings;
use crate::stream::Encoding;
use crate::task::{FieldConflict, TaskError};

/// What is wrong with the encoding of a file, whatever the database.
pub(super) fn conflict(encoding: Option<&Encoding>) -> Option<FieldConflict> {
    let (name, remedy) = (encoding?.name(), encoding?.remedy()?);
    Some(FieldConflict::between(["encoding"], format!("Postgres reads some characters of {name} otherwise; {remedy}")))
}

/// Checks that the database converts texts: one in SQL_ASCII keeps a file's bytes, whatever they mean.
///
/// # Errors
/// When it does not.
pub(super) fn check(encoding: Option<&Encoding>, session: &SessionSettings) -> Result<(), TaskError> {
    match encoding.filter(|encoding| session.is_sql_ascii && !encoding.is_utf8()) {
        Some(encoding) => Err(TaskError::permanent(format!(
            "the database is in SQL_ASCII, and `encoding` is {}: characters cannot be converted",
            encoding.name()
        ))
        .help("convert the file to UTF-8, or store its bytes as they are with `postgres.copy_in` and `encoding: SQL_ASCII`")),
        None => Ok(()),
    }
}
