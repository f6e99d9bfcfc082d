//! Dates, timestamps and intervals that are written out, and what they make together.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Interval, TimezoneInfo, TypedString};

use super::class::Class;
use super::dialect::{Rewriter, sql, text_of};
use super::expression::time_literal;
use super::function_table::PREFIX;
use super::unsupported::{SqlResult, unsupported};
use crate::stream::ColumnType;

impl Rewriter<'_> {
    /// A date and an interval make a timestamp.
    pub(super) fn shifted(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
        let is_date = |side: &Expr| self.is_date(side);
        let described =
            |side: &Expr| if is_date(side) { format!("CAST({side} AS TIMESTAMP)") } else { side.to_string() };
        match matches!(left, Expr::Interval(_)) && is_date(right) || is_date(left) && matches!(right, Expr::Interval(_))
        {
            true => sql(&format!("{} {op} {}", described(left), described(right))).map(Some),
            false => Ok(None),
        }
    }

    /// A written-out text beside a date or timestamp is one too. Polars would compare texts, or refuse to.
    pub(super) fn as_time_beside(&self, text: &Expr, other: &Expr) -> SqlResult<Option<Expr>> {
        if text_of(text).is_none() || self.class(other) != Some(Class::Time) {
            return Ok(None);
        }
        match self.kind(other) {
            Some(ColumnType::Instant | ColumnType::TimestampTz) => Ok(None),
            _ if self.is_date(other) => self.cast(text, &DataType::Date),
            _ => self.cast(text, &DataType::Timestamp(None, TimezoneInfo::None)),
        }
    }

    fn is_date(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.is_date(inner),
            Expr::Cast { data_type: DataType::Date, .. } => true,
            Expr::TypedString(typed) => typed.data_type == DataType::Date,
            Expr::Function(function) => function.name.to_string() == format!("{PREFIX}date"),
            expr => self.kind(expr) == Some(ColumnType::Date),
        }
    }
}

/// A date or timestamp that is written out has to be one.
pub(super) fn check_typed(typed: &TypedString) -> SqlResult<Option<Expr>> {
    let kind = match &typed.data_type {
        DataType::Date => ColumnType::Date,
        DataType::Timestamp(..) | DataType::Datetime(..) => ColumnType::Timestamp,
        _ => return Ok(None),
    };
    let text = typed.value.to_string();
    match time_literal(text.trim_matches('\''), kind) {
        Some(Err(_)) => unsupported(format!("{typed}"), "write it as `2020-04-01` or `2020-04-01 00:44:02`"),
        _ => Ok(None),
    }
}

/// An interval that Polars reads as Postgres does: whole numbers of units.
pub(super) fn check_interval(interval: &Interval) -> SqlResult<Option<Expr>> {
    const UNITS: &[&str] =
        &["microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "mon", "year"];
    let Some(text) = text_of(&interval.value) else { return Ok(None) };
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_pair = |pair: &[&str]| match pair {
        [number, unit] => {
            let unit = unit.to_lowercase();
            number.parse::<i64>().is_ok() && UNITS.contains(&unit.strip_suffix('s').unwrap_or(&unit))
        }
        _ => false,
    };
    let has_mixed_signs = words.len() > 2 && text.contains('-');
    match !words.is_empty() && !has_mixed_signs && words.chunks(2).all(is_pair) {
        true => Ok(None),
        false => {
            unsupported(format!("the interval '{text}'"), "write whole numbers of units: `INTERVAL '1 day 2 hours'`")
        }
    }
}
