//! Queries on BigQuery: what they would read is asked first, without cost, and they are billed for no more than that.

use reqwest::Method;
use serde_json::{Value, json};

use super::read_only::{QueryLimits, QueryResult, ResultColumn};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::{Api, GoogleLogin, RetryPolicy, Service};
use crate::task::TaskError;

/// Google bills at least 10 MB for each table; so much is allowed in any case.
const LEAST_BILLED: u64 = 100_000_000;
/// How long Google may take to answer with rows.
const TIMEOUT_MS: u64 = 30_000;

/// BigQuery as the server's own credentials see it.
pub(super) struct BigQueryReader {
    api: Api,
    project: String,
}

impl BigQueryReader {
    /// Finds credentials and project.
    ///
    /// # Errors
    /// When there are none.
    pub(super) async fn open(settings: &Settings) -> Result<Self, TaskError> {
        let files = FileAccess::unrestricted(".");
        let api = Api::find(settings, &files, Service::BigQuery, &GoogleLogin::default()).await?;
        let project = api.access.project()?.to_owned();
        Ok(Self { api, project })
    }

    async fn ask(&self, what: &str, path: &str, body: &Value) -> Result<Value, TaskError> {
        let path = format!("/bigquery/v2/projects/{}/{path}", self.project);
        let make = || self.api.request(Method::POST, &path).json(body);
        Ok(self.api.call_value(&RetryPolicy::never(), what, make).await?)
    }

    /// How many bytes a query would read. Nothing runs.
    ///
    /// # Errors
    /// When it is no query that reads, or Google refuses it.
    pub(super) async fn estimate(&self, sql: &str) -> Result<u64, TaskError> {
        let body = json!({"configuration": {"dryRun": true, "query": {"query": sql, "useLegacySql": false}}});
        let job = self.ask("checking what the query would read", "jobs", &body).await?;
        let kind = job.pointer("/statistics/query/statementType").and_then(Value::as_str);
        let reads = match kind {
            Some(kind) => kind == "SELECT",
            // An emulator does not say.
            None => ["select", "with"].contains(&super::read_only::first_word(sql).as_str()),
        };
        if !reads {
            return Err(TaskError::permanent("only queries run here: SELECT and WITH")
                .help("what changes tables belongs into a flow, as a task of type bigquery.query"));
        }
        let bytes = ["/statistics/totalBytesProcessed", "/statistics/query/totalBytesProcessed"];
        Ok(bytes.iter().find_map(|place| number(job.pointer(place)?)).unwrap_or_default())
    }

    /// The rows of a query that reads at most so many bytes.
    ///
    /// # Errors
    /// When Google refuses it, or takes too long.
    pub(super) async fn query(&self, sql: &str, bytes: u64, limits: QueryLimits) -> Result<QueryResult, TaskError> {
        let body = json!({
            "query": sql, "useLegacySql": false, "maxResults": limits.rows + 1, "timeoutMs": TIMEOUT_MS,
            "maximumBytesBilled": bytes.max(LEAST_BILLED).to_string(),
        });
        let answer = self.ask("the query", "queries", &body).await?;
        if answer.get("jobComplete").and_then(Value::as_bool) == Some(false) {
            return Err(TaskError::permanent(format!("the query takes longer than {} s", TIMEOUT_MS / 1000))
                .help("run it in a flow, as a task of type bigquery.query"));
        }
        Ok(read(&answer, limits))
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The rows of an answer, within the limits.
fn read(answer: &Value, limits: QueryLimits) -> QueryResult {
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields = answer.get("schema").map(|schema| list(schema, "fields")).unwrap_or_default();
    let numbers = ["INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"];
    let column = |field: &Value| {
        let kind = text(field, "type");
        let is_number = numbers.contains(&kind.as_str()) && text(field, "mode") != "REPEATED";
        ResultColumn { name: text(field, "name"), kind: kind.to_lowercase(), is_number }
    };
    let mut result = QueryResult { columns: fields.iter().map(column).collect(), ..QueryResult::default() };
    let mut bytes = 0;
    for row in list(answer, "rows") {
        let values: Vec<Option<String>> = list(&row, "f").iter().map(|cell| shown(cell.get("v"), limits)).collect();
        bytes += values.iter().flatten().map(String::len).sum::<usize>();
        if result.rows.len() == limits.rows || bytes > limits.bytes {
            result.has_more = true;
            break;
        }
        result.rows.push(values);
    }
    result.has_more |= answer.get("pageToken").is_some_and(|token| !token.is_null());
    result
}

/// A value as text; nested ones as the JSON that Google sends.
fn shown(value: Option<&Value>, limits: QueryLimits) -> Option<String> {
    let text = match value? {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text.chars().take(limits.value).collect())
}
