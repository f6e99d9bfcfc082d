//! The columns of a table, as `bq` and the console write them: a list of `{name, type, mode, description, fields}`.

use std::fs;

use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_schema::TableSchema;
use serde_json::Value;

use crate::stream::{ColumnSpec, ColumnType};
use crate::task::{TaskContext, TaskError};

/// Reads a schema that is written out, or the JSON file of one.
///
/// # Errors
/// Names the file and the place, where it is no schema.
pub(super) fn read(context: &TaskContext, given: &Value) -> Result<TableSchema, TaskError> {
    match given {
        Value::String(text) if !text.trim_start().starts_with(['[', '{']) => {
            let file = fs::read_to_string(context.input_file("schema", text)?);
            let file = file.map_err(|error| TaskError::permanent(format!("cannot read `{text}`")).caused_by(error))?;
            of_text(&file, text)
        }
        // A template that gives a list or a map gives it as JSON.
        Value::String(text) => of_text(text, "schema"),
        other => of_value(other.clone(), "schema"),
    }
}

fn of_text(text: &str, name: &str) -> Result<TableSchema, TaskError> {
    let value = serde_json::from_str(text).map_err(|error| {
        let place = format!("{name}:{}:{}", error.line(), error.column());
        TaskError::permanent(format!("{place}: the schema is not JSON")).caused_by(error).help(EXAMPLE)
    })?;
    of_value(value, name)
}

fn of_value(value: Value, name: &str) -> Result<TableSchema, TaskError> {
    // `bq show --format=json` and Kestra wrap the list into `fields`.
    let mut list = match value {
        Value::Object(mut map) if map.contains_key("fields") => map.remove("fields").unwrap_or_default(),
        other => other,
    };
    upper(&mut list);
    let fields: Vec<TableFieldSchema> = serde_path_to_error::deserialize(list).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { name.to_owned() } else { format!("{name}: at {path}") };
        TaskError::permanent(format!("{place}: {}", error.inner())).help(EXAMPLE)
    })?;
    let mut seen = std::collections::BTreeSet::new();
    let twice = fields.iter().find(|field| !seen.insert(field.name.to_lowercase()));
    match twice {
        _ if fields.is_empty() => Err(TaskError::permanent(format!("{name}: the schema is empty")).help(EXAMPLE)),
        Some(field) => Err(TaskError::permanent(format!("{name}: there are two columns `{}`", field.name))),
        None => Ok(TableSchema::new(fields)),
    }
}

/// Types and modes count whatever their case.
fn upper(value: &mut Value) {
    for field in value.as_array_mut().into_iter().flatten() {
        for name in ["type", "mode"] {
            if let Some(Value::String(text)) = field.get_mut(name) {
                *text = text.to_uppercase();
            }
        }
        field.get_mut("fields").into_iter().for_each(upper);
    }
}

const EXAMPLE: &str = "write a list such as `[{\"name\": \"fare_amount\", \"type\": \"FLOAT64\", \"description\": \
     \"…\"}]`, in a file or in place";

/// The columns of a schema.
pub(super) fn fields(schema: &TableSchema) -> &[TableFieldSchema] {
    schema.fields.as_deref().unwrap_or_default()
}

/// The type of a column as SQL calls it.
pub(super) fn sql_type(field: &TableFieldSchema) -> String {
    let name = serde_json::to_value(&field.r#type).ok().and_then(|name| name.as_str().map(str::to_owned));
    match name.as_deref() {
        Some("INTEGER") => "INT64".to_owned(),
        Some("FLOAT") => "FLOAT64".to_owned(),
        Some("BOOLEAN") => "BOOL".to_owned(),
        Some(other) => other.to_owned(),
        None => "STRING".to_owned(),
    }
}

/// Whether `IS DISTINCT FROM` compares such a column as it is.
pub(super) fn is_comparable(field: &TableFieldSchema) -> bool {
    let plain = !matches!(sql_type(field).as_str(), "JSON" | "GEOGRAPHY" | "RECORD" | "STRUCT");
    plain && field.mode.as_deref() != Some("REPEATED")
}

/// What a file's text has to be for such a column.
pub(super) fn column(field: &TableFieldSchema, name: &str) -> ColumnSpec {
    let kind = match sql_type(field).as_str() {
        "INT64" => ColumnType::Int(64),
        "FLOAT64" => ColumnType::Float,
        "NUMERIC" | "BIGNUMERIC" => ColumnType::Numeric,
        "BOOL" => ColumnType::Bool,
        "DATE" => ColumnType::Date,
        "DATETIME" => ColumnType::Timestamp,
        "TIMESTAMP" => ColumnType::TimestampTz,
        _ => ColumnType::Text,
    };
    ColumnSpec {
        name: name.to_owned(),
        kind,
        required: field.mode.as_deref() == Some("REQUIRED"),
        likely: None,
        shape: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_leniently_and_refused_with_its_place() {
        let text =
            r#"{"fields": [{"name": "a", "type": "string", "description": "d"}, {"name": "b", "type": "int64"}]}"#;
        let schema = of_text(text, "s.json").unwrap();
        assert_eq!(fields(&schema).iter().map(sql_type).collect::<Vec<_>>(), ["STRING", "INT64"]);
        let message = |text| of_text(text, "s.json").unwrap_err().message;
        assert!(message("[{]").starts_with("s.json:1:3: the schema is not JSON"));
        assert!(message(r#"[{"name": "a", "type": "VARCHAR"}]"#).starts_with("s.json: at [0].type: unknown variant"));
        assert!(message(r#"[{"name": "a", "type": "DATE"}, {"name": "A", "type": "DATE"}]"#).contains("two columns"));
        assert!(message("[]").contains("empty"));
    }
}
