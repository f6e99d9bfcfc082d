//! Rows as COPY wants them: in binary while every value is certainly what the server would make of its text, as text
//! otherwise. Source of both forms: the chapter on COPY in Postgres's manual.

use bytes::{BufMut, Bytes, BytesMut};
use polars::prelude::{
    BooleanType, Column, DataFrame, DataType, Float64Type, Int32Type, Int64Type, PolarsDataType, PolarsError,
    PolarsResult, StringType, TimeUnit,
};
use tokio_postgres::types::Type;

use super::numeric::put_numeric;
use crate::stream::float::{push_float, push_real};
use crate::stream::print::{push_date, push_int, push_timestamp};
use crate::stream::timestamp::{parse_date, parse_instant, parse_timestamp, parse_timestamptz};
use crate::stream::value::{parse_bool, parse_float, parse_int, parse_real};
use crate::task::TaskError;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;

/// What every binary stream begins with: signature, flags, length of the header's extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What every binary stream ends with.
pub(super) const TRAILER: &[u8] = &(-1i16).to_be_bytes();

/// NULL as text.
const NULL: &[u8] = b"\\N";

/// Microseconds and days from 1970 to 2000, where Postgres starts to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

type Array<T> = <T as PolarsDataType>::Array;

/// How the rows of one load are encoded.
pub(super) struct Encoder {
    /// The fields from the file, and after them the constant one.
    pub(super) fields: Vec<TableField>,
    /// The frame's column for each field from the file.
    pub(super) used: Vec<String>,
    /// The text that the last field has in every row.
    pub(super) constant: Option<String>,
    /// Whether a time without an offset means UTC in this session.
    pub(super) is_utc: bool,
}

