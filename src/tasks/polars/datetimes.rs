//! Dates, timestamps and intervals that are written out, and what they make together.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, DataType, Expr, Interval, TimezoneInfo, TypedString, UnaryOperator, Value};

use super::class::describe;
use super::dialect::{Rewriter, call, innermost, sql, text_of};
use super::expression::time_literal;
use super::function_table::{self, PREFIX};
use super::functions::arguments;
use super::unsupported::{SqlResult, session_time_zone, unsupported};
use super::walk::walk_expressions;
use crate::stream::ColumnType;

/// A type of dates and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Time {
    Interval,
    Date,
    Timestamp,
    /// A point in time, where the session is in UTC.
    TimestampTz,
    /// A point in time, where the session is not in UTC.
    Instant,
}

impl Time {
    /// The type of a column that holds such values; no column holds intervals.
    pub(super) fn kind(self) -> Option<ColumnType> {
        match self {
            Self::Interval => None,
            Self::Date => Some(ColumnType::Date),
            Self::Timestamp => Some(ColumnType::Timestamp),
            Self::TimestampTz => Some(ColumnType::TimestampTz),
            Self::Instant => Some(ColumnType::Instant),
        }
    }

    fn of_column(kind: ColumnType) -> Option<Self> {
        match kind {
            ColumnType::Date => Some(Self::Date),
            ColumnType::Timestamp => Some(Self::Timestamp),
            ColumnType::TimestampTz => Some(Self::TimestampTz),
            ColumnType::Instant => Some(Self::Instant),
            _ => None,
        }
    }

    fn of_type(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Date => Some(Self::Date),
            DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) | DataType::Datetime(_) => {
                Some(Self::Timestamp)
            }
            DataType::Timestamp(..) => Some(Self::TimestampTz),
            _ => None,
        }
    }

    fn is_zoned(self) -> bool {
        matches!(self, Self::TimestampTz | Self::Instant)
    }
}

/// Refuses what is made of an interval: its text or its parts.
///
/// # Errors
/// Always.
pub(super) fn of_interval<T>(interval: &str) -> SqlResult<T> {
    unsupported(
        format!("the text, number or part of {interval}, an interval"),
        "compare it with `INTERVAL '…'`; dates have days between them: `CAST(ts AS date) - CAST(ts2 AS date)`",
    )
}

