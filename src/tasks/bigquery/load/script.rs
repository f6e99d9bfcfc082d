//! The SQL that moves staged rows into their table and writes the ledger: one script, one transaction.
//!
//! BigQuery has no locks. Of two transactions that change the same table it rejects the later one, which is then retried.
//! A merge is an `UPDATE` and an `INSERT`, because the rows that each of them changes can be counted.

use gcp_bigquery_client::model::field_type::FieldType;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;

use super::super::name::{BigQueryTableName, column, literal};
use super::super::schema::{is_comparable, sql_type};
use super::mode::{BigQueryMerge, LoadMode};
use crate::task::TaskError;
use crate::tasks::on_match::OnMatch;

/// What the script is made from.
pub(super) struct LoadScript<'a> {
    pub(super) main: &'a BigQueryTableName,
    pub(super) stage: &'a BigQueryTableName,
    pub(super) fields: &'a [TableFieldSchema],
    pub(super) mode: &'a LoadMode,
    /// The column and value that every row gets.
    pub(super) constant: Option<&'a (String, String)>,
    /// The column of the rows' key, and the columns that it is made from.
    pub(super) row_id: Option<(&'a str, &'a [String])>,
    /// Rows that the load job brought.
    pub(super) staged: u64,
}

/// The ledger's row: what does not depend on the transaction.
pub(super) struct LedgerEntry<'a> {
    pub(super) texts: [&'a str; 10],
    pub(super) read: u64,
    pub(super) rejected: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
}

impl LoadScript<'_> {
    /// The whole script.
    ///
    /// # Errors
    /// When a key names no column.
    pub(super) fn text(&self, entry: &LedgerEntry<'_>) -> Result<String, TaskError> {
        let (main, stage) = (self.main.sql(), self.stage.sql());
        let check = format!(
            "ASSERT (SELECT COUNT(*) FROM {stage}) = {} AS 'the staging table does not hold the rows of the load job';",
            self.staged
        );
        let insert = format!("INSERT INTO {main} ({})\nSELECT {}\nFROM {stage};", self.columns(), self.values());
        let loaded = self.staged.to_string();
        let (before, change, loaded) = match self.mode {
            LoadMode::Append => (String::new(), insert, loaded),
            LoadMode::Truncate => {
                (String::new(), format!("DELETE FROM {main} WHERE TRUE;\n{insert}\n{}", self.holds("TRUE")), loaded)
            }
            LoadMode::ReplacePartition(_) => {
                let rows = self.condition();
                (String::new(), format!("DELETE FROM {main} WHERE {rows};\n{insert}\n{}", self.holds(&rows)), loaded)
            }
            LoadMode::Merge(merge) => self.merge(merge)?,
        };
        let ledger = self.ledger(entry, &loaded);
        Ok(format!(
            "{before}BEGIN TRANSACTION;\n{check}\n{change}\n{ledger}\nCOMMIT TRANSACTION;\nDROP TABLE IF EXISTS {stage};"
        ))
    }

    /// Which rows are the partition's.
    pub(super) fn condition(&self) -> String {
        let Some((name, value)) = self.constant else { return "TRUE".to_owned() };
        format!("{} = {}", column(name), self.cast(name, value))
    }

    fn holds(&self, rows: &str) -> String {
        format!(
            "ASSERT (SELECT COUNT(*) FROM {} WHERE {rows}) = {} AS 'the table does not hold the rows that were loaded';",
            self.main.sql(),
            self.staged
        )
    }

    fn columns(&self) -> String {
        self.fields.iter().map(|field| column(&field.name)).collect::<Vec<_>>().join(", ")
    }

    /// What each column gets, in the table's order.
    fn values(&self) -> String {
        let all = self.fields.iter().map(|field| {
            let name = column(&field.name);
            match (self.row_id, self.constant) {
                (Some((id, from)), _) if id.eq_ignore_ascii_case(&field.name) => {
                    format!("{} AS {name}", key(from, field))
                }
                (_, Some((own, value))) if own.eq_ignore_ascii_case(&field.name) => {
                    format!("{} AS {name}", self.cast(own, value))
                }
                _ => name,
            }
        });
        all.collect::<Vec<_>>().join(", ")
    }

    fn cast(&self, name: &str, value: &str) -> String {
        constant(self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)), value)
    }

    /// What comes before the transaction, the merge, and how many rows are new or changed by it. An update and an insert,
    /// so that each can be counted within the transaction; `MERGE` tells only afterwards, and not in a script.
    fn merge(&self, merge: &BigQueryMerge) -> Result<(String, String, String), TaskError> {
        let main = self.main.sql();
        let key = self.key(merge)?;
        let nulls = key.iter().map(|name| format!("{name} IS NULL")).collect::<Vec<_>>().join(" OR ");
        let same = key.iter().map(|name| format!("t.{name} = s.{name}")).collect::<Vec<_>>().join(" AND ");
        let keys = key.join(", ");
        let rows = format!("SELECT {} FROM {}", self.values(), self.stage.sql());
        let source = format!(
            "(SELECT * FROM ({rows}) WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {keys}) = 1)"
        );
        let before = "DECLARE rows_before INT64;\nDECLARE rows_changed INT64 DEFAULT 0;\n".to_owned();
        let mut change = format!(
            "ASSERT NOT EXISTS (SELECT 1 FROM ({rows}) WHERE {nulls}) AS 'the key is NULL in some rows';\n\
             SET rows_before = (SELECT COUNT(*) FROM {main});\n"
        );
        let rest: Vec<&TableFieldSchema> =
            self.fields.iter().filter(|field| !key.contains(&column(&field.name))).collect();
        if merge.on_match == OnMatch::Update && !rest.is_empty() {
            let differs = rest.iter().map(|field| differs(field)).collect::<Vec<_>>().join(" OR ");
            let set = rest.iter().map(|field| column(&field.name)).map(|name| format!("{name} = s.{name}"));
            let set = set.collect::<Vec<_>>().join(", ");
            change.push_str(&format!(
                "SET rows_changed = (SELECT COUNT(*) FROM {main} t JOIN {source} s ON {same} WHERE {differs});\n\
                 UPDATE {main} t SET {set}\nFROM {source} s\nWHERE {same} AND ({differs});\n"
            ));
        }
        let columns = self.columns();
        change.push_str(&format!(
            "INSERT INTO {main} ({columns})\nSELECT {columns} FROM {source} s\n\
             WHERE NOT EXISTS (SELECT 1 FROM {main} t WHERE {same});"
        ));
        Ok((before, change, format!("(SELECT COUNT(*) FROM {main}) - rows_before + rows_changed")))
    }

    fn key(&self, merge: &BigQueryMerge) -> Result<Vec<String>, TaskError> {
        let own = |name: &String| {
            let field = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            field.map(|field| column(&field.name)).ok_or_else(|| {
                TaskError::permanent(format!("`merge`: the schema has no column `{name}`"))
                    .help("for example `mode: {merge: {key: [unique_row_id]}}`")
            })
        };
        let key: Vec<String> = merge.key.iter().map(own).collect::<Result<_, _>>()?;
        if key.is_empty() {
            let help = "for example `mode: {merge: {key: [unique_row_id]}}`";
            return Err(TaskError::permanent("`merge` requires a key").help(help));
        }
        Ok(key)
    }

    fn ledger(&self, entry: &LedgerEntry<'_>, loaded: &str) -> String {
        let texts = entry.texts.map(literal).join(", ");
        let (read, rejected) = (entry.read, entry.rejected);
        format!(
            "INSERT INTO {} (id, execution, flow, task, target, `partition`, source, source_sha256, definition_sha256, address, \
             rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds, loaded_at)\n\
             SELECT {texts}, {read}, loaded, {rejected}, {read} - {rejected} - loaded, {}, {:.3}, CURRENT_TIMESTAMP()\n\
             FROM (SELECT {loaded} AS loaded);",
            self.main.sibling(super::ledger::NAME).sql(),
            entry.bytes,
            entry.seconds
        )
    }
}

