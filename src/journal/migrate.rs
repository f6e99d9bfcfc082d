//! Journals of earlier versions: what has been added to the tables since.

use rusqlite::{Connection, TransactionBehavior};

use super::{JournalError, Result};

/// What each version of the tables adds to the one before, the first being `schema.sql`. Only ever appended to.
const STEPS: &[&str] = &[
    include_str!("server.sql"),
    include_str!("children.sql"),
    include_str!("backfill.sql"),
    include_str!("backfill_problem.sql"),
    include_str!("search.sql"),
    include_str!("work_time.sql"),
    include_str!("ends.sql"),
    include_str!("descendants.sql"),
    include_str!("audit.sql"),
    include_str!("recent.sql"),
    include_str!("only.sql"),
    include_str!("expected.sql"),
];

/// Brings the tables up to date, all or nothing. The caller sees to it that no other process does the same.
///
/// # Errors
/// When a later version has written the journal, or the file cannot be written.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let version = version(connection)?;
    if version > STEPS.len() {
        return Err(JournalError::Newer);
    }
    // Nothing is written where nothing is to be changed: that works on a full disk too.
    if version == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    for step in &STEPS[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as u32)?;
    Ok(transaction.commit()?)
}

/// Whether the tables are those of this version.
pub(super) fn is_current(connection: &Connection) -> bool {
    version(connection).is_ok_and(|version| version == STEPS.len())
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map(|version| version as usize)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock;
    use crate::id::ExecutionId;
    use crate::journal::{Event, ExecutionState, Journal};

    #[test]
    fn a_journal_of_the_first_version_opens_and_one_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        let old = Connection::open(&file).unwrap();
        old.execute_batch(include_str!("schema.sql")).unwrap();
        let created = r#"{"kind":"created","flow":"f","namespace":"n","file":"f.yaml","text":"","sha256":"",
            "inputs":{},"labels":{},"trigger_date":"2024-01-01T00:00:00Z"}"#;
        let time = "2024-01-01T00:00:00.000000Z";
        old.execute("INSERT INTO events VALUES ('e', 0, ?, ?)", [time, created]).unwrap();
        old.execute("INSERT INTO executions VALUES ('e', 'n', 'f', 'CREATED', '{}', ?, NULL, NULL, 0)", [time])
            .unwrap();
        drop(old);
        let id = ExecutionId::new("e");
        let journal = Journal::open(&file).unwrap();
        let mut state = journal.state(&id).unwrap().unwrap();
        journal.append(&id, &mut state, clock::now(), &Event::Started).unwrap();
        drop(journal);
        let again = Journal::open(&file).unwrap();
        assert_eq!(again.state(&id).unwrap().unwrap().status, ExecutionState::Running);
        drop(again);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 1000).unwrap();
        assert!(matches!(Journal::open(&file), Err(JournalError::Newer)));
    }

    /// A journal as it was before the step with these words.
    fn of_version_before(file: &Path, words: &str) -> Connection {
        let old = Connection::open(file).unwrap();
        old.execute_batch(include_str!("schema.sql")).unwrap();
        let before = STEPS.iter().position(|step| step.contains(words)).unwrap();
        STEPS[..before].iter().for_each(|step| old.execute_batch(step).unwrap());
        old.pragma_update(None, "user_version", before as u32).unwrap();
        old
    }

    #[test]
    fn descendants_of_earlier_versions_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        let old = of_version_before(&file, "ADD COLUMN descendants");
        let parents = [("a", None), ("b", Some("a")), ("c", Some("b")), ("d", None), ("e", Some("deleted"))];
        for (id, parent) in parents.into_iter().chain([("f", Some("e"))]) {
            let sql = "INSERT INTO executions (id, namespace, flow, state, inputs, created, parent)
                       VALUES (?, 'n', 'f', 'SUCCESS', '{}', '2024-01-01T00:00:00.000000Z', ?)";
            old.execute(sql, rusqlite::params![id, parent]).unwrap();
        }
        drop(old);
        let journal = Journal::open(&file).unwrap();
        let counts = ["a", "c", "d", "e", "f"].map(|id| journal.descendants(&ExecutionId::new(id)).unwrap());
        assert_eq!(counts, [2, 2, 0, 1, 1]);
    }

    #[test]
    fn days_are_summed_up_as_executions_end_again_and_stay_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        let old = of_version_before(&file, "CREATE TABLE loaded");
        let insert = "INSERT INTO executions (id, namespace, flow, state, inputs, created, ended, rows)
                      VALUES (?, 'n', 'f', 'SUCCESS', '{}', '2024-01-01T00:00:00.000000Z', ?, ?)";
        for (id, day, rows) in [("a", "01", 5), ("b", "01", 7), ("c", "03", i64::MAX), ("d", "03", i64::MAX)] {
            old.execute(insert, rusqlite::params![id, format!("2024-01-{day}T12:00:00.000000Z"), rows]).unwrap();
        }
        drop(old);
        let journal = Journal::open(&file).unwrap();
        let days = || {
            let days = journal.days(chrono::DateTime::UNIX_EPOCH).unwrap();
            days.into_iter().map(|day| (day.day[8..].to_owned(), day.rows, day.executions)).collect::<Vec<_>>()
        };
        let third = ("03".to_owned(), 9_000_000_000_000_000_000, 2);
        assert_eq!(days(), [("01".to_owned(), 12, 2), third.clone()]);
        let other = Connection::open(&file).unwrap();
        let again = |ended: Option<&str>, rows: i64| {
            other.execute("UPDATE executions SET ended = ?, rows = ? WHERE id = 'b'", rusqlite::params![ended, rows])
        };
        again(None, 7).unwrap();
        assert_eq!(days(), [("01".to_owned(), 5, 1), third.clone()]);
        again(None, 9).unwrap();
        again(Some("2024-01-02T12:00:00.000000Z"), 9).unwrap();
        journal.delete(&ExecutionId::new("a")).unwrap();
        assert_eq!(days(), [("01".to_owned(), 5, 1), ("02".to_owned(), 9, 1), third]);
    }
}
