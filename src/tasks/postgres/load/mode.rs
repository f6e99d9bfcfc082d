//! How rows get into a table that may hold some of them already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Transaction};

use super::merge::{STAGE, STAGE_NAME, Stage};
use crate::postgres::explain;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::TaskError;
use crate::tasks::appended::one_column;
use crate::tasks::on_match::OnMatch;
use crate::tasks::postgres::table::TableField;
use crate::tasks::postgres::target::Target;
use crate::text::plain;

/// How rows get into the table. Each way is safe to repeat.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Adds the file's rows. A file that the ledger knows, by its content and its path, is not added again while its rows
    /// are there.
    #[default]
    Append,
    /// Replaces all rows of the table.
    Truncate,
    /// Replaces the rows of one partition, named by one column and its value, such as
    /// `{replace_partition: {filename: green_tripdata_2019-01.csv}}`. Every row gets the value. A file may have
    /// the column too: where it is empty it gets the value, and a row with another value is a bad row.
    /// `20200201` and `2020-02-01` are the same `date`: the column's type decides.
    ReplacePartition(#[serde(deserialize_with = "one_column")] Map<String, Value>),
    /// Compares rows by a key.
    Merge(Merge),
}

/// How a merge compares.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// The columns that make a row unique; none of them may be NULL.
    pub(super) key: Vec<String>,
    /// What to do with a row whose key is there.
    #[serde(default)]
    pub(super) on_match: OnMatch,
}

/// Rows from which on a scan of the table is worth an index.
const LARGE: f32 = 100_000.0;

impl Mode {
    /// What the table must be able to do.
    ///
    /// # Errors
    /// When it takes no rows, or would do something else than the mode says with them.
    pub(super) fn check(&self, target: &Target, rejects: bool) -> Result<(), TaskError> {
        let (name, nature) = (&target.table.name, &target.nature);
        let needed: &[(&str, i32)] = match self {
            Self::ReplacePartition(_) => &[("INSERT", 8), ("DELETE", 16)],
            Self::Merge(_) if self.changes_rows() => &[("INSERT", 8), ("UPDATE", 4)],
            _ => &[("INSERT", 8)],
        };
        if let Some((command, _)) = needed.iter().find(|(_, bit)| nature.can & bit == 0) {
            return Err(TaskError::permanent(format!("`{name}` does not support {command}"))
                .help("a foreign table or a view takes what its server or its triggers allow; name another table"));
        }
        let is_merge = matches!(self, Self::Merge(_));
        let copies = !(is_merge || rejects && nature.wants_one_statement);
        if nature.has_policies && !is_merge {
            let message = format!("row-level security holds for this user on `{name}`, and COPY does not support it");
            return Err(TaskError::permanent(message).help(
                "load as a user whom no policy concerns, or with `mode: {merge: {key: […]}}`, which uses INSERT",
            ));
        }
        // COPY does not know rules; what INSERT, UPDATE and DELETE become by them, nobody can tell.
        let by_statement = needed.iter().map(|(command, _)| *command).filter(|command| !copies || *command != "INSERT");
        let rules = nature.rules.as_deref().unwrap_or_default();
        match by_statement.into_iter().find(|command| rules.contains(command)) {
            Some("INSERT") if !is_merge => Err(TaskError::permanent(format!(
                "a rule of `{name}` rewrites INSERT, which `on_bad_row: reject` uses for a table with such triggers or \
                 constraints"
            ))
            .help("leave out `on_bad_row`, or drop the rule")),
            Some(command) => Err(TaskError::permanent(format!("a rule of `{name}` rewrites {command}"))
                .help("use `mode: append`, which is not subject to rules, or drop the rule")),
            None => Ok(()),
        }
    }

