//! SQL text as Polars expressions, checked against the columns that there are before any row is read.

use polars::polars_utils::arena::Arena;
use polars::prelude::*;
use polars::sql::sql_expr;
use polars_plan::plans::{ExprToIRContext, is_elementwise_rec, to_expr_ir};

use super::pg_function::{self, PgFunction};
use super::{dialect, grammar, sql};
use crate::diagnostic::nearest;
use crate::stream::ColumnType;
use crate::stream::timestamp::{parse_date, parse_instant, parse_timestamp, parse_timestamptz};
use crate::stream::value::mismatch;
use crate::task::{NO_COLUMN, TaskError};

/// Columns by name, with what they hold.
pub type Columns = [(String, ColumnType)];

/// The Polars type that a column of this type has in every frame.
pub fn dtype_of(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int(_) => DataType::Int64,
        ColumnType::Float | ColumnType::Real => DataType::Float64,
        ColumnType::Numeric
        | ColumnType::Text
        | ColumnType::Json
        | ColumnType::Other
        | ColumnType::Array
        | ColumnType::JsonArray => DataType::String,
        ColumnType::Date => DataType::Date,
        ColumnType::Timestamp => DataType::Datetime(TimeUnit::Microseconds, None),
        ColumnType::TimestampTz | ColumnType::Instant => {
            DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        }
    }
}

/// What a computed column of this Polars type holds.
pub fn column_type_of(dtype: &DataType) -> ColumnType {
    match dtype {
        DataType::Boolean => ColumnType::Bool,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => ColumnType::Int(16),
        DataType::Int32 | DataType::UInt16 => ColumnType::Int(32),
        dtype if dtype.is_integer() => ColumnType::Int(64),
        dtype if dtype.is_float() => ColumnType::Float,
        DataType::Date => ColumnType::Date,
        DataType::Datetime(_, None) => ColumnType::Timestamp,
        DataType::Datetime(_, Some(_)) => ColumnType::TimestampTz,
        _ => ColumnType::Text,
    }
}

/// Makes the values of a step's field, which hold `from`, hold `kind`; a value that does not fit is an error when the
/// rows come.
///
/// # Errors
/// When Postgres has no such cast.
pub fn converted(field: &str, expression: Expr, from: ColumnType, kind: ColumnType) -> Result<Expr, TaskError> {
    match is_castable(from, kind) {
        true => Ok(convert(expression, from, kind)),
        false if from == ColumnType::Instant => {
            let message =
                format!("`{field}`: a timestamptz as {kind} depends on the session's time zone, which is not UTC");
            Err(TaskError::permanent(message)
                .help("compute it in SQL after the load, or set the session's time zone to UTC"))
        }
        false if kind == ColumnType::Instant => {
            let message =
                format!("`{field}`: {from} as a timestamptz depends on the session's time zone, which is not UTC");
            Err(TaskError::permanent(message)
                .help("leave the text for the server to read, or set the session's time zone to UTC"))
        }
        false => Err(TaskError::permanent(format!("`{field}`: values of type {from} cannot be converted to {kind}"))
            .help("write an explicit expression in `with_columns`")),
    }
}

/// Whether Postgres casts values of a type to another, and it does not depend on the session's time zone how.
fn is_castable(from: ColumnType, kind: ColumnType) -> bool {
    use ColumnType::{Bool, Date, Float, Instant, Int, Numeric, Real, Timestamp, TimestampTz};
    let is_number = |kind: ColumnType| matches!(kind, Int(_) | Float | Real | Numeric);
    let is_text = |kind: ColumnType| kind != Numeric && dtype_of(kind).is_string();
    match (from, kind) {
        (from, kind) if from == kind || is_text(from) => true,
        (Instant, kind) => kind == TimestampTz,
        (_, kind) if is_text(kind) => true,
        (Bool, Int(32)) | (Int(32), Bool) | (Date, Timestamp) | (Timestamp | TimestampTz, Date) => true,
        (Date | Timestamp | TimestampTz, Timestamp | TimestampTz) => true,
        (from, kind) => is_number(from) && is_number(kind),
    }
}

