//! One JSON object on each line, as typed batches.
//!
//! A field that is missing or `null` is NULL. Numbers pass through a double or a 64-bit integer, so a decimal with more
//! digits should be written as a string.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::{memchr_iter, memrchr};
use polars::prelude::Column as Filled;
use serde_json::{Map, Value};

use super::bytes::{is_web_page, preview};
use super::text::{Text, other_encoding, seems_utf16};
use super::{BadRow, Batch, Column, ColumnType, LINE, Result, column};
use crate::diagnostic::Diagnostic;

/// Rows whose fields make up the columns of the file.
const SAMPLE: usize = 1_000;
const LONGEST_LINE: usize = 16 << 20;

/// A file of JSON lines whose first rows have been looked at.
#[derive(Debug)]
pub struct NdjsonFile {
    source: Text,
    name: String,
    text: Vec<u8>,
    spare: Vec<u8>,
    line: u64,
    is_last: bool,
    columns: Vec<(String, Option<ColumnType>)>,
}

impl NdjsonFile {
    /// Looks at the first rows.
    ///
    /// # Errors
    /// When the file is empty, or is no JSON at all.
    pub fn open(source: Text, name: &str) -> Result<Self> {
        let (text, spare, columns) = (Vec::new(), Vec::new(), Vec::new());
        let mut file = Self { source, name: name.to_owned(), text, spare, line: 1, is_last: false, columns };
        let end = file.find_lines()?;
        if is_web_page(&file.text) {
            let shown = preview(&file.text[..file.text.len().min(256)]);
            return Err(file.error(format!("the file is a web page, not data: it starts with `{shown}`")));
        }
        file.columns = columns_of(file.text.get(..end).unwrap_or_default());
        if file.columns.is_empty() {
            if let Some(found) = seems_utf16(&file.text) {
                let mut error = file.error(format!("the file is {found}, and is read as {}", file.source.encoding()));
                error.help = Some(format!("say so: `encoding: {found}`"));
                return Err(error);
            }
            let first = lines(&file.text, 1).next().map(|(_, line)| line).unwrap_or_default();
            if std::str::from_utf8(first).is_err() {
                let mut error = file.error(format!("the line is not valid {} text", file.source.encoding()));
                error.help = other_encoding(first).filter(|_| file.source.is_assumed());
                return Err(error);
            }
            return Err(file.error("no JSON object is in the first lines of the file"));
        }
        Ok(file)
    }

    /// The fields of the first rows, with the types that they seem to have.
    pub fn columns(&self) -> &[(String, Option<ColumnType>)] {
        &self.columns
    }

    /// Where the whole lines of the text end; 0 at the end of the file.
    fn find_lines(&mut self) -> Result<usize> {
        loop {
            if let Some(end) = memrchr(b'\n', &self.text) {
                return Ok(end + 1);
            }
            if self.is_last {
                return Ok(self.text.len());
            }
            if self.text.len() > LONGEST_LINE {
                return Err(self.error("this line is longer than 16 MiB"));
            }
            match self.source.next_block(std::mem::take(&mut self.spare))? {
                Some(block) => {
                    self.text.extend_from_slice(&block);
                    self.spare = block;
                }
                None => self.is_last = true,
            }
        }
    }

    fn error(&self, message: impl Into<String>) -> Box<Diagnostic> {
        let mut diagnostic = Diagnostic::error(message);
        diagnostic.file = self.name.clone();
        diagnostic.line = usize::try_from(self.line).unwrap_or(usize::MAX);
        Box::new(diagnostic)
    }

    /// The rows on these lines; see [`super::Reader::rows_at`].
    pub fn rows_at(mut self, wanted: &BTreeMap<u64, Option<String>>) -> Result<Vec<BadRow>> {
        let mut found = Vec::new();
        while found.len() < wanted.len() {
            let end = self.find_lines()?;
            if end == 0 {
                break;
            }
            let text = self.text.get(..end).unwrap_or_default();
            let rows = lines(text, self.line).filter(|(line, _)| wanted.contains_key(line));
            found.extend(rows.map(|(line, text)| BadRow { text: column::kept(text), ..BadRow::at(line) }));
            self.line += memchr_iter(b'\n', text).count() as u64;
            self.text.drain(..end);
        }
        Ok(found)
    }

    /// The file's rows with the wanted columns.
    pub fn batches(self, wanted: Vec<Column>) -> impl Iterator<Item = Result<Batch>> + Send {
        NdjsonBatches { file: self, wanted, is_over: false, is_first: true }
    }
}

