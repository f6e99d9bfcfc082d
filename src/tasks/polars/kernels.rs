//! What functions of [`super::pg_function`] compute, row by row.

use std::cmp::Ordering;

use polars::prelude::*;

use super::decimal;
use super::pg_function::{is_float, is_whole};
use super::rows::{FloatValues, IntValues, KernelRows, TextValues};
use crate::stream::ColumnType;
use crate::stream::timestamp::{parse_date, parse_instant, parse_timestamp, parse_timestamptz};
use crate::stream::value::{mismatch, parse_bool, parse_numeric};

pub(super) fn fitting(value: i64, bits: u8) -> Result<i64, &'static str> {
    match crate::stream::value::fits(value, bits) {
        true => Ok(value),
        false => Err(out_of_range(bits)),
    }
}

pub(super) fn out_of_range(bits: u8) -> &'static str {
    match bits {
        16 => "smallint out of range",
        32 => "integer out of range",
        _ => "bigint out of range",
    }
}

/// Halves are rounded to even numbers.
pub(super) fn rounded(value: f64, bits: u8) -> Result<i64, &'static str> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    let value = value.round_ties_even();
    if !(-BOUND..BOUND).contains(&value) {
        return Err(out_of_range(bits));
    }
    fitting(value as i64, bits)
}

pub(super) fn whole_text(text: Option<&str>, bits: u8) -> Result<Option<i64>, &'static str> {
    let Some(text) = text else { return Ok(None) };
    let value = text.trim_ascii().parse().map_err(|_| "a text is not a whole number")?;
    fitting(value, bits).map(Some)
}

pub(super) fn magnitude(value: i64, bits: u8) -> Result<i64, &'static str> {
    value.checked_abs().ok_or(out_of_range(bits)).and_then(|value| fitting(value, bits))
}

/// A sum of whole numbers, which Polars takes modulo 2^64: it is right where the sum in double precision is near it.
pub(super) fn summed(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    const NEAR: f64 = 1.0e18;
    let [sum, double] = columns else { return Err(PolarsError::ComputeError("two sums are wanted".into())) };
    if !is_whole(sum.dtype()) {
        return Ok(sum.clone());
    }
    let (sum, double) = (IntValues::of(sum)?, FloatValues::of(double)?);
    rows.ints(name, |row| match (sum.get(row), double.get(row)) {
        (Some(sum), Some(double)) if (sum as f64 - double).abs() > NEAR => {
            Err("a sum is out of range for bigint, and steps compute in 64 bits")
        }
        (sum, _) => Ok(sum),
    })
}