    /// Deletes the rows of a partition.
    ///
    /// # Errors
    /// When the server refuses, or a trigger keeps some.
    async fn empty(transaction: &Transaction<'_>, target: &Target, rows: &str) -> Result<(), TaskError> {
        let doing = format!("making room in `{}`", target.table.name);
        let failed = |error: Error| explain(&doing, &error);
        transaction.batch_execute(&format!("DELETE FROM {rows}")).await.map_err(failed)?;
        let left = format!("SELECT 1 FROM {rows} LIMIT 1");
        if target.nature.may_keep_rows && transaction.query_opt(&left, &[]).await.map_err(failed)?.is_some() {
            return Err(TaskError::permanent(format!("{doing}: a trigger keeps rows that are to be replaced"))
                .help("use `mode: append`, or disable the trigger"));
        }
        Ok(())
    }

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
                .help("for example `mode: {replace_partition: {filename: green_tripdata_2019-01.csv}}`")),
        }
    }

    /// The rows of the partition that is replaced, as they follow FROM.
    ///
    /// # Errors
    /// When the table has no such column.
    pub(super) fn rows(&self, target: &Target) -> Result<Option<String>, TaskError> {
        let Some((column, value)) = self.partition()? else { return Ok(None) };
        let column = quote_name(target.own_name(column)?);
        Ok(Some(format!("{} WHERE {column} = {}", target.table.sql_name, quote(&value))))
    }

    /// Whether a merge compares by the table's column that goes by this name in the file.
    pub(super) fn is_key(&self, name: &str, target: &Target) -> bool {
        let Self::Merge(merge) = self else { return false };
        target
            .own_name(name)
            .is_ok_and(|own| merge.key.iter().any(|key| target.own_name(key).is_ok_and(|key| key == own)))
    }

    /// What of the load needs a temporary table for certain, if anything does.
    pub(super) fn temporary_for(&self, rejects: bool) -> Option<&'static str> {
        match self {
            Self::Merge(_) => Some("`mode: merge`"),
            _ => rejects.then_some("`on_bad_row: reject`"),
        }
    }

    /// Whether it may change rows that are in the table already, other than by deleting them.
    pub(super) fn changes_rows(&self) -> bool {
        matches!(self, Self::Merge(merge) if merge.on_match == OnMatch::Update)
    }

    /// Makes room for the rows, and says which table they are copied to: a merge's stage, or the table itself.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn prepare(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        fields: &[TableField],
        stage: Option<&Stage>,
    ) -> Result<String, TaskError> {
        let table = &target.table.sql_name;
        let failed = |error: Error| explain(&format!("making room in `{}`", target.table.name), &error);
        match self {
            Self::Truncate if !target.is_new => {
                transaction.batch_execute(&format!("TRUNCATE {table}")).await.map_err(failed)?;
            }
            Self::ReplacePartition(_) if !target.is_new => {
                if let Some(rows) = self.rows(target)? {
                    Self::empty(transaction, target, &rows).await?;
                }
            }
            _ => {}
        }
        let Some(stage) = stage else { return Ok(table.clone()) };
        let key = if let Self::Merge(merge) = self { merge.key(target)? } else { Vec::new() };
        transaction.batch_execute(&stage.sql(target, fields, &key)).await.map_err(|error| {
            let problem = explain(&format!("creating the temporary table for the rows of `{}`", target.table.name), &error);
            match error.code() == Some(&SqlState::TOO_MANY_COLUMNS) {
                true => problem.help(
                    "it has columns of its own besides the table's; without `on_bad_row` and `merge` the rows go straight \
                     into the table",
                ),
                false => problem,
            }
        })?;
        Ok(STAGE.to_owned())
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
        let (column, table) = (target.own_name(column)?, &target.table.sql_name);
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

    /// The stage of a merge, or of a load that rejects bad rows of a table whose rows must go in one statement, or must not
    /// be numbered twice; none for others. `is_checked` says that bad rows are rejected, and `has_lines` that rows stand on lines of the file.
    pub(super) fn stage(
        &self,
        target: &Target,
        fields: &[TableField],
        is_checked: bool,
        has_lines: bool,
    ) -> Option<Stage> {
        let nature = &target.nature;
        // COPY does not know rules, and numbers matter less than where rows go.
        let has_rule = nature.rules.as_deref().is_some_and(|rules| rules.contains("INSERT"));
        let is_numbered = !has_rule && target.numbered(fields).next().is_some();
        let is_together = is_checked && (nature.wants_one_statement || is_numbered);
        (matches!(self, Self::Merge(_)) || is_together).then(|| Stage::new(fields, is_checked, has_lines))
    }

    /// The table that rows are copied to, as the server's messages name it.
    pub(super) fn relation<'a>(target: &'a Target, stage: Option<&Stage>) -> &'a str {
        if stage.is_some() { STAGE_NAME } else { &target.nature.relation }
    }

    /// Whether rows have their key before they are stored.
    ///
    /// # Errors
    /// When a column of the key is none that rows are sent for.
    pub(super) fn check_key(&self, target: &Target, fields: &[TableField]) -> Result<(), TaskError> {
        let Self::Merge(merge) = self else { return Ok(()) };
        for name in &merge.key {
            let own = target.own_name(name)?;
            if fields.iter().any(|field| field.name == own) {
                continue;
            }
            return Err(match target.is_generated(own) {
                true => TaskError::permanent(format!(
                    "`merge`: the server computes `{own}` when it stores a row, so rows cannot be compared by it before"
                ))
                .help("use the columns that it is computed from as the key"),
                false => TaskError::permanent(format!("`merge`: the file has no column for `{own}` of the key"))
                    .help("choose a key that the file has, or make it with a `row_id` of the transform"),
            });
        }
        Ok(())
    }
}

/// The columns for SQL.
pub(super) fn list(fields: &[TableField]) -> String {
    fields.iter().map(|field| quote_name(&field.name)).collect::<Vec<_>>().join(", ")
}
