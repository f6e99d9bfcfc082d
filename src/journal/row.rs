//! Reading columns that hold more than SQLite's own types. A value that cannot be read is an error: no default takes its
//! place, which would look like something that was written.

use rusqlite::Row;
use rusqlite::types::{FromSqlError, FromSqlResult, Type, ValueRef};
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;

use crate::task::Level;

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Has a type read from and written to columns as the words that serde has for its values.
macro_rules! word {
    ($type:ty) => {
        impl rusqlite::types::FromSql for $type {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                crate::journal::row::from_word(value)
            }
        }

        impl rusqlite::types::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    };
}

pub(super) use word;

word!(Level);

pub(super) fn from_word<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    let text = StrDeserializer::<serde::de::value::Error>::new(value.as_str()?);
    T::deserialize(text).map_err(|error| FromSqlError::Other(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::clock;
    use crate::id::{BackfillId, ExecutionId};
    use crate::journal::{ExecutionQuery, Journal};

    #[test]
    fn rows_that_cannot_be_read_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let id = ExecutionId::new("e");
        let created = json!({"flow": "f", "namespace": "n", "file": "", "text": "", "sha256": "", "inputs": {"a": 1},
            "labels": {}, "trigger_date": clock::now()});
        journal.create(&id, clock::now(), serde_json::from_value(created).unwrap()).unwrap();
        let backfill = "INSERT INTO backfills (id, namespace, flow, created, since, spec, wish)
                        SELECT 'b', 'n', 'f', created, created, '{}', 'RUN' FROM executions";
        journal.hold().execute(backfill, []).unwrap();
        let set = |sql: &str| assert_eq!(journal.hold().execute(sql, []).unwrap(), 1);
        let listed = || journal.search(&ExecutionQuery::default(), 10, 0);
        assert_eq!(listed().unwrap().executions[0].inputs["a"], 1);
        set("UPDATE executions SET inputs = '{\"a\": 1'");
        assert!(listed().is_err() && journal.summary(&id).is_err(), "half of the inputs is not no inputs");
        assert!(journal.desired_state(&BackfillId::new("b")).unwrap().is_some());
        set("UPDATE backfills SET wish = 'CANCLE'");
        let read = journal.desired_state(&BackfillId::new("b"));
        assert!(read.is_err(), "an unknown wish is not the wish to run: {read:?}");
    }
}
