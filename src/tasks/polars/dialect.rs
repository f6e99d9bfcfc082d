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

/// An expression as Polars is to read it.
///
/// # Errors
/// When it holds what Polars would compute otherwise than Postgres.
pub(super) fn expression(field: &str, text: &str, columns: &Columns) -> Result<String, TaskError> {
    let Ok(mut item) = parser(text).and_then(|mut parser| parser.parse_select_item()) else {
        // Polars says what is wrong with it.
        return Ok(text.to_owned());
    };
    if let SelectItem::ExprWithAlias { alias, .. } = &item {
        let help = "the name of the field is the column's name";
        return Err(TaskError::permanent(format!("`{field}`: the expression ends with a name, `{alias}`")).help(help));
    }
    let mut rewriting = Rewriting { sees_texts: true, ..Rewriting::over(columns) };
    match item.visit(&mut rewriting) {
        ControlFlow::Break(refusal) => Err(refusal.error(field)),
        ControlFlow::Continue(()) if rewriting.is_changed => {
            as_coalesce(&mut item);
            Ok(item.to_string())
        }
        ControlFlow::Continue(()) => Ok(text.to_owned()),
    }
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

    fn cast(&self, expr: &Expr, to: &DataType) -> Outcome<Option<Expr>> {
        let from = self.class(expr);
        let is_unknown_to_postgres = match to {
            DataType::Date | DataType::Timestamp(..) => matches!(from, Some(Class::Number | Class::Truth)),
            DataType::Boolean | DataType::Bool => {
                from == Some(Class::Time) || matches!(self.kind(expr), Some(ColumnType::Float | ColumnType::Real))
            }
            to if is_float(to) => matches!(from, Some(Class::Truth | Class::Time)),
            DataType::Int(_) | DataType::Integer(_) | DataType::BigInt(_) | DataType::SmallInt(_) => {
                from == Some(Class::Time)
            }
            DataType::Array(_) | DataType::Time(..) => true,
            _ => false,
        };
        if is_unknown_to_postgres {
            return refused(
                format!("a cast of {} to {to}", shown(expr)),
                "use a function or a comparison that says what is meant",
            );
        }
        if let Some(help) = self.unlike(expr, from, to) {
            return refused(format!("a cast of {} to {to}, which Postgres does not know", shown(expr)), help);
        }
        let whole = |bits: u8| {
            let is_decimal = self.is_decimal(expr) || self.kind(expr) == Some(ColumnType::Numeric);
            let rounded = if is_decimal { call("round", &[expr])? } else { expr.clone() };
            call(&format!("int{bits}"), &[&rounded]).map(Some)
        };
        match to {
            DataType::SmallInt(_) | DataType::Int2(_) => whole(16),
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => whole(32),
            DataType::BigInt(_) | DataType::Int8(_) => whole(64),
            DataType::Text | DataType::String(None) | DataType::Varchar(None) if self.numeric(expr).is_some() => {
                match self.sees_texts && self.kind(expr) == Some(ColumnType::Numeric) {
                    true => Ok(Some(sql(&format!("{PREFIX}decimal({expr}, TRUE)"))?)),
                    false => inexact(&expr.to_string()),
                }
            }
            DataType::Text | DataType::String(None) | DataType::Varchar(None) => call("text", &[expr]).map(Some),
            DataType::Varchar(_) | DataType::CharVarying(_) | DataType::Char(_) | DataType::Character(_) => {
                refused(format!("a cast to {to}, which would not cut the text"), "write `left(text, length)`")
            }
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => refused(
                format!("a cast to {to}, since expressions count in double precision"),
                "leave the cast out, and let the step `cast` or the table's column make it numeric",
            ),
            to if is_single(to) => refused(
                format!("a cast to {to}, since expressions count in double precision"),
                "write `double precision`, and let the table's column make it real",
            ),
            to if is_float(to) && (text_of(expr).is_some() || from == Some(Class::Text)) => {
                Ok(Some(sql(&format!("CAST({PREFIX}double({expr}, TRUE) AS DOUBLE PRECISION)"))?))
            }
            to if is_float(to) && self.sees_texts && self.kind(expr) == Some(ColumnType::Numeric) => {
                Ok(Some(sql(&format!("CAST({PREFIX}double({expr}, TRUE) AS DOUBLE PRECISION)"))?))
            }
            _ => Ok(None),
        }
    }
}

impl Rewriting<'_> {
    /// What to write instead of a cast that Postgres has no name or no meaning for.
    fn unlike(&self, expr: &Expr, from: Option<Class>, to: &DataType) -> Option<&'static str> {
        let is_whole =
            matches!(to, DataType::SmallInt(_) | DataType::Int2(_) | DataType::BigInt(_) | DataType::Int8(_));
        match to {
            DataType::Bool | DataType::Boolean if matches!(self.bits(expr), Some(16 | 64)) => {
                Some("compare it: `<> 0`")
            }
            _ if is_whole && from == Some(Class::Truth) => Some("cast it to `int`"),
            DataType::String(_) => Some("write `text`"),
            DataType::Double(_) => Some("write `double precision`"),
            DataType::Datetime(_) => Some("write `timestamp`"),
            DataType::TinyInt(_) | DataType::HugeInt | DataType::UHugeInt => Some("write `bigint`"),
            _ => None,
        }
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

/// Whether a type is that of numbers in single precision.
fn is_single(to: &DataType) -> bool {
    let digits = match to {
        DataType::Float(_) => to.to_string().chars().filter(char::is_ascii_digit).collect::<String>(),
        _ => String::new(),
    };
    matches!(to, DataType::Real | DataType::Float4) || digits.parse::<u32>().is_ok_and(|bits| bits <= 24)
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
