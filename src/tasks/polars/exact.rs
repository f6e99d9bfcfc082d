//! Comparisons of numeric columns, digit by digit: expressions count in double precision, which has some 15 digits.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::class::Class;
use super::dialect::{Rewriting, sql};
use super::meaning::PREFIX;
use super::refusal::Outcome;
use crate::stream::ColumnType;

impl Rewriting<'_> {
    /// A comparison in which a numeric column takes part, as Postgres makes it: exactly beside decimal and whole numbers,
    /// in double precision beside numbers of that precision. None where it stays as it is.
    pub(super) fn compared(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Outcome<Option<Expr>> {
        if !self.sees_texts || ![left, right].iter().any(|side| self.is_numeric_column(side)) {
            return Ok(None);
        }
        if let Some((left, right)) = self.decimal(left).zip(self.decimal(right)) {
            return sql(&format!("{PREFIX}compare({left}, {right}, TRUE) {op} 0")).map(Some);
        }
        let is_double = |side: &Expr| self.class(side) == Some(Class::Number) && !self.is_numeric_column(side);
        if !is_double(left) && !is_double(right) {
            return Ok(None);
        }
        sql(&format!("{} {op} {}", self.in_double(left), self.in_double(right))).map(Some)
    }

    /// A numeric column between two values.
    pub(super) fn between(&self, (expr, low, high): (&Expr, &Expr, &Expr), negated: bool) -> Outcome<Option<Expr>> {
        use BinaryOperator::{Gt, GtEq, Lt, LtEq};
        let (from, to, join) = if negated { (Lt, Gt, "OR") } else { (GtEq, LtEq, "AND") };
        let Some((above, below)) = self.compared(expr, &from, low)?.zip(self.compared(expr, &to, high)?) else {
            return Ok(None);
        };
        sql(&format!("{above} {join} {below}")).map(Some)
    }

    /// A comparison as SQL, exact where it can be.
    pub(super) fn comparing(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Outcome<String> {
        Ok(match self.compared(left, op, right)? {
            Some(exact) => exact.to_string(),
            None if matches!(right, Expr::Value(_)) => format!("({left}) {op} {right}"),
            None => format!("({left}) {op} ({right})"),
        })
    }

    fn is_numeric_column(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.is_numeric_column(inner),
            expr => self.kind(expr) == Some(ColumnType::Numeric),
        }
    }

    /// An expression as an argument of `compare`, if it is a decimal or whole number.
    fn decimal(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Nested(inner) => self.decimal(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => Some(format!("'{number}'")),
                Value::Null => Some("CAST(NULL AS text)".to_owned()),
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                Some(self.decimal(expr)?.strip_prefix('\'').map(|number| format!("'-{number}"))?.replace("'--", "'"))
            }
            expr => match self.kind(expr) {
                Some(ColumnType::Numeric | ColumnType::Int(_)) => Some(expr.to_string()),
                _ => None,
            },
        }
    }

    /// A side of a comparison in double precision.
    fn in_double(&self, side: &Expr) -> String {
        if self.is_numeric_column(side) { format!("{PREFIX}double({side}, TRUE)") } else { side.to_string() }
    }
}
