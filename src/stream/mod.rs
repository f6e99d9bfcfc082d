//! Files as streams of typed rows: opened, decompressed, checked and parsed batch by batch, in flat memory.
//!
//! A [`Reader`] knows the names of a file's columns before anything is read; given the types that are wanted, it
//! hands over [`Batch`]es. A row that does not fit its types is data too ([`BadRow`]): the consumer of the stream
//! decides whether it ends the load. What is wrong with the file as a whole (a cut gzip stream, a web page in place of
//! data) ends the stream with a located [`Diagnostic`].

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::DataFrame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::{self, Diagnostic};
use crate::task::{NO_COLUMN, Progress, TaskError};

mod byte_finder;
pub mod bytes;
mod chunks;
mod column;
mod convert;
mod csv;
mod encoding;
mod fixed_bytes;
pub mod float;
mod footer;
pub mod gzip;
pub mod infer;
mod json;
mod keys;
mod line_end;
mod ndjson;
mod options;
mod pages;
mod parquet;
mod physical;
pub mod preview;
pub mod print;
mod printed;
mod records;
mod signature;
mod split;
mod text;
mod thrift;
pub mod timestamp;
mod timestamp_forms;
mod type_shape;
mod unsupported;
pub mod value;
mod workbook;
mod write;

pub use bytes::UnpackLimits;
pub use column::row_text;
pub use convert::{Conversions, TimeFormat};
pub use encoding::Encoding;
pub use options::{Flatten, MAX_ROW_BYTES, ReadOptions, RecordsPath};
pub use text::{Text, bom_conflict, decode_excerpt, looks_like_utf16, unread_encoding};
pub use type_shape::TypeShape;
pub use write::write;

/// The result of reading: an error names the file, the line and the column.
pub type Result<T> = std::result::Result<T, Box<Diagnostic>>;

/// What a column's text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `true false yes no on off 1 0`, in any case, or the beginning of such a word. Polars: Boolean.
    Bool,
    /// A whole number that fits this many bits (16, 32 or 64); `1.0` and `1.` count as whole. Polars: Int64.
    Int(u8),
    /// A double precision number, `NaN` and `Infinity` included. Polars: Float64.
    Float,
    /// A single precision number, rounded once. Polars: Float64, which holds every such number.
    Real,
    /// A decimal number of any length, kept as its text. Polars: String.
    Numeric,
    /// Text as it stands. Polars: String.
    Text,
    /// JSON as its text: of CSV the field as it stands, of NDJSON the value with its quotes and every digit. Polars:
    /// String.
    Json,
    /// A value of a type that only its server knows, in the server's notation: lists as `{1,2,NULL}`, bytes as `\x0102`.
    /// Polars: String.
    Other,
    /// An array of such a server, in its notation: `{1,2,NULL}`. Polars: String.
    Array,
    /// An array of such a server whose items are JSON. Polars: String.
    JsonArray,
    /// `2020-04-01`. Polars: Date.
    Date,
    /// `2020-04-01 00:44:02`, with `T` for the blank and up to six decimals. Polars: Datetime in microseconds.
    Timestamp,
    /// The same with an offset (`Z`, `+02`, `+02:00`; none means UTC). Polars: Datetime in microseconds, UTC.
    TimestampTz,
    /// The same, and a time without an offset is a bad row: it means the time zone of a server's session.
    Instant,
}

impl ColumnType {
    /// Whether its values are texts in a notation of their own, which a reader must know to write them.
    pub fn is_notation(self) -> bool {
        matches!(self, Self::Json | Self::Other | Self::Array | Self::JsonArray)
    }
}

/// A column that the consumer wants, with the type that it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// The name as the file has it.
    pub name: String,
    /// What its text is read as.
    pub kind: ColumnType,
    /// Whether an empty field is a bad row.
    pub required: bool,
    /// What a text column of CSV may be read as instead, batch by batch, if every value of the batch is one and not bad.
    /// The consumer then gets typed values and no texts, which take several times as long to build and to parse later.
    pub likely: Option<ColumnType>,
    /// What the server's type of the column is made of, if it is an array or a composite type: JSON is written as such.
    pub shape: Option<Arc<TypeShape>>,
}

/// The name of a wanted column that holds what finds each row again: its line in the file, from 1; of Parquet, and of
/// JSON that is not made of lines, its number. Polars: Int64.
pub const LINE: &str = "\u{1}line";

