//! Log lines. Those that come fast are written together, some twenty times a second: a transaction for each would make
//! callers wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::broadcast;

use super::{Journal, JournalUpdate, LogFilter, LogLine, LogPosition, NumberedLine, Result, stamp};
use crate::id::ExecutionId;
use crate::task::{LINE_OVERHEAD, Level, LogSource};

/// How long a line may wait to be written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// How many lines may wait; logging one more writes them.
const MAX_BUFFERED: usize = 1000;
/// How long after a failure nobody tries to write: each try takes time, and every caller would wait for all of them.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How many are kept in memory when they cannot be written.
const MAX_UNWRITTEN: usize = 20 * MAX_BUFFERED;

/// The lines that are not written yet.
pub(super) struct LogBuffer {
    waiting: Mutex<BufferedLines>,
    listeners: broadcast::Sender<Arc<JournalUpdate>>,
}

#[derive(Default)]
struct BufferedLines {
    lines: Vec<(ExecutionId, LogLine)>,
    /// When lines were last written.
    written: Option<Instant>,
    /// When they could not be written, if that was the last try.
    failed: Option<Instant>,
    /// Whether a thread will write them.
    is_awaited: bool,
}

impl LogBuffer {
    pub(super) fn new(listeners: broadcast::Sender<Arc<JournalUpdate>>) -> Self {
        Self { waiting: Mutex::default(), listeners }
    }

    fn lock(&self) -> MutexGuard<'_, BufferedLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes them all unless that has just failed; when it fails they wait on.
    pub(super) fn write_if_due(&self, connection: &mut Connection) -> Result<()> {
        if self.lock().has_just_failed() { Ok(()) } else { self.write(connection) }
    }

    /// Writes them all; when that fails they wait on.
    pub(super) fn write(&self, connection: &mut Connection) -> Result<()> {
        let lines = {
            let mut waiting = self.lock();
            waiting.is_awaited = false;
            std::mem::take(&mut waiting.lines)
        };
        if lines.is_empty() {
            return Ok(());
        }
        if let Err(error) = insert(connection, &lines) {
            let mut waiting = self.lock();
            waiting.failed = Some(Instant::now());
            if waiting.lines.len() + lines.len() <= MAX_UNWRITTEN {
                waiting.lines.splice(..0, lines);
            }
            return Err(error);
        }
        {
            let mut waiting = self.lock();
            (waiting.written, waiting.failed) = (Some(Instant::now()), None);
        }
        if self.listeners.receiver_count() > 0 {
            for (id, line) in lines {
                // That the last listener has just gone is no loss.
                let _ = self.listeners.send(Arc::new(JournalUpdate::Log { id, line }));
            }
        }
        Ok(())
    }
}

impl BufferedLines {
    fn has_just_failed(&self) -> bool {
        self.failed.is_some_and(|at| at.elapsed() < RETRY_INTERVAL)
    }
}

fn insert(connection: &mut Connection, lines: &[(ExecutionId, LogLine)]) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached("INSERT INTO logs VALUES (?, ?, ?, ?, ?)")?;
        for (id, LogLine { time, source, level, message }) in lines {
            statement.execute(params![id.as_str(), stamp(*time), source.as_str(), level, message])?;
        }
    }
    Ok(transaction.commit()?)
}

