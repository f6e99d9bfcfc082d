//! The table that a load goes to: found or made, and what its columns hold.

use serde_json::{Map, Value};
use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{GenericClient, Transaction};

use crate::diagnostic::nearest;
use crate::postgres::name::{TableName, quote_name, unquoted};
use crate::postgres::sql::{quote, statements};
use crate::postgres::{explain, explain_in};
use crate::stream::ColumnType;
use crate::task::{FieldConflict, NO_COLUMN, TaskError};
use crate::tasks::polars::comparable::Comparable;

use super::collation::{self, Collating};
use super::create::create_table;
use super::kind::Kind;
use super::nature::{Nature, nature};

/// A column of the table.
#[derive(Clone, Debug)]
struct TableColumn {
    name: String,
    kind: Kind,
    oid: Oid,
    modifier: i32,
    sql_type: String,
    /// The type of arrays, if it holds such.
    array: Option<ColumnType>,
    not_null: bool,
    /// Whether the server fills it in: a default, an identity or a generated column.
    has_default: bool,
    is_generated: bool,
    /// Whether only `OVERRIDING SYSTEM VALUE` lets an INSERT set it.
    is_always_identity: bool,
    /// How the server compares its values.
    comparable: Comparable,
}

/// A column that rows are sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
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

impl Field {
    /// A field of no table, for values of a kind.
    pub(super) fn unstored(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, oid: Type::TEXT.oid(), modifier: -1, sql_type: "text".to_owned() }
    }
}

/// The table, inside the load's transaction.
#[derive(Debug)]
pub(super) struct Target {
    /// The table as SQL names it, quoted and with its schema.
    pub(super) sql_name: String,
    /// The table as the user names it.
    pub(super) name: String,
    /// Whether this transaction made it.
    pub(super) is_new: bool,
    /// What the server does with rows on their way into it.
    pub(super) nature: Nature,
    columns: Vec<TableColumn>,
    /// How the database compares texts.
    collating: Collating,
}

/// How a table that is not there is made.
pub(super) enum Making<'a> {
    /// Not at all.
    Never,
    /// By the statements of a file.
    File { name: &'a str, text: &'a str },
    /// With these columns and types.
    Columns(&'a Map<String, Value>),
}

