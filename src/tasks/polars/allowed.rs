//! The parts of SQL that steps compute as Postgres does. What is not listed here is refused: the library reads a lot more,
//! and ignores some of it. Structures are taken apart by all their fields, so that a new field has to be looked at.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, Cte, DataType, DateTimeField, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Interval, Query, TypedString,
    UnaryOperator, Value, Visit, Visitor, WindowType, With,
};

use super::function_table;
use super::functions::arguments;
use super::select_parts::{check_body, check_limit, check_order, check_table, reads_column};
use super::sql::INPUT;
use super::unsupported::{AFTER_LOAD, SqlResult, UnsupportedSql, unsupported};
use super::walk::walk;

/// Refuses what steps do not compute in an expression or a query.
pub(super) fn check(node: &impl Visit) -> SqlResult<()> {
    walk(node, &mut AllowListCheck::default()).break_value().map_or(Ok(()), Err)
}

#[derive(Default)]
struct AllowListCheck {
    /// The names that WITH gives.
    named: BTreeSet<String>,
}

fn flow(checked: SqlResult<()>) -> ControlFlow<Box<UnsupportedSql>> {
    checked.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl Visitor for AllowListCheck {
    type Break = Box<UnsupportedSql>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<UnsupportedSql>> {
        flow(self.query(query))
    }

    fn pre_visit_table_factor(&mut self, table: &sqlparser::ast::TableFactor) -> ControlFlow<Box<UnsupportedSql>> {
        flow(check_table(table, &self.named))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<UnsupportedSql>> {
        flow(check_node(expr))
    }
}

impl AllowListCheck {
    fn query(&mut self, query: &Query) -> SqlResult<()> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return unsupported("FOR, SETTINGS, FORMAT and pipes in a query", "leave them out");
        }
        if let Some(with) = with {
            self.with(with)?;
        }
        check_body(body)?;
        check_order(order_by.as_ref())?;
        check_limit(limit_clause.as_ref(), fetch.as_ref())
    }

    /// Each name of WITH may stand for one query alone: they are all known everywhere.
    fn with(&mut self, with: &With) -> SqlResult<()> {
        let With { with_token: _, recursive, cte_tables } = with;
        for Cte { alias, query: _, from, materialized: _, closing_paren_token: _ } in cte_tables {
            if *recursive || from.is_some() || !alias.columns.is_empty() || alias.at.is_some() {
                let help = "name the columns in the query: `WITH x AS (SELECT a AS b FROM self)`";
                return unsupported("WITH RECURSIVE and names of columns behind WITH", help);
            }
            let name = alias.name.value.to_lowercase();
            if name == INPUT || !self.named.insert(name) {
                return unsupported(
                    format!("the name `{}` for two tables", alias.name.value),
                    "give each query of WITH a name of its own",
                );
            }
        }
        Ok(())
    }
}

