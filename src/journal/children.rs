//! Executions that tasks of others started.

use rusqlite::{OptionalExtension, Transaction};

use super::{Journal, Result};
use crate::id::ExecutionId;

/// The first of those that led to an execution: the one that nobody started, or whose parent has been deleted. Executions
/// start each other only some levels deep, so that this takes some look-ups by key.
const ROOT: &str = "WITH RECURSIVE up (id, parent, height) AS (
        SELECT id, parent, 0 FROM executions WHERE id = ?1
        UNION ALL
        SELECT executions.id, executions.parent, height + 1 FROM up JOIN executions ON executions.id = up.parent)
    SELECT id FROM up ORDER BY height DESC LIMIT 1";

impl Journal {
    /// The newest execution that a task run of another one started, if any.
    pub fn child(&self, parent: &ExecutionId, run: &str) -> Result<Option<ExecutionId>> {
        let connection = self.lock();
        let sql = "SELECT id FROM executions WHERE parent = ? AND parent_run = ? ORDER BY id DESC LIMIT 1";
        let mut statement = connection.prepare_cached(sql)?;
        let found = statement.query_row([parent.as_str(), run], |row| row.get::<_, String>(0)).optional()?;
        Ok(found.map(ExecutionId::new))
    }

    /// The executions that the tasks of another one started, the oldest first.
    pub fn children(&self, parent: &ExecutionId) -> Result<Vec<ExecutionId>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT id FROM executions WHERE parent = ? ORDER BY id")?;
        let rows = statement.query_map([parent.as_str()], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// How many executions the root of this one has started, directly and through others.
    pub fn descendants(&self, id: &ExecutionId) -> Result<u32> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&descendants_sql())?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?.unwrap_or_default())
    }
}

fn descendants_sql() -> String {
    format!("SELECT descendants FROM executions WHERE id = ({ROOT})")
}

/// Counts a new child at its root. It is a number and no query, since each new execution asks for it: counting the rows
/// would take longer with each of them, while nobody else can write.
pub(super) fn count_child(transaction: &Transaction, parent: &ExecutionId) -> Result<()> {
    let sql = format!("UPDATE executions SET descendants = descendants + 1 WHERE id = ({ROOT})");
    transaction.prepare_cached(&sql)?.execute([parent.as_str()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::clock;
    use crate::journal::{ExecutionSpec, Parent};

    fn spec(parent: Option<&ExecutionId>) -> ExecutionSpec {
        let created = r#"{"flow":"f","namespace":"n","file":"f.yaml","text":"","sha256":"",
            "inputs":{},"labels":{},"trigger_date":"2024-01-01T00:00:00Z"}"#;
        let parent = parent.map(|parent| Parent {
            execution: parent.clone(),
            run: "t".to_owned(),
            flow: "f".to_owned(),
            namespace: "n".to_owned(),
            depth: 1,
        });
        ExecutionSpec { parent, ..serde_json::from_str(created).unwrap() }
    }

    #[test]
    fn descendants_are_counted_at_the_root_and_stay_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let [root, child, grandchild, other] = ["a", "b", "c", "d"].map(ExecutionId::new);
        let parents = [(&root, None), (&child, Some(&root)), (&grandchild, Some(&child)), (&other, None)];
        for (id, parent) in parents {
            journal.create(id, clock::now(), spec(parent)).unwrap();
        }
        let counts = |ids: [&ExecutionId; 3]| ids.map(|id| journal.descendants(id).unwrap());
        assert_eq!(counts([&root, &grandchild, &other]), [2, 2, 0]);
        journal.delete(&grandchild).unwrap();
        assert_eq!(journal.descendants(&child).unwrap(), 2, "it has been started all the same");
        journal.delete(&root).unwrap();
        journal.create(&grandchild, clock::now(), spec(Some(&child))).unwrap();
        assert_eq!(counts([&grandchild, &child, &root]), [1, 1, 0], "the topmost that is left counts");
    }

    #[test]
    fn the_number_of_descendants_takes_as_long_for_many_as_for_few() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let root = ExecutionId::new("root");
        journal.create(&root, clock::now(), spec(None)).unwrap();
        let steps_with = |children: std::ops::Range<u32>| {
            for number in children {
                journal.create(&ExecutionId::new(format!("s{number:03}")), clock::now(), spec(Some(&root))).unwrap();
            }
            let connection = journal.lock();
            let mut statement = connection.prepare(&descendants_sql()).unwrap();
            let found: u32 = statement.query_row([root.as_str()], |row| row.get(0)).unwrap();
            (found, statement.get_status(StatementStatus::VmStep))
        };
        let [(few, first), (many, last)] = [steps_with(0..3), steps_with(3..300)];
        assert_eq!((few, many), (3, 300));
        assert_eq!(first, last);
    }
}
