//! What a database holds of loads that are yet to run: the ledger's word, held against the table's rows.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::{Error, Transaction};

use super::mode::Mode;
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::postgres::name::quote_name;
use crate::postgres::{FlowAddress, connect, explain};
use crate::task::{Ledger, LedgerAnswer, LoadRecord, TaskError, read};
use crate::tasks::postgres::ledger::{self, cell};
use crate::tasks::postgres::rows::{self, Partition};
use crate::tasks::postgres::search_path;
use crate::tasks::postgres::table::TargetTable;

/// Partitions that one statement asks for.
const MAX_PARTITIONS: usize = 500;

pub(super) const LEDGER: Ledger = Ledger {
    fields: &["table", "mode", "url", "username", "password"],
    probe: |loads, settings| Box::pin(probe(loads, settings)),
};

/// Where a load goes.
#[derive(Deserialize)]
struct ProbedLoad {
    table: String,
    #[serde(default)]
    mode: Mode,
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The partition of a load, and its place among the answers.
struct ProbedPartition {
    place: usize,
    value: String,
}

/// The address, and whether it is written in the flow: that decides which files it may name.
type ProbedServer = (Option<String>, Option<String>, Option<String>, bool);

/// By table and column.
type ProbedTables = HashMap<(String, String), Vec<ProbedPartition>>;

async fn probe(loads: Vec<(Value, FileAccess)>, settings: Arc<Settings>) -> Result<Vec<LedgerAnswer>, TaskError> {
    let mut answers = vec![LedgerAnswer::Missing(None); loads.len()];
    let mut servers: HashMap<ProbedServer, (&FileAccess, ProbedTables)> = HashMap::new();
    for (place, (load, files)) in loads.iter().enumerate() {
        let load: ProbedLoad = read(load).map_err(|error| TaskError::permanent(error.message))?;
        let Some((column, value)) = load.mode.partition()? else {
            let why = format!("the load into `{}` has no partition", load.table);
            answers[place] = LedgerAnswer::Unknown(why);
            continue;
        };
        let is_literal = load.url.as_deref().is_some_and(|url| files.is_literal(url));
        let server = (load.url, load.username, load.password, is_literal);
        let (_, tables) = servers.entry(server).or_insert_with(|| (files, ProbedTables::new()));
        tables.entry((load.table, column.to_owned())).or_default().push(ProbedPartition { place, value });
    }
    for ((url, username, password, _), (files, tables)) in servers {
        let address = FlowAddress::of(url.as_ref(), username.as_ref(), password.as_ref(), files);
        let mut session = connect(&settings, Some(&address)).await?;
        let asking = |error: Error| explain("asking what is loaded", &error);
        let transaction = session.client.transaction().await.map_err(asking)?;
        search_path::check(&transaction).await?;
        for ((table, column), asked) in &tables {
            for asked in asked.chunks(MAX_PARTITIONS) {
                probe_table(&transaction, table, column, asked, &mut answers).await?;
            }
        }
    }
    Ok(answers)
}

async fn probe_table(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    asked: &[ProbedPartition],
    answers: &mut [LedgerAnswer],
) -> Result<(), TaskError> {
    let Some(ledger) = ledger::readable(transaction).await? else { return Ok(()) };
    let Some(found) = TargetTable::find(transaction, table).await? else { return Ok(()) };
    let Ok(column) = found.own_name(column) else { return Ok(()) };
    let noted = noted(transaction, &found.sql_name, asked).await?;
    if noted.is_empty() {
        return Ok(());
    }
    let partitions: Vec<Partition> = noted.iter().map(|(value, noted)| Partition { value, load: noted.load }).collect();
    let there = rows::of_each(transaction, (&ledger, &found.sql_name), &quote_name(column), &partitions).await?;
    for asked in asked {
        let Some(ProbedEntry { load, held }) = noted.get(&asked.value) else { continue };
        let rows = there.get(load).cloned().unwrap_or_default();
        answers[asked.place] = if rows.are_those_of(held.rows) {
            LedgerAnswer::Held(held.clone())
        } else {
            LedgerAnswer::Missing(Some(rows.missing(table, held.rows)))
        };
    }
    Ok(())
}

struct ProbedEntry {
    /// Its number.
    load: i64,
    held: LoadRecord,
}

/// The newest loads in the ledger, by partition.
async fn noted(
    transaction: &Transaction<'_>,
    target: &str,
    asked: &[ProbedPartition],
) -> Result<HashMap<String, ProbedEntry>, TaskError> {
    let sql = "SELECT DISTINCT ON (partition) partition, execution, rows_loaded,
                      to_char(loaded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), source_sha256, bytes, id
               FROM jitney_loads WHERE target = $1 AND partition = ANY($2) ORDER BY partition, id DESC";
    let values: Vec<&str> = asked.iter().map(|asked| asked.value.as_str()).collect();
    let rows = transaction.query(sql, &[&target, &values]).await;
    let rows = rows.map_err(|error| explain("reading the ledger", &error))?;
    let held = |row: &tokio_postgres::Row| {
        let held = LoadRecord {
            execution: cell(row, 1)?,
            rows: cell::<i64>(row, 2)?.unsigned_abs(),
            loaded_at: moment(cell(row, 3)?),
            sha256: cell(row, 4)?,
            bytes: cell::<i64>(row, 5)?.unsigned_abs(),
        };
        Ok((cell(row, 0)?, ProbedEntry { load: cell(row, 6)?, held }))
    };
    rows.iter().map(held).collect()
}

/// `2024-01-31 06:00:00.500000`, in UTC.
fn moment(stamp: &str) -> DateTime<Utc> {
    let read = NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d %H:%M:%S%.f");
    read.map(|moment| moment.and_utc()).unwrap_or_default()
}
