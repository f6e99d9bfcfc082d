//! SQL of a step with Postgres's meaning. What Polars computes otherwise is rewritten to a function of [`super::meaning`],
//! or to other SQL that gives the same; what cannot be is refused before a row is read.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, SelectItem, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::class::{Class, is_comparison, shown};
use super::expression::Columns;
use super::functions::{arguments, milliseconds, parts, position, seconds};
use super::guard::{guarded, guarded_case};
use super::meaning::PREFIX;
use super::moments::{check_interval, check_typed};
use super::number::Number;
use super::pattern::{check_pattern, operator_of_texts};
use super::queries;
use super::refusal::{Outcome, Refusal, in_decimals, inexact, refused};
use super::sql::parser;
use crate::stream::ColumnType;
use crate::task::TaskError;

/// Values of an `IN` list that are compared one by one.
const MAX_COMPARED: usize = 1_000;

/// An expression as Polars is to read it, and whether it gives a decimal number as its text.
///
/// # Errors
/// When it holds what Polars would compute otherwise than Postgres.
pub(super) fn expression(field: &str, text: &str, columns: &Columns) -> Result<(String, bool), TaskError> {
    let Ok(mut item) = parser(text).and_then(|mut parser| parser.parse_select_item()) else {
        // Polars says what is wrong with it.
        return Ok((text.to_owned(), false));
    };
    if let SelectItem::ExprWithAlias { alias, .. } = &item {
        let help = "the name of the field is the column's name";
        return Err(TaskError::permanent(format!("`{field}`: the expression ends with a name, `{alias}`")).help(help));
    }
    let mut rewriting = Rewriting { sees_texts: true, ..Rewriting::over(columns) };
    if let ControlFlow::Break(refusal) = item.visit(&mut rewriting) {
        return Err(refusal.error(field));
    }
    let digits = match &item {
        SelectItem::UnnamedExpr(expr) => {
            rewriting.kept(expr).and_then(|digits| digits.map(|text| sql(&text)).transpose())
        }
        _ => Ok(None),
    };
    let digits = digits.map_err(|refusal| refusal.error(field))?;
    let is_numeric = digits.is_some();
    if let Some(digits) = digits {
        item = SelectItem::UnnamedExpr(digits);
    } else if !rewriting.is_changed {
        return Ok((text.to_owned(), false));
    }
    as_coalesce(&mut item);
    Ok((item.to_string(), is_numeric))
}

/// A query as Polars is to read it.
///
/// # Errors
/// As [`expression`].
pub(super) fn query(field: &str, text: &str, columns: &Columns) -> Result<String, TaskError> {
    let Ok(mut statements) = parser(text).and_then(|mut parser| parser.parse_statements()) else {
        return Ok(text.to_owned());
    };
    // A name that a query gives to a value hides the column of that name from the queries around it.
    let given = queries::given(&statements);
    let is_open = |(name, kind): &&(String, ColumnType)| *kind == ColumnType::Numeric || !given.contains_key(name);
    let columns: Vec<_> = columns.iter().filter(is_open).cloned().collect();
    let mut rewriting = Rewriting::over(&columns);
    let rewritten = statements.visit(&mut rewriting);
    queries::check(&statements).map_err(|refusal| refusal.error(field))?;
    match rewritten {
        ControlFlow::Break(refusal) => Err(refusal.error(field)),
        ControlFlow::Continue(()) if rewriting.is_changed => {
            Ok(statements.iter().map(Statement::to_string).collect::<Vec<_>>().join("; "))
        }
        ControlFlow::Continue(()) => Ok(text.to_owned()),
    }
}

