//! Fields of dates and times, such as their year. Postgres gives them as decimal numbers: `extract(second FROM ts)` is
//! 2.500000, and half a second is rounded away from zero.

use sqlparser::ast::{DataType, Expr};

use super::class::describe;
use super::datetimes::Time;
use super::dialect::{Rewriter, call, innermost, sql};
use super::function_table::PREFIX;
use super::functions::arguments;
use super::unsupported::{SqlResult, unsupported};

/// The fields that a date has too.
const OF_DATES: &[&str] = &[
    "year",
    "month",
    "day",
    "century",
    "decade",
    "millennium",
    "dow",
    "doy",
    "epoch",
    "isodow",
    "isoyear",
    "quarter",
    "week",
];
const OF_TIMES: &[&str] = &["hour", "minute", "second", "millisecond", "milliseconds", "microseconds"];
/// The fields with decimals.
const FRACTIONS: &[&str] = &["epoch", "seconds", "milliseconds"];

impl Rewriter<'_> {
    /// Whether a date or time has a field.
    pub(super) fn has_field(&self, field: &str, time: &Expr) -> bool {
        let field = field.to_lowercase();
        match self.time(time) {
            Some(Time::Date) => OF_DATES.contains(&field.as_str()),
            Some(Time::Timestamp | Time::TimestampTz | Time::Instant) => {
                OF_DATES.contains(&field.as_str()) || OF_TIMES.contains(&field.as_str())
            }
            Some(Time::Interval) | None => false,
        }
    }
}

/// Refuses a field that a value does not have.
///
/// # Errors
/// Always.
pub(super) fn no_field<T>(field: &str, time: &Expr) -> SqlResult<T> {
    unsupported(
        format!("the field {} of {}", field.to_lowercase(), describe(time)),
        "take a field such as `year` of a date, or `hour` of a timestamp; texts are converted with `CAST(… AS date)`",
    )
}

/// The seconds of a time, with their fraction.
pub(super) fn seconds(time: &Expr) -> SqlResult<Expr> {
    call("seconds", &[&sql(&format!("EXTRACT(MICROSECONDS FROM {time})"))?])
}

/// The milliseconds of a time beyond its minute, with their fraction.
pub(super) fn milliseconds(time: &Expr) -> SqlResult<Expr> {
    call("milliseconds", &[&sql(&format!("EXTRACT(MICROSECONDS FROM {time})"))?])
}

/// The digits of a field that has decimals; none for any other value.
pub(super) fn field_digits(expr: &Expr) -> SqlResult<Option<Expr>> {
    let Expr::Function(function) = innermost(expr) else { return Ok(None) };
    let name = function.name.to_string();
    let Some(field) = name.strip_prefix(PREFIX).filter(|field| FRACTIONS.contains(field)) else { return Ok(None) };
    let mut values = arguments(function);
    values.pop();
    call(&format!("{field}digits"), &values.iter().collect::<Vec<_>>()).map(Some)
}

/// Whether a value is made of a field with decimals, other than as a whole number or in double precision.
pub(super) fn is_fraction(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_fraction(inner),
        Expr::BinaryOp { left, right, .. } => is_fraction(left) || is_fraction(right),
        Expr::Cast { data_type: DataType::DoublePrecision, .. } => false,
        Expr::Function(function) => {
            let name = function.name.to_string();
            match name.strip_prefix(PREFIX) {
                Some(name) if FRACTIONS.contains(&name) => true,
                Some(name) if name.starts_with("int") => false,
                _ => arguments(function).iter().any(is_fraction),
            }
        }
        _ => false,
    }
}

/// Whether an expression takes a field of a time, such as its year, other than as a whole number or in double precision.
pub(super) fn takes_field(expr: &Expr) -> bool {
    match expr {
        Expr::Extract { .. } => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => takes_field(inner),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            name == "date_part"
                || !name.starts_with(&format!("{PREFIX}int")) && arguments(function).iter().any(takes_field)
        }
        _ => false,
    }
}