fn convert(expression: Expr, from: ColumnType, kind: ColumnType) -> Expr {
    use ColumnType::{Bool, Date, Float, Instant, Int, Numeric, Real, Timestamp, TimestampTz};
    let is_text = |kind: ColumnType| dtype_of(kind).is_string();
    let function = match (from, kind) {
        (Numeric, Numeric) => return expression,
        (Numeric, Int(bits)) => PgFunction::Nearest(bits),
        (_, Int(bits)) => PgFunction::Whole(bits),
        (Real, Real) | (_, Float) => PgFunction::Double,
        (_, Real) => {
            return PgFunction::Single.call(vec![convert(expression, from, Float), lit(true)]);
        }
        (Float, Numeric) => PgFunction::Digits(15),
        (Real, Numeric) => PgFunction::Digits(6),
        (from, Numeric | Bool | Date | Timestamp | TimestampTz | Instant) if is_text(from) => PgFunction::Parse(kind),
        (Numeric, kind) if is_text(kind) => PgFunction::Decimal,
        (Real, kind) if is_text(kind) => PgFunction::RealText,
        (_, kind) if is_text(kind) => PgFunction::Text,
        (_, kind) => return expression.strict_cast(dtype_of(kind)),
    };
    function.call(vec![expression, lit(true)])
}

/// A frame without rows that has these columns.
pub fn empty(columns: &Columns) -> DataFrame {
    DataFrame::empty_with_schema(&schema(columns))
}

/// These columns as Polars has them.
pub fn schema(columns: &Columns) -> Schema {
    columns.iter().map(|(name, kind)| Field::new(name.as_str().into(), dtype_of(*kind))).collect()
}

/// Reads the SQL expression of a step (`field`, such as `filter`), and says what it gives.
///
/// # Errors
/// When it is no SQL, names an unknown column, mixes types, or needs more than one row at a time.
pub fn parse(field: &str, text: &str, columns: &Columns) -> Result<(Expr, ColumnType), TaskError> {
    let wrong = |reason: String| TaskError::permanent(format!("`{field}`: {reason} in `{text}`"));
    sql::check_expression(field, text)?;
    let (rewritten, own) = dialect::expression(field, &grammar::expression(field, text)?, columns)?;
    let expression = sql_expr(rewritten).map_err(|error| wrong(plain(&error)))?;
    for name in columns_read(&expression) {
        if !columns.iter().any(|(column, _)| *column == name) {
            return Err(unknown_column(field, &name, columns));
        }
    }
    let expression = expression.try_map_expr(|node| Ok(pg_function::resolved(node)));
    let expression = expression.and_then(|expression| expression.try_map_expr(|node| adapt(node, columns)));
    let expression = expression.map_err(|error| wrong(plain(&error)))?;
    // Without rows, all that can go wrong is what would go wrong with any rows.
    let result = empty(columns).lazy().select([expression.clone().alias("result")]).collect();
    let result = result.map_err(|error| wrong(plain(&error)).help("`schema` or `cast` gives a column another type"))?;
    let dtype = result.column("result").map_err(|error| wrong(plain(&error)))?.dtype().clone();
    if dtype.is_duration() {
        return Err(wrong("the result is an interval, which no step can keep".to_owned())
            .help("compare it, or compute it in SQL after the load"));
    }
    if !is_row_by_row(&expression, &schema(columns)) {
        return Err(wrong("aggregates and window functions see all rows, which is not possible".to_owned())
            .help("this step looks at one row at a time; `sql` sees all rows, as the table `self`"));
    }
    Ok((expression, own.unwrap_or_else(|| column_type_of(&dtype))))
}

/// The columns that an expression reads.
pub fn columns_read(expression: &Expr) -> Vec<String> {
    let names = expression.into_iter().filter_map(|node| match node {
        Expr::Column(name) => Some(name.to_string()),
        _ => None,
    });
    names.collect()
}

/// Whether two names are the same except for case and blanks around them.
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// The column that a user means by `name`: the one so called, or the only one so called except for case and blanks.
pub fn resolve<'a>(name: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let mut similar = candidates.clone().filter(|candidate| is_same_name(candidate, name));
    let only = similar.next().filter(|_| similar.next().is_none());
    candidates.clone().find(|candidate| *candidate == name).or(only)
}

/// The column that the field of a step names.
///
/// # Errors
/// When there is none.
pub fn find<'a>(field: &str, name: &str, columns: &'a Columns) -> Result<&'a (String, ColumnType), TaskError> {
    let found = resolve(name, columns.iter().map(|(column, _)| column.as_str()));
    let column = found.and_then(|found| columns.iter().find(|(column, _)| column == found));
    column.ok_or_else(|| unknown_column(field, name, columns))
}

