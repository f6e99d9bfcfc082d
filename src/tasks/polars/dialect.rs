//! SQL of a step with Postgres's semantics. What Polars computes otherwise is rewritten to a function of [`super::pg_function`],
//! or to other SQL that gives the same; what cannot be is refused before a row is read.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CaseWhen, DataType, DateTimeField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, Query, SelectItem, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};
use sqlparser::parser::ParserError;

use super::class::{Class, describe, is_comparison};
use super::datetimes::{Time, check_interval, check_typed, of_interval};
use super::expression::Columns;
use super::fields::{field_digits, milliseconds, no_field, seconds, takes_field};
use super::function_table::PREFIX;
use super::functions::{arguments, position};
use super::number::NumberType;
use super::pattern::{check_pattern, operator_of_texts};
use super::queries;
use super::scope::{self, ScopeColumn};
use super::short_circuit::{short_circuit, short_circuit_case};
use super::sql::parser;
use super::texts::without_blanks;
use super::unsupported::{SqlResult, UnsupportedSql, decimal_arithmetic, session_time_zone, unsupported};
use super::walk::{walk_expressions, walk_expressions_mut, walk_mut};
use crate::stream::ColumnType;
use crate::task::TaskError;

/// Values of an `IN` list that are compared one by one.
const MAX_COMPARED: usize = 1_000;

/// An expression as Polars is to read it, and the type of what it gives where Polars does not have that type.
///
/// # Errors
/// When it holds what Polars would compute otherwise than Postgres.
pub(super) fn expression(
    field: &str,
    text: &str,
    columns: &Columns,
) -> Result<(String, Option<ColumnType>), TaskError> {
    let mut item =
        parser(text).and_then(|mut parser| parser.parse_select_item()).map_err(|error| unread(field, &error))?;
    let mut rewriter = Rewriter::over(columns);
    if let ControlFlow::Break(unsupported) = walk_mut(&mut item, &mut rewriter) {
        return Err(unsupported.error(field));
    }
    let kind = match &mut item {
        SelectItem::UnnamedExpr(expr) => rewriter.finish(expr).map_err(|unsupported| unsupported.error(field))?,
        _ => None,
    };
    let kind = kind.filter(|kind| matches!(kind, ColumnType::Numeric | ColumnType::Real | ColumnType::Instant));
    if !rewriter.is_changed {
        return Ok((text.to_owned(), kind));
    }
    as_coalesce(&mut item);
    Ok((item.to_string(), kind))
}

/// A query as Polars is to read it, and the columns of its result.
///
/// # Errors
/// As [`expression`].
pub(super) fn query(field: &str, text: &str, columns: &Columns) -> Result<(String, Vec<ScopeColumn>), TaskError> {
    let statements = parser(text).and_then(|mut parser| parser.parse_statements());
    let mut statements = statements.map_err(|error| unread(field, &error))?;
    let mut rewriter = Rewriter::over(columns);
    let result = match statements.as_mut_slice() {
        [Statement::Query(query)] => rewriter.query(query).map_err(|unsupported| unsupported.error(field))?,
        _ => Vec::new(),
    };
    queries::check(&statements).map_err(|unsupported| unsupported.error(field))?;
    Ok((statements.iter().map(Statement::to_string).collect::<Vec<_>>().join("; "), result))
}

/// The refusal of a text that cannot be read again once it was written anew.
fn unread(field: &str, error: &ParserError) -> TaskError {
    let reason = error.to_string().replace("sql parser error: ", "");
    TaskError::permanent(format!("`{field}`: {reason}")).help("write it with fewer parts in each other")
}

/// Expressions know no functions of ours: `resolved` of `pg_function` finds them as `coalesce('jitney_…', …)`.
fn as_coalesce(item: &mut impl VisitMut) {
    let _ = walk_expressions_mut(item, |node| {
        if let Expr::Function(function) = node
            && function.name.to_string().starts_with(PREFIX)
            && let FunctionArguments::List(list) = &mut function.args
        {
            let name = Value::SingleQuotedString(function.name.to_string());
            list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name.with_empty_span()))));
            function.name = ObjectName::from(vec![Ident::new("coalesce")]);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A rewriting of what is over these columns.
