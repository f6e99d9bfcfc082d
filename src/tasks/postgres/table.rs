//! A table as the server's catalog has it: its name and its columns.

use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{GenericClient, Transaction};

use super::kind::Kind;
use super::search_path;
use crate::postgres::explain;
use crate::postgres::name::{TableName, quote_name, truncated, unquoted};
use crate::postgres::sql::quote;
use crate::stream::ColumnType;
use crate::task::{FieldConflict, TaskError};

/// A table and its columns.
#[derive(Debug)]
pub(super) struct TargetTable {
    /// The table as SQL names it, quoted and with its schema.
    pub(super) sql_name: String,
    /// The table as the user names it.
    pub(super) name: String,
    pub(super) columns: Vec<TableColumn>,
}

#[derive(Clone, Debug)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its type, or the one that a domain is made of.
    pub(super) oid: Oid,
    pub(super) is_enum: bool,
    /// The type's modifier, such as a length; -1 where there is none.
    pub(super) modifier: i32,
    pub(super) sql_type: String,
    pub(super) is_domain: bool,
    /// The type of arrays, if it holds such.
    pub(super) array: Option<ColumnType>,
    /// Its own type, if that or what the domain is made of is an array or a composite type.
    pub(super) nested: Option<Oid>,
    pub(super) not_null: bool,
    /// Whether the server fills it in: a default, an identity or a generated column.
    pub(super) has_default: bool,
    pub(super) is_generated: bool,
    /// Whether only `OVERRIDING SYSTEM VALUE` lets an INSERT set it.
    pub(super) is_always_identity: bool,
    /// Its row of `pg_collation` as JSON, if its type has one.
    pub(super) collation: Option<String>,
}

/// A column that rows are sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableField {
    /// The column's name in the table.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// Its type, or the one that a domain is made of.
    pub(super) oid: Oid,
    /// The type's modifier, such as a length, as the server keeps it; -1 where there is none.
    pub(super) modifier: i32,
    /// The type as SQL names it, modifier included.
    pub(super) sql_type: String,
}

impl TableField {
    /// A field of no table, for values of a kind.
    pub(super) fn unstored(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, oid: Type::TEXT.oid(), modifier: -1, sql_type: "text".to_owned() }
    }
}

impl From<&TableColumn> for TableField {
    fn from(column: &TableColumn) -> Self {
        let TableColumn { name, kind, oid, modifier, sql_type, .. } = column.clone();
        Self { name, kind, oid, modifier, sql_type }
    }
}

impl TargetTable {
    /// What is wrong with the name of a table, if anything is.
    pub(super) fn conflict(name: &str) -> Option<FieldConflict> {
        let error = TableName::parse(name).err()?;
        let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
        Some(FieldConflict::between(["table"], error.message + &help))
    }

    /// Finds the table, if there is one.
    ///
    /// # Errors
    /// When the name is that of something else, or the server refuses.
    pub(super) async fn find(transaction: &Transaction<'_>, name: &str) -> Result<Option<Self>, TaskError> {
        let Some(sql_name) = lookup(transaction, &TableName::parse(name)?).await? else { return Ok(None) };
        Self::read(transaction, sql_name, name).await.map(Some)
    }

    /// Finds the table, which must be there.
    ///
    /// # Errors
    /// When there is none, or the server refuses.
    pub(super) async fn existing(transaction: &Transaction<'_>, name: &str) -> Result<Self, TaskError> {
        Self::find(transaction, name).await?.ok_or_else(|| {
            TaskError::permanent(format!("there is no table `{name}`"))
                .help("create it before, for example with `postgres.query`")
        })
    }

    /// Reads the columns of a table that was looked up.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn read(client: &impl GenericClient, sql_name: String, name: &str) -> Result<Self, TaskError> {
        let columns = columns(client, &sql_name).await?;
        Ok(Self { sql_name, name: name.to_owned(), columns })
    }

    /// The column that goes by a name. Names are compared as Postgres folds them: without regard to case, and to blanks
    /// around them. One in double quotes is that very name. Longer names than columns can have are cut as the server
    /// cuts them.
    pub(super) fn column(&self, name: &str) -> Option<&TableColumn> {
        let exact = |name: &str| self.columns.iter().find(|column| column.name == name);
        let folded = |name: &str| self.columns.iter().find(|column| normal(&column.name) == normal(name));
        let cut = truncated(name.trim());
        exact(name)
            .or_else(|| folded(name))
            .or_else(|| exact(&unquoted(name)?))
            .or_else(|| exact(cut).or_else(|| folded(cut)).filter(|_| cut.len() < name.trim().len()))
    }

    /// The name of a column as the table has it.
    ///
    /// # Errors
    /// When there is no such column.
    pub(super) fn own_name(&self, name: &str) -> Result<&str, TaskError> {
        self.column(name).map(|column| column.name.as_str()).ok_or_else(|| self.no_column(name))
    }

    /// The error about a name that no column goes by.
    pub(super) fn no_column(&self, name: &str) -> TaskError {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        TaskError::permanent(format!("table `{}` has no column `{name}`", self.name))
            .help(format!("it has `{}`", names.join("`, `")))
    }
}

fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The columns of a table or view for SQL, and the relation itself.
///
/// # Errors
/// When there is no such relation or column, or the server refuses.
pub(super) async fn readable(
    client: &impl GenericClient,
    name: &str,
    columns_wanted: &[String],
) -> Result<(String, String), TaskError> {
    search_path::check(client).await?;
    let parsed = TableName::parse(name)?;
    let sql =
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.oid = coalesce(to_regclass($1), to_regclass($2))";
    let row = client.query_opt(sql, &[&parsed.sql(), &parsed.as_written()]).await;
    let row = row.map_err(|error| explain("looking for the table", &error))?;
    let sql_name: String = match row {
        Some(row) => row.get(0),
        None => return Err(TaskError::permanent(format!("there is no table or view `{name}`"))),
    };
    let table = TargetTable::read(client, sql_name, name).await?;
    let names = columns_wanted.iter().map(|column| table.own_name(column).map(quote_name));
    let names = names.collect::<Result<Vec<_>, _>>()?.join(", ");
    Ok((if names.is_empty() { "*".to_owned() } else { names }, table.sql_name))
}

/// The table as SQL names it, quoted and with its schema; none when there is no such table.
///
/// # Errors
/// When the name is that of something else.
pub(super) async fn lookup(transaction: &Transaction<'_>, name: &TableName) -> Result<Option<String>, TaskError> {
    let sql = "SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text, EXISTS (
                   SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled <> 'D' AND tgtype & 68 = 68)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.oid = coalesce(to_regclass($1), to_regclass($2))";
    let row = transaction.query_opt(sql, &[&name.sql(), &name.as_written()]).await;
    let row = row.map_err(|error| explain("looking for the table", &error))?;
    let Some(row) = row else { return Ok(None) };
    let kind = match row.get::<_, &str>(1) {
        "r" | "p" | "f" => return Ok(Some(row.get(0))),
        // With an INSTEAD OF INSERT trigger it takes rows as a table does.
        "v" if row.get(2) => return Ok(Some(row.get(0))),
        "v" => "a view without an INSTEAD OF trigger",
        "m" => "a materialized view",
        "S" => "a sequence",
        "i" | "I" => "an index",
        _ => "a type",
    };
    Err(TaskError::permanent(format!("`{name}` is {kind}, and rows are loaded into tables alone"))
        .help("name the table that it is made of, or choose another name"))
}

async fn columns(client: &impl GenericClient, sql_name: &str) -> Result<Vec<TableColumn>, TaskError> {
    // A domain may be made of a domain; the modifier is that of the last one.
    let sql = format!(
        "SELECT a.attname, base.oid, base.typtype = 'e', a.attnotnull,
                a.atthasdef OR a.attidentity <> '' OR own.typdefault IS NOT NULL, a.attgenerated <> '', a.attidentity = 'a',
                base.modifier, format_type(a.atttypid, a.atttypmod),
                base.typcategory = 'A', (SELECT to_jsonb(c)::text FROM pg_collation c WHERE c.oid = a.attcollation),
                base.typelem IN ('json'::regtype, 'jsonb'::regtype),
                CASE WHEN base.typcategory = 'A' OR base.typtype = 'c' THEN a.atttypid END, own.typtype = 'd'
         FROM pg_attribute a JOIN pg_type own ON own.oid = a.atttypid CROSS JOIN LATERAL (
             WITH RECURSIVE made_of AS (
                 SELECT t.*, a.atttypmod AS modifier FROM pg_type t WHERE t.oid = a.atttypid
                 UNION ALL
                 SELECT t.*, d.typtypmod FROM made_of d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
             SELECT * FROM made_of WHERE typtype <> 'd') base
         WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        quote(sql_name)
    );
    let rows = client.query(&sql, &[]).await.map_err(|error| explain("reading the table's columns", &error))?;
    let column = |row: &tokio_postgres::Row| TableColumn {
        name: row.get(0),
        kind: Kind::of(row.get(1), row.get(2)),
        oid: row.get(1),
        is_enum: row.get(2),
        modifier: row.get(7),
        sql_type: row.get(8),
        array: row.get::<_, bool>(9).then(|| if row.get(11) { ColumnType::JsonArray } else { ColumnType::Array }),
        nested: row.get(12),
        is_domain: row.get(13),
        not_null: row.get(3),
        has_default: row.get(4),
        is_generated: row.get(5),
        is_always_identity: row.get(6),
        collation: row.get(10),
    };
    Ok(rows.iter().map(column).collect())
}
