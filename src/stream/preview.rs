//! The beginning of a file for somebody who looks at it: its first rows as a table, with what they say of each column, or its
//! first lines as text. However large the file is, no more than its beginning is read.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::AnyValue;

use super::bytes::{Compression, FileBytes, UnpackLimits};
use super::{Batch, ColumnSpec, ColumnType, FileFormat, ReadOptions, Reader};
use crate::diagnostic::Diagnostic;
use crate::task::Progress;
use crate::text::shortened;

/// How many rows tell of the columns, and how many are given.
const MAX_ROWS: usize = 10_000;
const SHOWN_ROWS: usize = 50;
const SHOWN_COLUMNS: usize = 60;
/// The most letters of a value.
const MAX_LETTERS: usize = 120;
/// The largest row that is looked at, and how much of a file that is not read row by row.
const MAX_BYTES: usize = 1 << 20;
/// How much of a text is given.
const MAX_TEXT_BYTES: usize = 32 << 10;
/// The bars of a histogram, and the most different values that have a bar each.
const BARS: usize = 12;

/// The beginning of a file.
#[derive(Debug)]
pub enum FilePreview {
    /// Rows.
    Table(TablePreview),
    /// Text, and whether there is more of it.
    Text(String, bool),
    /// Neither.
    Binary,
}

/// The first rows of a file.
#[derive(Debug)]
pub struct TablePreview {
    /// Its columns.
    pub columns: Vec<ColumnProfile>,
    /// How many more columns there are.
    pub more_columns: usize,
    /// The rows, NULL as none.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows the columns' figures are of.
    pub rows_profiled: usize,
    /// Whether these are all rows of the file.
    pub is_whole: bool,
}

/// What some rows say of a column.
#[derive(Debug, PartialEq)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// What its values are: `integer`, `number`, `boolean`, `date`, `timestamp`, `json`, `text`.
    pub kind: &'static str,
    /// How many have no value.
    pub nulls: usize,
    /// The least value, and the greatest.
    pub range: Option<(String, String)>,
    /// How many values there are in each part of the range; of a text, of each of its few values.
    pub bars: Vec<u32>,
}

impl FilePreview {
    /// Looks at a file in storage.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged where it begins.
    pub fn of(path: &Path) -> super::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let format = table_format(&name);
        if matches!(format, Some(FileFormat::Parquet | FileFormat::Excel)) {
            return table(path, &ReadOptions { name: Some(name), ..ReadOptions::default() }, true);
        }
        let (start, is_cut) = beginning(path, &name)?;
        let Some(format) = format else { return Ok(text(&start, is_cut)) };
        let delimiter = delimiter(&start);
        let options = ReadOptions {
            name: Some(name),
            format: Some(format),
            delimiter,
            max_row_bytes: MAX_BYTES,
            ..ReadOptions::default()
        };
        // CSV is read as far as it is wanted. JSON is read to its end for its keys, so that only its beginning is.
        let read = match format {
            FileFormat::Csv => table(path, &options, true),
            _ => sample(&start, is_cut).and_then(|sample| table(sample.path(), &options, !is_cut)),
        };
        read.or_else(|error| if format == FileFormat::Csv { Err(error) } else { Ok(text(&start, is_cut)) })
    }
}

/// The format of a file with rows, by its name.
fn table_format(name: &str) -> Option<FileFormat> {
    let lower = name.to_ascii_lowercase();
    let plain = match Compression::of_extension(&lower) {
        Some(_) => lower.rsplit_once('.').map_or("", |(stem, _)| stem),
        None => &lower,
    };
    let extension = plain.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["csv", "tsv", "parquet", "pq", "ndjson", "jsonl", "json", "xlsx", "xlsm"].contains(&extension).then(|| {
        match extension {
            "tsv" => FileFormat::Csv,
            _ => FileFormat::of(name),
        }
    })
}

/// The first bytes of a file, unpacked, and whether there are more.
fn beginning(path: &Path, name: &str) -> super::Result<(Vec<u8>, bool)> {
    let mut file = FileBytes::open(path, name, UnpackLimits::default(), Arc::new(Progress::default()))?;
    let mut start = Vec::new();
    while start.len() < MAX_BYTES {
        let Some(block) = file.next_block(Vec::new())? else { return Ok((start, false)) };
        start.extend_from_slice(&block);
    }
    let is_cut = start.len() > MAX_BYTES || matches!(file.next_block(Vec::new()), Ok(Some(_)));
    start.truncate(MAX_BYTES);
    Ok((start, is_cut))
}

