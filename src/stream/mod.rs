//! Files as streams of typed rows: opened, decompressed, checked and parsed batch by batch, in flat memory.
//!
//! A [`Reader`] knows the names of a file's columns before anything is read; given the types that are wanted, it
//! hands over [`Batch`]es. A row that does not fit its types is data too ([`BadRow`]): whoever consumes the stream
//! decides whether it ends the load. What is wrong with the file as a whole (a cut gzip stream, a web page in place of
//! data) ends the stream with a located [`Diagnostic`].

use polars::prelude::DataFrame;

use crate::diagnostic::Diagnostic;

/// The result of reading: an error names the file, the line and the column.
pub type Result<T> = std::result::Result<T, Box<Diagnostic>>;

/// What a column's text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `true false t f yes no y n 1 0`, in any case. Polars: Boolean.
    Bool,
    /// A whole number that fits this many bits (16, 32 or 64); `1.0` and `1.` count as whole. Polars: Int64.
    Int(u8),
    /// A double precision number, `NaN` and `Infinity` included. Polars: Float64.
    Float,
    /// A decimal number of any length, kept as its text. Polars: String.
    Numeric,
    /// Text as it stands. Polars: String.
    Text,
    /// `2020-04-01`. Polars: Date.
    Date,
    /// `2020-04-01 00:44:02`, with `T` for the blank and up to six decimals. Polars: Datetime in microseconds.
    Timestamp,
    /// The same with an offset (`Z`, `+02`, `+02:00`; none means UTC). Polars: Datetime in microseconds, UTC.
    TimestampTz,
}

/// A column that the consumer wants, with the type that it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as the file has it.
    pub name: String,
    /// What its text is read as.
    pub kind: ColumnType,
    /// Whether an empty field is a bad row.
    pub required: bool,
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Column of the field in characters, from 1; 0 where the whole row is meant.
    pub column: usize,
    /// What is wrong, naming the field.
    pub message: String,
    /// The row as the file has it.
    pub text: String,
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

/// Batches in the order of the file.
pub type Batches = Box<dyn Iterator<Item = Result<Batch>> + Send>;