/// The error for a name that no column has, with the nearest one.
pub fn unknown_column(field: &str, name: &str, columns: &Columns) -> TaskError {
    let names: Vec<&str> = columns.iter().map(|(column, _)| column.as_str()).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the columns are `{}`", names.join("`, `")),
    };
    TaskError::permanent(format!("`{field}`: there is no column `{name}`")).help(help).code(NO_COLUMN)
}

/// What Polars says, in one plain line.
pub fn plain(error: &PolarsError) -> String {
    let text = error.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown error").trim();
    let line = line.split(" Resolved plan until failure").next().unwrap_or(line);
    let line = line.replace("SQL error: ", "").replace("sql parser error: ", "");
    if line.contains("expected") && (line.contains("got `null`") || line.contains("got: null")) {
        return "NULL without a type, which `CAST(NULL AS text)` gives it,".to_owned();
    }
    // Polars shows its tree of what it does not know.
    let line = match line.split_once("Ident {").map_or(line.as_str(), |(before, _)| before) {
        before if before.len() < line.len() => {
            let what = before.split(['{', '(', '[']).next().unwrap_or(before).trim();
            format!("{} is not supported", what.strip_prefix("expression ").unwrap_or(what))
        }
        _ => line,
    };
    without_advice(&line).to_owned()
}

/// What a message says before it advises users of a library in Python.
fn without_advice(line: &str) -> &str {
    const ADVICE: &[&str] = &[
        "hint:",
        "consider ",
        "try ",
        "you can ",
        "you may ",
        "you might ",
        "please ",
        "strict=",
        "`strict",
        "pl.",
        "deprecat",
        "set `",
        "use `",
        "python",
        "to silence ",
        "if you ",
    ];
    let lower = line.to_ascii_lowercase();
    let begins_word =
        |at: usize| lower.get(..at).and_then(|before| before.chars().next_back()).is_none_or(|c| !c.is_alphanumeric());
    let places =
        ADVICE.iter().filter_map(|word| lower.match_indices(word).map(|(at, _)| at).find(|at| begins_word(*at)));
    let kept = places.min().and_then(|end| line.get(..end)).unwrap_or(line);
    let kept = kept.trim_end_matches(|last: char| " .,;:(`\n".contains(last));
    if kept.is_empty() { "this is not possible" } else { kept }
}

/// Reads text next to a date or timestamp column as one, as SQL does.
fn adapt(node: Expr, columns: &Columns) -> PolarsResult<Expr> {
    let kind = |expr: &Expr| match expr {
        Expr::Column(name) => columns.iter().find(|(column, _)| *column == name.as_str()).map(|(_, kind)| *kind),
        _ => None,
    };
    match node {
        Expr::BinaryExpr { left, op, right } => {
            let read = |side: &Arc<Expr>, other: &Arc<Expr>| match (side.as_ref(), kind(other)) {
                (Expr::Literal(text), Some(kind)) => match text.extract_str() {
                    Some(text) => time_literal(text, kind).transpose().map(|found| found.map(Arc::new)),
                    None => Ok(None),
                },
                _ => Ok(None),
            };
            let new_left = read(&left, &right)?.unwrap_or_else(|| left.clone());
            let new_right = read(&right, &left)?.unwrap_or_else(|| right.clone());
            Ok(Expr::BinaryExpr { left: new_left, op, right: new_right })
        }
        node => Ok(node),
    }
}

/// The value that a text next to a date or timestamp column stands for; none next to other columns.
pub fn time_literal(text: &str, kind: ColumnType) -> Option<PolarsResult<Expr>> {
    let bytes = text.as_bytes();
    let value = match kind {
        ColumnType::Date => parse_date(bytes).map(lit),
        ColumnType::Timestamp => parse_timestamp(bytes).map(lit),
        ColumnType::TimestampTz => parse_timestamptz(bytes).map(lit),
        ColumnType::Instant => parse_instant(bytes).map(lit),
        _ => return None,
    };
    let value = value.map(|value| value.cast(dtype_of(kind)));
    let message = || format!("'{text}' {}", mismatch(bytes, kind));
    Some(value.ok_or_else(|| PolarsError::ComputeError(message().into())))
}

fn is_row_by_row(expression: &Expr, schema: &Schema) -> bool {
    let mut arena = Arena::new();
    let mut context = ExprToIRContext::new(&mut arena, schema);
    match to_expr_ir(expression.clone(), &mut context) {
        Ok(resolved) => is_elementwise_rec(resolved.node(), &arena),
        Err(_) => false,
    }
}
