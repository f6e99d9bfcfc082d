//! The ledger: what has been loaded, written in the load's own transaction, so that it is never ahead or behind.

use tokio_postgres::Transaction;

use crate::postgres::explain;
use crate::postgres::sql::quote;
use crate::task::{TaskContext, TaskError};

use super::source::Source;

const LEDGER: &str = include_str!("../../../../sql/postgres/jitney_loads.sql");

/// What identifies a load: the same key with the same checksums has the same result.
pub(super) struct Key {
    /// The table with its schema.
    pub(super) target: String,
    /// The partition's value, or the source's name where the load has no partition.
    pub(super) partition: String,
    /// SHA-256 of the file, in hex.
    pub(super) source_sha256: String,
    /// SHA-256 of what the task does with it, in hex.
    pub(super) definition_sha256: String,
}

/// The newest load of a key's partition.
#[derive(Debug)]
pub(super) struct Earlier {
    /// The execution that did it.
    pub(super) execution: String,
    /// The task of its flow that did it.
    pub(super) task: String,
    /// Whether file and definition were the same as now.
    pub(super) is_same: bool,
    /// What it counted.
    pub(super) counts: Counts,
}

/// What a load counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) loaded: u64,
    pub(super) rejected: u64,
    pub(super) skipped: u64,
}

/// Makes the ledger if it is not there.
pub(super) async fn ensure(transaction: &Transaction<'_>) -> Result<(), TaskError> {
    let there = transaction.query_one("SELECT to_regclass('jitney_loads') IS NOT NULL", &[]).await;
    if there.map_err(|error| explain("looking for the ledger", &error))?.get(0) {
        return Ok(());
    }
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('jitney: ledger', 0));";
    let sql = format!("SET LOCAL client_min_messages = warning; {lock} {LEDGER} RESET client_min_messages");
    transaction.batch_execute(&sql).await.map_err(|error| explain("creating the ledger `jitney_loads`", &error))
}

/// The newest load of the partition, or of the whole table, if any.
pub(super) async fn earlier(
    transaction: &Transaction<'_>,
    key: &Key,
    any_partition: bool,
) -> Result<Option<Earlier>, TaskError> {
    let sql = "SELECT execution, partition = $2 AND source_sha256 = $3 AND definition_sha256 = $4,
                      rows_read, rows_loaded, rows_rejected, rows_skipped, task FROM jitney_loads
               WHERE target = $1 AND ($5 OR partition = $2) ORDER BY id DESC LIMIT 1";
    let row = transaction
        .query_opt(sql, &[&key.target, &key.partition, &key.source_sha256, &key.definition_sha256, &any_partition])
        .await
        .map_err(|error| explain("reading the ledger", &error))?;
    Ok(row.map(|row| {
        let count = |index| row.get::<_, i64>(index).unsigned_abs();
        let counts = Counts { read: count(2), loaded: count(3), rejected: count(4), skipped: count(5) };
        Earlier { execution: row.get(0), task: row.get(6), is_same: row.get(1), counts }
    }))
}

/// Who loaded what, for the ledger's row.
pub(super) struct Entry<'a> {
    pub(super) execution: &'a str,
    pub(super) flow: &'a str,
    pub(super) task: &'a str,
    pub(super) source: &'a str,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

impl<'a> Entry<'a> {
    /// What this attempt loaded, and how long it took.
    pub(super) fn of(context: &'a TaskContext, source: &'a Source, seconds: f64) -> Self {
        Self {
            execution: context.execution.as_str(),
            flow: context.flow.as_str(),
            task: context.task.as_str(),
            source: &source.name,
            bytes: source.bytes,
            seconds,
        }
    }
}

/// Writes the load down.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    key: &Key,
    entry: &Entry<'_>,
    counts: Counts,
) -> Result<(), TaskError> {
    let texts = [
        entry.execution,
        entry.flow,
        entry.task,
        &key.target,
        &key.partition,
        entry.source,
        &key.source_sha256,
        &key.definition_sha256,
    ];
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    let Counts { read, loaded, rejected, skipped } = counts;
    let sql = format!(
        "INSERT INTO jitney_loads (execution, flow, task, target, partition, source, source_sha256, definition_sha256,
             rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds)
         VALUES ({}, {read}, {loaded}, {rejected}, {skipped}, {}, {})",
        texts.join(", "),
        entry.bytes,
        entry.seconds
    );
    transaction.batch_execute(&sql).await.map_err(|error| explain("writing to the ledger", &error))
}