/// A column of a batch with what it becomes. One variant for each pair that can be.
enum Cells<'a> {
    Int(&'a Array<Int64Type>, Kind),
    Float(&'a Array<Float64Type>, Kind),
    Bool(&'a Array<BooleanType>),
    Date(&'a Array<Int32Type>),
    Moment(&'a Array<Int64Type>, Kind),
    /// The file's own text, or one that a step made.
    Text(&'a Array<StringType>, Kind),
    /// The same text in every row.
    Constant(&'a str, Kind),
}

/// The value of a row, or none when it is NULL.
macro_rules! value {
    ($array:expr, $row:expr) => {
        $array.validity().is_none_or(|valid| valid.get_bit($row)).then(|| $array.value($row))
    };
}

impl Encoder {
    /// Whether binary is possible at all.
    pub(super) fn can_be_binary(&self) -> bool {
        self.fields.iter().all(|field| field.kind != Kind::Other)
    }

    /// The frame's rows in binary; none when the server must read a value itself.
    ///
    /// # Errors
    /// When a column is missing, or of a type that has no text.
    pub(super) fn binary(&self, frame: &DataFrame) -> PolarsResult<Option<Bytes>> {
        let columns = self.columns(frame)?;
        let (cells, constant) = (self.cells_from_file(&columns)?, self.constant());
        // It is the same in every row.
        let mut last = BytesMut::new();
        if !constant.iter().all(|constant| self.put(constant, 0, &mut last)) {
            return Ok(None);
        }
        let mut out = BytesMut::with_capacity(frame.height() * (2 + 12 * cells.len() + last.len()));
        let count = i16::try_from(self.fields.len()).unwrap_or(i16::MAX);
        for row in 0..frame.height() {
            out.put_i16(count);
            if !cells.iter().all(|cell| self.put(cell, row, &mut out)) {
                return Ok(None);
            }
            out.extend_from_slice(&last);
        }
        Ok(Some(out.freeze()))
    }

    /// The frame's rows as text.
    ///
    /// # Errors
    /// As [`Encoder::binary`].
    pub(super) fn text(&self, frame: &DataFrame) -> PolarsResult<Bytes> {
        let columns = self.columns(frame)?;
        let cells = self.cells(&columns)?;
        let mut out = Vec::with_capacity(frame.estimated_size());
        for row in 0..frame.height() {
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(b'\t');
                }
                cell.write(row, &mut out);
            }
            out.push(b'\n');
        }
        Ok(Bytes::from(out))
    }

    /// The rows in which a column has a value that is not the constant: their numbers, and the values.
    ///
    /// # Errors
    /// As [`Encoder::binary`].
    pub(super) fn mismatches(&self, frame: &DataFrame, name: &str) -> PolarsResult<Vec<(usize, String)>> {
        let (Some(constant), Some(field)) = (self.constant(), self.fields.last()) else { return Ok(Vec::new()) };
        let column = prepared(frame.column(name)?, field.kind)?;
        let cells = cells_of(&column, field.kind)?;
        let (due, due_binary) = (constant.text(0), self.comparable(&constant, 0));
        let is_padded = field.oid == Type::BPCHAR.oid();
        let mut mismatches = Vec::new();
        for row in 0..frame.height() {
            let text = cells.text(row);
            let is_same = text == due
                || text == NULL
                || is_padded && text.trim_ascii_end() == due.trim_ascii_end()
                || due_binary.is_some() && self.comparable(&cells, row) == due_binary;
            if !is_same {
                mismatches.push((row, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(mismatches)
    }

    /// The binary form of a value, by which equal values are recognized; none where only the server knows it. The decimals
    /// that a `numeric` shows are no part of its value.
    fn comparable(&self, cell: &Cells<'_>, row: usize) -> Option<BytesMut> {
        let mut out = BytesMut::new();
        self.put(cell, row, &mut out).then_some(())?;
        if let Cells::Text(_, Kind::Numeric) | Cells::Constant(_, Kind::Numeric) = cell {
            out.get_mut(10..12).into_iter().for_each(|shown| shown.fill(0));
        }
        Some(out)
    }

    /// The columns as the Polars types that values are written from, each in one chunk.
    fn columns(&self, frame: &DataFrame) -> PolarsResult<Vec<Column>> {
        let column = |(name, field): (&String, &TableField)| prepared(frame.column(name)?, field.kind);
        self.used.iter().zip(&self.fields).map(column).collect()
    }

    fn cells<'a>(&'a self, columns: &'a [Column]) -> PolarsResult<Vec<Cells<'a>>> {
        let mut cells = self.cells_from_file(columns)?;
        cells.extend(self.constant());
        Ok(cells)
    }

    fn cells_from_file<'a>(&self, columns: &'a [Column]) -> PolarsResult<Vec<Cells<'a>>> {
        columns.iter().zip(&self.fields).map(|(column, field)| cells_of(column, field.kind)).collect()
    }

    fn constant(&self) -> Option<Cells<'_>> {
        Some(Cells::Constant(self.constant.as_ref()?, self.fields.last()?.kind))
    }

    /// Whether the cell's value has a binary form that is certainly right; then it is appended.
    fn put(&self, cell: &Cells<'_>, row: usize, out: &mut BytesMut) -> bool {
        match cell {
            Cells::Int(array, kind) => some(value!(array, row), out, |value, out| put_int(value, *kind, out)),
            Cells::Float(array, kind) => some(value!(array, row), out, |value, out| put_float(value, *kind, out)),
            Cells::Bool(array) => some(value!(array, row), out, |value, out| put(&[u8::from(value)], out)),
            Cells::Date(array) => some(value!(array, row), out, put_date),
            Cells::Moment(array, _) => some(value!(array, row), out, put_moment),
            Cells::Text(array, kind) => some(array.get(row), out, |text, out| self.put_text(text, *kind, out)),
            Cells::Constant(text, kind) => self.put_text(text, *kind, out),
        }
    }

    fn put_text(&self, text: &str, kind: Kind, out: &mut BytesMut) -> bool {
        let bytes = text.as_bytes();
        if !kind.holds_blanks() && bytes.trim_ascii().is_empty() {
            return put_null(out);
        }
        match kind {
            Kind::Int2 => parse_int(bytes, 16).is_some_and(|value| put_int(value, kind, out)),
            Kind::Int4 => parse_int(bytes, 32).is_some_and(|value| put_int(value, kind, out)),
            Kind::Int8 => parse_int(bytes, 64).is_some_and(|value| put_int(value, kind, out)),
            Kind::Float4 => parse_real(bytes).is_some_and(|value| put_float(value, kind, out)),
            Kind::Float8 => parse_float(bytes).is_some_and(|value| put_float(value, kind, out)),
            Kind::Numeric => put_numeric(text, out).is_some(),
            Kind::Bool => parse_bool(bytes).is_some_and(|value| put(&[u8::from(value)], out)),
            Kind::Text | Kind::Json => put_bytes(bytes, out),
            Kind::Jsonb => put_jsonb(bytes, out),
            Kind::Uuid => parse_uuid(text).is_some_and(|value| put(&value, out)),
            Kind::Date => parse_date(bytes).is_some_and(|days| put_date(days, out)),
            Kind::Timestamp => parse_timestamp(bytes).is_some_and(|micros| put_moment(micros, out)),
            Kind::TimestampTz => {
                let micros = if self.is_utc { parse_timestamptz(bytes) } else { parse_instant(bytes) };
                micros.is_some_and(|micros| put_moment(micros, out))
            }
            Kind::Other => false,
        }
    }
}

/// A column that has no text, in words.
pub(super) fn unwritable(error: &PolarsError) -> TaskError {
    TaskError::permanent("a column cannot be converted for the table").caused_by(error)
}

/// Computed values keep their type where their Postgres type has a binary form of it; everything else is text.
fn prepared(column: &Column, kind: Kind) -> PolarsResult<Column> {
    let wanted = match kind {
        _ if *column.dtype() == DataType::String => DataType::String,
        Kind::Int2 | Kind::Int4 | Kind::Int8 => DataType::Int64,
        Kind::Float4 | Kind::Float8 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Date => DataType::Date,
        Kind::Timestamp => DataType::Datetime(TimeUnit::Microseconds, None),
        Kind::TimestampTz => DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)),
        Kind::Text | Kind::Json | Kind::Jsonb | Kind::Uuid | Kind::Numeric | Kind::Other => DataType::String,
    };
    let column = if *column.dtype() == wanted { column.clone() } else { column.strict_cast(&wanted)? };
    Ok(column.rechunk())
}

fn cells_of(column: &Column, kind: Kind) -> PolarsResult<Cells<'_>> {
    let series = column.as_materialized_series();
    Ok(match column.dtype() {
        DataType::Int64 => Cells::Int(series.i64()?.downcast_as_array(), kind),
        DataType::Float64 => Cells::Float(series.f64()?.downcast_as_array(), kind),
        DataType::Boolean => Cells::Bool(series.bool()?.downcast_as_array()),
        DataType::Date => Cells::Date(series.date()?.physical().downcast_as_array()),
        DataType::Datetime(..) => Cells::Moment(series.datetime()?.physical().downcast_as_array(), kind),
        _ => Cells::Text(series.str()?.downcast_as_array(), kind),
    })
}

impl Cells<'_> {
    /// The text of a row's value.
    fn text(&self, row: usize) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(row, &mut out);
        out
    }

    /// Appends the text of a row's value.
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let is_there = match self {
            Self::Int(array, _) => written(value!(array, row), out, push_int),
            Self::Float(array, Kind::Float4) => written(value!(array, row), out, push_narrow),
            Self::Float(array, _) => written(value!(array, row), out, push_float),
            Self::Bool(array) => {
                written(value!(array, row), out, |value, out| out.push(if value { b't' } else { b'f' }))
            }
            Self::Date(array) => written(value!(array, row), out, |days, out| push_date(i64::from(days), out)),
            Self::Moment(array, Kind::TimestampTz) => {
                written(value!(array, row), out, |micros, out| push_timestamp(micros, "+00", out))
            }
            Self::Moment(array, _) => written(value!(array, row), out, |micros, out| push_timestamp(micros, "", out)),
            Self::Text(array, kind) => {
                let text = array.get(row).filter(|text| kind.holds_blanks() || !text.trim_ascii().is_empty());
                written(text, out, |text, out| push_text(text, *kind, out))
            }
            Self::Constant(text, kind) => written(Some(*text), out, |text, out| push_text(text, *kind, out)),
        };
        if !is_there {
            out.extend_from_slice(NULL);
        }
    }
}