fn columns_of(text: &[u8]) -> Vec<(String, Option<ColumnType>)> {
    let mut kinds: Map<String, Value> = Map::new();
    let mut columns: Vec<(String, Option<ColumnType>)> = Vec::new();
    for (_, line) in lines(text, 1).take(SAMPLE) {
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) else { continue };
        for (name, value) in object {
            let kind = kind_of(&value);
            let next = kinds.len();
            let place = kinds.entry(name.clone()).or_insert(Value::from(next)).as_u64().unwrap_or_default();
            match usize::try_from(place).ok().and_then(|place| columns.get_mut(place)) {
                Some((_, known)) => *known = common(*known, kind),
                None => columns.push((name, kind)),
            }
        }
    }
    columns
}

fn kind_of(value: &Value) -> Option<ColumnType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(ColumnType::Bool),
        Value::Number(number) if number.is_i64() => Some(ColumnType::Int(64)),
        Value::Number(_) => Some(ColumnType::Float),
        Value::String(_) | Value::Array(_) | Value::Object(_) => Some(ColumnType::Text),
    }
}

fn common(one: Option<ColumnType>, other: Option<ColumnType>) -> Option<ColumnType> {
    match (one, other) {
        (None, kind) | (kind, None) => kind,
        (one, other) if one == other => one,
        (Some(ColumnType::Int(_) | ColumnType::Float), Some(ColumnType::Int(_) | ColumnType::Float)) => {
            Some(ColumnType::Float)
        }
        _ => Some(ColumnType::Text),
    }
}

/// The lines that are not blank, each with its number.
fn lines(text: &[u8], first: u64) -> impl Iterator<Item = (u64, &[u8])> {
    (first..).zip(text.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

struct NdjsonBatches {
    file: NdjsonFile,
    wanted: Vec<Column>,
    is_over: bool,
    is_first: bool,
}

impl Iterator for NdjsonBatches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let batch = self.file.find_lines().and_then(|end| {
            self.is_over = end == 0;
            if end == 0 && !self.is_first { Ok(None) } else { self.batch(end).map(Some) }
        });
        self.is_first = false;
        self.is_over |= batch.is_err();
        batch.transpose()
    }
}

impl NdjsonBatches {
    fn batch(&mut self, end: usize) -> Result<Batch> {
        let text = self.file.text.get(..end).unwrap_or_default();
        let is_whole = text.ends_with(b"\n");
        let (mut bad, mut rows) = (Vec::new(), Vec::new());
        for (number, line) in lines(text, self.file.line) {
            match serde_json::from_slice::<Map<String, Value>>(line) {
                Ok(object) => rows.push((number, line, object)),
                Err(error) => bad.push(not_json(number, line, &error, is_whole, &self.file.source)),
            }
        }
        let rows_read = (rows.len() + bad.len()) as u64;
        let mut complaints = BTreeMap::new();
        let columns = self.wanted.iter().map(|wanted| fill(wanted, &rows, &mut complaints)).collect();
        let frame = column::frame(rows.len(), columns, &complaints)
            .map_err(|error| self.file.error(format!("cannot hold the rows: {error}")))?;
        bad.extend(complaints.into_iter().filter_map(|(index, message)| {
            let (line, text, _) = rows.get(index)?;
            Some(BadRow { line: *line, column: 0, message, text: column::kept(text), hint: None })
        }));
        bad.sort_by_key(|row| row.line);
        self.file.line += memchr_iter(b'\n', text).count() as u64;
        self.file.text.drain(..end);
        Ok(Batch { frame, rows_read, bad })
    }
}

fn fill(
    wanted: &Column,
    rows: &[(u64, &[u8], Map<String, Value>)],
    complaints: &mut BTreeMap<usize, String>,
) -> Filled {
    if wanted.name == LINE {
        return column::lines(rows.iter().map(|(line, _, _)| *line));
    }
    let texts: Vec<Option<Cow<str>>> = rows.iter().map(|(_, _, object)| text_of(object.get(&wanted.name)?)).collect();
    let fields = texts.iter().map(|text| text.as_deref().map(str::as_bytes));
    column::fill(wanted, fields, |row| {
        let text = texts.get(row).and_then(|text| text.as_deref()).map(str::as_bytes);
        complaints.entry(row).or_insert_with(|| column::complaint(wanted, text));
    })
}

fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn not_json(number: u64, line: &[u8], error: &serde_json::Error, is_whole: bool, source: &Text) -> BadRow {
    let is_text = std::str::from_utf8(line).is_ok();
    let hint = other_encoding(line).filter(|_| !is_text && source.is_assumed());
    let message = if !is_text {
        format!("the line is not valid {} text", source.encoding())
    } else if error.is_eof() && !is_whole {
        "the file seems to be cut in the middle of its last row".to_owned()
    } else {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        format!("the line is not a JSON object: {reason}")
    };
    BadRow { line: number, column: error.column(), message, text: column::kept(line), hint }
}
