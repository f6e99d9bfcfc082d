//! Which type of number an expression has in Postgres: steps compute whole numbers and double precision alone.

use sqlparser::ast::{BinaryOperator, DataType, Expr, Function, UnaryOperator, Value};

use super::dialect::{Rewriter, is_float};
use super::function_table::{self, NumberRule};
use super::functions::arguments;
use crate::stream::ColumnType;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberType {
    /// A whole number of so many bits.
    Whole(u8),
    /// A decimal number with all its digits.
    Numeric,
    /// A number in single precision.
    Real,
    /// A number in double precision.
    Double,
}

impl Rewriter<'_> {
    /// The type of number that an expression has; none where that is not known, or it is no number.
    pub(super) fn number(&self, expr: &Expr) -> Option<NumberType> {
        match expr {
            // The sign is a part of the number: -2147483648 is one of 32 bits.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if written_number(inner).is_some() => {
                written_number(inner).map(|text| literal_type(&format!("-{text}")))
            }
            Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => {
                self.number(inner)
            }
            Expr::Value(_) => written_number(expr).map(literal_type),
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo,
                right,
            } => operator_type(
                self.common_type(&[left.as_ref().clone(), right.as_ref().clone()]),
                [self.number(left), self.number(right)],
            ),
            Expr::BinaryOp { left, op: BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr, right } => {
                self.common_type(&[left.as_ref().clone(), right.as_ref().clone()])
            }
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                self.common_type(&results.cloned().collect::<Vec<_>>())
            }
            Expr::Cast { data_type, .. } => of_type(data_type),
            Expr::Function(function) => self.of_function(function),
            expr => match self.kind(expr)? {
                ColumnType::Int(bits) => Some(NumberType::Whole(bits)),
                ColumnType::Float => Some(NumberType::Double),
                ColumnType::Real => Some(NumberType::Real),
                ColumnType::Numeric => Some(NumberType::Numeric),
                _ => None,
            },
        }
    }

    /// The type that numbers have together; NULL is of any.
    fn common_type(&self, values: &[Expr]) -> Option<NumberType> {
        let is_null = |value: &Expr| matches!(value, Expr::Value(value) if value.value == Value::Null);
        let types: Vec<_> = values.iter().filter(|value| !is_null(value)).map(|value| self.number(value)).collect();
        match types.contains(&Some(NumberType::Double)) {
            true => Some(NumberType::Double),
            false => types.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max(),
        }
    }

    fn of_function(&self, function: &Function) -> Option<NumberType> {
        use NumberType::{Double, Numeric, Real, Whole};
        let name = function.name.to_string().to_lowercase();
        let entry = function_table::find(&name)?;
        let mut values = arguments(function);
        if entry.is_internal() {
            // The last argument says where the function may fail.
            values.pop();
        }
        let (first, all) = (|| self.number(values.first()?), || self.common_type(&values));
        let in_bits = |own| Whole(function_table::bits(&name).unwrap_or(own));
        match entry.number {
            NumberRule::Unknown => None,
            NumberRule::Is(number) => Some(number),
            NumberRule::OfName => function_table::bits(&name).map(Whole),
            NumberRule::OfFirst => first(),
            NumberRule::OfAll => all(),
            NumberRule::OfOperator => all().map(|number| match number {
                Whole(own) => in_bits(own),
                // Operators compute in single precision only within `single`.
                Real => Double,
                other => other,
            }),
            NumberRule::OfSign => all().map(|number| if let Whole(own) = number { in_bits(own) } else { number }),
            NumberRule::OfSum => first().map(|number| if let Whole(_) = number { Whole(64) } else { number }),
            NumberRule::OfAverage => first().map(|number| if number >= Real { Double } else { Numeric }),
            NumberRule::OfRounding if values.len() == 2 => Some(Numeric),
            NumberRule::OfDecimals | NumberRule::OfRounding => {
                Some(if all() == Some(Numeric) { Numeric } else { Double })
            }
        }
    }
}

/// The type of what an operator gives: numbers of single precision stay so only among themselves.
fn operator_type(common_type: Option<NumberType>, sides: [Option<NumberType>; 2]) -> Option<NumberType> {
    match common_type {
        Some(NumberType::Real) if sides != [Some(NumberType::Real); 2] => Some(NumberType::Double),
        other => other,
    }
}

/// A number that is written out.
fn written_number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn literal_type(text: &str) -> NumberType {
    match text.parse::<i64>() {
        Ok(number) if i32::try_from(number).is_ok() => NumberType::Whole(32),
        Ok(_) => NumberType::Whole(64),
        Err(_) => NumberType::Numeric,
    }
}

fn of_type(to: &DataType) -> Option<NumberType> {
    match to {
        DataType::SmallInt(_) | DataType::Int2(_) => Some(NumberType::Whole(16)),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => Some(NumberType::Whole(32)),
        DataType::BigInt(_) | DataType::Int8(_) => Some(NumberType::Whole(64)),
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => Some(NumberType::Numeric),
        to if is_float(to) => Some(NumberType::Double),
        _ => None,
    }
}