impl ColumnSpec {
    /// The column of the lines.
    pub fn line() -> Self {
        Self { name: LINE.to_owned(), kind: ColumnType::Int(64), required: false, likely: None, shape: None }
    }
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Line of the file, from 1: of a row of JSON over several lines that of the mistake, of any other row its first.
    pub line: u64,
    /// Column of the field in characters, from 1; 0 for the whole row.
    pub column: usize,
    /// What is wrong, naming the field.
    pub message: String,
    /// The row as the file has it, whether its bytes are a text or not.
    pub text: Vec<u8>,
    /// What to do, where the row itself tells.
    pub hint: Option<String>,
}

impl BadRow {
    /// A row of which no more than its line is known.
    pub fn at(line: u64) -> Self {
        Self { line, column: 0, message: String::new(), text: Vec::new(), hint: None }
    }

    /// Whether its text is still to be read from the file.
    pub fn lacks_text(&self) -> bool {
        self.text.is_empty() && self.line > 0
    }

    /// The row as an error, for consumers that put up with none; `file` is what the user calls the file.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(&self.message);
        diagnostic.file = file.to_owned();
        diagnostic.line = usize::try_from(self.line).unwrap_or(usize::MAX);
        diagnostic.column = self.column;
        diagnostic
    }
}

/// Some thousands of rows.
#[derive(Debug)]
pub struct Batch {
    /// The good rows, with the wanted columns in the wanted order.
    pub frame: DataFrame,
    /// How many rows of the file this batch stands for: the good and the bad.
    pub rows_read: u64,
    /// The rows that did not fit.
    pub bad: Vec<BadRow>,
}

/// Batches in the order of the file; at least one of an intact file, possibly without rows.
pub type Batches = Box<dyn Iterator<Item = Result<Batch>> + Send>;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Comma-separated values, or another delimiter.
    #[serde(alias = "CSV")]
    Csv,
    /// One JSON object on each line.
    Ndjson,
    /// JSON objects: an array of them, or one after the other, whether each has a line or takes several.
    Json,
    /// Apache Parquet.
    Parquet,
    /// A sheet of an Excel workbook: `.xlsx` or `.xlsm`.
    #[serde(alias = "xlsx")]
    Excel,
}