/// The beginning as a file of its own, to the end of its last whole line.
fn sample(start: &[u8], is_cut: bool) -> super::Result<tempfile::NamedTempFile> {
    let end = if is_cut {
        start.iter().rposition(|byte| *byte == b'\n').map_or(start.len(), |at| at + 1)
    } else {
        start.len()
    };
    let write = || {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(&start[..end])?;
        Ok(file)
    };
    write()
        .map_err(|error: std::io::Error| Box::new(Diagnostic::error(format!("cannot write a temporary file: {error}"))))
}

/// The delimiter that the first line has most of.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|wanted| count(*wanted)).unwrap_or(b',')
}

fn text(start: &[u8], is_cut: bool) -> FilePreview {
    if start.contains(&0) {
        return FilePreview::Binary;
    }
    let shown = &start[..start.len().min(MAX_TEXT_BYTES)];
    FilePreview::Text(String::from_utf8_lossy(shown).into_owned(), is_cut || shown.len() < start.len())
}

fn table(path: &Path, options: &ReadOptions, is_all: bool) -> super::Result<FilePreview> {
    let reader = Reader::open(path, options, Arc::new(Progress::default()))?;
    let all: Vec<_> = reader.columns().iter().filter(|(name, _)| !reader.is_ambiguous(name)).cloned().collect();
    let shown = &all[..all.len().min(SHOWN_COLUMNS)];
    let wanted = shown.iter().map(|(name, kind)| ColumnSpec {
        name: name.clone(),
        kind: kind.unwrap_or(ColumnType::Text),
        required: false,
        likely: None,
        shape: None,
    });
    let mut batches = reader.batches(wanted.collect());
    let first = batches.next().transpose()?;
    let has_more = batches.next().is_some();
    let rows = first.as_ref().map(rows_of).unwrap_or_default();
    let is_whole = is_all && !has_more && first.is_none_or(|batch| batch.frame.height() <= rows.len());
    let column = |(index, (name, kind)): (usize, &(String, Option<ColumnType>))| {
        ColumnProfile::of(name, *kind, rows.iter().map(|row| row.get(index).and_then(Option::as_deref)))
    };
    let columns = shown.iter().enumerate().map(column).collect();
    let rows_profiled = rows.len();
    let shown_rows = rows.into_iter().take(SHOWN_ROWS).collect();
    let more_columns = all.len() - shown.len();
    Ok(FilePreview::Table(TablePreview { columns, more_columns, rows: shown_rows, rows_profiled, is_whole }))
}

fn rows_of(batch: &Batch) -> Vec<Vec<Option<String>>> {
    let frame = &batch.frame;
    let row = |index: usize| {
        frame.columns().iter().map(|column| column.get(index).ok().and_then(|value| shown(&value))).collect()
    };
    (0..frame.height().min(MAX_ROWS)).map(row).collect()
}

fn shown(value: &AnyValue) -> Option<String> {
    match value {
        AnyValue::Null => None,
        value => Some(match value.get_str() {
            Some(text) => shortened(text, MAX_LETTERS).into_owned(),
            None => shortened(&value.to_string(), MAX_LETTERS).into_owned(),
        }),
    }
}

impl ColumnProfile {
    fn of<'a>(name: &str, found: Option<ColumnType>, values: impl Iterator<Item = Option<&'a str>> + Clone) -> Self {
        let given = || values.clone().flatten().filter(|value| !value.is_empty());
        let kind = match found {
            Some(ColumnType::Bool) => "boolean",
            Some(ColumnType::Int(_)) => "integer",
            Some(ColumnType::Float | ColumnType::Real | ColumnType::Numeric) => "number",
            Some(ColumnType::Date) => "date",
            Some(ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant) => "timestamp",
            Some(ColumnType::Json | ColumnType::Array | ColumnType::JsonArray) => "json",
            Some(ColumnType::Text | ColumnType::Other) | None => guessed(given()),
        };
        let nulls = values.clone().filter(|value| value.is_none_or(str::is_empty)).count();
        let measured: Vec<(f64, &str)> = given().filter_map(|value| Some((measure(kind, value)?, value))).collect();
        let (range, bars) = if measured.is_empty() { words(given()) } else { scale(&measured) };
        Self { name: name.to_owned(), kind, nulls, range, bars }
    }
}

