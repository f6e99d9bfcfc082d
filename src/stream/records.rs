//! The rows of a file of JSON: its lines, or the values of an array, or values one after the other.

mod route;

use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use super::json::{self, JsonError};
use super::text::Text;
use super::{FileFormat, ReadOptions, Result};
use crate::diagnostic::Diagnostic;
use route::{Stop, Way};

/// How much is looked at to tell what kind of file it is.
const SNIFFED_BYTES: usize = 1 << 20;
const MAX_ROW_BYTES: usize = 16 << 20;

/// A row within the text of its [`Records`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordSpan {
    /// What finds the row again: its line where each row has one, and otherwise its number, from 1.
    pub place: u64,
    /// The line on which it begins.
    pub line: u64,
    /// How many letters of that line are before it.
    pub column: usize,
    /// Where it stands.
    pub range: Range<usize>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Line,
    /// A value, or the end of the file.
    Value,
    /// The opening bracket of the array.
    Open,
    /// The first value of the array, or its end.
    First,
    /// A value after a comma.
    Another,
    /// A comma, or the end of the array.
    Comma,
    /// Nothing.
    End,
    /// What leads to the rows of a document, or follows them.
    Way(Stop),
}

/// How far the text is taken.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    taken: usize,
    line: u64,
    /// Letters of this line that are taken.
    column: usize,
    rows: u64,
    next: Expected,
}

/// The text of a file, cut into rows.
#[derive(Debug)]
pub(super) struct Records {
    source: Text,
    name: String,
    format: FileFormat,
    text: Vec<u8>,
    spare: Vec<u8>,
    is_last: bool,
    place: Cursor,
    /// The keys that lead to the rows; none where the file is made of rows.
    keys: Vec<String>,
    way: Way,
}

/// Why there are no further rows in the text so far.
enum StopReason {
    End,
    More,
    Invalid(JsonError),
    /// What is wrong, and where, although it is JSON.
    Wrong(usize, String),
}

