//! Texts to one typed Polars column.

use std::collections::BTreeMap;
use std::fmt;

use polars::prelude::{
    BooleanChunked, BooleanChunkedBuilder, ChunkedBuilder, Column, DataFrame, Float64Type, Int32Type, Int64Type,
    IntoColumn, IntoSeries, NewChunkedArray, PlSmallStr, PolarsResult, PrimitiveChunkedBuilder, StringChunkedBuilder,
    TimeUnit, TimeZone,
};

use super::{ColumnSpec, ColumnType, LINE};
use super::{timestamp, value};
use crate::text::shortened;

/// More letters of a value tell nothing.
const MAX_PREVIEW_CHARS: usize = 60;
/// The most bytes of a bad row that are kept.
const MAX_ROW_TEXT_BYTES: usize = 1 << 20;

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "boolean",
            Self::Int(16) => "smallint",
            Self::Int(32) => "integer",
            Self::Int(_) => "bigint",
            Self::Float => "double precision",
            Self::Real => "real",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Json | Self::JsonArray => "JSON",
            Self::Array => "an array type",
            Self::Other => "a type of its own",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz | Self::Instant => "timestamptz",
        })
    }
}

/// Parses a column's fields, top to bottom. `None` is NULL, and so is a blank field of any type but text. Calls `bad`
/// with the index of each field that does not fit; it is NULL in the column.
pub(super) fn fill<'a>(
    column: &ColumnSpec,
    fields: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
    bad: impl FnMut(usize),
) -> Column {
    let name = PlSmallStr::from_str(&column.name);
    let rows = fields.len();
    let parse = FieldParser { fields, required: column.required, bad };
    match column.kind {
        ColumnType::Bool => {
            let mut builder = BooleanChunkedBuilder::new(name, rows);
            parse.each(value::parse_bool, |value| builder.append_option(value));
            builder.finish().into_column()
        }
        ColumnType::Int(bits) => {
            let mut builder = PrimitiveChunkedBuilder::<Int64Type>::new(name, rows);
            parse.each(|text| value::parse_int(text, bits), |value| builder.append_option(value));
            builder.finish().into_column()
        }
        ColumnType::Float => {
            let mut builder = PrimitiveChunkedBuilder::<Float64Type>::new(name, rows);
            parse.each(value::parse_float, |value| builder.append_option(value));
            builder.finish().into_column()
        }
        ColumnType::Real => {
            let mut builder = PrimitiveChunkedBuilder::<Float64Type>::new(name, rows);
            parse.each(value::parse_real, |value| builder.append_option(value));
            builder.finish().into_column()
        }
        ColumnType::Numeric => parse.texts(name, rows, value::parse_numeric),
        ColumnType::Text | ColumnType::Json | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => {
            parse.texts(name, rows, value::parse_text)
        }
        ColumnType::Date => {
            let mut builder = PrimitiveChunkedBuilder::<Int32Type>::new(name, rows);
            parse.each(timestamp::parse_date, |value| builder.append_option(value));
            builder.finish().into_date().into_column()
        }
        ColumnType::Timestamp => parse.timestamps(name, rows, timestamp::parse_timestamp, None),
        ColumnType::TimestampTz => parse.timestamps(name, rows, timestamp::parse_timestamptz, Some(TimeZone::UTC)),
        ColumnType::Instant => parse.timestamps(name, rows, timestamp::parse_instant, Some(TimeZone::UTC)),
    }
}

/// The column of the rows' lines.
pub(super) fn lines(lines: impl Iterator<Item = u64>) -> Column {
    let lines: Vec<i64> = lines.map(u64::cast_signed).collect();
    Column::new(PlSmallStr::from_static(LINE), lines)
}

struct FieldParser<F, B> {
    fields: F,
    required: bool,
    bad: B,
}

impl<'a, F: Iterator<Item = Option<&'a [u8]>>, B: FnMut(usize)> FieldParser<F, B> {
    fn each<T>(mut self, parse: impl Fn(&'a [u8]) -> Option<T>, mut append: impl FnMut(Option<T>)) {
        for (row, field) in self.fields.enumerate() {
            let value = field.and_then(&parse);
            if value.is_none() && (self.required || field.is_some_and(|text| !text.trim_ascii().is_empty())) {
                (self.bad)(row);
            }
            append(value);
        }
    }

    fn texts(self, name: PlSmallStr, rows: usize, parse: impl Fn(&'a [u8]) -> Option<&'a str>) -> Column {
        let mut builder = StringChunkedBuilder::new(name, rows);
        self.each(parse, |text| builder.append_option(text));
        builder.finish().into_column()
    }

    fn timestamps(
        self,
        name: PlSmallStr,
        rows: usize,
        parse: impl Fn(&'a [u8]) -> Option<i64>,
        zone: Option<TimeZone>,
    ) -> Column {
        let mut builder = PrimitiveChunkedBuilder::<Int64Type>::new(name, rows);
        self.each(parse, |value| builder.append_option(value));
        builder.finish().into_datetime(TimeUnit::Microseconds, zone).into_series().into_column()
    }
}

/// The columns as one frame, without the rows that there are complaints about.
///
/// # Errors
/// When columns differ in length or share a name.
pub(super) fn frame<T>(rows: usize, columns: Vec<Column>, mismatches: &BTreeMap<usize, T>) -> PolarsResult<DataFrame> {
    let frame = DataFrame::new(rows, columns)?;
    if mismatches.is_empty() {
        return Ok(frame);
    }
    let keep = (0..rows).map(|row| !mismatches.contains_key(&row));
    frame.filter(&BooleanChunked::from_iter_values(PlSmallStr::EMPTY, keep))
}

/// Why a field is a bad one, naming its column.
pub(super) fn mismatch(column: &ColumnSpec, field: Option<&[u8]>) -> String {
    match field.filter(|text| !text.trim_ascii().is_empty()) {
        None => format!("`{}` is empty, and it is required", column.name),
        Some(text) => {
            let preview = preview(text);
            format!("`{}`: `{preview}` {}", column.name, value::mismatch(text, column.kind))
        }
    }
}

/// A value of a file as messages show it.
pub(super) fn preview(field: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(field), MAX_PREVIEW_CHARS).into_owned()
}

/// The text of a bad row without its line end, cut with a mark if it is very long.
pub fn row_text(row: &[u8]) -> Vec<u8> {
    let end = row.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let row = &row[..end];
    if row.len() <= MAX_ROW_TEXT_BYTES {
        return row.to_vec();
    }
    // No character is cut in two.
    let start = &row[..MAX_ROW_TEXT_BYTES];
    let cut = start.utf8_chunks().last().map_or(0, |last| last.invalid().len());
    let mut row_text = start[..start.len() - cut].to_vec();
    row_text.extend_from_slice(format!("… [cut: the row has {} bytes]", row.len()).as_bytes());
    row_text
}