impl Journal {
    /// Appends a log line. It may wait for others for 50 ms, but not longer than until the next event is written or
    /// lines are read.
    pub fn log(
        &self,
        id: &ExecutionId,
        time: DateTime<Utc>,
        source: impl Into<LogSource>,
        level: Level,
        message: &str,
    ) -> Result<()> {
        let line = LogLine { time, source: source.into(), level, message: message.to_owned() };
        let mut waiting = self.lines.lock();
        if waiting.has_just_failed() {
            if waiting.lines.len() < MAX_UNWRITTEN {
                waiting.lines.push((id.clone(), line));
            }
            return Ok(());
        }
        waiting.lines.push((id.clone(), line));
        let is_rare = waiting.written.is_none_or(|at| at.elapsed() >= FLUSH_INTERVAL);
        if is_rare || waiting.lines.len() >= MAX_BUFFERED {
            drop(waiting);
            return self.lines.write(&mut self.hold());
        }
        if !waiting.is_awaited {
            waiting.is_awaited = true;
            let (lines, connection) = (self.lines.clone(), self.connection.clone());
            std::thread::spawn(move || {
                std::thread::sleep(FLUSH_INTERVAL);
                // What cannot be written now is tried again with the next line.
                let _ = lines.write(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
            });
        }
        Ok(())
    }

    /// The log lines of an execution, in the order of writing.
    pub fn logs(&self, id: &ExecutionId) -> Result<Vec<LogLine>> {
        Ok(self.logs_after(id, 0, u32::MAX)?.into_iter().map(|(_, line)| line).collect())
    }

    /// The first log lines of an execution after one, in the order of writing.
    pub fn logs_after(&self, id: &ExecutionId, number: i64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.log_lines(id, &LogFilter::default(), LogPosition::After(number), limit)
    }

    /// The bytes of an execution's log.
    pub fn log_size(&self, id: &ExecutionId) -> Result<u64> {
        let connection = self.lock();
        let sql = "SELECT coalesce(sum(octet_length(message) + ?), 0) FROM logs WHERE execution = ?";
        let mut statement = connection.prepare_cached(sql)?;
        let size: i64 = statement.query_row(params![LINE_OVERHEAD.cast_signed(), id.as_str()], |row| row.get(0))?;
        Ok(size.unsigned_abs())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Who logged them has gone, and nobody is left to hear that they cannot be written.
        let _ = self.lines.write(&mut self.hold());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::id::TaskId;

    #[test]
    fn a_full_disk_is_an_error_once_a_second_and_costs_no_line_that_fits_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (id, task) = (ExecutionId::new("e1"), TaskId::new("t"));
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let pages: i64 = journal.hold().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = |pages: i64| {
            journal
                .hold()
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        limit(pages + 2);
        let text = "x".repeat(1000);
        let log = || journal.log(&id, clock::now(), &task, Level::Info, &text);
        let failures = (0..5000).filter(|_| log().is_err()).count();
        assert!((1..100).contains(&failures), "{failures} of 5000 lines had to wait for a failure");
        limit(1_000_000);
        std::thread::sleep(RETRY_INTERVAL);
        assert_eq!(journal.logs(&id).unwrap().len(), 5000);
    }

    #[test]
    fn lines_that_come_fast_are_all_kept_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        let (id, task) = (ExecutionId::new("e1"), TaskId::new("t"));
        let journal = Journal::open(&file).unwrap();
        let mut heard = journal.subscribe();
        for number in 0..2500 {
            journal.log(&id, clock::now(), &task, Level::Info, &number.to_string()).unwrap();
        }
        let texts = |lines: Vec<LogLine>| lines.into_iter().map(|line| line.message).collect::<Vec<_>>();
        let expected: Vec<String> = (0..2500).map(|number| number.to_string()).collect();
        assert_eq!(texts(journal.logs(&id).unwrap()), expected);
        let mut published = Vec::new();
        while let Ok(happened) = heard.try_recv() {
            if let JournalUpdate::Log { line, .. } = happened.as_ref() {
                published.push(line.message.clone());
            }
        }
        assert_eq!(published, expected);
        for text in ["one", "two"] {
            journal.log(&id, clock::now(), &task, Level::Info, text).unwrap();
        }
        drop(journal);
        let journal = Journal::open(&file).unwrap();
        assert_eq!(texts(journal.logs(&id).unwrap())[2500..], ["one", "two"]);
        let second = journal.logs_after(&id, 0, 2).unwrap()[1].0;
        let after = journal.logs_after(&id, second, 1).unwrap();
        assert_eq!(after[0].1.message, "2");
        let bytes: usize = expected.iter().map(String::len).sum::<usize>() + 6;
        assert_eq!(journal.log_size(&id).unwrap(), bytes as u64 + 2502 * LINE_OVERHEAD);
    }
}