pub(super) struct Rewriter<'a> {
    pub(super) columns: &'a Columns,
    pub(super) is_changed: bool,
    /// The columns that the current SELECT sees; none outside of queries.
    pub(super) fields: Option<Vec<ScopeColumn>>,
    /// The tables that a query has named so far.
    pub(super) tables: Vec<(String, Vec<ScopeColumn>)>,
    /// The queries of the expressions around this one, which are rewritten by themselves.
    inner: Vec<Query>,
    /// How many queries that are parts of expressions are around.
    pub(super) depth: usize,
}

impl<'a> Rewriter<'a> {
    pub(super) fn over(columns: &'a Columns) -> Self {
        Self { columns, is_changed: false, fields: None, tables: Vec::new(), inner: Vec::new(), depth: 0 }
    }

    /// Rewrites an expression that is not a part of another, once all within is rewritten; gives the type of its values
    /// as far as it is known.
    pub(super) fn finish(&mut self, expr: &mut Expr) -> SqlResult<Option<ColumnType>> {
        if let Some(kind) = self.kind(expr) {
            return Ok(Some(kind));
        }
        if let Some(digits) = field_digits(expr)? {
            *expr = digits;
            self.is_changed = true;
            return Ok(Some(ColumnType::Numeric));
        }
        if let Some(digits) = self.digits(expr)? {
            *expr = sql(&digits)?;
            self.is_changed = true;
            self.check_numeric_columns(&mut expr.clone())?;
            return Ok(Some(ColumnType::Numeric));
        }
        self.check_numeric_columns(&mut expr.clone())?;
        if let Some(kind) = self.time(expr).and_then(Time::kind) {
            return Ok(Some(kind));
        }
        Ok(match (self.number(expr), self.class(expr)) {
            (Some(NumberType::Whole(bits)), _) => Some(ColumnType::Int(bits)),
            (Some(NumberType::Real), _) => Some(ColumnType::Real),
            (Some(NumberType::Double), _) => Some(ColumnType::Float),
            (_, Some(Class::Text)) => Some(ColumnType::Text),
            (_, Some(Class::Boolean)) => Some(ColumnType::Bool),
            _ => None,
        })
    }