fn written<T>(value: Option<T>, out: &mut Vec<u8>, push: impl Fn(T, &mut Vec<u8>)) -> bool {
    value.map(|value| push(value, out)).is_some()
}

/// A computed number as single precision. What is out of its range stays as it is, so that the server refuses it.
fn push_narrow(value: f64, out: &mut Vec<u8>) {
    match narrow(value) {
        Some(real) => push_real(real, out),
        None => push_float(value, out),
    }
}

/// The text of a field: without what COPY would read as its own signs. A whole number loses the zeros after its point,
/// as in binary.
fn push_text(text: &str, kind: Kind, out: &mut Vec<u8>) {
    if let Kind::Int2 | Kind::Int4 | Kind::Int8 = kind
        && let Some(value) = parse_int(text.as_bytes(), 64)
    {
        return push_int(value, out);
    }
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
        let (plain, marked) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.extend_from_slice(match marked.first() {
            Some(b'\n') => b"\\n",
            Some(b'\r') => b"\\r",
            Some(b'\t') => b"\\t",
            _ => b"\\\\",
        });
        rest = marked.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn some<T>(value: Option<T>, out: &mut BytesMut, put: impl Fn(T, &mut BytesMut) -> bool) -> bool {
    match value {
        Some(value) => put(value, out),
        None => put_null(out),
    }
}

fn put_int(value: i64, kind: Kind, out: &mut BytesMut) -> bool {
    match kind {
        Kind::Int2 => i16::try_from(value).is_ok_and(|value| put(&value.to_be_bytes(), out)),
        Kind::Int4 => i32::try_from(value).is_ok_and(|value| put(&value.to_be_bytes(), out)),
        _ => put(&value.to_be_bytes(), out),
    }
}

fn put_float(value: f64, kind: Kind, out: &mut BytesMut) -> bool {
    match kind {
        Kind::Float4 => narrow(value).is_some_and(|real| put(&real.to_be_bytes(), out)),
        _ => put(&value.to_be_bytes(), out),
    }
}

/// The nearest single precision number; none when it would be infinite or zero and the value is not.
fn narrow(value: f64) -> Option<f32> {
    let real = value as f32;
    let is_out_of_range = real.is_infinite() && value.is_finite() || real == 0.0 && value != 0.0;
    (!is_out_of_range).then_some(real)
}

/// The smallest number is the server's sign of `-infinity`, which no day is.
fn put_date(days: i32, out: &mut BytesMut) -> bool {
    let days = days.checked_sub(EPOCH_DAYS).filter(|days| *days != i32::MIN);
    days.is_some_and(|days| put(&days.to_be_bytes(), out))
}

fn put_moment(micros: i64, out: &mut BytesMut) -> bool {
    let micros = micros.checked_sub(EPOCH_MICROS).filter(|micros| *micros != i64::MIN);
    micros.is_some_and(|micros| put(&micros.to_be_bytes(), out))
}

fn put_null(out: &mut BytesMut) -> bool {
    out.extend_from_slice(&(-1i32).to_be_bytes());
    true
}

/// A field of fixed size, in one append.
fn put<const N: usize>(bytes: &[u8; N], out: &mut BytesMut) -> bool {
    out.put_i32(N as i32);
    out.extend_from_slice(bytes);
    true
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) -> bool {
    let Ok(length) = i32::try_from(bytes.len()) else { return false };
    out.put_i32(length);
    out.extend_from_slice(bytes);
    true
}

/// The text after the number of its format, which is 1.
fn put_jsonb(text: &[u8], out: &mut BytesMut) -> bool {
    let Ok(length) = i32::try_from(text.len() + 1) else { return false };
    out.put_i32(length);
    out.put_u8(1);
    out.extend_from_slice(text);
    true
}

/// The 16 bytes of a UUID in its usual form, 8-4-4-4-12, or without hyphens.
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let is_usual =
        text.len() == 36 && text.bytes().enumerate().all(|(at, byte)| (byte == b'-') == [8, 13, 18, 23].contains(&at));
    let digits = if is_usual { text.replace('-', "") } else { text.to_owned() };
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(&digits, 16).ok().filter(|_| is_hex).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_that_only_the_server_can_judge_is_left_to_it() {
        let bytes = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
        assert_eq!(parse_uuid("00112233-4455-6677-8899-AABBccddeeff"), Some(bytes));
        assert_eq!(parse_uuid("00112233445566778899aabbccddeeff"), Some(bytes));
        for text in [
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "0011-22334455-6677-8899-aabbccddeeff",
            "x",
            " 00112233445566778899aabbccddeeff",
        ] {
            assert_eq!(parse_uuid(text), None, "{text:?}");
        }
    }

    #[test]
    fn text_keeps_nothing_that_copy_reads_as_its_own_sign() {
        let shown = |text, kind| {
            let mut out = Vec::new();
            push_text(text, kind, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("a\tb\\c\nd\re", Kind::Text), "a\\tb\\\\c\\nd\\re");
        assert_eq!(shown("\\.", Kind::Text), "\\\\.");
        assert_eq!(shown("1.0", Kind::Int4), "1");
        assert_eq!(shown("1.0", Kind::Numeric), "1.0");
    }
}
