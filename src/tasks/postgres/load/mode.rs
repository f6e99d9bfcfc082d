//! How rows get into a table that may hold some of them already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::Transaction;

use crate::postgres::explain;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::TaskError;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::target::{Field, Target};
use crate::text::plain;

/// How rows get into the table. Each way is safe to repeat.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Adds the file's rows. A file that the ledger knows, by its content and its path, is not added again while its rows
    /// are there.
    #[default]
    Append,
    /// Replaces all rows of the table.
    Truncate,
    /// Replaces the rows of one partition, named by one column and its value, such as
    /// `{replace_partition: {filename: green_tripdata_2019-01.csv.gz}}`. Every row gets the value.
    ReplacePartition(Map<String, Value>),
    /// Compares rows by a key.
    Merge(Merge),
}

/// How a merge compares.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// The columns that make a row unique; none of them may be NULL.
    key: Vec<String>,
    /// What to do with a row whose key is there.
    #[serde(default)]
    on_match: OnMatch,
}

/// What to do with a row whose key is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnMatch {
    /// The table's row stays.
    #[default]
    Ignore,
    /// The table's row becomes as the file's, where they differ.
    Update,
}

/// Rows from which on a scan of the table is worth an index.
const LARGE: f32 = 100_000.0;

/// The stage of a merge: a table that is gone with the transaction.
pub(super) const STAGE: &str = "pg_temp.jitney_stage";

impl Mode {
    /// The column and value that every row of this load gets.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub(super) fn partition(&self) -> Result<Option<(&str, String)>, TaskError> {
        let Self::ReplacePartition(map) = self else { return Ok(None) };
        let mut entries = map.iter();
        match (entries.next(), entries.next()) {
            (Some((column, value)), None) if !value.is_null() => {
                let text = plain(value);
                Ok(Some((column, text)))
            }
            _ => Err(TaskError::permanent("`replace_partition` wants one column and its value")
                .help("for example `mode: {replace_partition: {filename: green_tripdata_2019-01.csv.gz}}`")),
        }
    }

    /// Whether a merge compares by the table's column that goes by this name in the file.
    pub(super) fn is_key(&self, name: &str, target: &Target) -> bool {
        let Self::Merge(merge) = self else { return false };
        target
            .own_name(name)
            .is_ok_and(|own| merge.key.iter().any(|key| target.own_name(key).is_ok_and(|key| key == own)))
    }

    /// Whether it may change rows that are in the table already, other than by deleting them.
    pub(super) fn changes_rows(&self) -> bool {
        matches!(self, Self::Merge(merge) if merge.on_match == OnMatch::Update)
    }

    /// Makes room for the rows, and says which table they are copied to. Where that is a merge's stage and `is_checked`,
    /// it has the table's checks, so that they speak of one row.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn prepare(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        fields: &[Field],
        is_checked: bool,
    ) -> Result<String, TaskError> {
        let table = &target.sql_name;
        let sql = match self {
            Self::Append => return Ok(table.clone()),
            Self::Truncate if target.is_new => return Ok(table.clone()),
            Self::Truncate => format!("TRUNCATE {table}"),
            Self::ReplacePartition(_) => match self.partition()? {
                Some((column, value)) if !target.is_new => {
                    format!("DELETE FROM {table} WHERE {} = {}", quote_name(target.own_name(column)?), quote(&value))
                }
                _ => return Ok(table.clone()),
            },
            Self::Merge(_) if is_checked => {
                let drops = target.others(fields).map(|name| format!("DROP COLUMN {}", quote_name(name)));
                let drops = drops.collect::<Vec<_>>().join(", ");
                let alter = if drops.is_empty() { drops } else { format!("; ALTER TABLE {STAGE} {drops}") };
                format!("CREATE TEMP TABLE jitney_stage (LIKE {table} INCLUDING CONSTRAINTS) ON COMMIT DROP{alter}")
            }
            Self::Merge(_) => {
                let columns = list(fields);
                format!("CREATE TEMP TABLE jitney_stage ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA")
            }
        };
        transaction
            .batch_execute(&sql)
            .await
            .map_err(|error| explain(&format!("making room in `{}`", target.name), &error))?;
        Ok(if matches!(self, Self::Merge(_)) { STAGE.to_owned() } else { table.clone() })
    }

    /// What would make it faster, if anything would: an index where the partition's rows are looked for in all rows of
    /// a large table.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn advice(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
    ) -> Result<Option<String>, TaskError> {
        let Some((column, _)) = self.partition()?.filter(|_| !target.is_new) else { return Ok(None) };
        let (column, table) = (target.own_name(column)?, &target.sql_name);
        let sql = "SELECT c.relkind = 'r' AND c.reltuples >= $3 AND NOT EXISTS (
                       SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                       WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2)
                   FROM pg_class c WHERE c.oid = to_regclass($1)";
        let row = transaction.query_one(sql, &[table, &column, &LARGE]).await;
        let is_slow: bool = row.map_err(|error| explain("looking for an index", &error))?.get(0);
        let index = format!("CREATE INDEX ON {table} ({})", quote_name(column));
        Ok(is_slow.then(|| {
            format!("the rows of the partition were looked for in the whole table; faster with an index: {index}")
        }))
    }

    /// The table that rows are copied to, as the server's messages name it.
    pub(super) fn relation<'a>(&self, target: &'a Target) -> &'a str {
        if matches!(self, Self::Merge(_)) { "jitney_stage" } else { &target.nature.relation }
    }

    /// Brings staged rows into the table; how many of the file's rows it took. `sent` rows were copied.
    ///
    /// # Errors
    /// When a key is NULL, or the server refuses.
    pub(super) async fn finish(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        fields: &[Field],
        sent: u64,
    ) -> Result<u64, TaskError> {
        let Self::Merge(merge) = self else { return Ok(sent) };
        let key: Vec<String> =
            merge.key.iter().map(|name| target.own_name(name).map(quote_name)).collect::<Result<_, _>>()?;
        if key.is_empty() {
            return Err(
                TaskError::permanent("`merge` wants a key").help("for example `mode: {merge: {key: [unique_row_id]}}`")
            );
        }
        let doing = format!("merging into `{}`", target.name);
        let nulls = key.iter().map(|name| format!("{name} IS NULL")).collect::<Vec<_>>().join(" OR ");
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {STAGE} WHERE {nulls})");
        if transaction.query_one(&sql, &[]).await.map_err(|error| explain(&doing, &error))?.get(0) {
            return Err(TaskError::permanent(format!("{doing}: the key is NULL in some rows"))
                .help("choose a key that every row has, for example a `row_id` of the transform"));
        }
        transaction.batch_execute(&format!("ANALYZE {STAGE}")).await.map_err(|error| explain(&doing, &error))?;
        let (update, insert) = merge.statements(target, fields, &key);
        let mut changed = 0;
        if let Some(update) = update {
            let row = transaction.query_one(&update, &[]).await.map_err(|error| explain(&doing, &error))?;
            changed += row.get::<_, i64>(0).unsigned_abs();
        }
        Ok(changed + transaction.execute(&insert, &[]).await.map_err(|error| explain(&doing, &error))?)
    }
}

