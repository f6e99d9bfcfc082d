//! Delimited text as typed batches, one for each block of the file.
//!
//! An empty field without quotes is NULL, as is the `null_string`; an empty one in quotes is an empty text, and NULL in
//! a column of any other type. Blank lines are no rows, but in a file of one column, where they are NULL as for COPY.

mod scan;
mod shape;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use polars::prelude::Column;

use super::bytes::preview;
use super::split::{Row, RowSplitter, UnterminatedRow};
use super::text::{Text, looks_like_utf16, other_encoding};
use super::{BadRow, Batch, ColumnSpec, ColumnType, Conversions, LINE, ReadOptions, Result, column, signature};
use crate::diagnostic::Diagnostic;

/// What may stand between fields, likeliest first.
const DELIMITERS: [u8; 4] = *b";\t|,";
/// A line of this alone ends the data for Postgres before version 18, and is a value for later ones.
const END_OF_DATA: &[u8] = b"\\.";

/// Batches in which a column was not what it likely is, after which it is read as text at once.
const MAX_UNLIKELY_BATCHES: u8 = 4;

/// A text that is a value of no type, in place of one that cannot be converted.
const INVALID: &[u8] = b"\xff";

/// A delimited file whose header has been read.
#[derive(Debug)]
pub(super) struct CsvFile {
    source: Text,
    rows: RowSplitter,
    spare: Vec<u8>,
    name: String,
    delimiter: u8,
    null_strings: Vec<String>,
    trim: bool,
    conversions: Conversions,
    /// What columns hold that are wanted as text and have to be rewritten.
    kinds: BTreeMap<String, ColumnType>,
    header: Vec<String>,
    has_header: bool,
    /// The line of the header, from 1; 0 without one.
    header_line: u64,
    /// Whether the header ends with a delimiter. The rows do too then, and there is no column after it.
    has_trailer: bool,
    max_row_bytes: usize,
}

impl CsvFile {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file ends before its header, or is no text.
    pub(super) fn open(source: Text, options: &ReadOptions, name: &str) -> Result<Self> {
        let mut file = Self {
            source,
            rows: RowSplitter::new(options.dialect(), options.skip_lines),
            spare: Vec::new(),
            name: name.to_owned(),
            delimiter: options.delimiter,
            null_strings: options.null_strings.clone(),
            trim: options.trim,
            conversions: options.conversions.clone(),
            kinds: BTreeMap::new(),
            header: Vec::new(),
            has_header: options.header,
            header_line: 0,
            has_trailer: false,
            max_row_bytes: options.max_row_bytes,
        };
        file.refill()?;
        file.check_start(options)?;
        file.header = match (&options.columns, options.header) {
            (Some(columns), false) => columns.clone(),
            (None, false) => {
                return Err(file.error(1, "the file has no header, and `columns` does not name its columns"));
            }
            (_, true) => file.read_header()?,
        };
        file.has_trailer = options.header && file.header.len() > 1 && file.header.last().is_some_and(String::is_empty);
        if file.has_trailer {
            file.header.pop();
        }
        if file.width() == 1 {
            file.rows.keep_blank_lines();
            file.refuse_other_delimiter()?;
        }
        Ok(file)
    }

    /// How many fields a row has.
    fn width(&self) -> usize {
        self.header.len() + usize::from(self.has_trailer)
    }

    /// Whether values of this type have to be rewritten.
    pub(super) fn converts(&self, kind: ColumnType) -> bool {
        self.conversions.apply_to(kind)
    }

    /// See [`super::Reader::set_kinds`].
    pub(super) fn set_kinds(&mut self, kinds: &[(String, ColumnType)]) {
        self.kinds = kinds.iter().filter(|(_, kind)| self.converts(*kind)).cloned().collect();
    }

    /// Whether the file has no text, not even the header that it should have.
    pub(super) fn is_empty(&self) -> bool {
        self.has_header && self.header_line == 0
    }

    /// The line of the header, from 1; 0 without one.
    pub(super) fn header_line(&self) -> u64 {
        self.header_line
    }

