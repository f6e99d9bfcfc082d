//! A part of an execution's log: some lines before or after a place, by level, task and text.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cpu_time::ThreadTime;
use rusqlite::{Connection, Row, params};

use super::sought_text::SoughtText;
use super::{Journal, LogLine, Result};
use crate::id::ExecutionId;
use crate::task::{Level, LogSource};

/// How much time of a core a search takes before it returns what it has found so far: a page that waits for it is quick, and
/// others read the journal in between.
const SEARCH_TIME: Duration = Duration::from_millis(15);
/// How many lines a search looks at before it reads the clock.
const LINES_BETWEEN_LOOKS: usize = 5000;

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

/// A part of a log.
#[derive(Debug, Default)]
pub struct LogWindow {
    /// Its lines, in the order of writing.
    pub lines: Vec<NumberedLine>,
    /// Where a search stopped for lack of time: the number of the last line that it looked at, and when that was written.
    /// None if it has all lines that were wanted.
    pub stopped: Option<(i64, DateTime<Utc>)>,
}

impl LogPosition {
    fn is_forward(self) -> bool {
        matches!(self, Self::After(_))
    }

    /// The same search from a line on.
    fn moved(self, number: i64) -> Self {
        if self.is_forward() { Self::After(number) } else { Self::Before(number) }
    }
}

impl LogFilter {
    /// Whether there is nothing to look for.
    fn is_empty(&self) -> bool {
        self.min_level.is_none() && self.task.is_none() && self.text.is_none()
    }
}

impl Journal {
    /// At most `limit` lines of an execution's log at a position, in the order of writing. A search that takes long returns
    /// what it has found so far.
    pub fn log_window(
        &self,
        id: &ExecutionId,
        filter: &LogFilter,
        position: LogPosition,
        limit: u32,
    ) -> Result<LogWindow> {
        // Lines that wait are written first. A search may take long, so that it has the connection nobody writes with.
        drop(self.lock());
        self.read(|connection| window(connection, id, filter, position, limit, SEARCH_TIME))
    }

    /// As [`Journal::log_window`], however long it takes.
    pub fn log_lines(
        &self,
        id: &ExecutionId,
        filter: &LogFilter,
        position: LogPosition,
        limit: u32,
    ) -> Result<Vec<NumberedLine>> {
        let (mut lines, mut position) = (Vec::new(), position);
        loop {
            let left = limit.saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
            let LogWindow { lines: found, stopped } = self.log_window(id, filter, position, left)?;
            if position.is_forward() {
                lines.extend(found);
            } else {
                lines.splice(..0, found);
            }
            match stopped {
                Some((number, _)) => position = position.moved(number),
                None => return Ok(lines),
            }
        }
    }
}

fn window(
    connection: &Connection,
    id: &ExecutionId,
    filter: &LogFilter,
    position: LogPosition,
    limit: u32,
    time: Duration,
) -> Result<LogWindow> {
    let (number, range) = match position {
        LogPosition::After(number) => (number, "rowid > ?2 ORDER BY rowid ASC"),
        LogPosition::Before(number) => (number, "rowid < ?2 ORDER BY rowid DESC"),
        LogPosition::End => (i64::MAX, "rowid <= ?2 ORDER BY rowid DESC"),
    };
    // What is filtered here and not by SQLite can be interrupted between any two lines.
    let sql = format!("SELECT time, task, level, message, rowid FROM logs WHERE execution = ?1 AND {range}");
    let (text, begun, limit) = (filter.text.as_deref().map(SoughtText::new), ThreadTime::now(), limit as usize);
    let mut found = LogWindow::default();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.as_str(), number])?;
    let mut looked_at = 0;
    while found.lines.len() < limit
        && let Some(row) = rows.next()?
    {
        if matches(row, filter, text.as_ref())? {
            found.lines.push(numbered(row)?);
        }
        looked_at += 1;
        let is_long = looked_at % LINES_BETWEEN_LOOKS == 0 && !filter.is_empty() && begun.elapsed() >= time;
        if is_long && found.lines.len() < limit {
            found.stopped = Some((row.get(4)?, row.get(0)?));
            break;
        }
    }
    if !position.is_forward() {
        found.lines.reverse();
    }
    Ok(found)
}

fn matches(row: &Row, filter: &LogFilter, text: Option<&SoughtText>) -> rusqlite::Result<bool> {
    if let Some(task) = &filter.task
        && row.get_ref(1)?.as_str()? != task
    {
        return Ok(false);
    }
    if let Some(least) = filter.min_level
        && row.get::<_, Level>(2)? < least
    {
        return Ok(false);
    }
    text.map_or(Ok(true), |text| Ok(text.is_in(row.get_ref(3)?.as_str()?)))
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
            let lines = journal.log_window(&id, filter, position, limit).unwrap().lines;
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
    #[test]
    fn a_long_search_stops_and_is_continued_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let (id, task) = (ExecutionId::new("e1"), TaskId::new("a"));
        for number in 0..3 * LINES_BETWEEN_LOOKS {
            journal.log(&id, clock::now(), &task, Level::Info, &format!("Line {number}")).unwrap();
        }
        let searched = |text: &str, position, limit| {
            let filter = LogFilter { text: Some(text.to_owned()), ..LogFilter::default() };
            drop(journal.lock());
            journal.read(|connection| window(connection, &id, &filter, position, limit, Duration::ZERO)).unwrap()
        };
        let mut position = LogPosition::End;
        let mut stops = 0;
        let found = loop {
            let LogWindow { lines, stopped } = searched("line 7", position, 1);
            match stopped {
                None => break lines,
                Some((number, _)) => position = position.moved(number),
            }
            assert!(lines.is_empty());
            stops += 1;
        };
        // Of 15,000 lines the newest that matches is the 8,000th: the first 5,000 from the end are in vain.
        assert_eq!((stops, found[0].1.message.as_str()), (1, "Line 7999"));
        assert_eq!(searched("line 149", LogPosition::End, 1).stopped, None, "what is found at once is complete");
        let filter = LogFilter { text: Some("LINE 12".to_owned()), ..LogFilter::default() };
        assert_eq!(journal.log_lines(&id, &filter, LogPosition::After(0), 2000).unwrap().len(), 1111);
        assert_eq!(journal.log_lines(&id, &filter, LogPosition::End, 3).unwrap()[0].1.message, "Line 12997");
    }
}