pub(super) fn compared(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [left, right] = columns else { return Err(PolarsError::ComputeError("two numbers are wanted".into())) };
    let (left, right) = (TextValues::cast(left)?, TextValues::cast(right)?);
    rows.ints(name, |row| {
        let (Some(left), Some(right)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let order = decimal::compare(left, right).ok_or("a numeric value is not a number")?;
        Ok(Some(order as i64))
    })
}

/// The days from one date to another.
pub(super) fn days(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [left, right] = columns else { return Err(PolarsError::ComputeError("two dates are wanted".into())) };
    let day_numbers = |column: &Column| IntValues::of(&column.cast(&DataType::Date)?.to_physical_repr());
    let (left, right) = (day_numbers(left)?, day_numbers(right)?);
    rows.ints(name, |row| Ok(left.get(row).zip(right.get(row)).map(|(left, right)| left - right)))
}

/// A date so many days later.
pub(super) fn later(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    /// The days of the years 1 and 9999, which are all that steps have.
    const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
    let [date, days] = columns else { return Err(PolarsError::ComputeError("a date and a number are wanted".into())) };
    let (date, days) = (IntValues::of(&date.cast(&DataType::Date)?.to_physical_repr())?, IntValues::of(days)?);
    let result = rows.ints(name, |row| {
        let Some((date, days)) = date.get(row).zip(days.get(row)) else { return Ok(None) };
        date.checked_add(days).filter(|day| DAYS.contains(day)).map(Some).ok_or("date out of range")
    })?;
    result.cast(&DataType::Int32)?.cast(&DataType::Date)
}

/// The greatest or least of numbers, of which NaN is the greatest; NULLs do not count.
pub(super) fn extreme_float(
    rows: &KernelRows,
    name: PlSmallStr,
    columns: &[Column],
    wanted: Ordering,
) -> PolarsResult<Column> {
    let all: Vec<FloatValues> = columns.iter().map(FloatValues::of).collect::<PolarsResult<_>>()?;
    let order = |one: f64, other: f64| match (one.is_nan(), other.is_nan()) {
        (false, false) => one.partial_cmp(&other).unwrap_or(Ordering::Equal),
        (one, other) => one.cmp(&other),
    };
    rows.floats(name, |row| {
        let values = all.iter().filter_map(|values| values.get(row));
        Ok(values.reduce(|best, value| if order(value, best) == wanted { value } else { best }))
    })
}

pub(super) fn largest(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [value, has_nan] = columns else { return Err(PolarsError::ComputeError("two values are wanted".into())) };
    if !is_float(value.dtype()) {
        return Ok(value.clone());
    }
    let (values, has_nan) = (FloatValues::of(value)?, IntValues::of(has_nan)?);
    rows.floats(name, |row| Ok(if has_nan.get(row) == Some(1) { Some(f64::NAN) } else { values.get(row) }))
}

pub(super) fn is_nan(rows: &KernelRows, name: PlSmallStr, column: &Column) -> PolarsResult<Column> {
    if !is_float(column.dtype()) {
        return rows.ints(name, |_| Ok(Some(0)));
    }
    let values = FloatValues::of(column)?;
    rows.ints(name, |row| Ok(values.get(row).map(|value| i64::from(value.is_nan()))))
}

/// The last so many characters, or all but the first so many for a negative number.
pub(super) fn last_characters(rows: &KernelRows, columns: &[Column]) -> PolarsResult<Column> {
    let [text, length] = columns else {
        return Err(PolarsError::ComputeError("a text and a number are wanted".into()));
    };
    let (texts, length) = (TextValues::cast(text)?, IntValues::of(length)?);
    let value = |row: usize| {
        let text = texts.get(row)?;
        let (length, count) = (length.get(row)?, text.chars().count() as i64);
        let skipped = if length < 0 { length.saturating_neg() } else { count - length.min(count) };
        Some(text.chars().skip(usize::try_from(skipped).unwrap_or(0)).collect::<String>())
    };
    Ok(Column::new(PlSmallStr::EMPTY, (0..rows.count).map(value).collect::<Vec<_>>()))
}

pub(super) fn finite(rows: &KernelRows, name: PlSmallStr, columns: &[Column], nonzero: bool) -> PolarsResult<Column> {
    let all: Vec<FloatValues> = columns.iter().map(FloatValues::of).collect::<PolarsResult<_>>()?;
    let Some((result, arguments)) = all.split_first() else {
        return Err(PolarsError::ComputeError("no argument".into()));
    };
    let is_zero = |row| arguments.first().and_then(|other| other.get(row)) == Some(0.0);
    rows.floats(name, |row| match result.get(row) {
        Some(0.0)
            if nonzero && !is_zero(row) && arguments.iter().all(|other| other.get(row).is_none_or(f64::is_finite)) =>
        {
            Err("value out of range: underflow")
        }
        Some(value)
            if !value.is_finite() && arguments.iter().all(|other| other.get(row).is_none_or(f64::is_finite)) =>
        {
            Err("an argument of a function is out of range")
        }
        Some(value) if value.is_nan() && !arguments.iter().any(|other| other.get(row).is_some_and(f64::is_nan)) => {
            Err("an argument of a function is out of range")
        }
        value => Ok(value),
    })
}

/// Numbers raised to powers.
pub(super) fn powers(rows: &KernelRows, name: PlSmallStr, columns: &[Column]) -> PolarsResult<Column> {
    let [base, exponent] = columns else { return Err(PolarsError::ComputeError("two numbers are wanted".into())) };
    let (bases, exponents) = (FloatValues::of(base)?, FloatValues::of(exponent)?);
    rows.floats(name, |row| {
        bases.get(row).zip(exponents.get(row)).map(|(base, exponent)| power(base, exponent)).transpose()
    })
}

fn power(base: f64, exponent: f64) -> Result<f64, &'static str> {
    if base == 0.0 && exponent < 0.0 {
        return Err("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.floor() != exponent && !exponent.is_nan() {
        return Err("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    match base.is_finite() && exponent.is_finite() {
        true if result.is_infinite() => Err("value out of range: overflow"),
        true if result == 0.0 && base != 0.0 => Err("value out of range: underflow"),
        _ => Ok(result),
    }
}

/// A text for each decimal number, the bytes of which are in the order of the numbers.
pub(super) fn sort_keys(rows: &KernelRows, column: &Column) -> PolarsResult<Column> {
    let texts = TextValues::cast(column)?;
    rows.texts(|row| {
        texts.get(row).map(|text| decimal::sort_key(text).ok_or("a numeric value is not a number")).transpose()
    })
}

/// Sums of decimal numbers, which come as one text with commas.
pub(super) fn totals(rows: &KernelRows, column: &Column) -> PolarsResult<Column> {
    let texts = TextValues::cast(column)?;
    rows.texts(|row| texts.get(row).map(|text| decimal::sum(text.split(','))).transpose())
}

/// Numbers of single precision: those nearest to numbers of double precision.
pub(super) fn singles(rows: &KernelRows, name: PlSmallStr, column: &Column) -> PolarsResult<Column> {
    let values = FloatValues::of(column)?;
    rows.floats(name, |row| {
        let Some(value) = values.get(row) else { return Ok(None) };
        let single = f64::from(value as f32);
        match () {
            () if single.is_infinite() && value.is_finite() => Err("value out of range: overflow"),
            () if single == 0.0 && value != 0.0 => Err("value out of range: underflow"),
            () => Ok(Some(single)),
        }
    })
}

/// Texts as values of another type.
pub(super) fn parsed(rows: &KernelRows, column: &Column, kind: ColumnType) -> PolarsResult<Column> {
    let texts = TextValues::of(column)?;
    let name = column.name().clone();
    let text = |row| texts.get(row).map(str::as_bytes);
    let value_error = |row| {
        let described = texts.get(row).unwrap_or_default();
        PolarsError::ComputeError(format!("`{described}` {}", mismatch(described.as_bytes(), kind)).into())
    };
    let datetimes = |parse: fn(&[u8]) -> Option<i64>| {
        let values = rows.parsed(|row| text(row).map(parse), value_error)?;
        Column::new(name.clone(), values).cast(&super::expression::dtype_of(kind))
    };
    Ok(match kind {
        ColumnType::Bool => Column::new(name, rows.parsed(|row| text(row).map(parse_bool), value_error)?),
        ColumnType::Date => {
            let days = rows.parsed(|row| text(row).map(parse_date), value_error)?;
            Column::new(name, days).cast(&DataType::Date)?
        }
        ColumnType::Timestamp => datetimes(parse_timestamp)?,
        ColumnType::TimestampTz => datetimes(parse_timestamptz)?,
        ColumnType::Instant => datetimes(parse_instant)?,
        _ => {
            let numbers = |row| text(row).map(|text| parse_numeric(text).map(str::to_owned));
            Column::new(name, rows.parsed(numbers, value_error)?)
        }
    })
}
