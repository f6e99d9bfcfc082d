//! Values as Postgres shows them.

use std::cmp::Ordering;

use polars::prelude::*;

use super::decimal;
use super::pg_function::{dtype_name, is_float};
use super::rows::{FloatValues, IntValues, KernelRows, TextValues};
use crate::stream::float::{push_float, push_real};
use crate::stream::print::{push_numeric, push_timestamp};

/// Decimal numbers as Postgres prints them.
pub(super) fn decimals(column: &Column, count: usize) -> PolarsResult<Column> {
    let texts = TextValues::cast(column)?;
    let printed = |row| {
        let mut out = Vec::new();
        texts.get(row).map(|text| push_numeric(text, &mut out))?;
        Some(String::from_utf8_lossy(&out).into_owned())
    };
    Ok(Column::new(PlSmallStr::EMPTY, (0..count).map(printed).collect::<Vec<_>>()))
}

/// Numbers of single precision as Postgres prints them.
pub(super) fn reals(column: &Column, count: usize) -> PolarsResult<Column> {
    numbers(column, count, |value, out| push_real(value as f32, out))
}

/// Numbers of floating point as the decimal ones that Postgres casts them to, which have so many digits.
pub(super) fn significant(column: &Column, count: usize, digits: u8) -> PolarsResult<Column> {
    numbers(column, count, |value, out| match value.is_finite() {
        true => {
            let rounded = format!("{value:.*e}", usize::from(digits) - 1);
            let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
            let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
            push_numeric(&format!("{mantissa}e{exponent}"), out);
        }
        false => push_float(value, out),
    })
}

fn numbers(column: &Column, count: usize, push: impl Fn(f64, &mut Vec<u8>)) -> PolarsResult<Column> {
    let values = FloatValues::of(column)?;
    let printed = |row| {
        let mut out = Vec::new();
        values.get(row).map(|value| push(value, &mut out))?;
        Some(String::from_utf8_lossy(&out).into_owned())
    };
    Ok(Column::new(column.name().clone(), (0..count).map(printed).collect::<Vec<_>>()))
}

/// The first of the decimal numbers that are the greatest or least ones; NULLs do not count.
pub(super) fn extreme(columns: &[Column], wanted: Ordering, count: usize) -> PolarsResult<Column> {
    let all: Vec<TextValues> = columns.iter().map(TextValues::cast).collect::<PolarsResult<_>>()?;
    let better =
        |best: Option<&'_ str>, value: &str| best.is_none_or(|best| decimal::compare(value, best) == Some(wanted));
    let found = |row| {
        all.iter().filter_map(|texts| texts.get(row)).fold(None, |best, value| match better(best, value) {
            true => Some(value),
            false => best,
        })
    };
    Ok(Column::new(PlSmallStr::EMPTY, (0..count).map(found).collect::<Vec<_>>()))
}

/// Seconds since 1970.
pub(super) fn epoch(rows: &KernelRows, name: PlSmallStr, column: &Column) -> PolarsResult<Column> {
    let micros = micros(column)?;
    rows.floats(name, |row| Ok(micros.get(row).map(|micros| micros as f64 / 1e6)))
}

/// Seconds since 1970 as a decimal number, which has decimals for a time and none for a date.
pub(super) fn epoch_digits(rows: &KernelRows, column: &Column) -> PolarsResult<Column> {
    let (values, is_date) = (micros(column)?, *column.dtype() == DataType::Date);
    rows.texts(|row| {
        let digits = |micros: i64| if is_date { (micros / 1_000_000).to_string() } else { shifted(micros, 6) };
        Ok(values.get(row).map(digits))
    })
}

/// A whole number with its point so many places to the left.
pub(super) fn shifted(number: i64, places: u8) -> String {
    let (sign, unit) = (if number < 0 { "-" } else { "" }, 10_u64.pow(u32::from(places)));
    let digits = number.unsigned_abs();
    format!("{sign}{}.{:0width$}", digits / unit, digits % unit, width = usize::from(places))
}

fn micros(column: &Column) -> PolarsResult<IntValues> {
    let zone = match column.dtype() {
        DataType::Datetime(_, zone) => zone.clone(),
        DataType::Date => None,
        dtype => {
            return Err(PolarsError::InvalidOperation(
                format!("the epoch of {} is not known", dtype_name(dtype)).into(),
            ));
        }
    };
    let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone))?;
    IntValues::of(&micros.to_physical_repr())
}

/// Values as the texts that Postgres casts them to.
pub(super) fn texts(column: &Column, count: usize) -> PolarsResult<Column> {
    let text = |push: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let rows: Vec<Option<String>> = match column.dtype() {
        dtype if is_float(dtype) => return numbers(column, count, push_float),
        DataType::Datetime(_, zone) => {
            let offset = if zone.is_some() { "+00" } else { "" };
            let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone.clone()))?;
            let values = IntValues::of(&micros.to_physical_repr())?;
            (0..count).map(|row| values.get(row).map(|value| text(&|out| push_timestamp(value, offset, out)))).collect()
        }
        _ => return column.cast(&DataType::String),
    };
    Ok(Column::new(column.name().clone(), rows))
}
