//! SQL of a step with Postgres's meaning. What Polars computes otherwise is rewritten to a function of [`super::meaning`],
//! or to other SQL that gives the same; what cannot be is refused before a row is read.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, Statement, Value, VisitMut, VisitorMut, WindowSpec, WindowType,
};

use super::expression::Columns;
use super::meaning::PREFIX;
use super::sql::parser;
use crate::stream::ColumnType;
use crate::task::TaskError;

/// Values of an `IN` list that are compared one by one.
const MAX_COMPARED: usize = 1_000;

/// Functions whose result is finite for finite arguments, or an error.
const FINITE: &[&str] =
    &["sqrt", "ln", "log", "log10", "log2", "log1p", "exp", "pow", "power", "acos", "asin", "acosd", "asind"];
/// Aggregates that take the rows before this one, in the order of their window.
const RUNNING: &[&str] = &["sum", "count", "min", "max", "last_value"];

/// Functions that compute with numbers, and do not only compare them.
const COUNTING: &[&str] =
    &["sum", "avg", "stddev", "variance", "abs", "round", "trunc", "ceil", "floor", "mod", "sign"];

/// An expression as Polars is to read it.
///
/// # Errors
/// When it holds what Polars would compute otherwise than Postgres.
pub(super) fn expression(field: &str, text: &str, columns: &Columns) -> Result<String, TaskError> {
    let Ok(mut item) = parser(text).and_then(|mut parser| parser.parse_select_item()) else {
        // Polars says what is wrong with it.
        return Ok(text.to_owned());
    };
    let mut rewriting = Rewriting::over(columns);
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
    let mut rewriting = Rewriting::over(columns);
    match statements.visit(&mut rewriting) {
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

/// What an expression cannot hold, and what to write instead.
struct Refusal {
    what: String,
    help: &'static str,
}

impl Refusal {
    fn error(self, field: &str) -> TaskError {
        TaskError::permanent(format!("`{field}`: {}", self.what)).help(self.help)
    }
}

type Outcome<T> = Result<T, Box<Refusal>>;

fn refused<T>(what: impl Into<String>, help: &'static str) -> Outcome<T> {
    Err(Box::new(Refusal { what: what.into(), help }))
}

struct Rewriting<'a> {
    columns: &'a Columns,
    is_changed: bool,
}

impl<'a> Rewriting<'a> {
    fn over(columns: &'a Columns) -> Self {
        Self { columns, is_changed: false }
    }

    fn rewrite(&mut self, expr: &Expr) -> Outcome<Option<Expr>> {
        Ok(match expr {
            Expr::IsTrue(inner) => Some(sql(&format!("({inner}) IS NOT DISTINCT FROM TRUE"))?),
            Expr::IsNotTrue(inner) => Some(sql(&format!("({inner}) IS DISTINCT FROM TRUE"))?),
            Expr::IsFalse(inner) => Some(sql(&format!("({inner}) IS NOT DISTINCT FROM FALSE"))?),
            Expr::IsNotFalse(inner) => Some(sql(&format!("({inner}) IS DISTINCT FROM FALSE"))?),
            Expr::IsUnknown(inner) => Some(sql(&format!("({inner}) IS NULL"))?),
            Expr::IsNotUnknown(inner) => Some(sql(&format!("({inner}) IS NOT NULL"))?),
            Expr::BinaryOp { left, op, right } => self.operator(left, op, right)?,
            Expr::InList { expr, list, negated } if (1..=MAX_COMPARED).contains(&list.len()) => {
                Some(sql(&among(expr, list, *negated))?)
            }
            Expr::Case { .. } => guarded_case(expr)?,
            Expr::Cast { kind, expr, data_type, .. } if *kind != CastKind::TryCast => self.cast(expr, data_type)?,
            Expr::Extract { field: DateTimeField::Second | DateTimeField::Seconds, expr, .. } => {
                Some(sql(&format!("({PREFIX}divide(EXTRACT(MICROSECONDS FROM {expr}), 1000000.0, TRUE))"))?)
            }
            Expr::Position { expr, r#in } => Some(position(r#in, expr)?),
            Expr::Like { pattern, .. } | Expr::ILike { pattern, .. }
                if text_of(pattern).is_some_and(|t| t.contains('\\')) =>
            {
                return refused("a backslash in the pattern of LIKE", "compare with `=`, `starts_with` or `~`");
            }
            Expr::Function(function) => self.function(function)?,
            _ => None,
        })
    }

    fn operator(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Outcome<Option<Expr>> {
        let name = match op {
            BinaryOperator::And => return guarded(left, "FALSE", "AND", right),
            BinaryOperator::Or => return guarded(left, "TRUE", "OR", right),
            BinaryOperator::Divide => "divide",
            BinaryOperator::Modulo => "modulo",
            BinaryOperator::Plus => "plus",
            BinaryOperator::Minus => "minus",
            BinaryOperator::Multiply => "times",
            _ => return Ok(None),
        };
        if self.is_temporal(left) || self.is_temporal(right) {
            return Ok(None);
        }
        if let Some(column) = self.numeric(left).or(self.numeric(right)) {
            return inexact(&column);
        }
        let is_double = |expr: &Expr| self.reads(expr, |kind| matches!(kind, ColumnType::Float | ColumnType::Real));
        if matches!(name, "plus" | "minus" | "times") && (is_double(left) || is_double(right)) {
            // As Polars has it, but for overflow, which is `Infinity` there.
            return Ok(None);
        }
        call(name, &[left, right]).map(Some)
    }

    /// A numeric column that an expression reads other than as double precision.
    fn numeric(&self, expr: &Expr) -> Option<String> {
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
        self.any(expr, |node| match node {
            Expr::Interval(_) | Expr::TypedString(_) => true,
            Expr::Cast { data_type, .. } => {
                matches!(data_type, DataType::Date | DataType::Timestamp(..) | DataType::Datetime(..))
            }
            _ => false,
        }) || self.reads(expr, |kind| {
            matches!(kind, ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant)
        })
    }

    /// Whether a number is decimal to Postgres: made of literals with a point and whole numbers alone.
    fn is_decimal(&self, expr: &Expr) -> bool {
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

    fn kind(&self, expr: &Expr) -> Option<ColumnType> {
        let name = match expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => names.last()?,
            _ => return None,
        };
        self.columns.iter().find(|(column, _)| *column == name.value).map(|(_, kind)| *kind)
    }

    fn cast(&self, expr: &Expr, to: &DataType) -> Outcome<Option<Expr>> {
        let whole = |bits: u8| {
            let rounded = if self.is_decimal(expr) { call("round", &[expr])? } else { expr.clone() };
            call(&format!("int{bits}"), &[&rounded]).map(Some)
        };
        match to {
            DataType::SmallInt(_) | DataType::Int2(_) => whole(16),
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => whole(32),
            DataType::BigInt(_) | DataType::Int8(_) => whole(64),
            DataType::Text | DataType::String(None) | DataType::Varchar(None) => call("text", &[expr]).map(Some),
            DataType::Varchar(_) | DataType::CharVarying(_) | DataType::Char(_) | DataType::Character(_) => {
                refused(format!("a cast to {to}, which would not cut the text"), "write `left(text, length)`")
            }
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => refused(
                format!("a cast to {to}, since expressions count in double precision"),
                "leave the cast out, and let the step `cast` or the table's column make it numeric",
            ),
            _ => Ok(None),
        }
    }

    fn function(&self, function: &Function) -> Outcome<Option<Expr>> {
        let name = function.name.to_string().to_lowercase();
        if let Some(WindowType::WindowSpec(window)) = &function.over {
            return windowed(function, &name, window);
        }
        let arguments = arguments(function);
        if COUNTING.contains(&name.as_str())
            && let Some(column) = arguments.iter().find_map(|argument| self.numeric(argument))
        {
            return inexact(&column);
        }
        match (name.as_str(), arguments.as_slice()) {
            ("mod", [left, right]) => call("modulo", &[left, right]).map(Some),
            ("div", [_, _]) => {
                refused("`div`, which would round down", "write `a / b`, which is whole for whole numbers")
            }
            ("initcap", _) => refused("`initcap`, which would begin a word after a digit", "use `upper` and `lower`"),
            ("log", [number]) => finite(&format!("log10({number})"), &[number]).map(Some),
            ("log", [base, number]) => finite(&format!("log({number}, {base})"), &[base, number]).map(Some),
            ("strpos", [text, part]) => position(text, part).map(Some),
            ("left" | "right", [text, length]) if length.to_string() == "0" => {
                sql(&format!("CASE WHEN ({text}) IS NOT NULL THEN '' END")).map(Some)
            }
            ("replace", [_, part, _]) if text_of(part).is_some_and(str::is_empty) => {
                refused("`replace` of an empty text", "leave it out, since it changes nothing")
            }
            ("round", [number]) if self.is_decimal(number) => call("round", &[number]).map(Some),
            (name, arguments) if FINITE.contains(&name) => {
                finite(&function.to_string(), &arguments.iter().collect::<Vec<_>>()).map(Some)
            }
            _ => Ok(None),
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

fn inexact<T>(column: &str) -> Outcome<T> {
    refused(
        format!("arithmetic with the numeric column `{column}`, since expressions count in double precision"),
        "write `CAST(column AS double precision)`, or compute it in SQL after the load",
    )
}

/// SQL that was put together from parsed parts.
fn sql(text: &str) -> Outcome<Expr> {
    let parsed = parser(text).and_then(|mut parser| parser.parse_expr());
    parsed
        .map(|expr| Expr::Nested(Box::new(expr)))
        .or_else(|error| refused(error.to_string(), "write it in another way"))
}

/// A call of a function of ours, which fails wherever its last argument is true.
fn call(name: &str, arguments: &[&Expr]) -> Outcome<Expr> {
    let arguments = arguments.iter().map(|argument| format!("{argument}, ")).collect::<String>();
    sql(&format!("{PREFIX}{name}({arguments}TRUE)"))
}

fn finite(function: &str, arguments: &[&Expr]) -> Outcome<Expr> {
    let arguments = arguments.iter().map(|argument| format!(", {argument}")).collect::<String>();
    sql(&format!("{PREFIX}finite({function}{arguments}, TRUE)"))
}

/// Comparisons with each value of a list, as a tree: a chain would nest too deeply.
fn among(expr: &Expr, list: &[Expr], negated: bool) -> String {
    let (compare, join) = if negated { ("<>", "AND") } else { ("=", "OR") };
    match list {
        [value @ Expr::Value(_)] => format!("({expr}) {compare} {value}"),
        [value] => format!("({expr}) {compare} ({value})"),
        _ => {
            let (left, right) = list.split_at(list.len() / 2);
            format!("({} {join} {})", among(expr, left, negated), among(expr, right, negated))
        }
    }
}

fn is_float(to: &DataType) -> bool {
    let shown = to.to_string().to_lowercase();
    ["float", "double", "real"].iter().any(|word| shown.starts_with(word))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter_map(argument).collect()
}

/// Where a part of a text begins, in characters.
fn position(text: &Expr, part: &Expr) -> Outcome<Expr> {
    if text_of(part).is_none_or(str::is_empty) {
        return refused(
            "the place of a text that is not written out",
            "look for a text such as 'a', or compare with LIKE",
        );
    }
    sql(&format!(
        "CASE WHEN strpos({text}, {part}) > 0 THEN length(split_part({text}, {part}, 1)) + 1 WHEN ({text}) IS NOT NULL THEN 0 END"
    ))
}

/// The right side of AND and OR fails only where the left side leaves the answer open, as with Postgres.
fn guarded(left: &Expr, deciding: &str, operator: &str, right: &Expr) -> Outcome<Option<Expr>> {
    if !right.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut right = right.clone();
    guard(&mut right, &format!("(({}) IS DISTINCT FROM {deciding})", quiet(left)))?;
    sql(&format!("{left} {operator} {right}")).map(Some)
}

/// A branch of CASE fails only where it is taken.
fn guarded_case(case: &Expr) -> Outcome<Option<Expr>> {
    if !case.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut case = case.clone();
    let Expr::Case { operand, conditions, else_result, .. } = &mut case else { return Ok(None) };
    let mut before = Vec::new();
    for when in conditions {
        let others = before.join(" AND ");
        if !others.is_empty() {
            guard(&mut when.condition, &others)?;
        }
        let condition = match operand {
            Some(operand) => format!("({}) = ({})", quiet(operand), quiet(&when.condition)),
            None => quiet(&when.condition).to_string(),
        };
        let own = format!("(({condition}) IS NOT DISTINCT FROM TRUE)");
        guard(&mut when.result, &before.iter().chain([&own]).cloned().collect::<Vec<_>>().join(" AND "))?;
        before.push(format!("(({condition}) IS DISTINCT FROM TRUE)"));
    }
    if let Some(other) = else_result {
        guard(other, &before.join(" AND "))?;
    }
    Ok(Some(case))
}

/// Lets calls of our functions fail only where `condition` is true.
fn guard(expr: &mut Expr, condition: &str) -> Outcome<()> {
    let guard = sql(condition)?;
    let _ = each_call(expr, |last| match last.to_string().to_ascii_uppercase().as_str() {
        "FALSE" => {}
        "TRUE" => *last = guard.clone(),
        _ => {
            let both = sql(&format!("{last} AND {guard}"));
            if let Ok(both) = both {
                *last = both;
            }
        }
    });
    Ok(())
}

/// The expression with calls that never fail.
fn quiet(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    if let Ok(never) = parser("FALSE").and_then(|mut parser| parser.parse_expr()) {
        let _ = each_call(&mut expr, |last| *last = never.clone());
    }
    expr
}

/// Changes the last argument of each call of our functions.
fn each_call(expr: &mut Expr, mut change: impl FnMut(&mut Expr)) -> ControlFlow<()> {
    sqlparser::ast::visit_expressions_mut(expr, |node| {
        if let Expr::Function(function) = node
            && function.name.to_string().starts_with(PREFIX)
            && let FunctionArguments::List(list) = &mut function.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(last))) = list.args.last_mut()
        {
            change(last);
        }
        ControlFlow::Continue(())
    })
}

/// A window function: NULLs come last in ascending order, and rows that are equal in the window's order are not told
/// apart by Postgres.
fn windowed(function: &Function, name: &str, window: &WindowSpec) -> Outcome<Option<Expr>> {
    if window.order_by.is_empty() {
        return Ok(None);
    }
    if ["rank", "dense_rank"].contains(&name) {
        return refused(format!("`{name}`, which would not count NULL"), "use `row_number`");
    }
    if name == "avg" {
        return refused("`avg` over a window with an order", "divide `sum` by `count` over the same window");
    }
    if RUNNING.contains(&name) && window.window_frame.is_none() {
        return refused(
            format!("`{name}` over an order without a frame, which would tell equal rows apart"),
            "add `ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW`",
        );
    }
    if window.order_by.iter().any(|order| order.options.nulls_first.is_some()) {
        return refused("NULLS FIRST or NULLS LAST in a window", "leave it out, or order by `column IS NULL` first");
    }
    if window.order_by.iter().any(|order| order.options.asc == Some(false)) {
        return Ok(None);
    }
    let mut function = function.clone();
    if let Some(WindowType::WindowSpec(window)) = &mut function.over {
        let orders = std::mem::take(&mut window.order_by);
        for order in orders {
            let mut nulls = order.clone();
            // A sum with a number first has no column's name, which the key beside it has.
            nulls.expr = sql(&format!("0 + CAST(({}) IS NULL AS int)", order.expr))?;
            window.order_by.extend([nulls, order]);
        }
    }
    Ok(Some(Expr::Function(function)))
}
