//! Rows of a load that wait while others are tried: those that refer to nothing that is there, and those whose key another
//! row of the file has before them.

use super::merge::{CHOSEN, Merging};
use super::savepoint;
use super::send::Sending;
use crate::postgres::CopyError;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::TaskError;

/// The rows that are set apart.
const HELD_BACK: &str = "pg_temp.jitney_held_back";
/// How long a chain of rows is followed that ends in a missing one. Longer ones are taken apart by halves.
const MAX_CHAIN: usize = 100;

/// A foreign key of the table.
struct Reference {
    /// The other table, quoted.
    table: String,
    /// Whether it refers to the table itself, to what it is a partition of, or to a partition of it.
    is_own: bool,
    /// Its columns, each with the one that it refers to.
    columns: Vec<(String, String)>,
}

/// What tells which rows are set apart.
pub(super) struct HeldBack<'a> {
    merging: &'a Merging<'a>,
    references: Vec<Reference>,
    /// The columns of unique keys, quoted.
    keys: Vec<Vec<String>>,
}

impl<'a> HeldBack<'a> {
    /// Asks for the table's keys.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn new(merging: &'a Merging<'a>) -> Result<Self, TaskError> {
        let (references, keys) = (merging.references().await?, merging.unique_keys().await?);
        Ok(Self { merging, references, keys })
    }

    /// Sets rows apart whose reference neither the table nor a chosen row has, and then those that refer to these; gives
    /// their numbers in this order.
    pub(super) async fn hold_dangling(&self) -> Result<Vec<i64>, TaskError> {
        let mut all = Vec::new();
        for _ in 0..MAX_CHAIN {
            let before = all.len();
            for reference in &self.references {
                all.extend(self.set(&reference.is_missing()).await?);
            }
            if all.len() == before {
                break;
            }
        }
        Ok(all)
    }

    /// Sets rows apart that have a unique key which a chosen row has before them.
    pub(super) async fn hold_duplicates(&self) -> Result<(), TaskError> {
        let row = quote_name(&self.merging.stage.row);
        for key in &self.keys {
            let given = key.iter().map(|name| format!("{name} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
            let sql = format!(
                "s.{row} IN (SELECT {row} FROM (
                     SELECT {row}, row_number() OVER (PARTITION BY {} ORDER BY {row}) AS place
                     FROM {CHOSEN} WHERE {given}) AS places WHERE place > 1)",
                key.join(", ")
            );
            self.set(&sql).await?;
        }
        Ok(())
    }

    /// Sets rows apart that have the reference which the server misses; how many.
    pub(super) async fn hold_named(&self, refusal: &CopyError) -> Result<usize, TaskError> {
        let (mut count, said) = (0, quote(&refusal.message_with_code()));
        for reference in &self.references {
            count += self.set(&format!("strpos({said}, {}) > 0", reference.named())).await?.len();
        }
        Ok(count)
    }

    /// Sets the rows of these numbers apart; how many.
    pub(super) async fn hold_rows(&self, rows: &[String]) -> Result<usize, TaskError> {
        if rows.is_empty() {
            return Ok(0);
        }
        let row = quote_name(&self.merging.stage.row);
        Ok(self.set(&format!("s.{row} IN ({})", rows.join(", "))).await?.len())
    }

    /// Brings back what was set apart; how many rows.
    pub(super) async fn release(&self) -> Result<u64, TaskError> {
        let back =
            format!("WITH back AS (DELETE FROM {HELD_BACK} RETURNING *) INSERT INTO {CHOSEN} SELECT * FROM back");
        self.merging.execute(&back).await
    }

    /// Sets the chosen rows `s` apart that a condition picks.
    async fn set(&self, condition: &str) -> Result<Vec<i64>, TaskError> {
        let row = quote_name(&self.merging.stage.row);
        let gone = format!(
            "WITH gone AS (DELETE FROM {CHOSEN} s WHERE {condition} RETURNING *),
                  kept AS (INSERT INTO {HELD_BACK} SELECT * FROM gone)
             SELECT {row} FROM gone ORDER BY {row}"
        );
        self.merging.numbers(&gone).await
    }
}

impl Merging<'_> {
    /// The unique keys of columns that come from the file as they are. Rows with a NULL are not the same as any other.
    async fn unique_keys(&self) -> Result<Vec<Vec<String>>, TaskError> {
        let sql = format!(
            "SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place)
             FROM pg_index i WHERE i.indrelid = {}::regclass AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
                 AND NOT EXISTS (SELECT 1 FROM pg_opclass c WHERE c.oid = ANY(i.indclass::oid[]) AND NOT c.opcdefault)",
            quote(&self.target().table.sql_name)
        );
        let Sending { transaction, watch, .. } = self.sending;
        let rows = savepoint::over(watch, "reading the table's keys", transaction.query(&sql, &[])).await?;
        let keys = rows.iter().map(|row| row.get::<_, Vec<String>>(0));
        let keys = keys.filter(|key| !key.is_empty() && key.iter().all(|name| self.is_sent(name)));
        Ok(keys.map(|key| key.iter().map(|name| quote_name(name)).collect()).collect())
    }

    fn is_sent(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
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
            quote(&self.target().table.sql_name)
        );
        let Sending { transaction, watch, .. } = self.sending;
        let doing = "reading the table's foreign keys";
        let rows = savepoint::over(watch, doing, transaction.query(&sql, &[])).await?;
        let is_sent = |name: &String| self.is_sent(name);
        let reference = |row: &tokio_postgres::Row| {
            let (is_own, own, others): (bool, Vec<String>, Vec<String>) = (row.get(1), row.get(2), row.get(3));
            let is_known = own.iter().all(is_sent) && (!is_own || others.iter().all(is_sent));
            is_known.then(|| Reference { table: row.get(0), is_own, columns: own.into_iter().zip(others).collect() })
        };
        Ok(rows.iter().filter_map(reference).collect())
    }
}

impl Reference {
    /// The condition on a chosen row `s` that nothing is there to which it refers.
    fn is_missing(&self) -> String {
        let columns = self.columns.iter().map(|(own, other)| (quote_name(own), quote_name(other)));
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

    /// The reference of a chosen row `s` as the server's messages have it: `(a, b)=(1, 2)`.
    fn named(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(own, _)| own.as_str()).collect();
        let values = self.columns.iter().map(|(own, _)| format!("format('%s', s.{})", quote_name(own)));
        let values = values.collect::<Vec<_>>().join(" || ', ' || ");
        format!("{} || {values} || ')'", quote(&format!("({})=(", names.join(", "))))
    }
}
