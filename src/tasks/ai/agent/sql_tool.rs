//! Queries of Postgres as a tool: one statement at a time, in a transaction that can only read.

use futures_util::TryStreamExt;
use serde_json::{Map, Value, json};
use tokio_postgres::SimpleQueryMessage;

use super::definition::ToolDefinition;
use crate::ai::ToolSpec;
use crate::postgres::{FlowAddress, connect_for, explain};
use crate::task::{TaskContext, TaskError};
use crate::text::shortened;

/// The most rows, unless the flow says it, and the most letters of a value and of all.
const MAX_ROWS: usize = 100;
const MAX_VALUE: usize = 500;
const MAX_TEXT: usize = 20_000;
/// What the transaction is bounded by.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '5s';
    SET LOCAL datestyle = 'ISO'";
/// The words that a query may begin with.
const QUERIES: [&str; 6] = ["select", "with", "values", "table", "explain", "show"];

/// A Postgres that the model may read from.
pub(super) struct SqlTool {
    address: FlowAddress,
    max_rows: usize,
}

impl SqlTool {
    pub(super) fn of(definition: &ToolDefinition, context: &TaskContext) -> (Self, ToolSpec) {
        let ToolDefinition { url, username, password, .. } = definition;
        let address = FlowAddress::of(url.as_ref(), username.as_ref(), password.as_ref(), &context.files);
        let max_rows = definition.max_rows.unwrap_or(MAX_ROWS);
        let about = definition.description.clone().unwrap_or_else(|| "Reads from a PostgreSQL database.".to_owned());
        let description = format!(
            "{about} Runs one SQL query that only reads, such as SELECT, and returns at most {max_rows} rows as JSON. \
             information_schema.columns lists the tables with their columns."
        );
        let schema = json!({
            "type": "object", "properties": {"sql": {"type": "string", "description": "The query"}},
            "required": ["sql"], "additionalProperties": false,
        });
        let name = definition.name.clone().unwrap_or_else(|| "query_sql".to_owned());
        (Self { address, max_rows }, ToolSpec { name, description, schema })
    }

    /// Runs a query; returns its rows as JSON.
    pub(super) async fn run(&self, arguments: &Map<String, Value>, context: &TaskContext) -> Result<String, TaskError> {
        let sql = arguments.get("sql").and_then(Value::as_str).unwrap_or_default().trim().trim_end_matches(';');
        let word: String = sql.trim_start_matches('(').chars().take_while(char::is_ascii_alphabetic).collect();
        if !QUERIES.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(TaskError::permanent(
                "only queries that read are allowed: SELECT, WITH, VALUES, TABLE, EXPLAIN, SHOW",
            ));
        }
        let session = connect_for(context, Some(&self.address)).await?;
        let work = async {
            let failed = |error| explain("the query", &error);
            session.client.batch_execute(BEGIN).await.map_err(failed)?;
            // Several statements cannot be prepared, so that what is prepared is one.
            session.client.prepare(sql).await.map_err(failed)?;
            let mut messages = Box::pin(session.client.simple_query_raw(sql).await.map_err(failed)?);
            let (mut rows, mut letters, mut has_more) = (Vec::new(), 0, false);
            while let Some(message) = messages.try_next().await.map_err(failed)? {
                let SimpleQueryMessage::Row(row) = message else { continue };
                if rows.len() >= self.max_rows || letters > MAX_TEXT {
                    has_more = true;
                    break;
                }
                let cells = row.columns().iter().enumerate().map(|(index, column)| {
                    let value = row.try_get(index).ok().flatten().map(|text| shortened(text, MAX_VALUE).into_owned());
                    (column.name().to_owned(), Value::from(value))
                });
                let cells: Map<String, Value> = cells.collect();
                letters +=
                    cells.iter().map(|(name, value)| name.len() + value.as_str().map_or(4, str::len)).sum::<usize>();
                rows.push(cells);
            }
            Ok(json!({"rows": rows, "hasMore": has_more}).to_string())
        };
        let rows = session.unless_cancelled(&context.cancel, "the query", work).await;
        // What is still on its way is not waited for.
        session.interrupt().await;
        rows
    }
}
