//! Values as Postgres shows them.

use std::cmp::Ordering;

use polars::prelude::*;

use super::decimal;
use super::meaning::{is_float, shown};
use super::rows::{Floats, Ints, Rows, Texts};
use crate::stream::float::push_float;
use crate::stream::print::{push_numeric, push_timestamp};

/// Decimal numbers as Postgres prints them.
pub(super) fn decimals(column: &Column, count: usize) -> PolarsResult<Column> {
    let texts = Texts::of(&column.cast(&DataType::String)?)?;
    let printed = |row| {
        let mut out = Vec::new();
        texts.get(row).map(|text| push_numeric(text, &mut out))?;
        Some(String::from_utf8_lossy(&out).into_owned())
    };
    Ok(Column::new(PlSmallStr::EMPTY, (0..count).map(printed).collect::<Vec<_>>()))
}

/// The first of the decimal numbers that are the greatest or least ones; NULLs do not count.
pub(super) fn extreme(columns: &[Column], wanted: Ordering, count: usize) -> PolarsResult<Column> {
    let all: Vec<Texts> =
        columns.iter().map(|column| Texts::of(&column.cast(&DataType::String)?)).collect::<PolarsResult<_>>()?;
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
pub(super) fn epoch(rows: &Rows, name: PlSmallStr, column: &Column) -> PolarsResult<Column> {
    let zone = match column.dtype() {
        DataType::Datetime(_, zone) => zone.clone(),
        DataType::Date => None,
        dtype => {
            return Err(PolarsError::InvalidOperation(format!("the epoch of {} is not known", shown(dtype)).into()));
        }
    };
    let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone))?;
    let values = Ints::of(&micros.to_physical_repr())?;
    rows.floats(name, |row| Ok(values.get(row).map(|micros| micros as f64 / 1e6)))
}

/// Values as the texts that Postgres casts them to.
pub(super) fn texts(column: &Column, count: usize) -> PolarsResult<Column> {
    let text = |push: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let rows: Vec<Option<String>> = match column.dtype() {
        dtype if is_float(dtype) => {
            let values = Floats::of(column)?;
            (0..count).map(|row| values.get(row).map(|value| text(&|out| push_float(value, out)))).collect()
        }
        DataType::Datetime(_, zone) => {
            let offset = if zone.is_some() { "+00" } else { "" };
            let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, zone.clone()))?;
            let values = Ints::of(&micros.to_physical_repr())?;
            (0..count).map(|row| values.get(row).map(|value| text(&|out| push_timestamp(value, offset, out)))).collect()
        }
        _ => return column.cast(&DataType::String),
    };
    Ok(Column::new(column.name().clone(), rows))
}
