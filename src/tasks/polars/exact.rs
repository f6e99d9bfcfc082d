//! Numeric columns digit by digit, where they are compared or one of some values is chosen: expressions count in double
//! precision, which has some 15 digits.

use sqlparser::ast::{BinaryOperator, Expr, Function, UnaryOperator, Value};

use super::class::{Class, shown};
use super::dialect::{Rewriting, sql};
use super::functions::arguments;
use super::meaning::PREFIX;
use super::number::Number;
use super::refusal::{Outcome, refused};
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
    /// SQL for the text of a decimal number, if an expression is a numeric column or chooses one among other values; none
    /// where it is in double precision to Postgres too.
    pub(super) fn kept(&self, expr: &Expr) -> Outcome<Option<String>> {
        let mut values = Vec::new();
        choices(expr, &mut values);
        let is_numeric = self.sees_texts && values.iter().any(|value| self.is_numeric_column(value));
        match is_numeric && values.iter().all(|value| self.number(value) != Some(Number::Double)) {
            true => self.digits(expr).map(Some),
            false => Ok(None),
        }
    }

    fn digits(&self, expr: &Expr) -> Outcome<String> {
        if let Some(value) = self.decimal(expr) {
            return Ok(format!("{PREFIX}decimal({value}, TRUE)"));
        }
        match expr {
            Expr::Nested(inner) => self.digits(inner),
            Expr::Case { .. } => {
                let mut case = expr.clone();
                if let Expr::Case { conditions, else_result, .. } = &mut case {
                    for when in conditions {
                        when.result = sql(&self.digits(&when.result)?)?;
                    }
                    if let Some(other) = else_result {
                        **other = sql(&self.digits(other)?)?;
                    }
                }
                Ok(case.to_string())
            }
            Expr::Function(function) if is_choice(function) => {
                let values = arguments(function);
                let values = values.iter().map(|value| self.digits(value)).collect::<Outcome<Vec<_>>>()?;
                let all = values.join(", ");
                Ok(match (function.name.to_string().to_lowercase().as_str(), values.as_slice()) {
                    ("nullif", [value, other]) => {
                        format!("CASE WHEN {PREFIX}compare({value}, {other}, TRUE) = 0 THEN NULL ELSE {value} END")
                    }
                    (name @ ("greatest" | "least"), _) => format!("{PREFIX}{name}({all}, TRUE)"),
                    (name, _) => format!("{name}({all})"),
                })
            }
            _ => self.whole_digits(expr),
        }
    }

    fn whole_digits(&self, expr: &Expr) -> Outcome<String> {
        match self.number(expr) {
            Some(Number::Whole(_)) => Ok(format!("{PREFIX}text({expr}, TRUE)")),
            _ => refused(
                format!("a choice between a numeric column and {}", shown(expr)),
                "write `CAST(column AS double precision)`, or compute it in SQL after the load",
            ),
        }
    }
}

/// The values that an expression is one of.
fn choices(expr: &Expr, values: &mut Vec<Expr>) {
    match expr {
        Expr::Nested(inner) => choices(inner, values),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            results.for_each(|result| choices(result, values));
        }
        Expr::Function(function) if is_choice(function) => {
            arguments(function).iter().for_each(|value| choices(value, values));
        }
        _ => values.push(expr.clone()),
    }
}

/// Whether a function gives one of its arguments.
fn is_choice(function: &Function) -> bool {
    let name = function.name.to_string().to_lowercase();
    function.over.is_none() && ["coalesce", "greatest", "least", "nullif"].contains(&name.as_str())
}