impl Records {
    /// Reads the head of the file.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(super) fn start(source: Text, name: &str, (format, options): (FileFormat, &ReadOptions)) -> Result<Self> {
        let place = Cursor { taken: 0, line: 1, column: 0, rows: 0, next: Expected::Line };
        let (text, spare) = (Vec::new(), Vec::new());
        let keys = options.records.as_ref().map(|path| path.keys().to_vec()).unwrap_or_default();
        let way = Way { depth: 0, is_found: false };
        let name = name.to_owned();
        let mut records = Self { source, name, format, text, spare, is_last: false, place, keys, way };
        while !records.is_last && records.text.len() < SNIFFED_BYTES {
            records.refill()?;
        }
        if format == FileFormat::Json {
            let is_document = !records.keys.is_empty();
            records.place.next = if is_document { Expected::Way(Stop::Document) } else { kind_of(&records.text) };
        }
        Ok(records)
    }

    /// Whether the text is all that the file has.
    pub(super) fn is_whole(&self) -> bool {
        self.is_last
    }

    /// The text that the rows are in.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The text of a row.
    pub(super) fn text_of(&self, row: &RecordSpan) -> &[u8] {
        self.text.get(row.range.clone()).unwrap_or_default()
    }

    /// Where the text comes from.
    pub(super) fn source(&self) -> &Text {
        &self.source
    }

    /// What a row is called.
    pub(super) fn noun(&self) -> &'static str {
        if self.place.next == Expected::Line { "the line" } else { "the value" }
    }

    /// Whether the file ends with this row, and without a line end.
    pub(super) fn is_last(&self, row: &RecordSpan) -> bool {
        self.is_last && row.range.end == self.text.len()
    }

    /// What to do if the file is not made of lines, where it is read so.
    pub(super) fn whole_document(&self) -> Option<String> {
        let help = "a file that is an array, or whose objects take several lines, is read with `format: json`, or by the \
                    name of `.json`";
        (self.format == FileFormat::Ndjson).then(|| help.to_owned())
    }

    /// An error at the place that is reached.
    pub(super) fn error(&self, message: impl Into<String>) -> Box<Diagnostic> {
        let mut diagnostic = Diagnostic::error(message);
        diagnostic.file = self.name.clone();
        diagnostic.line = usize::try_from(self.place.line).unwrap_or(usize::MAX);
        diagnostic.column = self.place.column + 1;
        Box::new(diagnostic)
    }

    /// Runs over the rows of a whole text, and stays where it is.
    ///
    /// # Errors
    /// As [`Records::next_rows`], and what `each` says.
    pub(super) fn for_each_row(&mut self, mut each: impl FnMut(&Self, &RecordSpan) -> Result<()>) -> Result<()> {
        let (place, way) = (self.place, self.way);
        let rows = self.rows()?;
        let looked = rows.iter().try_for_each(|row| each(self, row));
        (self.place, self.way) = (place, way);
        looked
    }

    /// The next rows; none at the end of the file. Their text is there until this is called again.
    ///
    /// # Errors
    /// When the file is damaged, a row is too long, or what is no line is no JSON.
    pub(super) fn next_rows(&mut self) -> Result<Vec<RecordSpan>> {
        self.text.drain(..self.place.taken);
        self.place.taken = 0;
        self.rows()
    }

    fn rows(&mut self) -> Result<Vec<RecordSpan>> {
        loop {
            let mut rows = Vec::new();
            let stop = if self.place.next == Expected::Line { self.lines(&mut rows) } else { self.values(&mut rows) };
            match stop {
                StopReason::End => return Ok(rows),
                _ if !rows.is_empty() => return Ok(rows),
                StopReason::Invalid(error) => return Err(self.located(&error)),
                StopReason::Wrong(at, message) => return Err(self.at(at, message)),
                StopReason::More if self.is_last => {
                    return Err(self.error("the file seems to be cut in the middle of its last row"));
                }
                StopReason::More => {
                    self.text.drain(..self.place.taken);
                    self.place.taken = 0;
                    if self.text.len() > MAX_ROW_BYTES {
                        let what = if self.place.next == Expected::Line { "line" } else { "value" };
                        return Err(self.error(format!("this {what} is longer than {} MiB", MAX_ROW_BYTES >> 20)));
                    }
                    self.refill()?;
                }
            }
        }
    }

    fn refill(&mut self) -> Result<()> {
        match self.source.next_block(std::mem::take(&mut self.spare))? {
            Some(block) => {
                self.text.extend_from_slice(&block);
                self.spare = block;
            }
            None => self.is_last = true,
        }
        Ok(())
    }

    /// Takes the whole lines; blank ones are no rows.
    fn lines(&mut self, rows: &mut Vec<RecordSpan>) -> StopReason {
        let rest = self.text.get(self.place.taken..).unwrap_or_default();
        let end = if self.is_last { rest.len() } else { memrchr(b'\n', rest).map_or(0, |end| end + 1) };
        let mut start = self.place.taken;
        let (end, mut line) = (start + end, self.place.line);
        while start < end {
            let rest = self.text.get(start..end).unwrap_or_default();
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            if rest.get(..length).is_some_and(|line| !line.trim_ascii().is_empty()) {
                rows.push(RecordSpan { place: line, line, column: 0, range: start..start + length });
            }
            line += u64::from(length < rest.len());
            start += length + 1;
        }
        (self.place.taken, self.place.line) = (end, line);
        if self.is_last { StopReason::End } else { StopReason::More }
    }

    /// Takes the whole values.
    fn values(&mut self, rows: &mut Vec<RecordSpan>) -> StopReason {
        loop {
            let at = json::skip_whitespace(&self.text, self.place.taken);
            let (start, begins_line) = self.start_of_row(at);
            self.pass(at);
            let Some(byte) = self.text.get(at) else {
                let is_end = matches!(self.place.next, Expected::Value | Expected::End | Expected::Way(Stop::Document));
                let is_over = self.is_last && is_end;
                return if is_over { StopReason::End } else { StopReason::More };
            };
            if let Expected::Way(stop) = self.place.next {
                match self.step(stop, at) {
                    Some(reason) => return reason,
                    None => continue,
                }
            }
            let sign = match (self.place.next, byte) {
                (Expected::First | Expected::Comma, b']') if !self.keys.is_empty() => {
                    Some(Expected::Way(Stop::AfterMember))
                }
                (Expected::Open, _) => Some(Expected::First),
                (Expected::First | Expected::Comma, b']') => Some(Expected::End),
                (Expected::Comma, b',') => Some(Expected::Another),
                (Expected::Comma, _) => {
                    return StopReason::Invalid(error(at, "expected `,` or `]` after a value of the array"));
                }
                (Expected::End, _) => return StopReason::Invalid(error(at, "something follows the array")),
                _ => None,
            };
            if let Some(next) = sign {
                self.pass(at + 1);
                self.place.next = next;
                continue;
            }
            match json::end_of_value(&self.text, at) {
                // A number may continue in the next block.
                Ok(end) if end == self.text.len() && !self.is_last => return StopReason::More,
                Ok(end) => {
                    self.place.rows += 1;
                    rows.push(RecordSpan {
                        place: self.place.rows,
                        line: self.place.line,
                        column: if begins_line { 0 } else { self.place.column },
                        range: start..end,
                    });
                    self.pass(end);
                    self.place.next =
                        if self.place.next == Expected::Value { Expected::Value } else { Expected::Comma };
                }
                Err(error) if error.is_end => return StopReason::More,
                Err(error) => return StopReason::Invalid(error),
            }
        }
    }

    /// Where the row of a value begins: with the blanks before it, if they begin its line.
    fn start_of_row(&self, at: usize) -> (usize, bool) {
        let taken = self.place.taken;
        match memrchr(b'\n', self.text.get(taken..at).unwrap_or_default()) {
            Some(end) => (taken + end + 1, true),
            None if self.place.column == 0 => (taken, true),
            None => (at, false),
        }
    }

    /// Takes the text up to `to`.
    fn pass(&mut self, to: usize) {
        let (line, column) = self.after(to);
        self.place = Cursor { taken: to, line, column, ..self.place };
    }

    /// The line of a place in the text that is not taken yet, and how many letters of it come before.
    fn after(&self, to: usize) -> (u64, usize) {
        let passed = self.text.get(self.place.taken..to).unwrap_or_default();
        advanced((self.place.line, self.place.column), passed)
    }

    /// The line and column, both from 1, of a place in the text of a row.
    pub(super) fn position(&self, row: &RecordSpan, at: usize) -> (u64, usize) {
        let passed = self.text.get(row.range.start..at).unwrap_or_default();
        let (line, letters) = advanced((row.line, row.column), passed);
        (line, letters + 1)
    }

    fn located(&self, error: &JsonError) -> Box<Diagnostic> {
        self.at(error.at, format!("the file is not valid JSON: {}", error.reason))
    }

    /// An error at a place of the text that is not taken yet.
    fn at(&self, at: usize, message: String) -> Box<Diagnostic> {
        let (line, column) = self.after(at);
        let mut error = self.error(message);
        error.line = usize::try_from(line).unwrap_or(usize::MAX);
        error.column = column + 1;
        error
    }
}

/// The line that is reached after some text, and how many letters of it come before.
fn advanced((line, column): (u64, usize), passed: &[u8]) -> (u64, usize) {
    let letters = |text: &[u8]| text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    match memrchr(b'\n', passed) {
        Some(end) => {
            let lines = memchr_iter(b'\n', passed).count() as u64;
            (line + lines, letters(passed.get(end + 1..).unwrap_or_default()))
        }
        None => (line, column + letters(passed)),
    }
}

fn error(at: usize, reason: &'static str) -> JsonError {
    JsonError { at, reason: reason.into(), is_end: false }
}

/// Whether a text is an array, objects over several lines, or lines.
fn kind_of(text: &[u8]) -> Expected {
    let start = json::skip_whitespace(text, 0);
    let rest = text.get(start..).unwrap_or_default();
    if rest.first() == Some(&b'[') {
        return Expected::Open;
    }
    let line = memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
    let goes_on = match json::object(line, 0, |_, _| {}) {
        Ok(end) => line.get(json::skip_whitespace(line, end)) == Some(&b'{'),
        Err(error) => error.is_end,
    };
    if goes_on { Expected::Value } else { Expected::Line }
}
