//! Which rows repeat the key of an earlier row, found in flat memory whatever the number of rows.
//!
//! Keys go to small files on disk, spread by their hash, so that equal keys share a file; each file is then searched
//! on its own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use polars::prelude::*;

use super::text_column::TextColumn;
use crate::stream::ColumnType;

/// 16 million keys of 50 bytes make files of 13 MB.
const SPOOL_FILES: usize = 64;

/// Whether a key with a NULL in it can equal another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// NULL equals NULL, as in `SELECT DISTINCT`.
    Equal,
    /// A NULL equals nothing, as in a UNIQUE constraint.
    Distinct,
}

/// A row whose key was there before.
#[derive(Clone, Copy, Debug)]
pub struct DuplicateKey<'a> {
    /// The last row before it with the same key, counted from 0.
    pub earlier: u64,
    /// The row, counted from 0.
    pub row: u64,
    key: &'a [u8],
}

impl DuplicateKey<'_> {
    /// The key's values, for a message.
    pub fn values(&self) -> String {
        let mut rest = self.key;
        let mut values = Vec::new();
        while let Some((value, after)) = split_value(rest) {
            values.push(value.map_or("NULL".into(), String::from_utf8_lossy));
            rest = after;
        }
        values.join(", ")
    }
}

/// The keys seen so far.
pub struct KeySpool {
    columns: Vec<(String, ColumnType)>,
    nulls: Nulls,
    folder: PathBuf,
    files: Vec<BufWriter<File>>,
    rows: u64,
}

impl KeySpool {
    /// Starts with none. `folder` is made for the files, and goes again with this value.
    ///
    /// # Errors
    /// When the files cannot be made.
    pub fn create(columns: Vec<(String, ColumnType)>, nulls: Nulls, folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let file = |number| Ok(BufWriter::new(File::create(folder.join(format!("{number}.keys")))?));
        let files = (0..SPOOL_FILES).map(file).collect::<io::Result<_>>()?;
        Ok(Self { columns, nulls, folder, files, rows: 0 })
    }

    /// How many rows there were so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the keys of further rows.
    ///
    /// # Errors
    /// When a column is missing, or the disk is full.
    pub fn observe(&mut self, frame: &DataFrame) -> PolarsResult<()> {
        let texts: Vec<TextColumn> =
            self.columns.iter().map(|(name, kind)| TextColumn::of(frame, name, *kind)).collect::<PolarsResult<_>>()?;
        let mut key = Vec::with_capacity(256);
        for row in 0..frame.height() {
            key.clear();
            let nulls = texts.iter().filter(|column| !push_value(column, row, &mut key)).count();
            if nulls == 0 || self.nulls == Nulls::Equal {
                self.write(&key)?;
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn write(&mut self, key: &[u8]) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        let number = hasher.finish() % SPOOL_FILES as u64;
        if let Some(file) = self.files.get_mut(number as usize) {
            file.write_all(&self.rows.to_le_bytes())?;
            file.write_all(&(key.len() as u32).to_le_bytes())?;
            file.write_all(key)?;
        }
        Ok(())
    }

    /// Tells every row that repeats a key, in no particular order but with the rows of one key in theirs.
    ///
    /// # Errors
    /// When a file cannot be written to its end or read back.
    pub fn duplicates(&mut self, mut report: impl FnMut(DuplicateKey)) -> io::Result<()> {
        for (number, mut file) in std::mem::take(&mut self.files).into_iter().enumerate() {
            file.flush()?;
            drop(file);
            let bytes = fs::read(self.folder.join(format!("{number}.keys")))?;
            let mut last = HashMap::new();
            let mut rest = bytes.as_slice();
            while let Some((row, key, after)) = split_record(rest) {
                if let Some(earlier) = last.insert(key, row) {
                    report(DuplicateKey { earlier, row, key });
                }
                rest = after;
            }
        }
        Ok(())
    }
}

impl Drop for KeySpool {
    fn drop(&mut self) {
        // What stays behind is found and removed with the execution's storage.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Appends a value with its length, or a mark where it is NULL; whether there was one.
fn push_value(column: &TextColumn, row: usize, key: &mut Vec<u8>) -> bool {
    const NULL: [u8; 4] = u32::MAX.to_le_bytes();
    let start = key.len();
    key.extend_from_slice(&NULL);
    let found = column.push_key(row, key);
    if found {
        let len = (key.len() - start - NULL.len()) as u32;
        key[start..start + NULL.len()].copy_from_slice(&len.to_le_bytes());
    }
    found
}

fn split_value(key: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (len, rest) = key.split_first_chunk()?;
    match u32::from_le_bytes(*len) {
        u32::MAX => Some((None, rest)),
        len => rest.split_at_checked(len as usize).map(|(value, rest)| (Some(value), rest)),
    }
}

fn split_record(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (row, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((u64::from_le_bytes(*row), key, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicates(nulls: Nulls) -> Vec<(u64, u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let columns = vec![("a".to_owned(), ColumnType::Text), ("b".to_owned(), ColumnType::Int(64))];
        let mut keys = KeySpool::create(columns, nulls, folder.path().join("keys")).unwrap();
        keys.observe(&df!("a" => ["x", "xy", "x"], "b" => [Some(1_i64), None, Some(1)]).unwrap()).unwrap();
        keys.observe(&df!("a" => ["x", "xy", ""], "b" => [Some(1_i64), None, Some(2)]).unwrap()).unwrap();
        assert_eq!(keys.rows(), 6);
        let mut found = Vec::new();
        keys.duplicates(|duplicate| found.push((duplicate.earlier, duplicate.row, duplicate.values()))).unwrap();
        drop(keys);
        assert!(!folder.path().join("keys").exists(), "the files should be gone");
        found.sort();
        found
    }

    #[test]
    fn numbers_that_are_equal_are_repeats_however_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let columns = vec![("n".to_owned(), ColumnType::Numeric), ("f".to_owned(), ColumnType::Float)];
        let mut keys = KeySpool::create(columns, Nulls::Distinct, folder.path().join("keys")).unwrap();
        keys.observe(&df!("n" => ["1", "1.00", "1e0", "1.01"], "f" => [0.0, -0.0, 0.0, 0.0]).unwrap()).unwrap();
        let mut found = Vec::new();
        keys.duplicates(|duplicate| found.push((duplicate.earlier, duplicate.row, duplicate.values()))).unwrap();
        assert_eq!(found, [(0, 1, "1, 0".to_owned()), (1, 2, "1, 0".to_owned())]);
    }

    #[test]
    fn repeats_are_found_across_frames() {
        let x = |earlier, row| (earlier, row, "x, 1".to_owned());
        assert_eq!(duplicates(Nulls::Distinct), [x(0, 2), x(2, 3)]);
        assert_eq!(duplicates(Nulls::Equal), [x(0, 2), (1, 4, "xy, NULL".to_owned()), x(2, 3)]);
    }
}
