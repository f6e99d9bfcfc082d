//! JSON objects as typed batches: one on each line, or an array of them, or one after the other over several lines.
//!
//! A field that is missing or `null` is NULL; of a key that comes twice in an object the last one counts. Numbers keep
//! every digit that the file has.

mod scan;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use polars::prelude::Column;

use super::bytes::{is_web_page, preview};
use super::json::{self, JsonError};
use super::keys::{ColumnInference, KeyLookup};
use super::records::{RecordSpan, Records};
use super::text::{Text, looks_like_utf16, other_encoding};
use super::{BadRow, Batch, ColumnSpec, ColumnType, FileFormat, LINE, ReadOptions, Result, column};
use crate::diagnostic::Diagnostic;
use crate::task::Progress;

/// A file of JSON objects whose keys are known.
#[derive(Debug)]
pub(super) struct NdjsonFile {
    records: Records,
    name: String,
    columns: Vec<(String, Option<ColumnType>)>,
    flatten: u8,
}

impl NdjsonFile {
    /// Looks at all rows for their keys. A file that is longer than a block is read once for that; `open` opens it anew.
    ///
    /// # Errors
    /// When the file is damaged, or has something in it and no JSON object.
    pub(super) fn open(
        open: impl Fn(Arc<Progress>) -> Result<Text>,
        progress: Arc<Progress>,
        name: &str,
        read: (FileFormat, &ReadOptions),
    ) -> Result<Self> {
        let mut records = Records::start(open(progress)?, name, read)?;
        if is_web_page(records.text()) {
            let shown = preview(&records.text()[..records.text().len().min(256)]);
            return Err(records.error(format!("the file is a web page, not data: it starts with `{shown}`")));
        }
        let flatten = read.1.flatten.0;
        let mut inference = ColumnInference::of(flatten);
        match records.is_whole() {
            true => records.for_each_row(|records, row| take(&mut inference, records, row))?,
            false => for_each_row_of_all(Records::start(open(Arc::default())?, name, read)?, &mut inference)?,
        }
        let is_empty = inference.is_empty();
        let columns = inference.columns();
        if columns.is_empty() && !is_empty {
            return Err(no_object(&mut records, name));
        }
        Ok(Self { records, name: name.to_owned(), columns, flatten })
    }

    /// Whether the file has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The keys of all rows, with the types that they seem to have.
    pub(super) fn columns(&self) -> &[(String, Option<ColumnType>)] {
        &self.columns
    }

    /// The rows at these places; see [`super::Reader::rows_at`].
    pub(super) fn rows_at(
        mut self,
        wanted: &BTreeMap<u64, Option<String>>,
        take: &mut dyn FnMut(u64, BadRow) -> Result<()>,
    ) -> Result<()> {
        let mut found = 0;
        while found < wanted.len() {
            let rows = self.records.next_rows()?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let Some(column) = wanted.get(&row.place) else { continue };
                let value = column.as_ref().and_then(|column| value_of(self.records.text(), row, column, self.flatten));
                take(row.place, self.records.bad_row(row, value.map(|value| value.start), String::new()))?;
                found += 1;
            }
        }
        Ok(())
    }

    /// The file's rows with the wanted columns.
    pub(super) fn batches(self, wanted: Vec<ColumnSpec>) -> impl Iterator<Item = Result<Batch>> + Send {
        let keys = KeyLookup::of(wanted.iter().map(|column| column.name.as_str()));
        NdjsonBatches { file: self, wanted, keys, is_over: false, is_first: true }
    }
}

fn for_each_row_of_all(mut records: Records, inference: &mut ColumnInference) -> Result<()> {
    loop {
        let rows = records.next_rows()?;
        if rows.is_empty() {
            return Ok(());
        }
        rows.iter().try_for_each(|row| take(inference, &records, row))?;
    }
}

fn take(inference: &mut ColumnInference, records: &Records, row: &RecordSpan) -> Result<()> {
    inference.row(records.text_of(row)).map_err(|message| {
        let mut error = records.error(message);
        (error.line, error.column) = (usize::try_from(row.line).unwrap_or(usize::MAX), 1);
        error
    })
}