    /// The names in the header.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    fn refill(&mut self) -> Result<()> {
        let refill_size = self.rows.refill_size();
        loop {
            match self.source.next_block(std::mem::take(&mut self.spare))? {
                Some(block) => {
                    self.rows.push(&block);
                    self.spare = block;
                }
                None => self.rows.end(),
            }
            if self.rows.is_at_end() || self.rows.rest().len() >= refill_size {
                return Ok(());
            }
        }
    }

    fn check_start(&mut self, options: &ReadOptions) -> Result<()> {
        let start = self.rows.rest();
        if let Some(found) = looks_like_utf16(start) {
            let mut error = self.error(1, format!("the file is {found}, and is read as {}", self.source.encoding()));
            error.help = Some(format!("say so: `encoding: {found}`"));
            return Err(error);
        }
        let json = || signature::of_header(start).filter(|_| options.header && options.skip_lines == 0);
        match signature::of_text(start).or_else(json) {
            None => Ok(()),
            Some(found) => Err(Box::new(Diagnostic { help: found.help.clone(), ..*self.error(1, found.message) })),
        }
    }

    /// The names in the header; none in a file without any text, which has no rows either.
    fn read_header(&mut self) -> Result<Vec<String>> {
        let is_blank = self.rows.rest().trim_ascii().is_empty();
        if !self.find_rows(1)? {
            let message = "the file ends before its header, the line that names its columns";
            return if is_blank { Ok(Vec::new()) } else { Err(self.error(1, message)) };
        }
        let Some(row) = self.rows.found().first() else { return Ok(Vec::new()) };
        self.header_line = row.line;
        if let Some(error) = row.error {
            return Err(self.error(row.line, error.message()));
        }
        let fields = (0..row.width as usize).map(|column| self.rows.field(row, column).unwrap_or_default());
        let names = fields.map(|field| match std::str::from_utf8(field) {
            Ok(name) => Ok(name.to_owned()),
            Err(_) => {
                let shown = preview(field);
                let message = format!("the header is not valid {} text: `{shown}`", self.source.encoding());
                let mut error = self.error(1, message);
                error.help = other_encoding(field).filter(|_| self.source.is_assumed());
                Err(error)
            }
        });
        Ok(trimmed_names(names.collect::<Result<_>>()?))
    }

    /// How the other lines end, for a row with another line end in it.
    fn line_ends(&self) -> Option<String> {
        let name = self.rows.line_end()?.name();
        Some(format!("the file's first line ends with {name}, so all must; within a field put it in quotes"))
    }

    /// What to do when a header of one name is not the one that is expected: another character seems to separate fields.
    pub(super) fn other_delimiter(&self) -> Option<String> {
        let [only] = self.header.as_slice() else { return None };
        self.delimiter_hint(only.as_bytes(), 1)
    }

    /// A file of one column is none if another character stands as often in the header as in the first row.
    fn refuse_other_delimiter(&self) -> Result<()> {
        let Some(hint) = self.other_delimiter() else { return Ok(()) };
        let first = self.rows.rest().split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        let names = self.header.concat();
        let count = |text: &[u8], other: u8| text.iter().filter(|byte| **byte == other).count();
        let has_as_many = |other: &u8| {
            count(names.as_bytes(), *other) > 0
                && first.is_some_and(|first| count(first, *other) == count(names.as_bytes(), *other))
        };
        if !DELIMITERS.iter().filter(|other| **other != self.delimiter).any(has_as_many) {
            return Ok(());
        }
        let message = format!(
            "the file has one column, `{}`, if fields are separated by `{}`",
            preview(names.as_bytes()),
            shown(self.delimiter)
        );
        let mut error = self.error(1, message);
        error.help = Some(hint);
        Err(error)
    }

    /// Which other character separates as many fields in a text.
    fn delimiter_hint(&self, text: &[u8], at_least: usize) -> Option<String> {
        let count = |delimiter: u8| text.iter().filter(|byte| **byte == delimiter).count();
        let found = DELIMITERS.into_iter().filter(|other| *other != self.delimiter && count(*other) >= at_least);
        let shown = shown(found.max_by_key(|other| count(*other))?);
        Some(format!("the file looks separated by `{shown}`: `delimiter: \"{shown}\"`"))
    }

    fn error(&self, line: u64, message: impl Into<String>) -> Box<Diagnostic> {
        let mut diagnostic = Diagnostic::error(message);
        diagnostic.file = self.name.clone();
        diagnostic.line = usize::try_from(line).unwrap_or(usize::MAX);
        Box::new(diagnostic)
    }

    /// Finds the next rows; `false` at the end of the file.
    fn find_rows(&mut self, limit: usize) -> Result<bool> {
        loop {
            self.rows.split(limit).map_err(|unterminated_row| self.unterminated_row(unterminated_row))?;
            if !self.rows.found().is_empty() {
                return Ok(true);
            }
            if self.rows.is_at_end() {
                return Ok(false);
            }
            self.refill()?;
        }
    }

    fn unterminated_row(&self, unterminated_row: UnterminatedRow) -> Box<Diagnostic> {
        let size = self.max_row_bytes;
        let (what, help) = match unterminated_row {
            UnterminatedRow { reaches_end: true, .. } => (
                "a quoted field that opens in this row never closes".to_owned(),
                "check the `quote` and `delimiter` settings, and whether the file was cut off; if quotes mean nothing in \
                 it, write `quote: none`",
            ),
            UnterminatedRow { in_quotes: true, .. } => (
                format!("a quoted field that opens in this row does not close within {size} bytes"),
                "check the `quote` setting; if quotes mean nothing in the file, write `quote: none`; if the field is meant \
                 to be that large, raise `max_row_bytes`",
            ),
            _ => (
                format!("this row is larger than the limit of {size} bytes"),
                "check how lines end; if the row is meant to be that large, raise `max_row_bytes`",
            ),
        };
        let mut error = self.error(unterminated_row.line, what);
        error.help = Some(help.to_owned());
        error
    }

    /// The rows that begin on these lines; see [`super::Reader::rows_at`].
    pub(super) fn rows_at(
        mut self,
        wanted: &BTreeMap<u64, Option<String>>,
        take: &mut dyn FnMut(u64, BadRow) -> Result<()>,
    ) -> Result<()> {
        let mut found = 0;
        while found < wanted.len() && self.find_rows(usize::MAX)? {
            for row in self.rows.found() {
                let Some(column) = wanted.get(&row.line) else { continue };
                let place = column.as_ref().and_then(|column| self.header.iter().position(|name| name == column));
                let column = place.map_or(0, |place| self.rows.position_of(row, place));
                let text = self.source.row_text(self.rows.text_of(row));
                take(row.line, BadRow { column, text, ..BadRow::at(row.line) })?;
                found += 1;
            }
        }
        Ok(())
    }

    /// Whether a row has the shape that the header wants.
    fn is_row(&self, row: &Row) -> bool {
        let width = self.width();
        row.width as usize == width
            && row.error.is_none()
            && !(self.has_trailer && self.rows.field(row, width - 1).is_some())
            && !(width == 1 && self.rows.text_of(row) == END_OF_DATA)
    }

    /// The file's rows with the wanted columns, which the header must have.
    pub(super) fn batches(self, wanted: Vec<ColumnSpec>) -> impl Iterator<Item = Result<Batch>> + Send {
        let places = wanted.iter().map(|column| self.header.iter().position(|name| *name == column.name));
        let places = places.map(|place| place.unwrap_or(usize::MAX)).collect();
        let unlikely = vec![Cell::new(0); wanted.len()];
        CsvBatches { file: self, wanted, places, unlikely, is_over: false, is_first: true }
    }
}