/// A value of a column in SQL.
pub(super) fn constant(field: Option<&TableFieldSchema>, value: &str) -> String {
    match field.map(sql_type).as_deref() {
        None | Some("STRING") => literal(value),
        Some(other) => format!("CAST({} AS {other})", literal(value)),
    }
}

/// The key of a row: the MD5 of some columns' text, as the course makes it.
fn key(from: &[String], field: &TableFieldSchema) -> String {
    let parts = from.iter().map(|name| format!("IFNULL(CAST({} AS STRING), '')", column(name)));
    let digest = format!("MD5(CONCAT({}))", parts.collect::<Vec<_>>().join(", "));
    if matches!(field.r#type, FieldType::Bytes) { digest } else { format!("TO_HEX({digest})") }
}

fn differs(field: &TableFieldSchema) -> String {
    let name = column(&field.name);
    if is_comparable(field) {
        return format!("t.{name} IS DISTINCT FROM s.{name}");
    }
    format!("TO_JSON_STRING(t.{name}) IS DISTINCT FROM TO_JSON_STRING(s.{name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_partition_is_replaced_and_counted_in_one_transaction() {
        let main = BigQueryTableName::parse("d.trips", "p").unwrap();
        let stage = main.sibling("trips_stage");
        let fields = [TableFieldSchema::string("id"), TableFieldSchema::date("day"), TableFieldSchema::float("fare")];
        let mode: LoadMode = serde_json::from_value(json!({"replace_partition": {"day": "2020-04-01"}})).unwrap();
        let constant = mode.constant().unwrap();
        let from = ["fare".to_owned()];
        let script = LoadScript {
            main: &main,
            stage: &stage,
            fields: &fields,
            mode: &mode,
            constant: constant.as_ref(),
            row_id: Some(("id", &from)),
            staged: 7,
        };
        let texts = ["i", "e", "f", "t", "p.d.trips", "2020-04-01", "it's", "s", "d", "a"];
        let text = script.text(&LedgerEntry { texts, read: 8, rejected: 1, bytes: 9, seconds: 1.5 }).unwrap();
        let steps: Vec<&str> = text.lines().map(|line| line.split('(').next().unwrap().trim()).collect();
        let order =
            ["BEGIN TRANSACTION;", "ASSERT", "DELETE FROM `p.d.trips` WHERE `day` = CAST", "INSERT INTO `p.d.trips`"];
        assert_eq!(steps[..4], order, "{text}");
        assert_eq!(steps[steps.len() - 2], "COMMIT TRANSACTION;");
        assert!(text.contains("CAST('2020-04-01' AS DATE)") && text.contains(r"'it\'s'"), "{text}");
        assert!(text.contains("TO_HEX(MD5(CONCAT(IFNULL(CAST(`fare` AS STRING), '')))) AS `id`"), "{text}");
        assert!(text.contains("8, loaded, 1, 8 - 1 - loaded, 9, 1.500"), "{text}");
    }
}
