//! Columns of types within which a file's own way of writing values is not read.

use crate::stream::Conversions;
use crate::task::TaskError;
use crate::tasks::postgres::table::TableField;

/// What is made of numbers.
const NUMBERS: &[&str] =
    &["money", "int4range", "int8range", "numrange", "int4multirange", "int8multirange", "nummultirange"];
const DATES: &[&str] = &["daterange", "datemultirange"];
const TIMES: &[&str] = &["tsrange", "tstzrange", "tsmultirange", "tstzmultirange"];
/// What the names of types begin with whose arrays are made of numbers.
const ARRAYS_OF_NUMBERS: &[&str] = &["smallint", "integer", "bigint", "numeric", "real", "double precision", "money"];

/// Whether a setting is for values within those of a type.
type Concerns = fn(&str) -> bool;

/// Checks that no setting is for values within a column's values, such as the dates of an array: they would be read as
/// the server reads them, which may be another date.
///
/// # Errors
/// Names the setting, the column and its type.
pub(super) fn check(conversions: &Conversions, fields: &[TableField]) -> Result<(), TaskError> {
    let settings: [(&str, bool, Concerns); 6] = [
        ("decimal", conversions.decimal.is_some(), holds_numbers),
        ("thousands", conversions.thousands.is_some(), holds_numbers),
        ("date_format", conversions.date.is_some(), |kind| DATES.contains(&kind) || is_array(kind, "date")),
        ("timestamp_format", conversions.timestamp.is_some(), |kind| {
            TIMES.contains(&kind) || is_array(kind, "timestamp")
        }),
        ("true_values", !conversions.true_values.is_empty(), |kind| is_array(kind, "boolean")),
        ("false_values", !conversions.false_values.is_empty(), |kind| is_array(kind, "boolean")),
    ];
    let given = settings.into_iter().filter(|(_, is_given, _)| *is_given);
    for (setting, _, concerns) in given {
        if let Some(field) = fields.iter().find(|field| concerns(&field.sql_type)) {
            let TableField { name, sql_type, .. } = field;
            let message = format!("`{setting}` does not apply to column `{name}`, which is {sql_type}");
            let help = "load the values into a text column and convert them there, or leave the column out";
            return Err(TaskError::permanent(message).help(help));
        }
    }
    Ok(())
}

fn holds_numbers(kind: &str) -> bool {
    NUMBERS.contains(&kind) || ARRAYS_OF_NUMBERS.iter().any(|item| is_array(kind, item))
}

fn is_array(kind: &str, item: &str) -> bool {
    kind.ends_with("[]") && kind.starts_with(item)
}
