//! A part of an execution's log: some lines before or after a place, by level, task and text.

use rusqlite::types::Value as Sql;
use rusqlite::{Row, params_from_iter};

use super::{Journal, LogLine, Result};
use crate::id::ExecutionId;
use crate::task::{Level, LogSource};

/// A line, and the number by which those that follow it are found.
pub type NumberedLine = (i64, LogLine);

/// Which lines of a log to return; all of them by default.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Those of this level and more severe ones.
    pub min_level: Option<Level>,
    /// Those of this task.
    pub task: Option<String>,
    /// Those with this text in them, in whatever case.
    pub text: Option<String>,
}

/// Where in a log lines are wanted. Lines are numbered in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPosition {
    /// The last ones.
    End,
    /// Those before a number.
    Before(i64),
    /// Those after a number.
    After(i64),
}

impl LogFilter {
    fn condition(&self, id: &ExecutionId) -> (String, Vec<Sql>) {
        let mut condition = "execution = ?".to_owned();
        let mut values = vec![Sql::from(id.as_str().to_owned())];
        if let Some(least) = self.min_level {
            let levels =
                [Level::Debug, Level::Info, Level::Warn, Level::Error].into_iter().filter(|level| *level >= least);
            let words: Vec<String> = levels.map(|level| format!("'{level}'")).collect();
            condition.push_str(&format!(" AND level IN ({})", words.join(", ")));
        }
        if let Some(task) = &self.task {
            condition.push_str(" AND task = ?");
            values.push(task.clone().into());
        }
        if let Some(text) = &self.text {
            condition.push_str(" AND instr(lower(message), lower(?)) > 0");
            values.push(text.clone().into());
        }
        (condition, values)
    }
}

impl Journal {
    /// At most `limit` lines of an execution's log at a position, in the order of writing.
    pub fn log_window(
        &self,
        id: &ExecutionId,
        filter: &LogFilter,
        position: LogPosition,
        limit: u32,
    ) -> Result<Vec<NumberedLine>> {
        let (mut condition, mut values) = filter.condition(id);
        let order = match position {
            LogPosition::After(number) => {
                condition.push_str(" AND rowid > ?");
                values.push(number.into());
                "ASC"
            }
            LogPosition::Before(number) => {
                condition.push_str(" AND rowid < ?");
                values.push(number.into());
                "DESC"
            }
            LogPosition::End => "DESC",
        };
        values.push(i64::from(limit).into());
        let sql = format!(
            "SELECT time, task, level, message, rowid FROM logs WHERE {condition} ORDER BY rowid {order} LIMIT ?"
        );
        // Lines that wait are written first. A search may take long, so that it has the connection nobody writes with.
        drop(self.lock());
        let mut lines = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), numbered)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        if order == "DESC" {
            lines.reverse();
        }
        Ok(lines)
    }
}

fn numbered(row: &Row) -> rusqlite::Result<NumberedLine> {
    let source = LogSource::from(row.get::<_, String>(1)?);
    let line = LogLine { time: row.get(0)?, source, level: row.get(2)?, message: row.get(3)? };
    Ok((row.get(4)?, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::id::TaskId;

    #[test]
    fn windows_join_without_a_gap_and_filters_hold_in_each() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let id = ExecutionId::new("e1");
        for number in 0..10 {
            let (task, level) = if number % 2 == 0 { ("a", Level::Info) } else { ("b", Level::Error) };
            let text = format!("Line {number}");
            journal.log(&id, clock::now(), &TaskId::new(task), level, &text).unwrap();
        }
        let all = LogFilter::default();
        let texts = |filter: &LogFilter, position, limit| {
            let lines = journal.log_window(&id, filter, position, limit).unwrap();
            (
                lines.first().map(|(number, _)| *number),
                lines.into_iter().map(|(_, line)| line.message).collect::<Vec<_>>(),
            )
        };
        let (first, end) = texts(&all, LogPosition::End, 3);
        assert_eq!(end, ["Line 7", "Line 8", "Line 9"]);
        assert_eq!(texts(&all, LogPosition::Before(first.unwrap()), 2).1, ["Line 5", "Line 6"]);
        assert_eq!(texts(&all, LogPosition::After(first.unwrap()), 9).1, ["Line 8", "Line 9"]);
        let errors = LogFilter { min_level: Some(Level::Warn), ..LogFilter::default() };
        assert_eq!(texts(&errors, LogPosition::End, 2).1, ["Line 7", "Line 9"]);
        let of_a = LogFilter { task: Some("a".to_owned()), text: Some("LINE 4".to_owned()), ..LogFilter::default() };
        assert_eq!(texts(&of_a, LogPosition::After(0), 9).1, ["Line 4"]);
    }
}