    fn rewrite(&mut self, expr: &Expr) -> SqlResult<Option<Expr>> {
        Ok(match expr {
            Expr::IsTrue(inner) | Expr::IsNotTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotFalse(inner)
                if self.class(inner).is_some_and(|class| class != Class::Boolean) =>
            {
                return self.require_boolean(inner).map(|()| None);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                self.require_boolean(inner)?;
                None
            }
            Expr::Interval(interval) => check_interval(interval)?,
            Expr::IsTrue(inner) => Some(sql(&format!("({inner}) IS NOT DISTINCT FROM TRUE"))?),
            Expr::IsNotTrue(inner) => Some(sql(&format!("({inner}) IS DISTINCT FROM TRUE"))?),
            Expr::IsFalse(inner) => Some(sql(&format!("({inner}) IS NOT DISTINCT FROM FALSE"))?),
            Expr::IsNotFalse(inner) => Some(sql(&format!("({inner}) IS DISTINCT FROM FALSE"))?),
            Expr::IsUnknown(inner) => Some(sql(&format!("({inner}) IS NULL"))?),
            Expr::IsNotUnknown(inner) => Some(sql(&format!("({inner}) IS NOT NULL"))?),
            Expr::BinaryOp { left, op, right } => self.operator(left, op, right)?,
            Expr::InList { expr, list, negated } if (1..=MAX_COMPARED).contains(&list.len()) => {
                let values: Vec<_> = std::iter::once(expr.as_ref()).chain(list).collect();
                self.require_same_class(&values, true)?;
                self.refuse_mixed_reals(&values)?;
                Some(sql(&self.among(expr, list, *negated)?)?)
            }
            Expr::InList { expr, list, .. } => {
                self.require_plain_list(expr, list)?;
                None
            }
            Expr::Between { expr, negated, low, high } => {
                self.require_same_class(&[expr, low, high], true)?;
                self.between((expr, low, high), *negated)?
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.require_same_class(&[left, right], false)?;
                self.want_one_zone(&[left, right])?;
                None
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.check_case(operand.as_deref(), conditions, else_result.as_deref())?;
                self.case(expr.clone())?
            }
            Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type)?,
            Expr::Extract { expr, .. } if self.time(expr) == Some(Time::Interval) => {
                return of_interval(&describe(expr));
            }
            Expr::Extract { field, expr, .. } if !self.has_field(&field.to_string(), expr) => {
                return no_field(&field.to_string(), expr);
            }
            Expr::Extract { field, expr, .. }
                if *field != DateTimeField::Epoch && self.time(expr) == Some(Time::Instant) =>
            {
                return session_time_zone(&describe(expr));
            }
            Expr::Extract { field: DateTimeField::Epoch, expr, .. } => Some(call("epoch", &[expr])?),
            Expr::TypedString(typed) => check_typed(typed)?,
            Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, expr, .. } => Some(seconds(expr)?),
            Expr::Extract { field: DateTimeField::Millisecond | DateTimeField::Milliseconds, expr, .. } => {
                Some(milliseconds(expr)?)
            }
            Expr::UnaryOp { op: UnaryOperator::Plus, expr: inner } => match self.class(inner) {
                Some(Class::Number | Class::Interval) => Some(sql(&inner.to_string())?),
                _ => return unsupported(format!("a sign before {}", describe(inner)), "leave it out"),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if self.time(inner) == Some(Time::Interval) => {
                return unsupported(
                    format!("a sign before {}", describe(inner)),
                    "subtract the interval, or write the sign into it: `INTERVAL '-1 day'`",
                );
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if !matches!(**inner, Expr::Value(_)) => {
                self.reject_decimal_text(inner)?;
                match self.time(inner).is_some() {
                    true => None,
                    false => Some(call(&format!("negate{}", self.bits(inner).unwrap_or(64)), &[inner])?),
                }
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                Some(self.substring(text, substring_from.as_deref(), substring_for.as_deref())?)
            }
            Expr::Trim { trim_what: None, .. } => Some(without_blanks(expr)?),
            Expr::Position { expr, r#in } => Some(position(r#in, expr)?),
            Expr::Like { expr: text, pattern, .. } | Expr::ILike { expr: text, pattern, .. } => {
                self.require_text(text)?;
                check_pattern(pattern)?;
                None
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Collate { expr, collation } => Some(self.by_bytes(expr, &collation.to_string())?),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) if self.kind(inner).is_none() => match self.digits(inner)? {
                Some(digits) if matches!(expr, Expr::IsNull(_)) => Some(sql(&format!("({digits}) IS NULL"))?),
                Some(digits) => Some(sql(&format!("({digits}) IS NOT NULL"))?),
                None => None,
            },
            _ => None,
        })
    }

    /// Refuses a CASE whose results, or compared values, are of different types.
    fn check_case(&self, operand: Option<&Expr>, conditions: &[CaseWhen], other: Option<&Expr>) -> SqlResult<()> {
        let results: Vec<_> = conditions.iter().map(|when| &when.result).chain(other).collect();
        self.require_same_class(&results, false)?;
        self.want_one_zone(&results)?;
        let Some(operand) = operand else { return Ok(()) };
        let compared: Vec<_> = std::iter::once(operand).chain(conditions.iter().map(|when| &when.condition)).collect();
        self.require_same_class(&compared, false)?;
        self.want_one_zone(&compared)
    }

    fn case(&self, mut case: Expr) -> SqlResult<Option<Expr>> {
        let mut is_changed = false;
        if let Expr::Case { conditions, else_result, .. } = &mut case {
            let results = conditions.iter_mut().map(|when| &mut when.result).chain(else_result.as_deref_mut());
            is_changed = self.of_one_type(results.collect())?;
        }
        let short_circuit = short_circuit_case(&case)?;
        let is_changed = is_changed || short_circuit.is_some();
        self.of_single(short_circuit.unwrap_or(case), is_changed)
    }

    fn operator(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
        if is_comparison(op) {
            self.comparison(left, right)?;
            for (time, text) in [(left, right), (right, left)] {
                // Expressions read the text by themselves, and want an offset.
                if self.fields.is_some() && self.kind(time) == Some(ColumnType::Instant) && text_of(text).is_some() {
                    return session_time_zone(&describe(time));
                }
            }
            return self.compared(left, op, right);
        }
        if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
            self.require_boolean(left)?;
            self.require_boolean(right)?;
        }
        let name = match op {
            BinaryOperator::And => return short_circuit(left, "FALSE", "AND", right),
            BinaryOperator::Or => return short_circuit(left, "TRUE", "OR", right),
            BinaryOperator::Divide => "divide",
            BinaryOperator::Modulo => "modulo",
            BinaryOperator::Plus => "plus",
            BinaryOperator::Minus => "minus",
            BinaryOperator::Multiply => "times",
            BinaryOperator::StringConcat => return self.joined(left, right).map(Some),
            BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr => {
                return match self.bits(left).is_some() && self.bits(right).is_some() {
                    true => Ok(None),
                    false => {
                        unsupported(format!("`{op}` between values that are not whole numbers"), "write AND or OR")
                    }
                };
            }
            op => {
                self.require_text(left)?;
                return operator_of_texts(left, op, right);
            }
        };
        if self.time(left).is_some() || self.time(right).is_some() {
            return self.shifted(left, op, right);
        }
        let numbers = [self.number(left), self.number(right)];
        let is_floating = numbers.iter().any(|number| *number >= Some(NumberType::Real));
        let (one, other) = match is_floating {
            true => (self.in_double(left)?, self.in_double(right)?),
            false => (None, None),
        };
        let (left, right) = (one.as_ref().unwrap_or(left), other.as_ref().unwrap_or(right));
        self.reject_decimal_text(left)?;
        self.reject_decimal_text(right)?;
        if numbers.contains(&Some(NumberType::Numeric)) && !is_floating {
            return decimal_arithmetic();
        }
        if numbers == [Some(NumberType::Real); 2] {
            return call("single", &[&call(&format!("{name}64"), &[left, right])?]).map(Some);
        }
        let bits = self.bits(left).zip(self.bits(right)).map_or(64, |(left, right)| left.max(right));
        if matches!(name, "divide" | "modulo") && (takes_field(left) || takes_field(right)) {
            // Fields of a time are no whole numbers to Postgres.
            let left = sql(&format!("CAST({left} AS DOUBLE PRECISION)"))?;
            return call(name, &[&left, right]).map(Some);
        }
        self.chained(&format!("{name}{bits}"), left, right).map(Some)
    }

