//! The statement that makes a table of columns and types.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::postgres::name::{TableName, new_column};
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