fn no_object(records: &mut Records, name: &str) -> Box<Diagnostic> {
    if let Some(found) = looks_like_utf16(records.text()) {
        let error = records.error(format!("the file is {found}, and is read as {}", records.source().encoding()));
        return Box::new(error.help(format!("say so: `encoding: {found}`")));
    }
    let first = match records.next_rows() {
        Ok(rows) => rows.into_iter().next(),
        Err(error) => return error,
    };
    // A row that begins as an object was meant as one.
    let is_meant = |text: &[u8]| text.trim_ascii_start().starts_with(b"{") || std::str::from_utf8(text).is_err();
    if let Some(row) = first.filter(|row| is_meant(records.text_of(row)))
        && let Err(error) = read_row(records.text(), &row, 0, &mut |_, _, _| {})
    {
        let bad = records.not_json(&row, &error);
        return Box::new(Diagnostic { help: bad.hint.clone(), ..bad.diagnostic(name) });
    }
    let mut error = Diagnostic::error("no JSON object with a key is in the file");
    error.file = name.to_owned();
    error.help = records.whole_document();
    Box::new(error)
}

/// Where the value of a key stands in the file's text.
fn value_of(text: &[u8], row: &RecordSpan, name: &str, flatten: u8) -> Option<Range<usize>> {
    let mut found = None;
    let is_meant = |key: &[u8]| json::text_value(key).is_some_and(|key| key.as_ref() == name.as_bytes());
    let mut each = |key: &[u8], value, _| {
        if is_meant(key) {
            found = Some(value);
        }
    };
    json::members(text.get(..row.range.end)?, row.range.start, flatten, &mut each).ok()?;
    found
}

struct NdjsonBatches {
    file: NdjsonFile,
    wanted: Vec<ColumnSpec>,
    keys: KeyLookup,
    is_over: bool,
    is_first: bool,
}

impl Iterator for NdjsonBatches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let batch = self.file.records.next_rows().and_then(|rows| {
            self.is_over = rows.is_empty();
            if self.is_over && !self.is_first { Ok(None) } else { self.batch(rows).map(Some) }
        });
        self.is_first = false;
        self.is_over |= batch.is_err();
        batch.transpose()
    }
}

/// The rows of a batch that are objects, and where the value of each wanted column stands.
struct ValueSpans {
    rows: Vec<RecordSpan>,
    values: Vec<Option<Range<usize>>>,
    width: usize,
}

impl NdjsonBatches {
    fn batch(&mut self, rows: Vec<RecordSpan>) -> Result<Batch> {
        let rows_read = rows.len() as u64;
        let mut bad = Vec::new();
        let cells = self.cells(rows, &mut bad);
        let mut mismatches = BTreeMap::new();
        let columns = self.wanted.iter().enumerate();
        let columns = columns.map(|(index, wanted)| self.fill(wanted, index, &cells, &mut mismatches)).collect();
        let frame = column::frame(cells.rows.len(), columns, &mismatches)
            .map_err(|error| self.file.records.error(format!("cannot hold the rows of {}: {error}", self.file.name)))?;
        bad.extend(mismatches.into_iter().filter_map(|(index, (at, message))| {
            let row = cells.rows.get(index)?;
            Some((row.place, self.file.records.bad_row(row, at, message)))
        }));
        bad.sort_by_key(|(place, _)| *place);
        Ok(Batch { frame, rows_read, bad: bad.into_iter().map(|(_, row)| row).collect() })
    }

    fn cells(&mut self, rows: Vec<RecordSpan>, bad: &mut Vec<(u64, BadRow)>) -> ValueSpans {
        let (width, text) = (self.wanted.len(), self.file.records.text());
        let mut cells = ValueSpans { rows: Vec::with_capacity(rows.len()), values: Vec::new(), width };
        for row in rows {
            let start = cells.values.len();
            cells.values.resize(start + width, None);
            let (keys, values, mut number) = (&mut self.keys, &mut cells.values, 0);
            let mut each = |key: &[u8], value, _| {
                let index = keys.index_of(number, key);
                number += 1;
                if let Some(cell) = index.and_then(|index| values.get_mut(start + index)) {
                    *cell = Some(value);
                }
            };
            match read_row(text, &row, self.file.flatten, &mut each) {
                Ok(()) => cells.rows.push(row),
                Err(error) => {
                    cells.values.truncate(start);
                    bad.push((row.place, self.file.records.not_json(&row, &error)));
                }
            }
        }
        cells
    }

