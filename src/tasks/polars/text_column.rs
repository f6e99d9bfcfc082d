//! Values as the text that Postgres prints for them: what `CAST(column AS text)` gives, byte for byte.
//!
//! Row ids and keys are built from this text, so it is the hot path of a load: nothing here allocates per value.

use polars::prelude::*;

use super::decimal::push_canonical;
use crate::stream::ColumnType;
use crate::stream::float::{push_float, push_real};
use crate::stream::print::{push_date, push_int, push_numeric, push_timestamp};

/// A column whose values can be written as Postgres's text.
pub enum TextColumn<'a> {
    /// `true`, `false`.
    Bool(&'a BooleanChunked),
    /// Whole numbers.
    Int(&'a Int64Chunked),
    /// Double precision.
    Float(&'a Float64Chunked),
    /// Single precision, kept as double precision.
    Real(&'a Float64Chunked),
    /// Text as it is.
    Text(&'a StringChunked),
    /// Decimal numbers kept as their text.
    Numeric(&'a StringChunked),
    /// Days since 1970.
    Date(&'a Int32Chunked),
    /// Microseconds since 1970.
    Timestamp(&'a Int64Chunked),
    /// Microseconds since 1970, UTC.
    TimestampTz(&'a Int64Chunked),
}

impl<'a> TextColumn<'a> {
    /// The column `name` of a frame, which holds what the readers make of `kind`.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn of(frame: &'a DataFrame, name: &str, kind: ColumnType) -> PolarsResult<Self> {
        let series = frame.column(name)?.as_materialized_series();
        Ok(match kind {
            ColumnType::Bool => Self::Bool(series.bool()?),
            ColumnType::Int(_) => Self::Int(series.i64()?),
            ColumnType::Float => Self::Float(series.f64()?),
            ColumnType::Real => Self::Real(series.f64()?),
            ColumnType::Text | ColumnType::Json | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => {
                Self::Text(series.str()?)
            }
            ColumnType::Numeric => Self::Numeric(series.str()?),
            ColumnType::Date => Self::Date(series.date()?.physical()),
            ColumnType::Timestamp => Self::Timestamp(series.datetime()?.physical()),
            ColumnType::TimestampTz | ColumnType::Instant => Self::TimestampTz(series.datetime()?.physical()),
        })
    }

    /// Appends the text of a row's value; `false`, and nothing appended, where it is NULL.
    pub fn push(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let pushed = match self {
            Self::Bool(values) => {
                values.get(row).map(|value| out.extend_from_slice(if value { b"true" } else { b"false" }))
            }
            Self::Int(values) => values.get(row).map(|value| push_int(value, out)),
            Self::Float(values) => values.get(row).map(|value| push_float(value, out)),
            Self::Real(values) => values.get(row).map(|value| push_real(value as f32, out)),
            Self::Text(values) => values.get(row).map(|value| out.extend_from_slice(value.as_bytes())),
            Self::Numeric(values) => values.get(row).map(|value| push_numeric(value, out)),
            Self::Date(values) => values.get(row).map(|days| push_date(i64::from(days), out)),
            Self::Timestamp(values) => values.get(row).map(|micros| push_timestamp(micros, "", out)),
            Self::TimestampTz(values) => values.get(row).map(|micros| push_timestamp(micros, "+00", out)),
        };
        pushed.is_some()
    }

    /// The same, with one text for all values that Postgres takes for equal: 1.0 and 1.00, 0 and -0.
    pub fn push_key(&self, row: usize, out: &mut Vec<u8>) -> bool {
        // The sum of -0 and 0 is 0.
        let pushed = match self {
            Self::Float(values) => values.get(row).map(|value| push_float(value + 0.0, out)),
            Self::Real(values) => values.get(row).map(|value| push_real(value as f32 + 0.0, out)),
            Self::Numeric(values) => values.get(row).map(|value| push_canonical(value, out)),
            _ => return self.push(row, out),
        };
        pushed.is_some()
    }
}