    /// An operator's call. Of one operator in a row all values are arguments of one call: calls in calls would nest too
    /// deeply.
    fn chained(&self, name: &str, left: &Expr, right: &Expr) -> SqlResult<Expr> {
        let mut values = match innermost(left) {
            Expr::Function(function) if function.name.to_string() == format!("{PREFIX}{name}") => arguments(function),
            _ => return call(name, &[left, right]),
        };
        values.pop();
        let values: Vec<&Expr> = values.iter().chain([right]).collect();
        call(name, &values)
    }

    /// What cannot be compared as Postgres does.
    fn comparison(&self, left: &Expr, right: &Expr) -> SqlResult<()> {
        let counts = |side: &&Expr| {
            self.is_decimal(side)
                && ["plus", "minus", "times", "divide", "modulo"]
                    .iter()
                    .any(|name| side.to_string().contains(&format!("{PREFIX}{name}")))
        };
        if [left, right].iter().any(counts) {
            return unsupported(
                "a comparison with decimal arithmetic, since expressions compute in double precision",
                "write `CAST(… AS double precision)` if that is precise enough",
            );
        }
        if [left, right].iter().all(|side| matches!(innermost(side), Expr::Interval(_))) {
            return unsupported("a comparison of two intervals that are written out", "leave it out");
        }
        self.require_same_class(&[left, right], true)
    }