    fn fill(
        &self,
        wanted: &ColumnSpec,
        index: usize,
        cells: &ValueSpans,
        mismatches: &mut BTreeMap<usize, (Option<usize>, String)>,
    ) -> Column {
        if wanted.name == LINE {
            return column::lines(cells.rows.iter().map(|row| row.place));
        }
        let text = self.file.records.text();
        let values = cells.values.chunks(cells.width).map(|row| row.get(index).cloned().flatten());
        let values: Vec<Option<Range<usize>>> = values.collect();
        let texts = values.iter().map(|value| text_of(text.get(value.clone()?)?, wanted));
        let texts: Vec<Option<Cow<[u8]>>> = texts.collect();
        column::fill(wanted, texts.iter().map(|text| text.as_deref()), |row| {
            let found = texts.get(row).and_then(|text| text.as_deref());
            let place = values.get(row).cloned().flatten();
            let value = place.clone().and_then(|place| text.get(place)).unwrap_or_default();
            mismatches.entry(row).or_insert_with(|| (place.map(|place| place.start), mismatch(wanted, value, found)));
        })
    }
}

/// Reads a row, which must be an object and nothing else.
fn read_row(text: &[u8], row: &RecordSpan, flatten: u8, each: json::EachMember) -> std::result::Result<(), JsonError> {
    let invalid = |at, reason: &'static str| JsonError { at, reason: reason.into(), is_end: false };
    let text = text.get(..row.range.end).unwrap_or_default();
    if let Err(error) = std::str::from_utf8(text.get(row.range.clone()).unwrap_or_default()) {
        return Err(invalid(row.range.start + error.valid_up_to(), "it is no text"));
    }
    let end = json::skip_whitespace(text, json::members(text, row.range.start, flatten, each)?);
    if end < text.len() { Err(invalid(end, "something follows the object")) } else { Ok(()) }
}

/// Stands for a value that its column cannot have; it is in no UTF-8 text.
const INVALID: &[u8] = b"\xff";

/// A value as the text that its column is made of.
fn text_of<'a>(value: &'a [u8], wanted: &ColumnSpec) -> Option<Cow<'a, [u8]>> {
    match (&wanted.shape, wanted.kind) {
        (Some(shape), _) => shape.text_of(value).unwrap_or(Some(Cow::Borrowed(INVALID))),
        (None, ColumnType::Json) if value != b"null" => Some(Cow::Borrowed(value)),
        (None, _) => json::text_value(value),
    }
}

/// Why a column cannot have a value, or the text that was made of it.
fn mismatch(wanted: &ColumnSpec, value: &[u8], text: Option<&[u8]>) -> String {
    if let Some(Err(problem)) = wanted.shape.as_ref().map(|shape| shape.text_of(value)) {
        return format!("`{}` {problem}", wanted.name);
    }
    match text.filter(|text| std::str::from_utf8(text).is_err()) {
        Some(text) => {
            let shown = column::preview(text);
            format!("`{}`: `{shown}` holds one half of a surrogate pair, which text cannot", wanted.name)
        }
        None => column::mismatch(wanted, text),
    }
}

impl Records {
    /// A row that is no object.
    fn not_json(&self, row: &RecordSpan, error: &JsonError) -> BadRow {
        let (text, source) = (self.text_of(row), self.source());
        let is_text = std::str::from_utf8(text).is_ok();
        let message = if !is_text {
            format!("{} is not valid {} text", self.noun(), source.encoding())
        } else if error.is_end && self.is_last(row) {
            "the file seems to be cut in the middle of its last row".to_owned()
        } else {
            format!("{} is not a JSON object: {}", self.noun(), error.reason)
        };
        let hint = if is_text {
            self.whole_document()
                .filter(|_| error.is_end || matches!(text.trim_ascii().first(), Some(b'[' | b']' | b'}')))
        } else {
            other_encoding(text).filter(|_| source.is_assumed())
        };
        BadRow { hint, ..self.bad_row(row, Some(error.at), message) }
    }

    /// A row with what is wrong with it, and where in the text.
    fn bad_row(&self, row: &RecordSpan, at: Option<usize>, message: String) -> BadRow {
        let text = self.text_of(row);
        // In a line of many rows the number says more than a large column.
        let message = match row.column == 0 || message.is_empty() {
            true => message,
            false => format!("row {}: {message}", row.place),
        };
        let whole = (row.line, if row.column == 0 { 0 } else { row.column + 1 });
        let (line, column) = at.map_or(whole, |at| self.position(row, at));
        BadRow { line, column, message, text: self.source().row_text(text), hint: None }
    }
}