/// Names without the blanks around them. Where nothing but blanks tells names apart, they keep them.
fn trimmed_names(names: Vec<String>) -> Vec<String> {
    let mut spellings: HashMap<&str, HashSet<&str>> = HashMap::new();
    for name in &names {
        spellings.entry(name.trim()).or_default().insert(name);
    }
    let is_alone = |name: &str| name.is_empty() || spellings.get(name).is_none_or(|found| found.len() == 1);
    names.iter().map(|name| if is_alone(name.trim()) { name.trim() } else { name }.to_owned()).collect()
}

struct CsvBatches {
    file: CsvFile,
    wanted: Vec<ColumnSpec>,
    /// Where each wanted column is in the file.
    places: Vec<usize>,
    /// In how many batches each wanted column was not what it likely is.
    unlikely: Vec<Cell<u8>>,
    is_over: bool,
    is_first: bool,
}

impl Iterator for CsvBatches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.file.find_rows(usize::MAX) {
            Ok(true) => {
                self.is_first = false;
                Some(self.batch())
            }
            Ok(false) => {
                self.is_over = true;
                self.is_first.then(|| self.batch())
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(error))
            }
        }
    }
}

impl CsvBatches {
    fn batch(&self) -> Result<Batch> {
        let found = self.file.rows.found();
        let (good, misshapen): (Vec<&Row>, Vec<&Row>) = found.iter().partition(|row| self.file.is_row(row));
        let mut bad: Vec<BadRow> = misshapen.into_iter().map(|row| self.file.shape_error(row)).collect();
        let mut mismatches = BTreeMap::new();
        let columns = self
            .places
            .iter()
            .zip(&self.wanted)
            .zip(&self.unlikely)
            .map(|((place, wanted), unlikely)| self.column((*place, wanted), unlikely, &good, &mut mismatches));
        let columns = columns.collect();
        let frame = column::frame(good.len(), columns, &mismatches)
            .map_err(|error| self.file.error(0, format!("cannot hold the rows: {error}")))?;
        bad.extend(mismatches.iter().filter_map(|(index, place)| Some(self.value_error(good.get(*index)?, *place))));
        bad.sort_by_key(|row| row.line);
        Ok(Batch { frame, rows_read: found.len() as u64, bad })
    }

