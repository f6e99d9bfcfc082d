//! The statement that makes a table of columns and types.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::postgres::name::{TableName, new_column, quote_name, truncated};
use crate::stream::infer::InferredFile;
use crate::task::TaskError;

/// Whether the types of new columns are types.
///
/// # Errors
/// When one is none.
pub(super) fn check_types(columns: &Map<String, Value>) -> Result<(), TaskError> {
    columns.iter().try_for_each(|(column, kind)| type_of(column, kind).map(drop))
}

fn type_of<'a>(column: &str, kind: &'a Value) -> Result<&'a str, TaskError> {
    kind.as_str().filter(|kind| is_type(kind)).ok_or_else(|| {
        TaskError::permanent(format!("`schema.{column}`: {kind} is not a Postgres type"))
            .help("write for example bigint, double precision, text or timestamp")
    })
}

/// Types are written as the user has them, so that `varchar(3)` and `bigint not null` work.
pub(super) fn create_table(table: &TableName, columns: &Map<String, Value>) -> Result<String, TaskError> {
    let mut sql = format!("CREATE TABLE {} (", table.sql());
    for (index, (column, kind)) in columns.iter().enumerate() {
        let kind = type_of(column, kind)?;
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(sql, "{comma}{} {kind}", new_column(column)?);
    }
    Ok(sql + ")")
}

/// The statement that gives a table more columns, so far as it does not have them by now.
///
/// # Errors
/// When a type is none, or no column can have such a name.
pub(super) fn add_columns(sql_name: &str, columns: &Map<String, Value>) -> Result<String, TaskError> {
    let added = columns.iter().map(|(column, kind)| {
        Ok(format!("ADD COLUMN IF NOT EXISTS {} {}", new_column(column)?, type_of(column, kind)?))
    });
    Ok(format!("ALTER TABLE {sql_name} {}", added.collect::<Result<Vec<_>, TaskError>>()?.join(", ")))
}

/// The name of a new column as `schema` has it: in small letters as Postgres reads it, unless two names differ in nothing
/// else.
pub(super) fn column_name(name: &str, all: &[&str]) -> String {
    let plain = |name: &str| truncated(name.trim()).to_lowercase();
    let folded = plain(name);
    let is_alone = all.iter().filter(|other| plain(other) == folded).count() == 1;
    if is_alone && !folded.starts_with('"') { folded } else { quote_name(truncated(name.trim())) }
}

/// The columns of a file as the `schema` of a table that takes them.
pub fn schema_of(file: &InferredFile) -> Map<String, Value> {
    let all: Vec<&str> = file.columns.iter().map(|column| column.name.as_str()).collect();
    let columns = file.columns.iter();
    columns.map(|column| (column_name(&column.name, &all), Value::from(column.kind.to_string()))).collect()
}

/// Whether a text stays within the definition of its column: no comma or parenthesis leads out of it, and nothing in it
/// begins a text, a name in quotes or a comment.
fn is_type(text: &str) -> bool {
    let mut depth = 0usize;
    let stays_inside = text.chars().all(|letter| match letter {
        '(' => {
            depth += 1;
            true
        }
        ')' => depth.checked_sub(1).is_some_and(|outer| {
            depth = outer;
            true
        }),
        ',' => depth > 0,
        _ => !";'\"$\\".contains(letter) && !letter.is_control(),
    });
    stays_inside && depth == 0 && !text.trim().is_empty() && !text.contains("--") && !text.contains("/*")
}
