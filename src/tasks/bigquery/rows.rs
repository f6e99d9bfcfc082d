//! The rows of a query, as JSON of the types that they mean.

use std::fs::File;
use std::io::{BufWriter, Write};

use chrono::{DateTime, SecondsFormat};
use gcp_bigquery_client::model::field_type::FieldType;
use gcp_bigquery_client::model::get_query_results_parameters::GetQueryResultsParameters;
use gcp_bigquery_client::model::job_reference::JobReference;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_row::TableRow;
use serde_json::{Map, Number, Value};

use super::client::BigQueryClient;
use super::job::text;
use crate::task::TaskError;
use crate::tasks::fetch::{FetchMode, MAX_ROWS, ResultSet};

/// Rows of one answer; Google sends fewer where they are large.
const PAGE: i32 = 10_000;

impl BigQueryClient<'_> {
    /// The rows that a finished query returns, kept as the task wants them.
    ///
    /// # Errors
    /// When they cannot be had, are too many, or cannot be stored.
    pub(super) async fn rows(&self, reference: &JobReference, keep: FetchMode) -> Result<ResultSet, TaskError> {
        let what = format!("reading the rows of {}", text(&reference.job_id));
        let mut collector = Collector::start(self, keep)?;
        let mut token = None;
        loop {
            let most = match keep {
                FetchMode::Nothing => 0,
                FetchMode::First => 1,
                FetchMode::All | FetchMode::File => PAGE,
            };
            let parameters = GetQueryResultsParameters {
                location: reference.location.clone(),
                max_results: Some(most),
                page_token: token.take(),
                ..GetQueryResultsParameters::default()
            };
            let jobs = self.client.job();
            let page =
                self.call(&what, || jobs.get_query_results(&self.project, text(&reference.job_id), parameters.clone()));
            let page = page.await?;
            if !page.job_complete.unwrap_or(true) {
                token = parameters.page_token;
                continue;
            }
            collector.result.size = page.total_rows.and_then(|rows| rows.parse().ok()).unwrap_or(0);
            let fields = page.schema.and_then(|schema| schema.fields).unwrap_or_default();
            for row in page.rows.into_iter().flatten() {
                collector.add(to_json(&fields, &row))?;
                self.context.progress.add_rows(1);
            }
            token = page.page_token.filter(|_| matches!(keep, FetchMode::All | FetchMode::File));
            if token.is_none() {
                return collector.finish();
            }
        }
    }
}

struct Collector {
    keep: FetchMode,
    result: ResultSet,
    file: Option<BufWriter<File>>,
}

impl Collector {
    fn start(bigquery: &BigQueryClient<'_>, keep: FetchMode) -> Result<Self, TaskError> {
        let mut collector = Self { keep, result: ResultSet::default(), file: None };
        if keep == FetchMode::All {
            collector.result.rows = Some(Vec::new());
        }
        if keep == FetchMode::File {
            let stored = bigquery.context.output_file("rows.ndjson")?;
            collector.file = Some(BufWriter::new(File::create(&stored.path).map_err(unwritable)?));
            collector.result.uri = Some(stored.uri);
        }
        Ok(collector)
    }

    fn add(&mut self, row: Map<String, Value>) -> Result<(), TaskError> {
        match self.keep {
            FetchMode::Nothing => {}
            FetchMode::First => self.result.row = self.result.row.take().or(Some(row)),
            FetchMode::All => {
                let rows = self.result.rows.get_or_insert_default();
                if rows.len() == MAX_ROWS {
                    return Err(TaskError::permanent(format!("the SQL returns more than {MAX_ROWS} rows"))
                        .help("use `fetch: STORE` for results of this size, or a `destination_table`"));
                }
                rows.push(row);
            }
            FetchMode::File => {
                if let Some(file) = &mut self.file {
                    writeln!(file, "{}", Value::Object(row)).map_err(unwritable)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ResultSet, TaskError> {
        if let Some(file) = &mut self.file {
            file.flush().map_err(unwritable)?;
        }
        Ok(self.result)
    }
}

fn unwritable(error: std::io::Error) -> TaskError {
    TaskError::permanent("cannot store the rows").caused_by(error)
}

fn to_json(fields: &[TableFieldSchema], row: &TableRow) -> Map<String, Value> {
    let cells = row.columns.iter().flatten();
    let named = fields.iter().zip(cells);
    named.map(|(field, cell)| (field.name.clone(), value(field, cell.value.as_ref()))).collect()
}

/// A cell, perhaps of several values.
fn value(field: &TableFieldSchema, cell: Option<&Value>) -> Value {
    match cell {
        Some(Value::Array(items)) if text(&field.mode) == "REPEATED" => {
            items.iter().map(|item| scalar(field, &item["v"])).collect()
        }
        Some(cell) => scalar(field, cell),
        None => Value::Null,
    }
}

fn scalar(field: &TableFieldSchema, cell: &Value) -> Value {
    if let Some(cells) = cell["f"].as_array() {
        let parts = field.fields.iter().flatten().zip(cells);
        return Value::Object(parts.map(|(part, cell)| (part.name.clone(), value(part, cell.get("v")))).collect());
    }
    let Some(text) = cell.as_str() else { return cell.clone() };
    let read = match field.r#type {
        FieldType::Boolean | FieldType::Bool => text.parse().ok().map(Value::Bool),
        FieldType::Integer | FieldType::Int64 => text.parse::<i64>().ok().map(Value::from),
        FieldType::Float | FieldType::Float64 => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
        FieldType::Numeric | FieldType::Bignumeric => exact_number(text),
        FieldType::Timestamp => moment(text).map(Value::String),
        FieldType::Json => serde_json::from_str(text).ok(),
        _ => None,
    };
    read.unwrap_or_else(|| Value::from(text))
}

/// The number, if JSON's can hold every digit of it: a double keeps any fifteen.
fn exact_number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    let digits = text.chars().filter(char::is_ascii_digit).count();
    text.parse().ok().filter(|_| digits <= 15).and_then(Number::from_f64).map(Value::Number)
}

/// Google sends timestamps as seconds, such as `1.585699442E9`; a double holds their microseconds.
fn moment(text: &str) -> Option<String> {
    let seconds: f64 = text.parse().ok()?;
    let moment = DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_become_what_they_mean() {
        let field = |kind: FieldType| TableFieldSchema::new("a", kind);
        assert_eq!(scalar(&field(FieldType::Integer), &json!("42")), json!(42));
        assert_eq!(scalar(&field(FieldType::Float), &json!("NaN")), json!("NaN"));
        assert_eq!(scalar(&field(FieldType::Numeric), &json!("701002.26")), json!(701002.26));
        let long = "12345678901234567890.123456789";
        assert_eq!(scalar(&field(FieldType::Numeric), &json!(long)), json!(long));
        assert_eq!(scalar(&field(FieldType::Timestamp), &json!("1.585699442E9")), json!("2020-04-01T00:04:02Z"));
        assert_eq!(scalar(&field(FieldType::Bool), &json!("true")), json!(true));
        let inner = TableFieldSchema { mode: Some("REPEATED".into()), ..TableFieldSchema::integer("n") };
        let record = TableFieldSchema::record("r", vec![inner]);
        let cell = json!({"f": [{"v": [{"v": "1"}, {"v": "2"}]}]});
        assert_eq!(scalar(&record, &cell), json!({"n": [1, 2]}));
    }
}
