//! The fields of `bigquery.load` for a file.

use serde_json::{Map, Value, json};

use super::Arguments;
use super::description::Description;
use super::names::{name_of, unnamed};
use super::source::Place;
use super::yaml::{block, item};
use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;
use crate::stream::FileFormat;
use crate::stream::infer::InferredType;

/// What an address begins with.
const SCHEME: &str = "bigquery:";

/// The table of an address `bigquery:dataset.table` or `bigquery:dataset`.
///
/// # Errors
/// When it is no such address, or names no table and the file does not either.
pub(super) fn table(address: &str, given: Option<&str>, place: &Place) -> Result<String, InvalidFlow> {
    let wrong = || {
        let finding = Diagnostic::error(format!("`--to {address}` is not a destination"));
        InvalidFlow::from(
            finding.help("write `--to bigquery:dataset.table`, or `--postgres ADDRESS` for a Postgres server"),
        )
    };
    let path = address.strip_prefix(SCHEME).map(|path| path.trim_start_matches('/')).filter(|path| !path.is_empty());
    let path = path.ok_or_else(wrong)?;
    match (path.matches('.').count(), given) {
        (1 | 2, None) => Ok(path.to_owned()),
        (0, Some(table)) => Ok(format!("{path}.{table}")),
        (0, None) => {
            let name = name_of(&place.file_name().unwrap_or_default()).ok_or_else(unnamed)?;
            Ok(format!("{path}.{name}"))
        }
        (_, Some(_)) => {
            let finding = Diagnostic::error(format!("`--to {address}` names a table, and so does the command"));
            Err(finding.help("name it once").into())
        }
        _ => Err(wrong()),
    }
}

/// The fields besides file and table.
///
/// # Errors
/// When BigQuery cannot read the file as it is written.
pub(super) fn fields(
    description: &Description,
    given: &Map<String, Value>,
    arguments: &Arguments,
) -> Result<String, InvalidFlow> {
    let format = description.file.options.format.unwrap_or(FileFormat::Csv);
    let unsupported = |what: String| {
        let finding = Diagnostic::error(format!("BigQuery does not read {what}"));
        InvalidFlow::from(finding.help("convert it first with `polars.transform` in a flow"))
    };
    if format == FileFormat::Json {
        return Err(unsupported("JSON that is not one object on each line".to_owned()));
    }
    if format == FileFormat::Excel {
        return Err(unsupported("workbooks of Excel".to_owned()));
    }
    let encoding = description.file.options.encoding.as_ref().filter(|_| format == FileFormat::Csv);
    if let Some(encoding) = encoding.filter(|encoding| !encoding.is("UTF8") && !encoding.is("LATIN1")) {
        let finding = Diagnostic::error(format!("BigQuery does not read files in {}", encoding.name()));
        let help =
            "convert the file to UTF-8 first, for example with `iconv`, or say `--encoding LATIN1` if it is in that";
        return Err(finding.help(help).into());
    }
    let known = ["format", "delimiter", "encoding", "header", "columns", "skip_lines", "quote", "null_string"];
    if let Some(field) = given.keys().find(|field| !known.contains(&field.as_str())) {
        return Err(unsupported(format!("files with `--{}`", field.replace('_', "-"))));
    }
    if arguments.on_extra_column.is_some() {
        return Err(unsupported("files with other columns than the table (`--on-extra-column`)".to_owned()));
    }
    if arguments.on_missing_column.is_some() {
        return Err(unsupported("files that lack columns of the table (`--on-missing-column`)".to_owned()));
    }
    let mut text = "    schema:\n".to_owned();
    for column in &description.file.columns {
        let kind =
            kind(&column.kind).ok_or_else(|| unsupported(format!("the lists of column `{}` here", column.name)))?;
        text += &item(&json!({"name": column.name.trim(), "type": kind}));
    }
    let mut settings = Map::new();
    let mut set = |name: &str, value: Value| drop(settings.insert(name.to_owned(), value));
    set("mode", arguments.mode.field(&arguments.key));
    if given.contains_key("format") {
        set("format", json!(format.name().to_uppercase().replace("NDJSON", "JSON")));
    }
    let csv = csv_options(description, given);
    if format == FileFormat::Csv && !csv.is_empty() {
        set("csv_options", Value::Object(csv));
    }
    if let Some(max) = arguments.reject {
        set("max_bad_records", json!(max));
    }
    if arguments.force {
        set("force", json!(true));
    }
    Ok(text + &block(&settings, 4, &[]))
}

fn csv_options(description: &Description, given: &Map<String, Value>) -> Map<String, Value> {
    let options = &description.file.options;
    let mut csv = Map::new();
    let mut set = |name: &str, value: Value| drop(csv.insert(name.to_owned(), value));
    if options.delimiter != b',' {
        set("field_delimiter", json!(char::from(options.delimiter).to_string()));
    }
    if let Some(encoding) = &options.encoding {
        set("encoding", json!(encoding.name()));
    }
    let lines = options.skip_lines + u64::from(options.header);
    if lines != 1 {
        set("skip_leading_rows", json!(lines));
    }
    for (field, option) in [("quote", "quote"), ("null_string", "null_marker")] {
        if let Some(value) = given.get(field) {
            set(option, if value == "none" { json!("") } else { value.clone() });
        }
    }
    csv
}

/// What BigQuery calls a type that holds all its values; decimals of any length are long ones.
fn kind(inferred: &InferredType) -> Option<&'static str> {
    Some(match inferred {
        InferredType::Boolean => "BOOL",
        InferredType::SmallInt | InferredType::Integer | InferredType::BigInt => "INT64",
        InferredType::Real | InferredType::Double => "FLOAT64",
        InferredType::Decimal(precision, scale) if *scale <= 9 && precision - scale <= 29 => "NUMERIC",
        InferredType::Numeric | InferredType::Decimal(..) => "BIGNUMERIC",
        InferredType::Date => "DATE",
        InferredType::Time => "TIME",
        InferredType::Timestamp => "DATETIME",
        InferredType::TimestampTz => "TIMESTAMP",
        InferredType::Text | InferredType::Uuid => "STRING",
        InferredType::Bytea => "BYTES",
        InferredType::Jsonb => "JSON",
        InferredType::Array(_) => return None,
    })
}