fn check_node(expr: &Expr) -> SqlResult<()> {
    match expr {
        Expr::Identifier(_)
        | Expr::Nested(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Position { .. }
        | Expr::Collate { .. }
        | Expr::Case { .. } => Ok(()),
        Expr::CompoundIdentifier(names) if names.len() == 2 => Ok(()),
        Expr::Value(value) => check_value(&value.value),
        Expr::BinaryOp { op, .. } => check_operator(op),
        Expr::UnaryOp { op: UnaryOperator::Not, .. } => Ok(()),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr } => check_sign(expr),
        Expr::Like { any, escape_char, pattern, .. } | Expr::ILike { any, escape_char, pattern, .. } => {
            match *any || escape_char.is_some() || !is_text(pattern) {
                true => unsupported(
                    "LIKE with ESCAPE, ANY or a pattern that is not a text in quotes",
                    "compare with `=`, `starts_with` or `~`",
                ),
                false => Ok(()),
            }
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, array: false, format: None, data_type, .. } => {
            check_type(data_type)
        }
        Expr::Cast { kind, .. } => unsupported(
            format!("{kind:?}, which Postgres does not know"),
            "write `CAST(… AS …)`; `on_bad_row` says what becomes of values that do not fit",
        ),
        Expr::Extract { field, .. } => check_field(field),
        Expr::Ceil { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. }
        | Expr::Floor { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. } => Ok(()),
        Expr::Substring { .. } => Ok(()),
        Expr::Trim { trim_what, trim_characters: None, .. } if trim_what.as_deref().is_none_or(is_text) => Ok(()),
        Expr::Trim { .. } => unsupported(
            "`trim` by what is not a text in quotes",
            "write `trim(BOTH 'x' FROM text)`, or `ltrim(text, characters)` and `rtrim(text, characters)`",
        ),
        Expr::TypedString(TypedString { data_type, value: _, uses_odbc_syntax: false }) => match data_type {
            DataType::Date | DataType::Timestamp(..) => Ok(()),
            _ => unsupported(format!("`{expr}`"), "write `DATE '2020-04-01'` or `TIMESTAMP '2020-04-01 00:44:02'`"),
        },
        Expr::Function(function) => check_function(function),
        Expr::Interval(interval) => check_interval(interval),
        Expr::AnyOp { .. } | Expr::AllOp { .. } => unsupported("ANY and ALL", "write `IN (…)`"),
        Expr::RLike { .. } => unsupported("RLIKE and REGEXP", "write `~`"),
        Expr::Exists { .. } | Expr::Subquery(_) => unsupported(
            "a query inside an expression other than behind IN",
            "write `column IN (SELECT …)`, or join the query: `FROM self a JOIN (SELECT …) b ON a.k = b.k`",
        ),
        Expr::AtTimeZone { .. } => unsupported("AT TIME ZONE", AFTER_LOAD),
        other => unsupported(format!("`{other}`, which steps do not compute"), AFTER_LOAD),
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn check_value(value: &Value) -> SqlResult<()> {
    match value {
        Value::Number(digits, false) if digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => Ok(()),
        Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => Ok(()),
        other => unsupported(
            format!("the value {other}"),
            "write numbers as 1000 and 0.001, and texts in single quotes without a letter before them",
        ),
    }
}

/// A sign before a text would make a number of it.
fn check_sign(expr: &Expr) -> SqlResult<()> {
    match expr {
        Expr::Value(value) if !matches!(value.value, Value::Number(..)) => {
            unsupported(format!("a sign before {value}"), "write the number without quotes")
        }
        Expr::Nested(inner) => check_sign(inner),
        _ => Ok(()),
    }
}

fn check_operator(op: &BinaryOperator) -> SqlResult<()> {
    use BinaryOperator::{
        And, BitwiseAnd, BitwiseOr, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, PGILikeMatch,
        PGLikeMatch, PGNotILikeMatch, PGNotLikeMatch, PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch,
        PGStartsWith, Plus, StringConcat,
    };
    match op {
        Plus | Minus | Multiply | Divide | Modulo | StringConcat | And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq
        | BitwiseAnd | BitwiseOr | PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch | PGLikeMatch
        | PGILikeMatch | PGNotLikeMatch | PGNotILikeMatch | PGStartsWith => Ok(()),
        op => {
            unsupported(format!("the operator `{op}`"), "write it with other operators, or compute it after the load")
        }
    }
}

/// The types that a cast may name; `casts` says which values they take.
fn check_type(to: &DataType) -> SqlResult<()> {
    match to {
        DataType::SmallInt(None)
        | DataType::Int2(None)
        | DataType::Int(None)
        | DataType::Integer(None)
        | DataType::Int4(None)
        | DataType::BigInt(None)
        | DataType::Int8(None)
        | DataType::Text
        | DataType::Varchar(_)
        | DataType::CharVarying(_)
        | DataType::CharacterVarying(_)
        | DataType::Char(_)
        | DataType::Character(_)
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Dec(_)
        | DataType::Real
        | DataType::Float4
        | DataType::Float(_)
        | DataType::Float8
        | DataType::DoublePrecision
        | DataType::Bool
        | DataType::Boolean
        | DataType::Date
        | DataType::Timestamp(..) => Ok(()),
        to => {
            let help = match to {
                DataType::String(_) => "write `text`",
                DataType::Double(_) | DataType::Float64 => "write `double precision`",
                DataType::Datetime(_) => "write `timestamp`",
                DataType::TinyInt(_) | DataType::HugeInt | DataType::UHugeInt => "write `bigint`",
                _ => "let the table's column convert it, or compute it in SQL after the load",
            };
            unsupported(format!("a cast to {to}"), help)
        }
    }
}

/// The fields of a time; Polars reads many others in its own way.
fn check_field(field: &DateTimeField) -> SqlResult<()> {
    use DateTimeField::{
        Century, Day, Decade, Dow, Doy, Epoch, Hour, Isodow, Isoyear, Microseconds, Millennium, Millisecond,
        Milliseconds, Minute, Month, Quarter, Second, Week, Year,
    };
    match field {
        Year | Month | Day | Hour | Minute | Second | Century | Decade | Millennium | Dow | Doy | Epoch | Isodow
        | Isoyear | Quarter | Week(None) | Milliseconds | Millisecond | Microseconds => Ok(()),
        field => unsupported(format!("the field {field} of a time"), "write a field such as `year`, `month` or `hour`"),
    }
}

fn check_interval(interval: &Interval) -> SqlResult<()> {
    let Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } = interval;
    let is_plain = leading_field.is_none()
        && leading_precision.is_none()
        && last_field.is_none()
        && fractional_seconds_precision.is_none();
    match is_plain && is_text(value) {
        true => Ok(()),
        false => unsupported(format!("`{interval}`"), "write it as `INTERVAL '1 day'`"),
    }
}

fn check_function(function: &Function) -> SqlResult<()> {
    let Function { name, uses_odbc_syntax, parameters, args, filter, null_treatment, over, within_group } = function;
    let lower = name.to_string().to_lowercase();
    let is_plain = !uses_odbc_syntax
        && matches!(parameters, FunctionArguments::None)
        && null_treatment.is_none()
        && within_group.is_empty();
    if !is_plain {
        return unsupported(format!("parameters, WITHIN GROUP or the treatment of NULLs of `{name}`"), AFTER_LOAD);
    }
    let entry = function_table::find(&lower).filter(|entry| !entry.is_internal());
    // What is no function of steps is refused by its name later.
    let Some(entry) = entry else { return Ok(()) };
    let FunctionArguments::List(list) = args else {
        return unsupported(format!("`{function}`"), "write its arguments in parentheses");
    };
    let is_counting = lower == "count";
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => {}
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if is_counting && list.args.len() == 1 => {}
            argument => return unsupported(format!("the argument `{argument}` of `{name}`"), "write a value"),
        }
    }
    let is_ordered = list.clauses.iter().all(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    let has_its_order = lower == "string_agg" && is_ordered && list.clauses.len() == 1;
    if !list.clauses.is_empty() && !has_its_order {
        return unsupported(format!("a clause between the brackets of `{name}`"), AFTER_LOAD);
    }
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if list.duplicate_treatment.is_some() && !(is_counting && is_distinct && over.is_none() && list.args.len() == 1) {
        return unsupported(format!("DISTINCT or ALL in `{name}`"), "`count(DISTINCT column)` is possible");
    }
    if filter.is_some() && (!entry.is_aggregate || over.is_some()) {
        return unsupported(format!("FILTER behind `{name}`"), "aggregates without OVER take FILTER");
    }
    let takes_window = function_table::WINDOW_FUNCTIONS.contains(&lower.as_str());
    match over {
        Some(WindowType::NamedWindow(window)) => {
            unsupported(format!("the window `{window}`"), "write the window out: `OVER (…)`")
        }
        Some(WindowType::WindowSpec(_)) if !takes_window && !entry.is_aggregate => {
            unsupported(format!("OVER behind `{name}`"), "leave it out")
        }
        None if takes_window => {
            unsupported(format!("`{name}` without a window"), "write `OVER (ORDER BY …)` behind it")
        }
        Some(WindowType::WindowSpec(_)) | None => check_aggregate(function, &lower, entry.is_aggregate),
    }
}

/// Polars computes an aggregate of a constant once, however many rows there are.
fn check_aggregate(function: &Function, name: &str, is_aggregate: bool) -> SqlResult<()> {
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    if !is_aggregate || function_table::WINDOW_FUNCTIONS.contains(&name) {
        return Ok(());
    }
    let values = arguments(function);
    let is_counting = name == "count";
    let wanted = if name == "string_agg" { 2 } else { 1 };
    if list.args.len() != wanted {
        return unsupported(format!("`{function}`"), "give the aggregate one column, and `string_agg` a separator too");
    }
    if name == "string_agg" && !values.get(1).is_some_and(is_text) {
        return unsupported("`string_agg` with a separator that is not a text in quotes", "write `string_agg(s, ',')`");
    }
    let is_row_count = is_counting && values.iter().all(is_constant);
    match values.first().filter(|value| !is_row_count && !reads_column(*value)) {
        Some(value) => unsupported(
            format!("`{name}` of `{value}`, which reads no column"),
            "write it with `count(*)`, such as `count(*) * 2` for `sum(2)`",
        ),
        None => Ok(()),
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value != Value::Null)
}
