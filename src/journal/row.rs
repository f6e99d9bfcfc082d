//! Reading columns that hold more than SQLite's own types. A value that cannot be read is an error: no default takes its
//! place, which would look like something that was written.

use std::fmt;

use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;

/// A text that is none of those that a column holds.
#[derive(Debug)]
struct UnknownWord(String);

impl fmt::Display for UnknownWord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown value `{}`", self.0)
    }
}

impl std::error::Error for UnknownWord {}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// The one of some values that a column names.
pub(super) fn word<T: Copy>(
    column: usize,
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> rusqlite::Result<T> {
    let found = all.iter().copied().find(|value| name(*value) == text);
    found.ok_or_else(|| {
        let error = Box::new(UnknownWord(text.to_owned()));
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    })
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
