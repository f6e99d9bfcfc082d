//! Tools about data: tables, and queries that change nothing, with the limits of the page about data.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tool::{McpResult, McpTool, ToolError, list};
use crate::server::App;
use crate::server::access::Role;
use crate::server::api::pool::run_on_pool;
use crate::server::databases::{Database, Databases, MAX_SQL_BYTES, QueryAnswer, QueryLimits, ReadOnly, ask};
use crate::text::size;

/// The most rows, bytes and letters of a value in a result.
const LIMITS: QueryLimits = QueryLimits { rows: 200, bytes: 24_000, value: 1_000 };
/// How many rows there are where no limit is given.
const USUAL_ROWS: usize = 50;
/// The most tables of a list, and the most columns of each.
const MAX_TABLES: usize = 60;
const MAX_COLUMNS: usize = 60;

/// Finds the database of a name, else the first.
async fn database(app: &Arc<App>, name: Option<&str>) -> Result<Database, ToolError> {
    let owner = app.clone();
    let databases = run_on_pool(async move || Ok(Databases::of(&owner).await)).await?;
    let names: Vec<&str> = databases.known.iter().map(|known| known.name.as_str()).collect();
    databases.choose(name).cloned().ok_or_else(|| match name {
        Some(name) if !names.is_empty() => {
            ToolError::new(format!("no flow and no setting names the database `{name}`"))
                .next(format!("choose one of: {}", names.join(", ")))
        }
        _ => {
            let notes = databases.notes.join("; ");
            let error = ToolError::new("no flow and no setting names a database");
            if notes.is_empty() { error } else { error.next(notes) }
        }
    })
}

/// Lists the tables of a database with their columns, without any rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTables {
    /// The database; the first one that settings or flows name by default.
    database: Option<String>,
    /// A text in the name of the table.
    text: Option<String>,
}

impl McpTool for ListTables {
    const NAME: &'static str = "list_tables";
    const TITLE: &'static str = "List tables";

    async fn call(self, app: Arc<App>) -> McpResult {
        let database = database(&app, self.database.as_deref()).await?;
        let session = ReadOnly::open(&app.settings, &database).await?;
        let columns = session.columns().await?;
        session.finish();
        let text = self.text.unwrap_or_default().to_lowercase();
        let tables: Vec<Value> = columns
            .iter()
            .filter(|(name, _)| name.to_lowercase().contains(&text))
            .map(|(name, columns)| {
                let columns: Vec<String> = columns.iter().map(|(column, kind)| format!("{column} {kind}")).collect();
                let mut table = list("columns", &columns, MAX_COLUMNS);
                table.insert("table".to_owned(), json!(name));
                Value::Object(table)
            })
            .collect();
        let mut result = list("tables", &tables, MAX_TABLES);
        result.insert("database".to_owned(), json!(database.name));
        Ok(Value::Object(result))
    }
}

/// Runs one SQL query that reads: SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW, in a read-only transaction of at most 30
/// seconds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryData {
    /// The query, in the SQL of the database.
    sql: String,
    /// The database; the first one that settings or flows name by default.
    database: Option<String>,
    /// The most rows, 50 by default and 200 at most.
    limit: Option<usize>,
    /// For BigQuery: the most bytes that the query may read. Without it, the call only says how many it would read.
    max_bytes: Option<u64>,
}

impl McpTool for QueryData {
    const NAME: &'static str = "query_data";
    const TITLE: &'static str = "Query data";
    // As for the page with the same queries.
    const ROLE: Role = Role::Editor;

    async fn call(self, app: Arc<App>) -> McpResult {
        if self.sql.len() > MAX_SQL_BYTES {
            return Err(ToolError::new(format!("the query is longer than {MAX_SQL_BYTES} bytes")));
        }
        let database = database(&app, self.database.as_deref()).await?;
        let limits = QueryLimits { rows: self.limit.unwrap_or(USUAL_ROWS).clamp(1, LIMITS.rows), ..LIMITS };
        let answer = ask(&app.settings, &database, (&self.sql, self.max_bytes), limits).await;
        let answer = answer.map_err(|error| {
            let has_help = error.help.is_some();
            let error = ToolError::from(error);
            if has_help { error } else { error.next("`list_tables` lists tables and columns") }
        })?;
        let (result, took) = match answer {
            QueryAnswer::Rows(result, took) => (result, took),
            QueryAnswer::Estimate(bytes) => {
                let next = format!("to run it, call again with `max_bytes` {bytes}");
                return Ok(json!({"would_read": size(bytes), "bytes": bytes, "next": next}));
            }
        };
        let columns: Vec<String> =
            result.columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        let mut shown = json!({
            "database": database.name, "columns": columns, "rows": result.rows, "seconds": took.as_secs_f64(),
        });
        if let Some(map) = shown.as_object_mut().filter(|_| result.has_more) {
            let more = "there are more rows: aggregate, filter, or order and limit in SQL";
            map.insert("more".to_owned(), json!(more));
        }
        Ok(shown)
    }
}