impl Target {
    /// Finds the table, or makes it.
    ///
    /// # Errors
    /// When there is none and no way to make it, or the server refuses.
    pub(super) async fn find(
        transaction: &Transaction<'_>,
        name: &str,
        making: &Making<'_>,
    ) -> Result<Self, TaskError> {
        let table = TableName::parse(name)?;
        let mut sql_name = lookup(transaction, &table).await?;
        if sql_name.is_none() {
            // Two loads that make the same table at once would collide; the second waits here and then finds it.
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended('jitney: create ' || $1, 0))";
            transaction
                .execute(lock, &[&table.sql()])
                .await
                .map_err(|error| explain("waiting to create the table", &error))?;
            sql_name = lookup(transaction, &table).await?;
        }
        let is_new = sql_name.is_none();
        if is_new {
            make(transaction, (name, &table), making).await?;
            sql_name = lookup(transaction, &table).await?;
        }
        let Some(sql_name) = sql_name else {
            return Err(TaskError::permanent(format!("the `ddl` file does not create a table `{name}`")));
        };
        Self::read(transaction, sql_name, name, is_new).await
    }

    /// Finds the table, which must be there.
    ///
    /// # Errors
    /// When there is none, or the server refuses.
    pub(super) async fn existing(transaction: &Transaction<'_>, name: &str) -> Result<Self, TaskError> {
        Self::look(transaction, name).await?.ok_or_else(|| {
            TaskError::permanent(format!("there is no table `{name}`"))
                .help("create it before, for example with `postgres.query`")
        })
    }

    /// Finds the table, if there is one.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn look(transaction: &Transaction<'_>, name: &str) -> Result<Option<Self>, TaskError> {
        let Some(sql_name) = lookup(transaction, &TableName::parse(name)?).await? else { return Ok(None) };
        Self::read(transaction, sql_name, name, false).await.map(Some)
    }

    async fn read(client: &impl GenericClient, sql_name: String, name: &str, is_new: bool) -> Result<Self, TaskError> {
        let collating = collation::of_database(client).await?;
        let columns = columns(client, &sql_name, &collating).await?;
        let nature = nature(client, &sql_name).await?;
        Ok(Self { sql_name, name: name.to_owned(), is_new, nature, columns, collating })
    }

    /// What is wrong with the name of a table, if anything is.
    pub(super) fn conflict(name: &str) -> Option<FieldConflict> {
        let error = TableName::parse(name).err()?;
        let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
        Some(FieldConflict::between(["table"], error.message + &help))
    }

    /// What the table holds under a name of the file.
    pub(super) fn column_type(&self, name: &str) -> Option<ColumnType> {
        let kind = |column: &TableColumn| column.array.unwrap_or_else(|| column.kind.column_type());
        self.column(name).map(kind)
    }

    /// How the server compares what is under a name of the file, or texts that are in no column.
    pub(super) fn comparable(&self, name: Option<&str>) -> Option<Comparable> {
        match name {
            Some(name) => self.column(name).map(|column| column.comparable.clone()),
            None => Some(self.collating.default.clone()),
        }
    }

    /// The column that stores what is under a name of the file, if there is one.
    pub(super) fn stored(&self, name: &str) -> Option<Field> {
        self.column(name).map(stored)
    }

    /// Whether the column under a name of the file must have a value.
    pub(super) fn is_required(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| column.not_null)
    }

    /// The columns that rows are sent for: those of the file, then `constant`, the one with the same value in each row.
    ///
    /// # Errors
    /// When the file has a column that the table has not, or lacks one that the table has.
    pub(super) fn fields(
        &self,
        from_file: &[String],
        constant: Option<&str>,
        lenient: Leniency,
    ) -> Result<(Vec<Field>, Vec<usize>), TaskError> {
        let constant = constant.map(|name| self.partition_field(name)).transpose()?;
        let mut fields: Vec<Field> = Vec::new();
        let mut used: Vec<usize> = Vec::new();
        for (index, name) in from_file.iter().enumerate() {
            let Some(column) = self.column(name) else {
                if lenient.extra {
                    continue;
                }
                return Err(self.extra(name, from_file));
            };
            if constant.as_ref().is_some_and(|constant| constant.name == column.name) {
                continue;
            }
            if let Some(place) = fields.iter().position(|field| field.name == column.name) {
                let first = used.get(place).and_then(|index| from_file.get(*index)).map_or("", String::as_str);
                return Err(twice(first, name, &column.name));
            }
            fields.push(field(column)?);
            used.push(index);
        }
        fields.extend(constant);
        self.check_missing(&fields, lenient)?;
        Ok((fields, used))
    }

    /// The file's columns that go by the name of one of the table's.
    pub(super) fn columns_for(&self, from_file: &[String], name: &str) -> Vec<String> {
        let own = self.column(name).map(|column| &column.name);
        let is_own = |name: &&String| own.is_some() && self.column(name).map(|column| &column.name) == own;
        from_file.iter().filter(is_own).cloned().collect()
    }

    fn partition_field(&self, name: &str) -> Result<Field, TaskError> {
        let column = self.column(name).ok_or_else(|| self.no_column(name))?;
        field(column)
    }

    /// The columns that no rows are sent for.
    pub(super) fn others(&self, fields: &[Field]) -> impl Iterator<Item = &str> {
        let names = self.columns.iter().map(|column| column.name.as_str());
        names.filter(|name| !fields.iter().any(|field| field.name == *name))
    }

    /// Whether an INSERT of these fields sets a column that the server would number itself, whatever is given.
    pub(super) fn overrides_identity(&self, fields: &[Field]) -> bool {
        let sent = |column: &TableColumn| fields.iter().any(|field| field.name == column.name);
        self.columns.iter().any(|column| column.is_always_identity && sent(column))
    }

    /// Whether the server computes a column.
    pub(super) fn is_generated(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| column.is_generated)
    }

    /// The name of a table column as the table has it.
    ///
    /// # Errors
    /// When there is no such column.
    pub(super) fn own_name(&self, name: &str) -> Result<&str, TaskError> {
        self.column(name).map(|column| column.name.as_str()).ok_or_else(|| self.no_column(name))
    }

    fn check_missing(&self, fields: &[Field], lenient: Leniency) -> Result<(), TaskError> {
        let sent = |column: &&TableColumn| fields.iter().any(|field| field.name == column.name);
        let missing: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| !sent(column) && !column.has_default && !column.is_generated)
            // A trigger may give a value to what has none.
            .filter(|column| column.not_null && !self.nature.may_skip_rows || !lenient.missing)
            .map(|column| column.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let help =
            "name the file's column in `transform: {rename: …}`, or leave it empty with `on_missing_column: empty`";
        Err(TaskError::permanent(format!(
            "the file has no column for `{}` of table `{}`",
            missing.join("`, `"),
            self.name
        ))
        .help(help)
        .code(NO_COLUMN))
    }

    fn extra(&self, name: &str, from_file: &[String]) -> TaskError {
        if name.is_empty() {
            return TaskError::permanent("the file has a column without a name")
                .code(NO_COLUMN)
                .help("leave it out with `on_extra_column: ignore`, or name the columns with `header: false`, `skip_lines: 1` and `columns`");
        }
        // Only a column that the file has not can be the one that is meant.
        let given: Vec<&str> = from_file.iter().filter_map(|name| Some(self.column(name)?.name.as_str())).collect();
        let open = self.columns.iter().map(|column| column.name.as_str()).filter(|column| !given.contains(column));
        let near = nearest(name, open);
        let near = near
            .map(|near| format!("did you mean `{near}` (`transform: {{rename: {{{name}: {near}}}}}`)? else "))
            .unwrap_or_default();
        let message = format!("the file has a column `{name}`, which table `{}` does not have", self.name);
        TaskError::permanent(message).code(NO_COLUMN).help(format!(
            "{near}add it to the table, choose columns with `transform: {{select: […]}}`, or leave it out with `on_extra_column: ignore`"
        ))
    }

    fn no_column(&self, name: &str) -> TaskError {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        TaskError::permanent(format!("table `{}` has no column `{name}`", self.name))
            .help(format!("it has `{}`", names.join("`, `")))
    }

    /// Names are compared as Postgres folds them: without regard to case, and to blanks around them. One in double quotes
    /// is that very name.
    fn column(&self, name: &str) -> Option<&TableColumn> {
        let exact = |name: &str| self.columns.iter().find(|column| column.name == name);
        let folded = || self.columns.iter().find(|column| normal(&column.name) == normal(name));
        exact(name).or_else(folded).or_else(|| exact(&unquoted(name)?))
    }
}