    /// How many bits Postgres counts a whole number in; none where that is not known, or it is no whole number.
    pub(super) fn bits(&self, expr: &Expr) -> Option<u8> {
        match self.number(expr)? {
            NumberType::Whole(bits) => Some(bits),
            _ => None,
        }
    }

    /// Whether a number is decimal to Postgres: made of literals with a point and whole numbers alone.
    pub(super) fn is_decimal(&self, expr: &Expr) -> bool {
        let has_point = |node: &Expr| matches!(node, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text.contains('.')));
        let is_float = |node: &Expr| matches!(node, Expr::Cast { data_type, .. } if is_float(data_type));
        self.any(expr, has_point)
            && !self.any(expr, is_float)
            && !self.reads(expr, |kind| matches!(kind, ColumnType::Float | ColumnType::Real))
    }

    fn any(&self, expr: &Expr, is: impl Fn(&Expr) -> bool) -> bool {
        walk_expressions(expr, |node| if is(node) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            .is_break()
    }

    pub(super) fn reads(&self, expr: &Expr, is: impl Fn(ColumnType) -> bool) -> bool {
        self.any(expr, |node| self.kind(node).is_some_and(&is))
    }

    /// The type of a column.
    pub(super) fn kind(&self, expr: &Expr) -> Option<ColumnType> {
        let (table, name) = match expr {
            Expr::Identifier(name) => (None, name),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [.., table, name] => (Some(table), name),
                _ => return None,
            },
            Expr::Nested(inner) => return self.kind(inner),
            _ => return None,
        };
        if let Some(fields) = &self.fields {
            return scope::kind(fields, table.map(|table| table.value.as_str()), &name.value);
        }
        self.columns.iter().find(|(column, _)| *column == name.value).map(|(_, kind)| *kind)
    }

    /// Comparisons with each value of a list, as a tree: a chain would nest too deeply.
    fn among(&self, expr: &Expr, list: &[Expr], negated: bool) -> SqlResult<String> {
        let (compare, join) = if negated { (BinaryOperator::NotEq, "AND") } else { (BinaryOperator::Eq, "OR") };
        if let [value] = list {
            return self.comparing(expr, &compare, value);
        }
        let (left, right) = list.split_at(list.len() / 2);
        Ok(format!("({} {join} {})", self.among(expr, left, negated)?, self.among(expr, right, negated)?))
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = UnsupportedSql;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<UnsupportedSql> {
        match self.rewrite(expr) {
            Ok(Some(rewritten)) => {
                *expr = rewritten;
                self.is_changed = true;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(unsupported) => ControlFlow::Break(*unsupported),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<UnsupportedSql> {
        match self.inner_query(query) {
            Ok(query) => {
                self.inner.push(query);
                ControlFlow::Continue(())
            }
            Err(unsupported) => ControlFlow::Break(*unsupported),
        }
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<UnsupportedSql> {
        if let Some(inner) = self.inner.pop() {
            *query = inner;
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn innermost(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => innermost(inner),
        expr => expr,
    }
}

/// SQL that was put together from parsed parts.
pub(super) fn sql(text: &str) -> SqlResult<Expr> {
    let parsed = parser(text).and_then(|mut parser| parser.parse_expr());
    parsed
        .map(|expr| Expr::Nested(Box::new(expr)))
        .or_else(|error| unsupported(error.to_string(), "write it differently"))
}

/// A call of a function of ours, which fails wherever its last argument is true.
pub(super) fn call(name: &str, arguments: &[&Expr]) -> SqlResult<Expr> {
    let arguments = arguments.iter().map(|argument| format!("{argument}, ")).collect::<String>();
    sql(&format!("{PREFIX}{name}({arguments}TRUE)"))
}

/// Whether a type is that of floating-point numbers.
pub(super) fn is_float(to: &DataType) -> bool {
    let describe = to.to_string().to_lowercase();
    ["float", "double", "real"].iter().any(|word| describe.starts_with(word))
}

pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
