//! Numeric columns digit by digit. Steps keep them as texts, and expressions compute in double precision, which has some
//! 15 digits; so such a column may stand only where its digits are enough.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArguments, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::class::describe;
use super::datetimes::{Time, of_interval};
use super::dialect::{Rewriter, call, sql};
use super::function_table::{self, NumberRule, PREFIX, SqlFunction};
use super::functions::{arguments, values_of};
use super::number::NumberType;
use super::short_circuit::short_circuit;
use super::unsupported::{SqlResult, session_time_zone, unsupported, unsupported_arithmetic};
use super::walk::walk_mut;
use crate::stream::ColumnType;

impl Rewriter<'_> {
    /// A comparison of decimal numbers as Postgres makes it: exactly with decimal and whole numbers, in double
    /// precision with floating-point numbers. None where it stays as it is.
    pub(super) fn compared(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
        match (self.as_time_like(left, right)?, self.as_time_like(right, left)?) {
            (Some(left), _) => return sql(&format!("{left} {op} {right}")).map(Some),
            (_, Some(right)) => return sql(&format!("{left} {op} {right}")).map(Some),
            _ => {}
        }
        if let Some((left, right)) = self.in_one_zone(left, right)? {
            return sql(&format!("{left} {op} {right}")).map(Some);
        }
        let numbers = [self.number(left), self.number(right)];
        if !numbers.contains(&Some(NumberType::Numeric)) {
            return Ok(None);
        }
        if numbers.iter().any(|number| *number >= Some(NumberType::Real)) {
            let sides = [self.in_double(left)?, self.in_double(right)?];
            return match sides {
                [None, None] => Ok(None),
                [one, other] => {
                    let (left, right) = (one.unwrap_or_else(|| left.clone()), other.unwrap_or_else(|| right.clone()));
                    sql(&format!("{left} {op} {right}")).map(Some)
                }
            };
        }
        match (self.comparand(left)?, self.comparand(right)?) {
            (Some(left), Some(right)) => sql(&format!("{PREFIX}compare({left}, {right}, TRUE) {op} 0")).map(Some),
            _ => Ok(None),
        }
    }

    /// A decimal number between two values.
    pub(super) fn between(&self, (expr, low, high): (&Expr, &Expr, &Expr), negated: bool) -> SqlResult<Option<Expr>> {
        use BinaryOperator::{Gt, GtEq, Lt, LtEq};
        let (from, to, join) = if negated { (Lt, Gt, "OR") } else { (GtEq, LtEq, "AND") };
        let is_exact = self.compared(expr, &from, low)?.is_some() || self.compared(expr, &to, high)?.is_some();
        let (above, below) = (self.comparing(expr, &from, low)?, self.comparing(expr, &to, high)?);
        // Postgres comes to the second comparison only where the first one leaves the answer open.
        let deciding = if negated { "TRUE" } else { "FALSE" };
        match short_circuit(&sql(&above)?, deciding, join, &sql(&below)?)? {
            None if is_exact => sql(&format!("{above} {join} {below}")).map(Some),
            both => Ok(both),
        }
    }

    /// A comparison as SQL, exact where it can be.
    pub(super) fn comparing(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<String> {
        Ok(match self.compared(left, op, right)? {
            Some(exact) => exact.to_string(),
            None if matches!(right, Expr::Value(_)) => format!("({left}) {op} {right}"),
            None => format!("({left}) {op} ({right})"),
        })
    }

    /// An expression as an argument of `compare`, if its digits are known.
    fn comparand(&self, expr: &Expr) -> SqlResult<Option<String>> {
        match self.written_digits(expr) {
            Some(digits) => Ok(Some(digits)),
            None if matches!(self.number(expr), Some(NumberType::Whole(_))) => {
                call("text", &[expr]).map(|text| Some(text.to_string()))
            }
            None => self.digits(expr),
        }
    }

    /// The digits of a column or a number that is written out, as they are.
    fn written_digits(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Nested(inner) => self.written_digits(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => Some(format!("'{number}'")),
                Value::Null => Some("CAST(NULL AS text)".to_owned()),
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let number = self.written_digits(expr)?;
                Some(number.strip_prefix('\'').map(|number| format!("'-{number}"))?.replace("'--", "'"))
            }
            expr => match self.kind(expr) {
                Some(ColumnType::Numeric | ColumnType::Int(_)) => Some(expr.to_string()),
                _ => None,
            },
        }
    }

    /// An expression in double precision, if it is a decimal number that is kept as its text.
    pub(super) fn in_double(&self, expr: &Expr) -> SqlResult<Option<Expr>> {
        match self.digits(expr)? {
            Some(digits) => sql(&format!("CAST({PREFIX}double({digits}, TRUE) AS DOUBLE PRECISION)")).map(Some),
            None => Ok(None),
        }
    }

    /// SQL for the text of a decimal number, if an expression is a numeric column or is made of one by choosing among
    /// values; none where it is no decimal number, or is counted in double precision.
    pub(super) fn digits(&self, expr: &Expr) -> SqlResult<Option<String>> {
        let mut values = Vec::new();
        choices(expr, &mut values);
        let is_kept = values.iter().any(|value| self.has_digits(value));
        match is_kept && values.iter().all(|value| self.number(value) < Some(NumberType::Real)) {
            true => self.digits_of_choice(expr).map(Some),
            false => Ok(None),
        }
    }

    /// Whether an expression is kept as the text of a decimal number.
    fn has_digits(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.has_digits(inner),
            Expr::Function(function) => {
                let Some(entry) = entry_of(function) else { return false };
                let is_passing = entry.takes_digits && entry.passes_argument();
                is_decimal_text(entry)
                    || is_passing && arguments(function).first().is_some_and(|value| self.has_digits(value))
            }
            expr => self.kind(expr) == Some(ColumnType::Numeric),
        }
    }

    fn digits_of_choice(&self, expr: &Expr) -> SqlResult<String> {
        if let Some(value) = self.written_digits(expr) {
            return Ok(format!("{PREFIX}decimal({value}, TRUE)"));
        }
        match expr {
            Expr::Nested(inner) => self.digits_of_choice(inner),
            Expr::Case { .. } => {
                let mut case = expr.clone();
                if let Expr::Case { conditions, else_result, .. } = &mut case {
                    for when in conditions {
                        when.result = sql(&self.digits_of_choice(&when.result)?)?;
                    }
                    if let Some(other) = else_result {
                        **other = sql(&self.digits_of_choice(other)?)?;
                    }
                }
                Ok(case.to_string())
            }
            Expr::Function(function) if is_choice(function) => {
                let values = arguments(function);
                let values = values.iter().map(|value| self.digits_of_choice(value)).collect::<SqlResult<Vec<_>>>()?;
                let all = values.join(", ");
                Ok(match (function.name.to_string().to_lowercase().as_str(), values.as_slice()) {
                    ("nullif", [value, other]) => {
                        format!("CASE WHEN {PREFIX}compare({value}, {other}, TRUE) = 0 THEN NULL ELSE {value} END")
                    }
                    (name @ ("greatest" | "least"), _) => format!("{PREFIX}{name}({all}, TRUE)"),
                    (name, _) => format!("{name}({all})"),
                })
            }
            _ if self.has_digits(expr) => Ok(format!("{PREFIX}decimal({expr}, TRUE)")),
            _ if matches!(self.number(expr), Some(NumberType::Whole(_))) => Ok(call("text", &[expr])?.to_string()),
            _ => unsupported(
                format!("a choice between a numeric column and {}", describe(expr)),
                "write `CAST(column AS double precision)`, or compute it in SQL after the load",
            ),
        }
    }

    /// Refuses to count with what is kept as the text of a decimal number.
    pub(super) fn reject_decimal_text(&self, expr: &Expr) -> SqlResult<()> {
        if self.digits(expr)?.is_some() { unsupported_arithmetic(&describe(expr)) } else { Ok(()) }
    }

    /// Makes the values that an expression chooses among numbers in double precision, where one of them is, and numbers
    /// that are written out `bigint`, where one of them is; whether there was something to do.
    pub(super) fn of_one_type(&self, values: Vec<&mut Expr>) -> SqlResult<bool> {
        let mut is_changed = false;
        if values.iter().all(|value| matches!(self.number(value), Some(NumberType::Whole(_))))
            && values.iter().any(|value| self.number(value) == Some(NumberType::Whole(64)))
        {
            for value in values {
                if self.written_digits(value).is_some() {
                    *value = sql(&format!("CAST({value} AS BIGINT)"))?;
                    is_changed = true;
                }
            }
            return Ok(is_changed);
        }
        if values.iter().any(|value| self.number(value) >= Some(NumberType::Real)) {
            for value in values {
                if let Some(double) = self.in_double(value)? {
                    *value = double;
                    is_changed = true;
                }
            }
        }
        Ok(is_changed)
    }

    /// Refuses a list compared with numbers of single precision, in which Postgres compares, while `=` compares in double precision.
    pub(super) fn refuse_mixed_reals(&self, values: &[&Expr]) -> SqlResult<()> {
        let numbers: Vec<_> = values.iter().filter_map(|value| self.number(value)).collect();
        let is_mixed = numbers.contains(&NumberType::Real) && numbers.iter().any(|number| *number != NumberType::Real);
        match values.len() > 2 && is_mixed {
            true => unsupported(
                "IN with a number of single precision (`real`) and others",
                "write `r = 1 OR r = 2`, or `CAST(r AS double precision) IN (…)`",
            ),
            false => Ok(()),
        }
    }

    /// A choice among numbers of single precision and others, rounded to it; none where it stays as it is.
    pub(super) fn of_single(&self, choice: Expr, is_changed: bool) -> SqlResult<Option<Expr>> {
        let mut values = Vec::new();
        choices(&choice, &mut values);
        let is_mixed = values.iter().any(|value| self.number(value).is_some_and(|number| number != NumberType::Real));
        match self.number(&choice) == Some(NumberType::Real) && is_mixed {
            true => call("single", &[&choice]).map(Some),
            false => Ok(is_changed.then_some(choice)),
        }
    }

    /// The text that Postgres casts a value to.
    pub(super) fn text(&self, expr: &Expr) -> SqlResult<Expr> {
        match self.time(expr) {
            Some(Time::Interval) => return of_interval(&describe(expr)),
            Some(Time::Instant) => return session_time_zone(&describe(expr)),
            _ => {}
        }
        match self.digits(expr)? {
            Some(digits) => call("text", &[&sql(&digits)?]),
            None if self.number(expr) == Some(NumberType::Real) => call("realtext", &[expr]),
            None => call("text", &[expr]),
        }
    }

    /// Refuses numeric columns in all places but those that take their digits.
    pub(super) fn check_numeric_columns(&self, node: &mut impl VisitMut) -> SqlResult<()> {
        let found = walk_mut(node, &mut FindNumeric(self));
        match found {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(column) => unsupported(
                format!(
                    "the numeric column {column} where its digits are not enough: it can be passed on, compared, \
                     sorted, summed and counted, tested for NULL and cast"
                ),
                "write `CAST(column AS double precision)`, or compute it in SQL after the load",
            ),
        }
    }

    /// Replaces a numeric column by NULL.
    pub(super) fn hide(&self, expr: &mut Expr) {
        match expr {
            Expr::Nested(inner) => self.hide(inner),
            expr if self.kind(expr) == Some(ColumnType::Numeric) => *expr = Expr::Value(Value::Null.with_empty_span()),
            _ => {}
        }
    }
}

/// Finds a numeric column, except for those that it hides because they stand where their digits are enough.
struct FindNumeric<'a, 'b>(&'a Rewriter<'b>);

impl VisitorMut for FindNumeric<'_, '_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        if self.0.kind(expr) == Some(ColumnType::Numeric) {
            return ControlFlow::Break(expr.to_string());
        }
        match expr {
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => self.0.hide(inner),
            Expr::Function(function) if takes_digits(function) => {
                values_of(function).for_each(|value| self.0.hide(value));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a function gives the text of a decimal number.
fn is_decimal_text(entry: &SqlFunction) -> bool {
    entry.is_internal() && matches!(entry.number, NumberRule::Is(NumberType::Numeric))
}

fn takes_digits(function: &Function) -> bool {
    let is_distinct = matches!(&function.args, FunctionArguments::List(list)
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
    entry_of(function).is_some_and(|entry| entry.takes_digits && (entry.is_internal() || !is_distinct))
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
    function.over.is_none() && entry_of(function).is_some_and(|entry| entry.is_choice)
}

fn entry_of(function: &Function) -> Option<&'static SqlFunction> {
    function_table::find(&function.name.to_string().to_lowercase())
}