impl Rewriter<'_> {
    /// The type of date or time that an expression has; none where it has another, or that is not known.
    pub(super) fn time(&self, expr: &Expr) -> Option<Time> {
        match expr {
            Expr::Interval(_) => Some(Time::Interval),
            Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
                self.time(inner)
            }
            Expr::TypedString(typed) => Time::of_type(&typed.data_type),
            Expr::Cast { data_type, .. } => Time::of_type(data_type),
            Expr::BinaryOp { left, op, right } => self.made_by(left, op, right),
            Expr::Case { conditions, else_result, .. } => conditions
                .iter()
                .map(|when| &when.result)
                .chain(else_result.as_deref())
                .filter_map(|e| self.time(e))
                .max(),
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                let values = || arguments(function);
                match name.strip_prefix(PREFIX) {
                    Some("date" | "adddays") => Some(Time::Date),
                    Some("timestamp") => Some(Time::Timestamp),
                    Some("timestamptz") => Some(Time::TimestampTz),
                    Some("largest") => self.time(values().first()?),
                    Some(_) => None,
                    None if name == "strptime" => Some(Time::Timestamp),
                    None if ["lag", "lead", "nullif"].contains(&name.as_str()) => self.time(values().first()?),
                    None if function_table::find(&name)?.passes_argument() => {
                        values().iter().filter_map(|value| self.time(value)).max()
                    }
                    None => None,
                }
            }
            expr => Time::of_column(self.kind(expr)?),
        }
    }

    /// What an operator makes of two values, once dates without their days between them are written otherwise.
    fn made_by(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Time> {
        use BinaryOperator::{Divide, Minus, Multiply, Plus};
        let (left, right) = (self.time(left), self.time(right));
        match op {
            Plus | Minus => match (left, right) {
                (Some(Time::Interval), Some(Time::Date)) | (Some(Time::Date), Some(Time::Interval)) => {
                    Some(Time::Timestamp)
                }
                (Some(Time::Interval), other) | (other, Some(Time::Interval)) => other.or(Some(Time::Interval)),
                (Some(_), Some(_)) => Some(Time::Interval),
                (left, right) => left.or(right),
            },
            Multiply | Divide => left.or(right),
            _ => None,
        }
    }

    /// An operator between dates, timestamps, intervals and numbers.
    pub(super) fn shifted(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
        use BinaryOperator::{Minus, Plus};
        if *op == Minus {
            if let Some(left) = self.as_time_like(left, right)? {
                return self
                    .shifted(&left, op, right)
                    .map(|found| found.or_else(|| sql(&format!("{left} {op} {right}")).ok()));
            }
            if let Some(right) = self.as_time_like(right, left)? {
                return self
                    .shifted(left, op, &right)
                    .map(|found| found.or_else(|| sql(&format!("{left} {op} {right}")).ok()));
            }
        }
        let is_days = |side: &Expr| matches!(self.bits(side), Some(16 | 32));
        match (self.time(left), op, self.time(right)) {
            (Some(Time::Interval), Plus | Minus, Some(Time::Interval))
                if ![left, right].iter().any(|side| matches!(innermost(side), Expr::Interval(_))) =>
            {
                Ok(None)
            }
            (Some(Time::Interval), Plus | Minus, Some(Time::Interval)) => unsupported(
                format!("`{op}` between {} and {}", describe(left), describe(right)),
                "write one interval, such as `INTERVAL '1 day 2 hours'`",
            ),
            (Some(time), Plus | Minus, Some(Time::Interval)) => self.moved((left, time), op, right),
            (Some(Time::Interval), Plus, Some(time)) => self.moved((right, time), op, left),
            (Some(Time::Date), Minus, Some(Time::Date)) => call("days", &[left, right]).map(Some),
            (Some(one), Minus, Some(other)) if one != Time::Interval => {
                let (left, right) = self.in_one_zone(left, right)?.unwrap_or_else(|| (left.clone(), right.clone()));
                let as_timestamp = |side: &Expr, time: Time| match time {
                    Time::Date => format!("CAST({side} AS TIMESTAMP)"),
                    _ => side.to_string(),
                };
                sql(&format!("{} - {}", as_timestamp(&left, one), as_timestamp(&right, other))).map(Some)
            }
            (Some(Time::Date), Plus, None) if is_days(right) => call("adddays", &[left, right]).map(Some),
            (None, Plus, Some(Time::Date)) if is_days(left) => call("adddays", &[right, left]).map(Some),
            (Some(Time::Date), Minus, None) if is_days(right) => {
                call("adddays", &[left, &call("negate32", &[right])?]).map(Some)
            }
            _ => unsupported(
                format!("`{op}` between {} and {}", describe(left), describe(right)),
                "dates and timestamps take intervals, such as `+ INTERVAL '1 day'`, and dates an `int` of days",
            ),
        }
    }

    /// A time moved by an interval: a date becomes a timestamp.
    fn moved(&self, (moment, time): (&Expr, Time), op: &BinaryOperator, interval: &Expr) -> SqlResult<Option<Expr>> {
        match time {
            Time::Date => sql(&format!("CAST({moment} AS TIMESTAMP) {op} {interval}")).map(Some),
            // The days of a zone are not all as long.
            Time::Instant if !is_of_hours(interval) => session_time_zone(&describe(moment)),
            _ => Ok(None),
        }
    }

    /// Two values as what they are to each other where one of them has a time zone and the other has none.
    pub(super) fn in_one_zone(&self, left: &Expr, right: &Expr) -> SqlResult<Option<(Expr, Expr)>> {
        let plain = |side: &Expr| sql(&format!("CAST({side} AS TIMESTAMP)"));
        match (self.time(left), self.time(right)) {
            (Some(Time::Instant), Some(Time::Date | Time::Timestamp)) => session_time_zone(&describe(left)),
            (Some(Time::Date | Time::Timestamp), Some(Time::Instant)) => session_time_zone(&describe(right)),
            (Some(Time::TimestampTz), Some(Time::Date | Time::Timestamp)) => Ok(Some((plain(left)?, right.clone()))),
            (Some(Time::Date | Time::Timestamp), Some(Time::TimestampTz)) => Ok(Some((left.clone(), plain(right)?))),
            _ => Ok(None),
        }
    }

    /// Refuses to combine values with a time zone and values without one.
    pub(super) fn want_one_zone(&self, values: &[&Expr]) -> SqlResult<()> {
        let times: Vec<_> = values.iter().filter_map(|value| Some((value, self.time(value)?))).collect();
        let zoned = times.iter().find(|(_, time)| time.is_zoned());
        match (zoned, times.iter().find(|(_, time)| !time.is_zoned())) {
            (Some((zoned, _)), Some((other, _))) => unsupported(
                format!(
                    "{}, a timestamptz, combined with {}, which has no time zone",
                    describe(zoned),
                    describe(other)
                ),
                "convert one of them: `CAST(… AS timestamp)`",
            ),
            _ => Ok(()),
        }
    }

    /// A literal text compared with a date or timestamp is one too. Polars would compare texts, or refuse to.
    pub(super) fn as_time_like(&self, text: &Expr, other: &Expr) -> SqlResult<Option<Expr>> {
        if text_of(text).is_none() {
            return Ok(None);
        }
        match self.time(other) {
            None | Some(Time::Interval) => Ok(None),
            Some(Time::Date) => self.cast(text, &DataType::Date),
            Some(Time::Timestamp) => self.cast(text, &DataType::Timestamp(None, TimezoneInfo::None)),
            // A column reads the text by itself.
            Some(_) if self.kind(other).is_some() => Ok(None),
            Some(Time::TimestampTz) => call("timestamptz", &[text]).map(Some),
            Some(Time::Instant) => session_time_zone(&describe(other)),
        }
    }
}

