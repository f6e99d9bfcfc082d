//! What kind of value an expression gives, as far as it can be known: Postgres refuses mixtures that Polars computes.

use sqlparser::ast::{BinaryOperator, DataType, Expr, UnaryOperator, Value};

use super::datetimes::{Time, has_months};
use super::dialect::{Rewriter, text_of};
use super::function_table::{self, ClassRule, PREFIX};
use super::functions::arguments;
use super::unsupported::{SqlResult, unsupported};
use crate::stream::ColumnType;

/// A family of types that mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Number,
    Boolean,
    Time,
    Interval,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Time => "a date or time",
            Self::Interval => "an interval",
        }
    }

    pub(super) fn of_column(kind: ColumnType) -> Option<Self> {
        match kind {
            ColumnType::Text => Some(Self::Text),
            ColumnType::Int(_) | ColumnType::Float | ColumnType::Real | ColumnType::Numeric => Some(Self::Number),
            ColumnType::Bool => Some(Self::Boolean),
            ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant => {
                Some(Self::Time)
            }
            ColumnType::Json | ColumnType::Array | ColumnType::JsonArray | ColumnType::Other => None,
        }
    }

    fn of_type(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean | DataType::Bool => Some(Self::Boolean),
            DataType::Date | DataType::Timestamp(..) | DataType::Datetime(..) => Some(Self::Time),
            DataType::Double(_) | DataType::DoublePrecision | DataType::Float(_) | DataType::Float8 => {
                Some(Self::Number)
            }
            _ => None,
        }
    }
}

impl Rewriter<'_> {
    /// The class of an expression; none where it is not known, or takes that of its neighbours.
    pub(super) fn class(&self, expr: &Expr) -> Option<Class> {
        match self.time(expr) {
            Some(Time::Interval) => return Some(Class::Interval),
            Some(_) => return Some(Class::Time),
            None => {}
        }
        match expr {
            Expr::Nested(inner) => self.class(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(..) => Some(Class::Number),
                Value::Boolean(_) => Some(Class::Boolean),
                _ => None,
            },
            Expr::Function(function) => match function_table::find(&function.name.to_string().to_lowercase())?.class {
                ClassRule::Is(class) => Some(class),
                ClassRule::OfArgument => self.class(arguments(function).first()?),
                ClassRule::Unknown => None,
            },
            Expr::Case { conditions, else_result, .. } => {
                let mut results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                results.find_map(|result| self.class(result))
            }
            Expr::UnaryOp { op: UnaryOperator::Not, .. } => Some(Class::Boolean),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => self.class(expr),
            Expr::Extract { .. } | Expr::Ceil { .. } | Expr::Floor { .. } => Some(Class::Number),
            Expr::Substring { .. } | Expr::Trim { .. } => Some(Class::Text),
            Expr::Cast { data_type, .. } => Class::of_type(data_type),
            Expr::BinaryOp { op, .. } if gives_boolean(op) => Some(Class::Boolean),
            Expr::BinaryOp { op: BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr, .. } => Some(Class::Number),
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => Some(Class::Text),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::InSubquery { .. }
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. } => Some(Class::Boolean),
            expr => Class::of_column(self.kind(expr)?),
        }
    }

    /// Refuses a value where a boolean is expected.
    pub(super) fn require_boolean(&self, expr: &Expr) -> SqlResult<()> {
        match self.class(expr) {
            None if text_of(expr).is_some() => unsupported(
                format!("{} is a text, where a boolean is expected", describe(expr)),
                "write `TRUE` or `FALSE`",
            ),
            None | Some(Class::Boolean) => Ok(()),
            Some(class) => unsupported(
                format!("{} is {}, where a boolean is expected", describe(expr), class.name()),
                "compare it with something, for example `<> 0`",
            ),
        }
    }

    /// Refuses values of different classes side by side. A written-out text is of any class to Postgres, but only next to a
    /// text or a time is it the same here.
    pub(super) fn require_same_class(&self, values: &[&Expr], has_times: bool) -> SqlResult<()> {
        if values.iter().any(|value| self.time(value) == Some(Time::Interval) && has_months(value)) {
            return unsupported(
                "a comparison with an interval of months or years, which have no certain length",
                "write it in days, as `INTERVAL '30 days'`",
            );
        }
        let mut classes = values.iter().filter_map(|value| Some((value, self.class(value)?)));
        let first = classes.next();
        if let Some((one, kind)) = first
            && let Some((other, other_kind)) = classes.find(|(_, class)| *class != kind)
        {
            let message =
                format!("{} is {}, and {} is {}", describe(one), kind.name(), describe(other), other_kind.name());
            return unsupported(
                message,
                "convert one of them with CAST; `schema` or `cast` gives a column another type",
            );
        }
        let first = first.map(|(_, class)| class);
        let is_text =
            |value: &&&Expr| matches!(value, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
        let fits = match first {
            Some(Class::Number | Class::Boolean | Class::Interval) => false,
            Some(Class::Time) => has_times,
            _ => true,
        };
        match values.iter().find(is_text).filter(|_| !fits) {
            Some(text) => unsupported(
                format!("the text {text} where {} is expected", first.map_or("", Class::name)),
                match first {
                    Some(Class::Interval) => "write it as `INTERVAL '10 minutes'`",
                    _ => "leave out the quotes, or write it with CAST",
                },
            ),
            None => Ok(()),
        }
    }
}

/// An expression as messages name it; what was rewritten is nothing that anybody wrote.
pub(super) fn describe(expr: &Expr) -> String {
    let text = expr.to_string();
    if text.contains(PREFIX) { "a computed value".to_owned() } else { format!("`{text}`") }
}

/// Whether an operator says whether something is so.
fn gives_boolean(op: &BinaryOperator) -> bool {
    use BinaryOperator::{
        And, Or, PGILikeMatch, PGLikeMatch, PGNotILikeMatch, PGNotLikeMatch, PGRegexIMatch, PGRegexMatch,
        PGRegexNotIMatch, PGRegexNotMatch, PGStartsWith,
    };
    is_comparison(op)
        || matches!(
            op,
            And | Or
                | PGRegexMatch
                | PGRegexIMatch
                | PGRegexNotMatch
                | PGRegexNotIMatch
                | PGLikeMatch
                | PGILikeMatch
                | PGNotLikeMatch
                | PGNotILikeMatch
                | PGStartsWith
        )
}

/// Whether an operator compares.
pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}
