//! Rows that may refer to each other, when the table does not take all of them at once. A foreign key is judged when all
//! rows of a statement are there, so what the table refuses for one alone waits until the bad rows among the others are
//! known, and is then tried again in one statement; so do rows that a trigger refuses, which may look for others. Rows whose reference neither the table nor the file has come last,
//! one by one.

use super::halves::{Parts, Waits};
use super::merge::{CHOSEN, Merged, Merging, Step};
use super::refused::Refused;
use super::savepoint;
use super::send::Sending;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::TaskError;

/// The rows without what they refer to.
const DANGLING: &str = "pg_temp.jitney_dangling";
/// How often parts wait. A bad row that is found only once others are in costs one more pass.
const MAX_PASSES: usize = 10;
/// How long a chain of rows is followed that ends in a missing one. Longer ones are taken apart by halves.
const MAX_CHAIN: usize = 100;

/// A foreign key of the table, by quoted names.
struct Reference {
    table: String,
    /// Whether it refers to the table itself, to what it is a partition of, or to a partition of it.
    is_own: bool,
    /// Its columns, each with the one that it refers to.
    columns: Vec<(String, String)>,
}

impl Merging<'_> {
    /// Adds the chosen rows in as few statements as can be.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn together(
        &self,
        (key, room): (&[String], u64),
        merged: &mut Merged,
        refused: &mut Refused,
    ) -> Result<(), TaskError> {
        let references = self.references().await?;
        self.batch(&format!("CREATE TEMP TABLE jitney_dangling (LIKE {CHOSEN}) ON COMMIT DROP")).await?;
        let mut dangling = Vec::new();
        // A trigger, too, may look for other rows. What it raises does not say so.
        let has_triggers = self.target().nature.has_row_triggers;
        let turns: &[_] = if has_triggers { &[Waits::ReferencesAndRows, Waits::Rows] } else { &[Waits::References] };
        for waits in turns {
            for _ in 0..MAX_PASSES {
                dangling.extend(self.set_dangling_apart(&references).await?);
                let before = (merged.taken, refused.count());
                let mut parts = Parts::new(self.rest().await?, *waits);
                Box::pin(self.by_halves(Step::Insert, &mut parts, (key, room), merged, refused)).await?;
                if parts.waiting.is_empty() || before == (merged.taken, refused.count()) {
                    break;
                }
            }
        }
        let mut parts = Parts::new(self.rest().await?, Waits::Never);
        Box::pin(self.by_halves(Step::Insert, &mut parts, (key, room), merged, refused)).await?;
        self.batch(&format!("INSERT INTO {CHOSEN} SELECT * FROM {DANGLING}")).await?;
        // The next one is the last of the list.
        dangling.sort_unstable_by(|one, other| other.cmp(one));
        let mut parts = Parts::new(dangling.into_iter().map(|row| (row, row)).collect(), Waits::Never);
        Box::pin(self.by_halves(Step::Insert, &mut parts, (key, room), merged, refused)).await
    }

    /// The chosen rows that are left, as one part.
    async fn rest(&self) -> Result<Vec<(i64, i64)>, TaskError> {
        let last = self.number(&format!("SELECT max({}) FROM {CHOSEN}", quote_name(&self.stage.row))).await?;
        Ok(last.map(|last| (1, last)).into_iter().collect())
    }

    /// Takes rows out of the chosen ones whose reference neither the table nor a chosen row has, and then those that refer
    /// to these; gives their numbers.
    async fn set_dangling_apart(&self, references: &[Reference]) -> Result<Vec<i64>, TaskError> {
        let row = quote_name(&self.stage.row);
        let mut all = Vec::new();
        for _ in 0..MAX_CHAIN {
            let before = all.len();
            for reference in references {
                let gone = format!(
                    "WITH gone AS (DELETE FROM {CHOSEN} s WHERE {} RETURNING *),
                          kept AS (INSERT INTO {DANGLING} SELECT * FROM gone)
                     SELECT {row} FROM gone",
                    reference.is_missing()
                );
                all.extend(self.numbers(&gone).await?);
            }
            if all.len() == before {
                break;
            }
        }
        Ok(all)
    }

    /// The foreign keys that can be looked at: all of their columns come from the file, and the user may read the table
    /// that they refer to.
    async fn references(&self) -> Result<Vec<Reference>, TaskError> {
        let names = |numbers: &str, table: &str| {
            format!(
                "ARRAY(SELECT a.attname::text FROM unnest({numbers}) WITH ORDINALITY AS k (number, place)
                       JOIN pg_attribute a ON a.attrelid = {table} AND a.attnum = k.number ORDER BY k.place)"
            )
        };
        let sql = format!(
            "SELECT format('%I.%I', n.nspname, c.relname), f.confrelid IN (
                 SELECT f.conrelid UNION SELECT relid FROM pg_partition_ancestors(f.conrelid)
                 UNION SELECT relid FROM pg_partition_tree(f.conrelid)), {}, {}
             FROM pg_constraint f JOIN pg_class c ON c.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE f.contype = 'f' AND f.conrelid = {}::regclass AND f.conparentid = 0
                 AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')",
            names("f.conkey", "f.conrelid"),
            names("f.confkey", "f.confrelid"),
            quote(&self.target().sql_name)
        );
        let Sending { transaction, watch, .. } = self.sending;
        let doing = "reading the table's foreign keys";
        let rows = savepoint::over(watch, doing, transaction.query(&sql, &[])).await?;
        let is_sent = |name: &String| self.fields.iter().any(|field| field.name == *name);
        let reference = |row: &tokio_postgres::Row| {
            let (is_own, own, others): (bool, Vec<String>, Vec<String>) = (row.get(1), row.get(2), row.get(3));
            let is_known = own.iter().all(is_sent) && (!is_own || others.iter().all(is_sent));
            let columns = own.iter().zip(&others).map(|(own, other)| (quote_name(own), quote_name(other)));
            is_known.then(|| Reference { table: row.get(0), is_own, columns: columns.collect() })
        };
        Ok(rows.iter().filter_map(reference).collect())
    }
}

impl Reference {
    /// The condition on a chosen row `s` that nothing is there to which it refers.
    fn is_missing(&self) -> String {
        let columns = self.columns.iter();
        let given: Vec<String> = columns.clone().map(|(own, _)| format!("s.{own} IS NOT NULL")).collect();
        let same: Vec<String> = columns.map(|(own, other)| format!("o.{other} = s.{own}")).collect();
        let missing = |table: &str| format!("NOT EXISTS (SELECT 1 FROM {table} o WHERE {})", same.join(" AND "));
        let mut conditions = given;
        conditions.push(missing(&self.table));
        if self.is_own {
            conditions.push(missing(CHOSEN));
        }
        conditions.join(" AND ")
    }
}