    /// Parses one column; the leftmost complaint of each row is kept.
    fn column(
        &self,
        (place, wanted): (usize, &ColumnSpec),
        unlikely: &Cell<u8>,
        good: &[&Row],
        mismatches: &mut BTreeMap<usize, usize>,
    ) -> Column {
        if wanted.name == LINE {
            return column::lines(good.iter().map(|row| row.line));
        }
        let fields = good.iter().map(|row| self.field(row, place));
        let bad = |row| {
            mismatches.entry(row).and_modify(|first| *first = place.min(*first)).or_insert(place);
        };
        let Some(kind) = self.conversion_type(wanted) else {
            return self
                .likely_values(place, wanted, unlikely, good)
                .unwrap_or_else(|| column::fill(wanted, fields, bad));
        };
        let convert = |text| self.file.conversions.convert(text, kind).unwrap_or(Cow::Borrowed(INVALID));
        let fields: Vec<Option<Cow<[u8]>>> = fields.map(|field| field.map(convert)).collect();
        column::fill(wanted, fields.iter().map(Option::as_deref), bad)
    }

    /// A text column as what it likely is, if all its values are.
    fn likely_values(&self, place: usize, wanted: &ColumnSpec, unlikely: &Cell<u8>, good: &[&Row]) -> Option<Column> {
        let kind = wanted.likely.filter(|_| unlikely.get() < MAX_UNLIKELY_BATCHES)?;
        let mut is_likely = true;
        let fields = good.iter().map(|row| self.field(row, place));
        let filled = column::fill(&ColumnSpec { kind, ..wanted.clone() }, fields, |_| is_likely = false);
        unlikely.update(|batches| batches + u8::from(!is_likely));
        is_likely.then_some(filled)
    }

    /// What a column holds whose values have to be rewritten.
    fn conversion_type(&self, wanted: &ColumnSpec) -> Option<ColumnType> {
        let kind = match wanted.kind {
            ColumnType::Text => *self.file.kinds.get(&wanted.name)?,
            kind => kind,
        };
        self.file.converts(kind).then_some(kind)
    }

    fn field(&self, row: &Row, place: usize) -> Option<&[u8]> {
        self.file.value(row, place)
    }

    fn value_error(&self, row: &Row, place: usize) -> BadRow {
        let wanted =
            self.places.iter().position(|candidate| *candidate == place).and_then(|index| self.wanted.get(index));
        let field = self.field(row, place);
        let message = wanted.map(|wanted| column::mismatch(wanted, field)).unwrap_or_default();
        let bad = self.file.bad_row(row, self.file.rows.position_of(row, place), message);
        if let (Some(wanted), Some(field)) = (wanted, field)
            && let Some(kind) = self.conversion_type(wanted)
            && self.file.conversions.convert(field, kind).is_none()
        {
            let shown = column::preview(field);
            let message = format!("`{}`: `{shown}` {}", wanted.name, self.file.conversions.mismatch(kind));
            return BadRow { message, ..bad };
        }
        match (wanted, field) {
            (Some(wanted), Some(field)) if wanted.kind == ColumnType::Text && std::str::from_utf8(field).is_err() => {
                let shown = column::preview(field);
                let encoding = self.file.source.encoding();
                let message = format!("`{}`: `{shown}` is not valid {encoding} text", wanted.name);
                let hint = other_encoding(field).filter(|_| self.file.source.is_assumed());
                BadRow { message, hint, ..bad }
            }
            _ => bad,
        }
    }
}

/// A character as it is written in YAML.
fn shown(delimiter: u8) -> String {
    if delimiter == b'\t' { "\\t".to_owned() } else { char::from(delimiter).to_string() }
}

fn end_of_data() -> (String, Option<String>) {
    let message =
        "`\\.` on a line of its own ends the data for Postgres before version 18, and is a value for later ones";
    let help = "delete the line and what follows it, or put the value in quotes";
    (message.to_owned(), Some(help.to_owned()))
}
