//! Casts with Postgres's semantics.

use sqlparser::ast::{DataType, Expr, TimezoneInfo};

use super::class::{Class, describe};
use super::datetimes::{Time, of_interval};
use super::dialect::{Rewriter, call, is_float, sql, text_of};
use super::fields::is_fraction;
use super::function_table::PREFIX;
use super::number::NumberType;
use super::unsupported::{SqlResult, session_time_zone, unsupported};

impl Rewriter<'_> {
    /// A cast as Postgres makes it.
    pub(super) fn cast(&self, expr: &Expr, to: &DataType) -> SqlResult<Option<Expr>> {
        let (from, time) = (self.class(expr), self.time(expr));
        if time == Some(Time::Interval) {
            return of_interval(&describe(expr));
        }
        if matches!(to, DataType::Timestamp(None, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone)) {
            return match time {
                Some(Time::TimestampTz | Time::Instant) => sql(&expr.to_string()).map(Some),
                _ => unsupported(
                    format!("a cast of {} to {to}", describe(expr)),
                    "let the step `cast` or the table's column convert it",
                ),
            };
        }
        let has_no_cast = match to {
            DataType::Date | DataType::Timestamp(..) => matches!(from, Some(Class::Number | Class::Boolean)),
            DataType::Boolean | DataType::Bool => {
                from == Some(Class::Time) || self.number(expr) > Some(NumberType::Whole(64))
            }
            to if is_float(to) => matches!(from, Some(Class::Boolean | Class::Time)),
            DataType::Int(_)
            | DataType::Integer(_)
            | DataType::Int4(_)
            | DataType::BigInt(_)
            | DataType::Int8(_)
            | DataType::SmallInt(_)
            | DataType::Int2(_) => from == Some(Class::Time),
            DataType::Array(_) | DataType::Time(..) => true,
            _ => false,
        };
        if has_no_cast {
            return unsupported(
                format!("a cast of {} to {to}", describe(expr)),
                "use a function or a comparison that is explicit",
            );
        }
        let is_about_days = |to: &DataType| matches!(to, DataType::Text | DataType::Date | DataType::Timestamp(..));
        if time == Some(Time::Instant) && is_about_days(to) {
            return session_time_zone(&describe(expr));
        }
        if let Some(help) = self.unsupported_cast_help(expr, from, to) {
            return unsupported(format!("a cast of {} to {to}, which Postgres does not know", describe(expr)), help);
        }
        let digits = self.digits(expr)?;
        let is_text = text_of(expr).is_some() || from == Some(Class::Text);
        let whole = |bits: u8| match &digits {
            Some(digits) => sql(&format!("{PREFIX}nearest{bits}({digits}, TRUE)")).map(Some),
            None if is_fraction(expr) => call(&format!("int{bits}"), &[&call("round", &[expr])?]).map(Some),
            None if self.is_decimal(expr) || self.number(expr) == Some(NumberType::Numeric) => {
                call(&format!("int{bits}"), &[&call("round", &[expr])?]).map(Some)
            }
            None => call(&format!("int{bits}"), &[expr]).map(Some),
        };
        match to {
            DataType::SmallInt(_) | DataType::Int2(_) => whole(16),
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => whole(32),
            DataType::BigInt(_) | DataType::Int8(_) => whole(64),
            DataType::Text | DataType::String(None) | DataType::Varchar(None) => self.text(expr).map(Some),
            DataType::Varchar(_)
            | DataType::CharVarying(_)
            | DataType::CharacterVarying(_)
            | DataType::Char(_)
            | DataType::Character(_) => {
                unsupported(format!("a cast to {to}, which would not cut the text"), "write `left(text, length)`")
            }
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => unsupported(
                format!("a cast to {to}, since expressions compute in double precision"),
                "leave the cast out, and let the step `cast` or the table's column make it numeric",
            ),
            to if is_single(to) => unsupported(
                format!("a cast to {to}, since expressions compute in double precision"),
                "write `double precision`, and let the table's column make it real",
            ),
            to if is_float(to) && is_text => {
                sql(&format!("CAST({PREFIX}double({expr}, TRUE) AS DOUBLE PRECISION)")).map(Some)
            }
            to if is_float(to) => self.in_double(expr),
            DataType::Bool | DataType::Boolean if is_text => call("bool", &[expr]).map(Some),
            DataType::Date if is_text => call("date", &[expr]).map(Some),
            DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) if is_text => {
                call("timestamp", &[expr]).map(Some)
            }
            DataType::Timestamp(None, TimezoneInfo::WithoutTimeZone) => {
                sql(&format!("CAST({expr} AS TIMESTAMP)")).map(Some)
            }
            DataType::Timestamp(Some(_), _) => {
                unsupported(format!("a cast to {to}, which would not be rounded"), "write `timestamp`")
            }
            _ => Ok(None),
        }
    }

    /// What to write instead of a cast that Postgres has no name or no meaning for.
    fn unsupported_cast_help(&self, expr: &Expr, from: Option<Class>, to: &DataType) -> Option<&'static str> {
        let is_whole =
            matches!(to, DataType::SmallInt(_) | DataType::Int2(_) | DataType::BigInt(_) | DataType::Int8(_));
        match to {
            DataType::Bool | DataType::Boolean if matches!(self.bits(expr), Some(16 | 64)) => {
                Some("compare it: `<> 0`")
            }
            _ if is_whole && from == Some(Class::Boolean) => Some("cast it to `int`"),
            _ => None,
        }
    }
}

/// Whether a type is that of numbers in single precision.
fn is_single(to: &DataType) -> bool {
    let digits = match to {
        DataType::Float(_) => to.to_string().chars().filter(char::is_ascii_digit).collect::<String>(),
        _ => String::new(),
    };
    matches!(to, DataType::Real | DataType::Float4) || digits.parse::<u32>().is_ok_and(|bits| bits <= 24)
}
