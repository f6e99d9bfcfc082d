//! What a database holds of loads that are yet to run: the ledger's word, held against the table's rows.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::{Error, Transaction};

use super::mode::Mode;
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::postgres::{FlowAddress, connect, explain};
use crate::task::{Held, Holding, Ledger, TaskError, read};
use crate::tasks::postgres::target::Target;

/// Partitions that one statement asks for.
const AT_ONCE: usize = 500;

pub(super) const LEDGER: Ledger = Ledger {
    fields: &["table", "mode", "url", "username", "password"],
    look: |loads, files, settings| Box::pin(look(loads, files, settings)),
};

/// Where a load goes.
#[derive(Deserialize)]
struct Where {
    table: String,
    #[serde(default)]
    mode: Mode,
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The partition of a load, and its place among the answers.
struct Asked {
    place: usize,
    value: String,
}

type Server = (Option<String>, Option<String>, Option<String>);

async fn look(loads: Vec<Value>, files: FileAccess, settings: Arc<Settings>) -> Result<Vec<Holding>, TaskError> {
    let mut answers = vec![Holding::Missing(None); loads.len()];
    let mut servers: HashMap<Server, HashMap<(String, String), Vec<Asked>>> = HashMap::new();
    for (place, load) in loads.iter().enumerate() {
        let load: Where = read(load).map_err(|error| TaskError::permanent(error.message))?;
        let Some((column, value)) = load.mode.partition()? else {
            let why = format!("the load into `{}` has no partition", load.table);
            answers[place] = Holding::Unknown(why);
            continue;
        };
        let tables = servers.entry((load.url, load.username, load.password)).or_default();
        tables.entry((load.table, column.to_owned())).or_default().push(Asked { place, value });
    }
    for ((url, username, password), tables) in servers {
        let address = FlowAddress::of(url.as_ref(), username.as_ref(), password.as_ref(), &files);
        let mut session = connect(&settings, Some(&address)).await?;
        let asking = |error: Error| explain("asking what is loaded", &error);
        let transaction = session.client.transaction().await.map_err(asking)?;
        for ((table, column), asked) in &tables {
            for asked in asked.chunks(AT_ONCE) {
                table_holds(&transaction, table, column, asked, &mut answers).await?;
            }
        }
    }
    Ok(answers)
}

async fn table_holds(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    asked: &[Asked],
    answers: &mut [Holding],
) -> Result<(), TaskError> {
    let ledger = "SELECT to_regclass('jitney_loads') IS NOT NULL";
    let looking = |error: Error| explain("looking for the ledger", &error);
    if !transaction.query_one(ledger, &[]).await.map_err(looking)?.get::<_, bool>(0) {
        return Ok(());
    }
    let Some(target) = Target::look(transaction, table).await? else { return Ok(()) };
    let Ok(column) = target.own_name(column) else { return Ok(()) };
    let noted = noted(transaction, &target.sql_name, asked).await?;
    if noted.is_empty() {
        return Ok(());
    }
    let counted = counted(transaction, &target.sql_name, column, asked).await?;
    for (index, asked) in asked.iter().enumerate() {
        let Some(held) = noted.get(&asked.value) else { continue };
        let there = counted.get(&index).copied().unwrap_or(0);
        answers[asked.place] = if there == held.rows {
            Holding::Held(held.clone())
        } else {
            Holding::Missing(Some(format!("`{table}` holds {there} of {} rows", held.rows)))
        };
    }
    Ok(())
}

/// The newest loads in the ledger, by partition.
async fn noted(
    transaction: &Transaction<'_>,
    target: &str,
    asked: &[Asked],
) -> Result<HashMap<String, Held>, TaskError> {
    let sql = "SELECT DISTINCT ON (partition) partition, execution, rows_loaded, loaded_at::text, source_sha256, bytes
               FROM jitney_loads WHERE target = $1 AND partition = ANY($2) ORDER BY partition, id DESC";
    let values: Vec<&str> = asked.iter().map(|asked| asked.value.as_str()).collect();
    let rows = transaction.query(sql, &[&target, &values]).await;
    let rows = rows.map_err(|error| explain("reading the ledger", &error))?;
    let held = |row: &tokio_postgres::Row| {
        let stamp: String = row.get(3);
        let held = Held {
            execution: row.get(1),
            rows: row.get::<_, i64>(2).unsigned_abs(),
            loaded_at: moment(&stamp),
            sha256: row.get(4),
            bytes: row.get::<_, i64>(5).unsigned_abs(),
        };
        (row.get(0), held)
    };
    Ok(rows.iter().map(held).collect())
}

/// `2024-01-31 06:00:00.5+00`
fn moment(stamp: &str) -> DateTime<Utc> {
    let read = DateTime::parse_from_str(stamp, "%Y-%m-%d %H:%M:%S%.f%#z");
    read.map(|moment| moment.to_utc()).unwrap_or_default()
}

/// The rows of each partition that the table holds, by the partition's place.
async fn counted(
    transaction: &Transaction<'_>,
    target: &str,
    column: &str,
    asked: &[Asked],
) -> Result<HashMap<usize, u64>, TaskError> {
    // Literals, not parameters: they take the column's own type, which may be an enum.
    let column = quote_name(column);
    let cases: String =
        asked.iter().enumerate().map(|(index, asked)| format!(" WHEN {} THEN {index}", quote(&asked.value))).collect();
    let values: Vec<String> = asked.iter().map(|asked| quote(&asked.value)).collect();
    let sql = format!(
        "SELECT CASE {column}{cases} END, count(*) FROM {target} WHERE {column} IN ({}) GROUP BY 1",
        values.join(", ")
    );
    let rows = transaction.query(&sql, &[]).await;
    let rows = rows.map_err(|error| explain("counting the rows that are there", &error))?;
    let entry = |row: &tokio_postgres::Row| {
        let index = row.get::<_, Option<i32>>(0).unwrap_or_default().unsigned_abs() as usize;
        (index, row.get::<_, i64>(1).unsigned_abs())
    };
    Ok(rows.iter().map(entry).collect())
}
