//! Words of the journal's columns as types. A word that is none of them is an error of the row, not a default.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

use crate::journal::ExecutionState;
use crate::task::Level;

fn word<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    let text = value.as_str()?;
    T::deserialize(StrDeserializer::<Error>::new(text)).map_err(|error| FromSqlError::Other(Box::new(error)))
}

impl FromSql for ExecutionState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        word(value)
    }
}

impl ToSql for ExecutionState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Level {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        word(value)
    }
}

impl ToSql for Level {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}
