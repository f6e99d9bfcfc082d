//! Rows as `COPY … FROM STDIN (FORMAT binary)` wants them: for each row the number of fields, then each field's length
//! and bytes. Source: the chapter on COPY in Postgres's manual.

use bytes::{BufMut, BytesMut};
use polars::prelude::{
    BooleanType, Column, DataType, Float64Type, Int32Type, Int64Type, PolarsDataType, PolarsResult, StringType,
    TimeUnit,
};

use super::numeric::put_numeric;
use crate::tasks::postgres::target::{Field, Kind};

/// What every stream begins with: signature, flags, length of the header's extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What every stream ends with.
pub(super) const TRAILER: [u8; 2] = (-1i16).to_be_bytes();

/// Microseconds and days from 1970 to 2000, where Postgres starts to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

type Array<T> = <T as PolarsDataType>::Array;

/// A column of a batch with what it becomes. One variant for each pair that can be.
enum Cells<'a> {
    Int2(&'a Array<Int64Type>),
    Int4(&'a Array<Int64Type>),
    Int8(&'a Array<Int64Type>),
    Float4(&'a Array<Float64Type>),
    Float8(&'a Array<Float64Type>),
    Bool(&'a Array<BooleanType>),
    Text(&'a Array<StringType>),
    Jsonb(&'a Array<StringType>),
    Uuid(&'a Array<StringType>),
    Numeric(&'a Array<StringType>),
    Date(&'a Array<Int32Type>),
    Moment(&'a Array<Int64Type>),
    /// The same bytes, length included, in every row.
    Constant(&'a [u8]),
}

/// A value that its column cannot hold; the row counts from 0 within the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) row: usize,
    pub(super) column: String,
    pub(super) message: String,
}

/// Appends a batch's rows. `constant` is the last field of every row, encoded by [`constant`].
pub(super) fn rows(
    columns: &[Column],
    fields: &[Field],
    constant: Option<&[u8]>,
    height: usize,
    out: &mut BytesMut,
) -> PolarsResult<Result<(), Misfit>> {
    let converted: Vec<Column> =
        columns.iter().zip(fields).map(|(column, field)| prepared(column, field.kind)).collect::<PolarsResult<_>>()?;
    let mut cells: Vec<Cells> = converted
        .iter()
        .zip(fields)
        .map(|(column, field)| cells_of(column, field.kind))
        .collect::<PolarsResult<_>>()?;
    cells.extend(constant.map(Cells::Constant));
    out.reserve(height * (2 + 12 * cells.len()));
    let count = i16::try_from(cells.len()).unwrap_or(i16::MAX);
    for row in 0..height {
        out.put_i16(count);
        for (index, cell) in cells.iter().enumerate() {
            if let Err(message) = cell.put(row, out) {
                let column = fields.get(index).map(|field| field.name.clone()).unwrap_or_default();
                return Ok(Err(Misfit { row, column, message }));
            }
        }
    }
    Ok(Ok(()))
}

/// The bytes of a text that is the same in every row.
pub(super) fn constant(text: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_bytes(text.as_bytes(), &mut out);
    out.to_vec()
}

/// The column as the one Polars type that its Postgres type is written from, in one chunk.
fn prepared(column: &Column, kind: Kind) -> PolarsResult<Column> {
    let wanted = match kind {
        Kind::Int2 | Kind::Int4 | Kind::Int8 => DataType::Int64,
        Kind::Float4 | Kind::Float8 => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Text | Kind::Jsonb | Kind::Uuid | Kind::Numeric => DataType::String,
        Kind::Date => DataType::Date,
        Kind::Timestamp => DataType::Datetime(TimeUnit::Microseconds, None),
        Kind::TimestampTz => DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)),
    };
    let column = if *column.dtype() == wanted { column.clone() } else { column.strict_cast(&wanted)? };
    Ok(column.rechunk())
}

fn cells_of(column: &Column, kind: Kind) -> PolarsResult<Cells<'_>> {
    let series = column.as_materialized_series();
    Ok(match kind {
        Kind::Int2 => Cells::Int2(series.i64()?.downcast_as_array()),
        Kind::Int4 => Cells::Int4(series.i64()?.downcast_as_array()),
        Kind::Int8 => Cells::Int8(series.i64()?.downcast_as_array()),
        Kind::Float4 => Cells::Float4(series.f64()?.downcast_as_array()),
        Kind::Float8 => Cells::Float8(series.f64()?.downcast_as_array()),
        Kind::Bool => Cells::Bool(series.bool()?.downcast_as_array()),
        Kind::Text => Cells::Text(series.str()?.downcast_as_array()),
        Kind::Jsonb => Cells::Jsonb(series.str()?.downcast_as_array()),
        Kind::Uuid => Cells::Uuid(series.str()?.downcast_as_array()),
        Kind::Numeric => Cells::Numeric(series.str()?.downcast_as_array()),
        Kind::Date => Cells::Date(series.date()?.physical().downcast_as_array()),
        Kind::Timestamp | Kind::TimestampTz => Cells::Moment(series.datetime()?.physical().downcast_as_array()),
    })
}

/// The value of a row, or none when it is NULL.
macro_rules! value {
    ($array:expr, $row:expr) => {
        if $array.validity().is_none_or(|valid| valid.get_bit($row)) { Some($array.value($row)) } else { None }
    };
}

impl Cells<'_> {
    fn put(&self, row: usize, out: &mut BytesMut) -> Result<(), String> {
        match self {
            Self::Int2(array) => fitting(value!(array, row), out, |value: i16, out| put(&value.to_be_bytes(), out))?,
            Self::Int4(array) => fitting(value!(array, row), out, |value: i32, out| put(&value.to_be_bytes(), out))?,
            Self::Int8(array) => some(value!(array, row), out, |value, out| put(&value.to_be_bytes(), out)),
            Self::Float4(array) => put_real(value!(array, row), out)?,
            Self::Float8(array) => some(value!(array, row), out, |value, out| put(&value.to_be_bytes(), out)),
            Self::Bool(array) => some(value!(array, row), out, |value, out| put(&[u8::from(value)], out)),
            Self::Text(array) => some(array.get(row), out, |value, out| put_bytes(value.as_bytes(), out)),
            Self::Jsonb(array) => some(array.get(row), out, put_jsonb),
            Self::Uuid(array) => match array.get(row) {
                Some(text) => {
                    parse_uuid(text).map(|bytes| put(&bytes, out)).ok_or_else(|| format!("`{text}` is not a UUID"))?
                }
                None => put_null(out),
            },
            Self::Numeric(array) => match array.get(row) {
                Some(text) => put_numeric(text, out).ok_or_else(|| format!("`{text}` is not a decimal number"))?,
                None => put_null(out),
            },
            Self::Date(array) => {
                some(value!(array, row), out, |days, out| put(&days.saturating_sub(EPOCH_DAYS).to_be_bytes(), out))
            }
            Self::Moment(array) => some(value!(array, row), out, |micros, out| {
                put(&micros.saturating_sub(EPOCH_MICROS).to_be_bytes(), out)
            }),
            Self::Constant(bytes) => out.extend_from_slice(bytes),
        }
        Ok(())
    }
}

fn some<T>(value: Option<T>, out: &mut BytesMut, put: impl Fn(T, &mut BytesMut)) {
    match value {
        Some(value) => put(value, out),
        None => put_null(out),
    }
}

fn fitting<T: TryFrom<i64>>(
    value: Option<i64>,
    out: &mut BytesMut,
    put: impl Fn(T, &mut BytesMut),
) -> Result<(), String> {
    some(value.map(|value| T::try_from(value).map_err(|_| format!("{value} is too large"))).transpose()?, out, put);
    Ok(())
}

fn put_real(value: Option<f64>, out: &mut BytesMut) -> Result<(), String> {
    let real = value.map(|value| value as f32);
    if let (Some(value), Some(real)) = (value, real)
        && real.is_infinite()
        && value.is_finite()
    {
        return Err(format!("{value:e} is too large for a real"));
    }
    some(real, out, |real, out| put(&real.to_be_bytes(), out));
    Ok(())
}

fn put_null(out: &mut BytesMut) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

/// A field of fixed size, in one append.
fn put<const N: usize>(bytes: &[u8; N], out: &mut BytesMut) {
    out.put_i32(N as i32);
    out.extend_from_slice(bytes);
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.extend_from_slice(bytes);
}

/// The text behind the number of its format, which is 1.
fn put_jsonb(text: &str, out: &mut BytesMut) {
    out.put_i32(i32::try_from(text.len() + 1).unwrap_or(i32::MAX));
    out.put_u8(1);
    out.extend_from_slice(text.as_bytes());
}

/// The 16 bytes of a UUID, with or without hyphens and braces.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim().trim_start_matches('{').trim_end_matches('}').replace('-', "");
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(&text, 16).ok().filter(|_| is_hex).map(u128::to_be_bytes)
}