impl Merge {
    /// The update, if there is anything to update, and the insert. Of rows with the same key in the file, the last one
    /// counts for `update` and the first for `ignore`. The update gives the number of keys that it changed, not of the
    /// table's rows: without a unique index the table may hold a key twice.
    fn statements(&self, target: &Target, fields: &[Field], key: &[String]) -> (Option<String>, String) {
        let (table, columns, keys) = (&target.sql_name, list(fields), key.join(", "));
        let last = if self.on_match == OnMatch::Update { " DESC" } else { "" };
        let staged = format!("(SELECT DISTINCT ON ({keys}) {columns} FROM {STAGE} ORDER BY {keys}, ctid{last})");
        let same = key.iter().map(|name| format!("t.{name} = s.{name}")).collect::<Vec<_>>().join(" AND ");
        let overriding = if target.overrides_identity(fields) { " OVERRIDING SYSTEM VALUE" } else { "" };
        let insert = format!(
            "INSERT INTO {table} ({columns}){overriding} SELECT {columns} FROM {staged} s
             WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same})"
        );
        let rest = fields.iter().map(|field| (quote_name(&field.name), field.kind));
        let rest: Vec<(String, Kind)> = rest.filter(|(name, _)| !key.contains(name)).collect();
        if self.on_match == OnMatch::Ignore || rest.is_empty() {
            return (None, insert);
        }
        let set = rest.iter().map(|(name, _)| format!("{name} = s.{name}")).collect::<Vec<_>>().join(", ");
        let differs = rest.iter().map(|(name, kind)| differs(name, *kind)).collect::<Vec<_>>().join(" OR ");
        let changed = key.iter().map(|name| format!("s.{name}")).collect::<Vec<_>>().join(", ");
        let update = format!(
            "WITH changed AS (UPDATE {table} t SET {set} FROM {staged} s WHERE {same} AND ({differs}) RETURNING {changed})
             SELECT count(*) FROM (SELECT DISTINCT {keys} FROM changed) AS keys"
        );
        (Some(update), insert)
    }
}

fn differs(name: &str, kind: Kind) -> String {
    let cast = if kind.is_compared_as_text() { "::text" } else { "" };
    format!("t.{name}{cast} IS DISTINCT FROM s.{name}{cast}")
}

/// The columns for SQL.
pub(super) fn list(fields: &[Field]) -> String {
    fields.iter().map(|field| quote_name(&field.name)).collect::<Vec<_>>().join(", ")
}