/// What is allowed to differ between file and table.
#[derive(Clone, Copy)]
pub(super) struct Leniency {
    /// The file may have more columns.
    pub(super) extra: bool,
    /// The file may have fewer, where the table allows NULL.
    pub(super) missing: bool,
}

fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

fn twice(first: &str, second: &str, column: &str) -> TaskError {
    TaskError::permanent(format!("the file's columns `{first}` and `{second}` both go to column `{column}`"))
        .help("choose one of them with `transform: {select: […]}`")
}

fn field(column: &TableColumn) -> Result<Field, TaskError> {
    if column.is_generated {
        return Err(TaskError::permanent(format!("column `{}` is generated by the server", column.name))
            .help("leave it out with `transform: {select: […]}`"));
    }
    Ok(stored(column))
}

fn stored(column: &TableColumn) -> Field {
    let TableColumn { name, kind, oid, modifier, sql_type, .. } = column.clone();
    Field { name, kind, oid, modifier, sql_type }
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
    let table = TableName::parse(name)?;
    let sql =
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.oid = coalesce(to_regclass($1), to_regclass($2))";
    let row = client.query_opt(sql, &[&table.sql(), &table.as_written()]).await;
    let row = row.map_err(|error| explain("looking for the table", &error))?;
    let sql_name: String = match row {
        Some(row) => row.get(0),
        None => return Err(TaskError::permanent(format!("there is no table or view `{name}`"))),
    };
    let target = Target::read(client, sql_name, name, false).await?;
    let names = columns_wanted.iter().map(|column| target.own_name(column).map(quote_name));
    let names = names.collect::<Result<Vec<_>, _>>()?.join(", ");
    Ok((if names.is_empty() { "*".to_owned() } else { names }, target.sql_name))
}

/// The table as SQL names it, quoted and with its schema; none when there is no such table.
///
/// # Errors
/// When the name is that of something else.
async fn lookup(transaction: &Transaction<'_>, name: &TableName) -> Result<Option<String>, TaskError> {
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

async fn make(
    transaction: &Transaction<'_>,
    (name, table): (&str, &TableName),
    making: &Making<'_>,
) -> Result<(), TaskError> {
    match making {
        Making::Never => Err(TaskError::permanent(format!("there is no table `{name}`"))
            .help("create it, or let the task do so: `ddl: file.sql`, or `schema: {column: type}`")),
        Making::Columns(columns) => {
            let sql = create_table(table, columns)?;
            transaction.batch_execute(&sql).await.map_err(|error| explain(&format!("creating table `{name}`"), &error))
        }
        Making::File { name: file, text } => {
            for statement in statements(file, text, &Value::Null).map_err(TaskError::permanent)? {
                let doing = format!("creating table `{name}`");
                transaction
                    .batch_execute(&statement.text)
                    .await
                    .map_err(|error| explain_in(&doing, &error, &statement))?;
            }
            Ok(())
        }
    }
}

async fn columns(
    client: &impl GenericClient,
    sql_name: &str,
    collating: &Collating,
) -> Result<Vec<TableColumn>, TaskError> {
    // A domain may be made of a domain; the modifier is that of the last one.
    let sql = format!(
        "SELECT a.attname, base.oid, base.typtype = 'e', a.attnotnull,
                a.atthasdef OR a.attidentity <> '' OR own.typdefault IS NOT NULL, a.attgenerated <> '', a.attidentity = 'a',
                base.modifier, format_type(a.atttypid, a.atttypmod),
                base.typcategory = 'A', (SELECT to_jsonb(c)::text FROM pg_collation c WHERE c.oid = a.attcollation),
                base.typelem IN ('json'::regtype, 'jsonb'::regtype)
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
        modifier: row.get(7),
        sql_type: row.get(8),
        array: row.get::<_, bool>(9).then(|| if row.get(11) { ColumnType::JsonArray } else { ColumnType::Array }),
        not_null: row.get(3),
        has_default: row.get(4),
        is_generated: row.get(5),
        is_always_identity: row.get(6),
        comparable: collation::of_column(
            (Kind::of(row.get(1), row.get(2)), row.get(1), row.get(2)),
            row.get(8),
            row.get(10),
            collating,
        ),
    };
    Ok(rows.iter().map(column).collect())
}