/// Expressions know no functions of ours: `resolved` of `meaning` finds them as `coalesce('jitney_…', …)`.
fn as_coalesce(item: &mut impl VisitMut) {
    let _ = sqlparser::ast::visit_expressions_mut(item, |node| {
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
pub(super) struct Rewriting<'a> {
    columns: &'a Columns,
    is_changed: bool,
    /// Whether functions get numeric columns as their texts; else they are in double precision.
    pub(super) sees_texts: bool,
}

impl<'a> Rewriting<'a> {
    pub(super) fn over(columns: &'a Columns) -> Self {
        Self { columns, is_changed: false, sees_texts: false }
    }

    fn rewrite(&mut self, expr: &Expr) -> Outcome<Option<Expr>> {
        Ok(match expr {
            Expr::IsTrue(inner) | Expr::IsNotTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotFalse(inner)
                if self.class(inner).is_some_and(|class| class != Class::Truth) =>
            {
                return self.want_truth(inner).map(|()| None);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => {
                self.want_truth(inner)?;
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
                Some(sql(&self.among(expr, list, *negated)?)?)
            }
            Expr::Between { expr, negated, low, high } => self.between((expr, low, high), *negated)?,
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                self.want_same(&results.collect::<Vec<_>>(), false)?;
                guarded_case(expr)?
            }
            Expr::Cast { kind, expr, data_type, .. } if *kind != CastKind::TryCast => self.cast(expr, data_type)?,
            Expr::Extract { field: DateTimeField::Epoch, expr, .. } => Some(call("epoch", &[expr])?),
            Expr::TypedString(typed) => check_typed(typed)?,
            Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, expr, .. } => Some(seconds(expr)?),
            Expr::Extract { field: DateTimeField::Millisecond | DateTimeField::Milliseconds, expr, .. } => {
                Some(milliseconds(expr)?)
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } if !matches!(**inner, Expr::Value(_)) => {
                let is_float = matches!(self.kind(inner), Some(ColumnType::Float | ColumnType::Real));
                match self.numeric(inner) {
                    Some(column) => return inexact(&column),
                    None if is_float || self.is_temporal(inner) => None,
                    None => Some(call(&format!("negate{}", self.bits(inner).unwrap_or(64)), &[inner])?),
                }
            }
            Expr::Substring { substring_from, substring_for, .. } => {
                parts(expr, substring_from.as_deref(), substring_for.as_deref())?
            }
            Expr::Position { expr, r#in } => Some(position(r#in, expr)?),
            Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } => {
                check_pattern(pattern)?;
                None
            }
            Expr::AnyOp { .. } | Expr::AllOp { .. } => return refused("ANY and ALL", "write `IN (…)`"),
            Expr::RLike { .. } => return refused("RLIKE and REGEXP", "write `~`"),
            Expr::Function(function) => self.function(function)?,
            Expr::Collate { expr, collation } => Some(self.by_bytes(expr, &collation.to_string())?),
            _ => None,
        })
    }

    /// A text that is compared byte by byte, as all are here.
    fn by_bytes(&self, text: &Expr, collation: &str) -> Outcome<Expr> {
        if !["\"C\"", "\"POSIX\""].contains(&collation.trim_start_matches("pg_catalog.")) {
            return refused(format!("the collation {collation}"), "write `COLLATE \"C\"`, which orders by bytes");
        }
        match self.class(text) {
            None | Some(Class::Text) => sql(&text.to_string()),
            Some(_) => refused(format!("a collation of {}, which is no text", shown(text)), "leave COLLATE out"),
        }
    }

    fn operator(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Outcome<Option<Expr>> {
        if is_comparison(op) {
            self.comparison(left, right)?;
            return self.compared(left, op, right);
        }
        if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
            self.want_truth(left)?;
            self.want_truth(right)?;
        }
        let name = match op {
            BinaryOperator::And => return guarded(left, "FALSE", "AND", right),
            BinaryOperator::Or => return guarded(left, "TRUE", "OR", right),
            BinaryOperator::Divide => "divide",
            BinaryOperator::Modulo => "modulo",
            BinaryOperator::Plus => "plus",
            BinaryOperator::Minus => "minus",
            BinaryOperator::Multiply => "times",
            BinaryOperator::StringConcat => return self.joined(left, right).map(Some),
            op => return operator_of_texts(left, op, right),
        };
        if self.is_temporal(left) || self.is_temporal(right) {
            return self.shifted(left, op, right);
        }
        if let Some(column) = self.numeric(left).or(self.numeric(right)) {
            return inexact(&column);
        }
        let is_double = |expr: &Expr| self.reads(expr, |kind| matches!(kind, ColumnType::Float | ColumnType::Real));
        if matches!(name, "plus" | "minus" | "times") && (is_double(left) || is_double(right)) {
            // As Polars has it, but for overflow, which is `Infinity` there.
            return Ok(None);
        }
        let numbers = [self.number(left), self.number(right)];
        if numbers.contains(&Some(Number::Numeric)) && !numbers.contains(&Some(Number::Double)) {
            return in_decimals();
        }
        let bits = self.bits(left).zip(self.bits(right)).map_or(64, |(left, right)| left.max(right));
        if matches!(name, "divide" | "modulo") && (has_field(left) || has_field(right)) {
            // Fields of a time are no whole numbers to Postgres.
            let left = sql(&format!("CAST({left} AS DOUBLE PRECISION)"))?;
            return call(name, &[&left, right]).map(Some);
        }
        call(&format!("{name}{bits}"), &[left, right]).map(Some)
    }

    /// What cannot be compared as Postgres does.
    fn comparison(&self, left: &Expr, right: &Expr) -> Outcome<()> {
        if let Some(chain) =
            [left, right].into_iter().find(|side| matches!(side, Expr::BinaryOp { op, .. } if is_comparison(op)))
        {
            return refused(format!("a comparison of {}, which compares already", shown(chain)), "join them with AND");
        }
        let counts = |side: &&Expr| {
            self.is_decimal(side)
                && ["plus", "minus", "times", "divide", "modulo"]
                    .iter()
                    .any(|name| side.to_string().contains(&format!("{PREFIX}{name}")))
        };
        if [left, right].iter().any(counts) {
            return refused(
                "a comparison with what is counted in decimals, since expressions count in double precision",
                "write `CAST(… AS double precision)` if that is precise enough",
            );
        }
        self.want_same(&[left, right], true)
    }

    /// Values side by side, as the texts that Postgres casts them to.
    fn joined(&self, left: &Expr, right: &Expr) -> Outcome<Expr> {
        let is_text = |side: &Expr| text_of(side).is_some() || self.kind(side) == Some(ColumnType::Text);
        let shown = |side: &Expr| match self.numeric(side) {
            Some(column) => inexact(&column),
            None if is_text(side) => Ok(side.to_string()),
            None => Ok(call("text", &[side])?.to_string()),
        };
        let is_other = |side: &Expr| self.class(side).is_some_and(|class| class != Class::Text);
        if is_other(left) && is_other(right) {
            return refused("`||` between values that are no texts", "make one of them a text: `CAST(… AS text)`");
        }
        sql(&format!("{} || {}", shown(left)?, shown(right)?))
    }

    /// How many bits Postgres counts a whole number in; none where that is not known, or it is no whole number.
    pub(super) fn bits(&self, expr: &Expr) -> Option<u8> {
        match self.number(expr)? {
            Number::Whole(bits) => Some(bits),
            _ => None,
        }
    }

    /// A numeric column that an expression reads other than as double precision.
    pub(super) fn numeric(&self, expr: &Expr) -> Option<String> {
        let count = |expr: &Expr| {
            let mut names = Vec::new();
            let _ = sqlparser::ast::visit_expressions(expr, |node| {
                if self.kind(node) == Some(ColumnType::Numeric) {
                    names.push(node.to_string());
                }
                ControlFlow::<()>::Continue(())
            });
            names
        };
        let mut in_casts = 0;
        let _ = sqlparser::ast::visit_expressions(expr, |node| {
            if let Expr::Cast { expr, data_type, .. } = node
                && is_float(data_type)
            {
                in_casts += count(expr).len();
            }
            ControlFlow::<()>::Continue(())
        });
        count(expr).into_iter().nth(in_casts)
    }

    /// Whether an expression may be a date, a timestamp or an interval.
    fn is_temporal(&self, expr: &Expr) -> bool {
        let is = |expr: &Expr| self.is_temporal(expr);
        match expr {
            Expr::Interval(_) | Expr::TypedString(_) => true,
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is(inner),
            Expr::Cast { data_type, .. } => {
                matches!(data_type, DataType::Date | DataType::Timestamp(..) | DataType::Datetime(..))
            }
            Expr::BinaryOp { left, right, .. } => is(left) || is(right),
            Expr::Case { conditions, else_result, .. } => {
                conditions.iter().map(|when| &when.result).chain(else_result.as_deref()).any(is)
            }
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                let is_number = ["date_part", "length", "count", "strpos"].contains(&name.as_str());
                let is_ours = name.starts_with(PREFIX) && name != format!("{PREFIX}largest");
                !is_number && !is_ours && arguments(function).iter().any(is)
            }
            expr => self.class(expr) == Some(Class::Time),
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
        sqlparser::ast::visit_expressions(expr, |node| {
            if is(node) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .is_break()
    }

    fn reads(&self, expr: &Expr, is: impl Fn(ColumnType) -> bool) -> bool {
        self.any(expr, |node| self.kind(node).is_some_and(&is))
    }

    pub(super) fn kind(&self, expr: &Expr) -> Option<ColumnType> {
        let name = match expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => names.last()?,
            _ => return None,
        };
        self.columns.iter().find(|(column, _)| *column == name.value).map(|(_, kind)| *kind)
    }

    /// Comparisons with each value of a list, as a tree: a chain would nest too deeply.
    fn among(&self, expr: &Expr, list: &[Expr], negated: bool) -> Outcome<String> {
        let (compare, join) = if negated { (BinaryOperator::NotEq, "AND") } else { (BinaryOperator::Eq, "OR") };
        if let [value] = list {
            return self.comparing(expr, &compare, value);
        }
        let (left, right) = list.split_at(list.len() / 2);
        Ok(format!("({} {join} {})", self.among(expr, left, negated)?, self.among(expr, right, negated)?))
    }
}

impl VisitorMut for Rewriting<'_> {
    type Break = Refusal;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Refusal> {
        match self.rewrite(expr) {
            Ok(Some(rewritten)) => {
                *expr = rewritten;
                self.is_changed = true;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(refusal) => ControlFlow::Break(*refusal),
        }
    }
}

/// Whether an expression takes a field of a time, such as its year, other than as a whole number or in double precision.
fn has_field(expr: &Expr) -> bool {
    match expr {
        Expr::Extract { .. } => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => has_field(inner),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            name == "date_part"
                || !name.starts_with(&format!("{PREFIX}int")) && arguments(function).iter().any(has_field)
        }
        _ => false,
    }
}

/// SQL that was put together from parsed parts.
pub(super) fn sql(text: &str) -> Outcome<Expr> {
    let parsed = parser(text).and_then(|mut parser| parser.parse_expr());
    parsed
        .map(|expr| Expr::Nested(Box::new(expr)))
        .or_else(|error| refused(error.to_string(), "write it in another way"))
}

/// A call of a function of ours, which fails wherever its last argument is true.
pub(super) fn call(name: &str, arguments: &[&Expr]) -> Outcome<Expr> {
    let arguments = arguments.iter().map(|argument| format!("{argument}, ")).collect::<String>();
    sql(&format!("{PREFIX}{name}({arguments}TRUE)"))
}

/// Whether a type is that of floating-point numbers.
pub(super) fn is_float(to: &DataType) -> bool {
    let shown = to.to_string().to_lowercase();
    ["float", "double", "real"].iter().any(|word| shown.starts_with(word))
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