/// What texts are, if all of them are the same.
fn guessed<'a>(values: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    let all = |is: fn(&str) -> bool| values.clone().next().is_some() && values.clone().all(is);
    let has_leading_zero = |value: &str| value.len() > 1 && value.starts_with('0') && !value.starts_with("0.");
    if values.clone().any(has_leading_zero) {
        return "text";
    }
    match () {
        () if all(|value| value.parse::<i64>().is_ok()) => "integer",
        () if all(|value| value.parse::<f64>().is_ok()) => "number",
        () if all(|value| ["true", "false"].contains(&value.to_ascii_lowercase().as_str())) => "boolean",
        () if all(|value| measure("date", value).is_some()) => "date",
        () if all(|value| measure("timestamp", value).is_some()) => "timestamp",
        () => "text",
    }
}

/// A value on a scale, of kinds that have one.
fn measure(kind: &str, value: &str) -> Option<f64> {
    match kind {
        "integer" | "number" => value.parse().ok().filter(|number: &f64| number.is_finite()),
        "date" => NaiveDate::parse_from_str(value, "%Y-%m-%d").ok().map(|date| f64::from(date.to_epoch_days())),
        "timestamp" => {
            let value = value.replacen('T', " ", 1);
            let local = value.trim_end_matches("UTC").trim_end().trim_end_matches('Z');
            let read = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S%.f");
            read.ok().map(|moment| moment.and_utc().timestamp() as f64)
        }
        _ => None,
    }
}

/// The ends of measured values, and how many lie in each part between.
fn scale(measured: &[(f64, &str)]) -> (Option<(String, String)>, Vec<u32>) {
    let by_size = |a: &&(f64, &str), b: &&(f64, &str)| a.0.total_cmp(&b.0);
    let (Some(least), Some(most)) = (measured.iter().min_by(by_size), measured.iter().max_by(by_size)) else {
        return (None, Vec::new());
    };
    let width = (most.0 - least.0) / BARS as f64;
    let mut bars = vec![0; if width > 0.0 { BARS } else { 1 }];
    for (value, _) in measured {
        let place = if width > 0.0 { ((value - least.0) / width) as usize } else { 0 };
        let last = bars.len() - 1;
        bars[place.min(last)] += 1;
    }
    (Some((least.1.to_owned(), most.1.to_owned())), bars)
}

/// The first and the last of some words, and how often each comes if they are few.
fn words<'a>(values: impl Iterator<Item = &'a str>) -> (Option<(String, String)>, Vec<u32>) {
    let mut counts = std::collections::BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_u32) += 1);
    let ends = counts.keys().next().zip(counts.keys().next_back());
    let range = ends.map(|(first, last)| ((*first).to_owned(), (*last).to_owned()));
    (range, if counts.len() <= BARS { counts.into_values().collect() } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(name: &str, content: &[u8]) -> FilePreview {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        FilePreview::of(&path).unwrap()
    }

    fn table_of(name: &str, content: &[u8]) -> TablePreview {
        match preview(name, content) {
            FilePreview::Table(table) => table,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn the_columns_of_csv_are_told_by_their_values() {
        let csv = "id;fare;day;at;zone;code\n1;2.5;2020-03-01;2020-03-01 00:00:01;A;01\n3;;2020-03-03;2020-03-01 00:00:09;B;02\n";
        let table = table_of("a.csv", csv.as_bytes());
        let kinds: Vec<_> = table.columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, ["integer", "number", "date", "timestamp", "text", "text"]);
        let fare = &table.columns[1];
        assert_eq!((fare.nulls, fare.range.clone()), (1, Some(("2.5".to_owned(), "2.5".to_owned()))));
        assert_eq!(table.columns[0].bars.iter().sum::<u32>(), 2);
        assert_eq!(table.rows[1][1], None);
        assert!(table.is_whole && table.rows_profiled == 2);
    }

    #[test]
    fn of_a_large_file_only_the_beginning_is_read() {
        let csv: String =
            std::iter::once("n,text\n".to_owned()).chain((0..200_000).map(|n| format!("{n},abc\n"))).collect();
        let table = table_of("a.csv", csv.as_bytes());
        assert!(!table.is_whole && table.rows.len() == SHOWN_ROWS && table.rows_profiled <= MAX_ROWS);
        let lines: String = (0..200_000).map(|n| format!("{{\"n\": {n}}}\n")).collect();
        let table = table_of("a.ndjson", lines.as_bytes());
        assert_eq!((table.columns[0].kind, table.is_whole), ("integer", false));
    }

    #[test]
    fn what_has_no_rows_is_text_or_nothing() {
        assert!(matches!(preview("a.json", b"[1, 2]"), FilePreview::Text(text, false) if text == "[1, 2]"));
        assert!(matches!(preview("a.txt", "ü\n".as_bytes()), FilePreview::Text(text, false) if text == "ü\n"));
        assert!(matches!(preview("a.bin", b"\0\x01"), FilePreview::Binary));
    }
}
