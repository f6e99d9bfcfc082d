//! Which type of number an expression has in Postgres: steps compute whole numbers and double precision alone.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Function, UnaryOperator, Value};

use super::dialect::{Rewriting, is_float};
use super::functions::arguments;
use super::meaning::PREFIX;
use crate::stream::ColumnType;

/// Functions that give one of their arguments.
const CHOOSING: &[&str] =
    &["coalesce", "ifnull", "nullif", "greatest", "least", "max", "min", "first_value", "last_value", "lag", "lead"];

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    /// A whole number of so many bits.
    Whole(u8),
    /// A decimal number with all its digits.
    Numeric,
    /// A number in single precision.
    Real,
    /// A number in double precision.
    Double,
}

impl Rewriting<'_> {
    /// The type of number that an expression has; none where that is not known, or it is no number.
    pub(super) fn number(&self, expr: &Expr) -> Option<Number> {
        match expr {
            // The sign is a part of the number: -2147483648 is one of 32 bits.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if written(inner).is_some() => {
                written(inner).map(|text| literal(&format!("-{text}")))
            }
            Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
                self.number(inner)
            }
            Expr::Value(_) => written(expr).map(literal),
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo,
                right,
            } => counted(
                self.together(&[left.as_ref().clone(), right.as_ref().clone()]),
                [self.number(left), self.number(right)],
            ),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                self.together(&results.cloned().collect::<Vec<_>>())
            }
            Expr::Cast { data_type, .. } => of_type(data_type),
            Expr::Function(function) => self.given_by(function),
            expr => match self.kind(expr)? {
                ColumnType::Int(bits) => Some(Number::Whole(bits)),
                ColumnType::Float => Some(Number::Double),
                ColumnType::Real => Some(Number::Real),
                ColumnType::Numeric => Some(Number::Numeric),
                _ => None,
            },
        }
    }

    /// The type that numbers have together; NULL is of any.
    fn together(&self, values: &[Expr]) -> Option<Number> {
        let is_null = |value: &Expr| matches!(value, Expr::Value(value) if value.value == Value::Null);
        let types: Vec<_> = values.iter().filter(|value| !is_null(value)).map(|value| self.number(value)).collect();
        match types.contains(&Some(Number::Double)) {
            true => Some(Number::Double),
            false => types.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max(),
        }
    }

    fn given_by(&self, function: &Function) -> Option<Number> {
        use Number::{Double, Numeric, Whole};
        let name = function.name.to_string().to_lowercase();
        let values = arguments(function);
        if let Some(ours) = name.strip_prefix(PREFIX) {
            return self.given_by_ours(ours, &values);
        }
        let first = || self.number(values.first()?);
        match name.as_str() {
            name if CHOOSING.contains(&name) => self.together(&values),
            "length" | "char_length" | "character_length" | "octet_length" | "bit_length" | "strpos" => Some(Whole(32)),
            "count" | "row_number" | "rank" | "dense_rank" => Some(Whole(64)),
            "sum" => first().map(|number| if let Whole(_) = number { Whole(64) } else { number }),
            "avg" | "stddev" | "stddev_samp" | "variance" | "var_samp" => {
                first().map(|number| if number >= Number::Real { Double } else { Numeric })
            }
            "round" | "trunc" if values.len() == 2 => Some(Numeric),
            "ceil" | "ceiling" | "floor" | "round" | "trunc" | "sqrt" | "exp" | "ln" | "log" | "log10" | "pow"
            | "power" => Some(match self.together(&values) {
                Some(Numeric) => Numeric,
                _ => Double,
            }),
            "date_part" | "pi" | "cbrt" | "degrees" | "radians" | "sin" | "cos" | "tan" | "cot" | "asin" | "acos"
            | "atan" | "atan2" => Some(Double),
            _ => None,
        }
    }

    /// What a function of [`super::meaning`] gives, whose last argument says where it may fail.
    fn given_by_ours(&self, name: &str, values: &[Expr]) -> Option<Number> {
        let word = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let bits = || name.strip_prefix(word)?.parse().ok();
        let numbers = values.get(..values.len().saturating_sub(1)).unwrap_or_default();
        match word {
            "int" => bits().map(Number::Whole),
            "plus" | "minus" | "times" | "divide" | "modulo" => match self.together(numbers)? {
                Number::Whole(own) => Some(Number::Whole(bits().unwrap_or(own))),
                // Numbers of single precision are counted in that alone behind `single`.
                Number::Real => Some(Number::Double),
                other => Some(other),
            },
            "abs" | "negate" => match self.together(numbers)? {
                Number::Whole(own) => Some(Number::Whole(bits().unwrap_or(own))),
                other => Some(other),
            },
            "round" | "finite" | "nonzero" | "sum" | "largest" => self.number(numbers.first()?),
            "single" => Some(Number::Real),
            "decimal" | "greatest" | "least" => Some(Number::Numeric),
            "compare" | "isnan" => Some(Number::Whole(32)),
            "double" | "sign" => Some(Number::Double),
            _ => None,
        }
    }
}

/// The type of what an operator gives: numbers of single precision stay so only among themselves.
fn counted(together: Option<Number>, sides: [Option<Number>; 2]) -> Option<Number> {
    match together {
        Some(Number::Real) if sides != [Some(Number::Real); 2] => Some(Number::Double),
        other => other,
    }
}

/// A number that is written out.
fn written(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn literal(text: &str) -> Number {
    match text.parse::<i64>() {
        Ok(number) if i32::try_from(number).is_ok() => Number::Whole(32),
        Ok(_) => Number::Whole(64),
        Err(_) => Number::Numeric,
    }
}

fn of_type(to: &DataType) -> Option<Number> {
    match to {
        DataType::SmallInt(_) | DataType::Int2(_) => Some(Number::Whole(16)),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => Some(Number::Whole(32)),
        DataType::BigInt(_) | DataType::Int8(_) => Some(Number::Whole(64)),
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => Some(Number::Numeric),
        to if is_float(to) => Some(Number::Double),
        _ => None,
    }
}
