//! What happens to rows of a file that do not fit: they fail the task, or they are rejected, counted and kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::storage::{Storage, StoredFile};
use crate::stream::{BadRow, ReadOptions, Reader, Result};
use crate::task::{Progress, TaskContext, TaskError};

/// What to do with a row that does not fit: one that is no whole row, or has a value that its column cannot hold. A load
/// into Postgres counts what the server refuses among them: lengths, checks, duplicate and foreign keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// The first one fails the task, which names the file, the line and the column.
    #[default]
    Fail,
    /// Bad rows are left out and written to a file of their own, until there are too many. `reject` alone has the
    /// defaults; `purge_files` keeps the file, and `jitney files` prints it.
    Reject(Reject),
}

/// How many bad rows are put up with, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// One more bad row than this fails the task.
    #[serde(default = "default_max")]
    pub max: u64,
    /// The name of the CSV file in storage that gets the rows: `line,column,message,row`.
    #[serde(default = "default_file")]
    pub file: String,
}

fn default_max() -> u64 {
    1000
}

fn default_file() -> String {
    "rejected.csv".to_owned()
}

/// Takes a task's bad rows as they come.
pub struct Rejected {
    /// What the user calls the file that is read.
    source: String,
    limit: Option<(u64, StoredFile)>,
    storage: Storage,
    writer: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejected {
    /// Starts with none. Nothing is written before there is a row to write.
    ///
    /// # Errors
    /// When the file's name is not a plain one.
    pub fn start(policy: &BadRows, source: &str, context: &TaskContext) -> std::result::Result<Self, TaskError> {
        let limit = match policy {
            BadRows::Fail => None,
            BadRows::Reject(Reject { max, file }) => Some((*max, context.output_file(file)?)),
        };
        let storage = context.storage.clone();
        Ok(Self { source: source.to_owned(), limit, storage, writer: None, count: 0 })
    }

    /// Takes the bad rows of a batch.
    ///
    /// # Errors
    /// The located row, when there are to be none; that there are too many; what the disk says.
    pub fn take(&mut self, rows: &[BadRow]) -> Result<()> {
        rows.iter().try_for_each(|row| self.take_one(row))
    }

    /// Takes bad rows of a file of which only their lines are known, and reads their texts from it. A row may come with the
    /// column that is to blame.
    ///
    /// # Errors
    /// As [`Rejected::take`], or when the file cannot be read.
    pub fn take_by_line(
        &mut self,
        rows: &[(BadRow, Option<String>)],
        (path, options): (&Path, &ReadOptions),
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = rows.iter().map(|(row, column)| (row.line, column.clone())).collect();
        let complaints: BTreeMap<u64, &BadRow> = rows.iter().map(|(row, _)| (row.line, row)).collect();
        let reader = Reader::open(path, options, Arc::new(Progress::default()))?;
        reader.rows_at(&columns, &mut |line, row| match complaints.get(&line) {
            Some(bare) => self.take_one(&BadRow { message: bare.message.clone(), hint: bare.hint.clone(), ..row }),
            None => Ok(()),
        })
    }

    fn take_one(&mut self, row: &BadRow) -> Result<()> {
        let Some((max, file)) = &self.limit else {
            let aside = "reject such rows: `on_bad_row: {reject: {max: 100}}`";
            let help = match &row.hint {
                Some(hint) => format!("{hint}; or {aside}"),
                None => format!("correct the row, or {aside}"),
            };
            return Err(Box::new(row.diagnostic(&self.source).help(help)));
        };
        if self.count == *max {
            let mut last = row.diagnostic(&self.source);
            last.message = format!("more than {max} bad rows; the last one: {}", last.message);
            return Err(Box::new(last.help(format!("the rows rejected so far are in {}", file.uri))));
        }
        self.count += 1;
        let path = file.path.clone();
        self.write(&path, row).map_err(|error| write_error(&path, &error))
    }

    /// Puts the rejected rows in the order of their lines.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sort(&mut self) -> Result<()> {
        let Some((_, file)) = self.limit.as_ref().filter(|_| self.writer.is_some()) else { return Ok(()) };
        let path = file.path.clone();
        self.sorted(&path).map_err(|error| write_error(&path, &error))
    }

    fn sorted(&mut self, path: &Path) -> csv::Result<()> {
        let mut reader = csv::Reader::from_path(path)?;
        reader.headers()?;
        let (head, mut rows, mut row) = (reader.position().byte(), Vec::new(), csv::ByteRecord::new());
        let mut start = head;
        while reader.read_byte_record(&mut row)? {
            let line = row.get(0).and_then(|line| std::str::from_utf8(line).ok()?.parse::<u64>().ok());
            let end = reader.position().byte();
            rows.push((line, start, end - start));
            start = end;
        }
        if rows.is_sorted_by_key(|(line, ..)| *line) {
            return Ok(());
        }
        rows.sort_by_key(|(line, ..)| *line);
        // The rows may be large, so they go from file to file.
        let (mut from, sorted) = (File::open(path)?, path.with_added_extension("sorted"));
        let mut to = File::create(&sorted)?;
        for (start, length) in std::iter::once((0, head)).chain(rows.iter().map(|(_, start, length)| (*start, *length)))
        {
            from.seek(SeekFrom::Start(start))?;
            std::io::copy(&mut from.by_ref().take(length), &mut to)?;
        }
        std::fs::rename(&sorted, path)?;
        self.writer = Some(csv::WriterBuilder::new().has_headers(false).from_writer(to));
        Ok(())
    }

    fn write(&mut self, path: &PathBuf, row: &BadRow) -> csv::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => {
                let writer = empty.insert(csv::Writer::from_path(path)?);
                self.storage.note_rejects(path)?;
                writer.write_record(["line", "column", "message", "row"])?;
                writer
            }
        };
        let (line, column) = (row.line.to_string(), row.column.to_string());
        writer.write_record([line.as_bytes(), column.as_bytes(), row.message.as_bytes(), &row.text])?;
        // The last row must be in the file when the limit ends the task.
        Ok(writer.flush()?)
    }

    /// How many further rows may be rejected; none where the first one ends the task.
    pub fn remaining(&self) -> Option<u64> {
        self.limit.as_ref().map(|(max, _)| max.saturating_sub(self.count))
    }

    /// How many rows were rejected.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The address of the file that holds them, if there were any.
    pub fn uri(&self) -> Option<&str> {
        self.limit.as_ref().filter(|_| self.count > 0).map(|(_, file)| file.uri.as_str())
    }
}

fn write_error(path: &Path, error: &csv::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(format!("cannot write the bad rows to {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_a_word_or_a_limit() {
        let read = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).map(serde_json::from_value::<BadRows>);
        assert_eq!(read("fail").unwrap().unwrap(), BadRows::Fail);
        let reject = |max, file: &str| BadRows::Reject(Reject { max, file: file.to_owned() });
        assert_eq!(read("{reject: {max: 5, file: bad.csv}}").unwrap().unwrap(), reject(5, "bad.csv"));
        assert_eq!(read("{reject: {}}").unwrap().unwrap(), reject(1000, "rejected.csv"));
        assert!(read("ignore").unwrap().is_err());
    }
}