impl FileFormat {
    /// What such a file is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Ndjson => "NDJSON",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
            Self::Excel => "spreadsheet",
        }
    }

    /// Tells by a file's name, compressed or not; CSV is the default.
    pub fn of(name: &str) -> Self {
        Self::of_extension(name).unwrap_or(Self::Csv)
    }

    /// What the extension of a file's name promises, compressed or not; `None` where it promises nothing that is read.
    pub fn of_extension(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let plain = match bytes::Compression::of_extension(&name) {
            Some(_) => name.rsplit_once('.').map_or("", |(stem, _)| stem),
            None => &name,
        };
        match plain.rsplit_once('.')?.1 {
            "parquet" | "pq" => Some(Self::Parquet),
            "xlsx" | "xlsm" => Some(Self::Excel),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "json" => Some(Self::Json),
            "csv" | "tsv" | "tab" | "psv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// A file whose columns are known and whose rows are still to come.
pub struct Reader {
    name: String,
    columns: Vec<(String, Option<ColumnType>)>,
    /// Names that several columns have.
    ambiguous: Vec<String>,
    hint: Option<String>,
    file: OpenFile,
}

enum OpenFile {
    Csv(csv::CsvFile),
    Ndjson(ndjson::NdjsonFile),
    Parquet(parquet::ParquetFile),
}

impl Reader {
    /// Opens a file and reads as much of it as names its columns.
    ///
    /// # Errors
    /// When the file is missing, damaged, or not what its name promises.
    pub fn open(path: &Path, options: &ReadOptions, progress: Arc<Progress>) -> Result<Self> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = options.name.clone().unwrap_or_else(|| path.display().to_string());
        let text = |progress| {
            let bytes = bytes::FileBytes::open(path, &name, options.limits, progress);
            bytes.map(|bytes| Text::new(bytes, options.encoding.clone()))
        };
        let (mut hint, mut ambiguous) = (None, Vec::new());
        let format = options.format.unwrap_or_else(|| FileFormat::of(&file_name));
        if let Some(setting) = options.of_json_alone(format) {
            let diagnostic = Diagnostic::error(format!("`{setting}` does not apply to a {} file", format.name()));
            let diagnostic = diagnostic.help("if it is JSON, write `format: json`; otherwise remove the setting");
            return Err(bytes::located(diagnostic, &name));
        }
        let (columns, file) = match format {
            FileFormat::Csv => {
                let file = csv::CsvFile::open(text(progress)?, options, &name)?;
                hint = file.other_delimiter();
                (unique_names(file.header(), &mut ambiguous), OpenFile::Csv(file))
            }
            FileFormat::Excel => {
                let options = options.of_sheet();
                let rows = workbook::open(path, &name, &options, progress)?;
                let file = csv::CsvFile::open(Text::new(rows, options.encoding.clone()), &options, &name)?;
                (unique_names(file.header(), &mut ambiguous), OpenFile::Csv(file))
            }
            format @ (FileFormat::Ndjson | FileFormat::Json) => {
                let file = ndjson::NdjsonFile::open(text, progress, &name, (format, options))?;
                (file.columns().to_vec(), OpenFile::Ndjson(file))
            }
            FileFormat::Parquet => {
                if let Some(encoding) = &options.encoding {
                    return Err(encoding_of_parquet(encoding, name));
                }
                let file = parquet::ParquetFile::open(path, &name, options.limits, progress)?;
                (file.columns().to_vec(), OpenFile::Parquet(file))
            }
        };
        Ok(Self { name, columns, ambiguous, hint, file })
    }

    /// The file's columns, with their types as far as the file tells.
    pub fn columns(&self) -> &[(String, Option<ColumnType>)] {
        &self.columns
    }

    /// Whether the file has neither rows nor anything that names its columns.
    pub fn is_empty(&self) -> bool {
        match &self.file {
            OpenFile::Csv(file) => file.is_empty(),
            OpenFile::Ndjson(file) => file.is_empty(),
            OpenFile::Parquet(file) => file.is_empty(),
        }
    }

    /// A function that says, once the rows are read, which of the file's values were rounded.
    pub fn rounded(&self) -> impl Fn() -> Vec<String> + Send + use<> {
        let rounded = match &self.file {
            OpenFile::Parquet(file) => Some(file.rounded()),
            _ => None,
        };
        move || rounded.as_ref().map(|rounded| rounded.notes()).unwrap_or_default()
    }

    /// Gives an empty file the columns that its reader expects of it.
    pub fn assume_columns(&mut self, names: impl Iterator<Item = String>) {
        if self.is_empty() {
            self.columns = names.map(|name| (name, None)).collect();
        }
    }

    /// Whether a column is one of bytes that are no text.
    pub fn is_of_bytes(&self, name: &str) -> bool {
        matches!(&self.file, OpenFile::Parquet(file) if file.is_of_bytes(name))
    }

    /// Whether several columns of the file have this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.iter().any(|other| other == name)
    }

    /// Whether values that the file has as `found` are certainly what the server would make of their text in a column of
    /// the wanted type. What is text in the file means what its reader makes of it.
    pub fn keeps(&self, found: Option<ColumnType>, wanted: ColumnType) -> bool {
        matches!(self.file, OpenFile::Parquet(_)) && parquet::keeps(found, wanted)
    }

    /// Says what columns hold whose values are wanted as text, so that those are rewritten that
    /// [`Conversions`] concern.
    pub fn set_kinds(&mut self, kinds: &[(String, ColumnType)]) {
        if let OpenFile::Csv(file) = &mut self.file {
            file.set_kinds(kinds);
        }
    }

    /// Gives the rows that these values of [`LINE`] mean to `take`, as bad rows without a message. `wanted` names a column
    /// for each, or none for the whole row.
    ///
    /// # Errors
    /// When the file cannot be read so far, and those of `take`.
    pub fn rows_at(
        self,
        wanted: &BTreeMap<u64, Option<String>>,
        take: &mut dyn FnMut(u64, BadRow) -> Result<()>,
    ) -> Result<()> {
        match self.file {
            OpenFile::Csv(file) => file.rows_at(wanted, take),
            OpenFile::Ndjson(file) => file.rows_at(wanted, take),
            OpenFile::Parquet(_) => wanted.keys().try_for_each(|row| take(*row, BadRow::at(*row))),
        }
    }

    /// An error about a column that is missing or too many, with the file and the line that names its columns, and what
    /// to do if the file tells.
    pub fn of_columns(&self, error: TaskError) -> TaskError {
        let line = match self.header_line() {
            0 => String::new(),
            line => format!(":{line}"),
        };
        let place =
            if error.code.as_deref() == Some(NO_COLUMN) { format!("{}{line}: ", self.name) } else { String::new() };
        TaskError { message: place + &error.message, help: self.hint.clone().or(error.help), ..error }
    }

    /// The line that names the columns, from 1; 0 where none does.
    fn header_line(&self) -> usize {
        match &self.file {
            OpenFile::Csv(file) => usize::try_from(file.header_line()).unwrap_or(usize::MAX),
            OpenFile::Ndjson(_) | OpenFile::Parquet(_) => 0,
        }
    }

    /// Whether the file has all wanted columns, wherever they stand, and each once.
    ///
    /// # Errors
    /// Names those that are missing, and what the file has.
    pub fn check(&self, wanted: &[ColumnSpec]) -> Result<()> {
        if let Some(twice) = wanted.iter().find(|column| self.is_ambiguous(&column.name)) {
            let mut diagnostic = match twice.name.as_str() {
                "" => Diagnostic::error("the header leaves several columns without a name"),
                name => Diagnostic::error(format!("the header names the column `{name}` twice")),
            };
            (diagnostic.file, diagnostic.line) = (self.name.clone(), self.header_line());
            return Err(Box::new(diagnostic));
        }
        if let OpenFile::Parquet(file) = &self.file {
            file.check(wanted)?;
        }
        let has = |name: &str| name == LINE || self.columns.iter().any(|(column, _)| column == name);
        let missing: Vec<&str> = wanted.iter().map(|column| column.name.as_str()).filter(|name| !has(name)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let noun = if missing.len() == 1 { "column" } else { "columns" };
        let mut diagnostic = Diagnostic::error(format!("the file has no {noun} `{}`", missing.join("`, `")));
        let names = || self.columns.iter().map(|(name, _)| name.as_str());
        let listed = names().collect::<Vec<_>>().join(", ");
        diagnostic.help = Some(match (&self.hint, diagnostic::nearest(first, names())) {
            (Some(hint), _) => hint.clone(),
            (None, Some(near)) => format!("did you mean `{near}`? The file has: {listed}"),
            (None, None) => format!("the file has: {listed}"),
        });
        diagnostic.file = self.name.clone();
        diagnostic.line = self.header_line();
        Err(Box::new(diagnostic))
    }

    /// Reads the wanted columns. A column that the file lacks ends the stream at once, as [`Reader::check`] says.
    pub fn batches(self, wanted: Vec<ColumnSpec>) -> Batches {
        if let Err(error) = self.check(&wanted) {
            return Box::new(std::iter::once(Err(error)));
        }
        if self.is_empty() {
            return Box::new(std::iter::once(no_rows(&wanted, &self.name)));
        }
        match self.file {
            OpenFile::Csv(file) => Box::new(file.batches(wanted)),
            OpenFile::Ndjson(file) => Box::new(file.batches(wanted)),
            OpenFile::Parquet(file) => Box::new(file.batches(wanted)),
        }
    }
}

fn no_rows(wanted: &[ColumnSpec], file: &str) -> Result<Batch> {
    let columns = wanted.iter().map(|column| column::fill(column, std::iter::empty(), |_| {})).collect();
    let frame = DataFrame::new(0, columns).map_err(|error| {
        let diagnostic = Diagnostic::error(format!("cannot hold the columns: {error}"));
        bytes::located(diagnostic, file)
    })?;
    Ok(Batch { frame, rows_read: 0, bad: Vec::new() })
}

/// The names of a header, each once; those that come again are noted.
fn unique_names(header: &[String], ambiguous: &mut Vec<String>) -> Vec<(String, Option<ColumnType>)> {
    let mut seen = HashSet::new();
    let (first, again): (Vec<&String>, Vec<&String>) = header.iter().partition(|name| seen.insert(*name));
    ambiguous.extend(again.into_iter().cloned());
    first.into_iter().map(|name| (name.clone(), None)).collect()
}

fn encoding_of_parquet(encoding: &Encoding, file: String) -> Box<Diagnostic> {
    let message = format!("a Parquet file has no encoding, and `encoding` is {}", encoding.name());
    let mut diagnostic = Diagnostic::error(message).help("leave `encoding` out");
    diagnostic.file = file;
    Box::new(diagnostic)
}