/// Whether an interval has no days, months or years.
fn is_of_hours(interval: &Expr) -> bool {
    match interval {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_of_hours(inner),
        Expr::BinaryOp { left, right, .. } => is_of_hours(left) && is_of_hours(right),
        Expr::Interval(interval) => text_of(&interval.value).is_some_and(|text| {
            let text = text.to_lowercase();
            !["day", "week", "mon", "year"].iter().any(|unit| text.contains(unit))
        }),
        _ => false,
    }
}

/// Whether an interval is written out with months or years.
pub(super) fn has_months(expr: &Expr) -> bool {
    let found = walk_expressions(expr, |node| match node {
        Expr::Interval(interval)
            if text_of(&interval.value).is_some_and(|text| {
                let text = text.to_lowercase();
                text.contains("mon") || text.contains("year")
            }) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// A date or timestamp that is written out has to be one. Polars would cut its decimals.
pub(super) fn check_typed(typed: &TypedString) -> SqlResult<Option<Expr>> {
    let (kind, name) = match &typed.data_type {
        DataType::Date => (ColumnType::Date, "date"),
        DataType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
            return unsupported(format!("{typed}"), "write only the text next to a timestamptz column");
        }
        DataType::Timestamp(None, _) => (ColumnType::Timestamp, "timestamp"),
        _ => return unsupported(format!("{typed}"), "write `TIMESTAMP '2020-04-01 00:44:02'`"),
    };
    let Value::SingleQuotedString(text) = &typed.value.value else {
        return unsupported(format!("{typed}"), "write the date or time in single quotes");
    };
    match time_literal(text, kind) {
        Some(Ok(_)) => call(name, &[&Expr::Value(typed.value.clone())]).map(Some),
        _ => unsupported(format!("{typed}"), "write it as `2020-04-01` or `2020-04-01 00:44:02`"),
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
            number.parse::<i32>().is_ok() && UNITS.contains(&unit.strip_suffix('s').unwrap_or(&unit))
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
