//! The tables of a database: what was loaded into each by month, and their columns.

use std::collections::BTreeMap;

use super::ReadOnly;
use crate::postgres::explain;
use crate::task::TaskError;

/// The most months of all tables together, and the most columns of the catalogue.
const MAX_MONTHS: u32 = 20_000;
const MAX_COLUMNS: u32 = 5_000;

/// A table that was loaded, with the rows of each month that its partitions name.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct LoadedTable {
    pub(in crate::server) target: String,
    /// `2019-01` and its rows, in order.
    pub(in crate::server) months: Vec<(String, u64)>,
    /// The rows of all partitions, those without a month included.
    pub(in crate::server) rows: u64,
    /// How many partitions or files.
    pub(in crate::server) partitions: u64,
}

/// The columns of a table, each with its type.
pub(in crate::server) type TableColumns = BTreeMap<String, Vec<(String, String)>>;

impl ReadOnly {
    /// What the ledger knows of each table: of each partition its newest load.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn loaded_tables(&self, ledger: &str) -> Result<Vec<LoadedTable>, TaskError> {
        let sql = format!(
            "SELECT target, substring(partition from '(?:19|20)[0-9]{{2}}-(?:0[1-9]|1[0-2])'), sum(rows_loaded)::bigint, count(*)
             FROM (SELECT DISTINCT ON (target, partition) target, partition, rows_loaded FROM {ledger}
                   ORDER BY target, partition, id DESC) newest
             GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {MAX_MONTHS}"
        );
        let failed = |error| explain("reading the ledger", &error);
        let mut tables: Vec<LoadedTable> = Vec::new();
        for row in self.client().query(&sql, &[]).await.map_err(failed)? {
            let target: String = row.try_get(0).map_err(failed)?;
            let month: Option<String> = row.try_get(1).map_err(failed)?;
            let (rows, partitions): (i64, i64) = (row.try_get(2).map_err(failed)?, row.try_get(3).map_err(failed)?);
            if tables.last().is_none_or(|table| table.target != target) {
                tables.push(LoadedTable { target, ..LoadedTable::default() });
            }
            let Some(table) = tables.last_mut() else { continue };
            table.rows += rows.unsigned_abs();
            table.partitions += partitions.unsigned_abs();
            table.months.extend(month.map(|month| (month, rows.unsigned_abs())));
        }
        Ok(tables)
    }

    /// The tables and views that the reader may read, by the names that a query needs.
    ///
    /// # Errors
    /// When the server refuses.
    pub(in crate::server) async fn columns(&self) -> Result<TableColumns, TaskError> {
        let sql = format!(
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN format('%I', c.relname)
                    ELSE format('%I.%I', n.nspname, c.relname) END,
                 format('%I', a.attname), format_type(a.atttypid, a.atttypmod)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
                 AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
             ORDER BY 1, a.attnum LIMIT {MAX_COLUMNS}"
        );
        let failed = |error| explain("reading the catalogue", &error);
        let mut tables = TableColumns::new();
        for row in self.client().query(&sql, &[]).await.map_err(failed)? {
            let table: String = row.try_get(0).map_err(failed)?;
            let column = (row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?);
            tables.entry(table).or_default().push(column);
        }
        Ok(tables)
    }
}
