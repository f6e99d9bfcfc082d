//! The ledger of a database, as the pages list it.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::ReadOnly;
use crate::postgres::explain;
use crate::task::TaskError;

/// Which loads are listed.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct LoadFilter {
    /// Those into this table.
    pub(in crate::server) target: Option<String>,
    /// Those of flows of this id.
    pub(in crate::server) flow: Option<String>,
    /// Those with this text in partition, source or execution.
    pub(in crate::server) text: Option<String>,
    /// Only those whose rows were not all loaded.
    pub(in crate::server) has_rejected: bool,
}

/// An entry of the ledger.
#[derive(Clone, Debug)]
pub(in crate::server) struct RecordedLoad {
    pub(in crate::server) execution: String,
    pub(in crate::server) flow: String,
    pub(in crate::server) target: String,
    pub(in crate::server) partition: String,
    pub(in crate::server) source: String,
    pub(in crate::server) read: u64,
    pub(in crate::server) loaded: u64,
    pub(in crate::server) rejected: u64,
    pub(in crate::server) skipped: u64,
    pub(in crate::server) bytes: u64,
    pub(in crate::server) seconds: f64,
    pub(in crate::server) at: DateTime<Utc>,
}

impl RecordedLoad {
    /// Whether what was read is what was loaded, rejected and skipped.
    pub(in crate::server) fn reconciles(&self) -> bool {
        self.read == self.loaded + self.rejected + self.skipped
    }
}

/// What all loads of a filter come to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct LoadTotals {
    pub(in crate::server) loads: u64,
    pub(in crate::server) rows: u64,
    /// Loads that do not reconcile.
    pub(in crate::server) wrong: u64,
}

/// The condition of a filter; its parameters come from [`parameters`].
const CONDITION: &str = "($1::text IS NULL OR target = $1) AND ($2::text IS NULL OR flow = $2)
    AND ($3::text IS NULL OR strpos(partition, $3) > 0 OR strpos(source, $3) > 0 OR execution = $3)
    AND (NOT $4::boolean OR rows_rejected > 0)";

fn parameters(filter: &LoadFilter) -> [&(dyn ToSql + Sync); 4] {
    [&filter.target, &filter.flow, &filter.text, &filter.has_rejected]
}

fn failed(error: &tokio_postgres::Error) -> TaskError {
    explain("reading the ledger", error)
}

impl ReadOnly {
    /// The ledger as SQL names it: the one that loads of this session would write to, else another that it may read.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn ledger(&self) -> Result<Option<String>, TaskError> {
        let sql =
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.relname = 'jitney_loads' AND c.relkind = 'r' AND c.relpersistence <> 't'
                       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                   ORDER BY c.oid IS DISTINCT FROM to_regclass('jitney_loads')::oid, 1 LIMIT 1";
        let row = self.client().query_opt(sql, &[]).await.map_err(|error| failed(&error))?;
        Ok(row.map(|row| row.get(0)))
    }

    /// What the loads of a filter come to.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn totals(&self, ledger: &str, filter: &LoadFilter) -> Result<LoadTotals, TaskError> {
        let sql = format!(
            "SELECT count(*), coalesce(sum(rows_loaded), 0)::bigint,
                 count(*) FILTER (WHERE rows_read <> rows_loaded + rows_rejected + rows_skipped)
             FROM {ledger} WHERE {CONDITION}"
        );
        let row = self.client().query_one(&sql, &parameters(filter)).await.map_err(|error| failed(&error))?;
        let count = |index: usize| row.try_get::<_, i64>(index).map(i64::unsigned_abs).map_err(|error| failed(&error));
        Ok(LoadTotals { loads: count(0)?, rows: count(1)?, wrong: count(2)? })
    }

    /// The loads of a filter, the newest first: at most `limit` after the first `offset`.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn loads(
        &self,
        ledger: &str,
        filter: &LoadFilter,
        (limit, offset): (u32, u32),
    ) -> Result<Vec<RecordedLoad>, TaskError> {
        let sql = format!(
            "SELECT execution, flow, target, partition, source, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes,
                 seconds, loaded_at FROM {ledger} WHERE {CONDITION} ORDER BY id DESC LIMIT {limit} OFFSET {offset}"
        );
        let rows = self.client().query(&sql, &parameters(filter)).await.map_err(|error| failed(&error))?;
        rows.iter().map(load).collect()
    }

    /// The tables that the ledger knows, in order.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn targets(&self, ledger: &str) -> Result<Vec<String>, TaskError> {
        let sql = format!("SELECT DISTINCT target FROM {ledger} ORDER BY 1 LIMIT 500");
        let rows = self.client().query(&sql, &[]).await.map_err(|error| failed(&error))?;
        rows.iter().map(|row| row.try_get(0).map_err(|error| failed(&error))).collect()
    }
}

/// An entry; anybody's table of that name may have other types.
fn load(row: &Row) -> Result<RecordedLoad, TaskError> {
    let text = |name: &str| row.try_get::<_, String>(name).map_err(|error| failed(&error));
    let count = |name: &str| row.try_get::<_, i64>(name).map(i64::unsigned_abs).map_err(|error| failed(&error));
    Ok(RecordedLoad {
        execution: text("execution")?,
        flow: text("flow")?,
        target: text("target")?,
        partition: text("partition")?,
        source: text("source")?,
        read: count("rows_read")?,
        loaded: count("rows_loaded")?,
        rejected: count("rows_rejected")?,
        skipped: count("rows_skipped")?,
        bytes: count("bytes")?,
        seconds: row.try_get("seconds").map_err(|error| failed(&error))?,
        at: row.try_get("loaded_at").map_err(|error| failed(&error))?,
    })
}
