//! The table that a load goes to: found or made, and what its columns hold.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_postgres::Transaction;

use crate::diagnostic::nearest;
use crate::postgres::name::TableName;
use crate::postgres::sql::{Statement, statements};
use crate::postgres::{explain, explain_in};
use crate::stream::{ColumnType, TypeShape};
use crate::task::{NO_COLUMN, TaskError};
use crate::tasks::polars::comparison_rule::ComparisonRule;

use super::collation::DatabaseCollation;
use super::create::create_table;
use super::nature::{Nature, nature};
use super::numbered::{NumberedColumn, numbered};
use super::shapes::Shapes;
use super::table::{TableColumn, TableField, TargetTable, lookup};

/// The table, inside the load's transaction.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: TargetTable,
    /// Whether this transaction made it.
    pub(super) is_new: bool,
    /// What the server does with rows on their way into it.
    pub(super) nature: Nature,
    numbered: Vec<NumberedColumn>,
    shapes: Shapes,
}

/// How a table that is not there is made.
pub(super) enum CreateTable<'a> {
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
        create: &CreateTable<'_>,
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
            make(transaction, (name, &table), create).await?;
            sql_name = lookup(transaction, &table).await?;
        }
        let Some(sql_name) = sql_name else {
            return Err(TaskError::permanent(format!("the `ddl` file does not create a table `{name}`")));
        };
        let table = TargetTable::read(transaction, sql_name, name).await?;
        let nature = nature(transaction, &table.sql_name).await?;
        let numbered = match table.columns.iter().any(|column| column.has_default) {
            true => numbered(transaction, &table.sql_name).await?,
            false => Vec::new(),
        };
        let shapes = Shapes::of_table(transaction, &table).await?;
        Ok(Self { table, is_new, nature, numbered, shapes })
    }

    /// What the table holds under a name of the file.
    pub(super) fn column_type(&self, name: &str) -> Option<ColumnType> {
        let kind = |column: &TableColumn| column.array.unwrap_or_else(|| column.kind.column_type());
        self.column(name).map(kind)
    }

    /// The column under a name of the file, as rows are sent for it.
    pub(super) fn field(&self, name: &str) -> Option<TableField> {
        self.column(name).map(TableField::from)
    }

    /// What the type of the column under a name of the file is made of, if it is an array or a composite type.
    pub(super) fn shape(&self, name: &str) -> Option<Arc<TypeShape>> {
        self.column(name).and_then(|column| self.shapes.of(column.nested?))
    }

    /// How the server compares what is under a name of the file, or texts that are in no column.
    pub(super) fn comparison_rule(&self, name: Option<&str>, database: &DatabaseCollation) -> Option<ComparisonRule> {
        match name {
            Some(name) => self.column(name).map(|column| database.of_column(column)),
            None => Some(database.default.clone()),
        }
    }

    /// The column that goes by a name of the file, if there is one.
    fn column(&self, name: &str) -> Option<&TableColumn> {
        self.table.column(name)
    }

    /// The name of a column as the table has it.
    ///
    /// # Errors
    /// When there is no such column.
    pub(super) fn own_name(&self, name: &str) -> Result<&str, TaskError> {
        self.table.own_name(name)
    }

    /// The column that stores what is under a name of the file, if there is one.
    pub(super) fn stored(&self, name: &str) -> Option<TableField> {
        self.column(name).map(TableField::from)
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
    ) -> Result<(Vec<TableField>, Vec<usize>), TaskError> {
        let constant = constant.map(|name| self.partition_field(name)).transpose()?;
        let mut fields: Vec<TableField> = Vec::new();
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

    fn partition_field(&self, name: &str) -> Result<TableField, TaskError> {
        let column = self.column(name).ok_or_else(|| self.table.no_column(name))?;
        field(column)
    }

    /// The names of the columns that a row may have values for.
    pub(super) fn settable_columns(&self) -> impl Iterator<Item = String> {
        self.table.columns.iter().filter(|column| !column.is_generated).map(|column| column.name.clone())
    }

    /// The columns that no rows are sent for.
    pub(super) fn others(&self, fields: &[TableField]) -> impl Iterator<Item = &str> {
        let names = self.table.columns.iter().map(|column| column.name.as_str());
        names.filter(|name| !fields.iter().any(|field| field.name == *name))
    }

    /// The columns without values in rows of these fields that a sequence numbers which may run out.
    pub(super) fn numbered(&self, fields: &[TableField]) -> impl Iterator<Item = &NumberedColumn> {
        self.numbered.iter().filter(|column| !fields.iter().any(|field| field.name == column.name))
    }

    /// Whether an INSERT of these fields sets a column that the server would number itself, whatever is given.
    pub(super) fn overrides_identity(&self, fields: &[TableField]) -> bool {
        let sent = |column: &TableColumn| fields.iter().any(|field| field.name == column.name);
        self.table.columns.iter().any(|column| column.is_always_identity && sent(column))
    }

    /// Whether the server computes a column.
    pub(super) fn is_generated(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| column.is_generated)
    }

    /// The columns that rows of these fields have no value for, and that the server does not fill in.
    pub(super) fn without_value(&self, fields: &[TableField]) -> impl Iterator<Item = &TableColumn> {
        let sent = |column: &&TableColumn| fields.iter().any(|field| field.name == column.name);
        let columns = self.table.columns.iter();
        columns.filter(move |column| !sent(column) && !column.has_default && !column.is_generated)
    }

    fn check_missing(&self, fields: &[TableField], lenient: Leniency) -> Result<(), TaskError> {
        let missing: Vec<&str> = self
            .without_value(fields)
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
            self.table.name
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
        // Only a column that the file lacks can be a misspelling of this one.
        let given: Vec<&str> = from_file.iter().filter_map(|name| Some(self.column(name)?.name.as_str())).collect();
        let open =
            self.table.columns.iter().map(|column| column.name.as_str()).filter(|column| !given.contains(column));
        let near = nearest(name, open);
        let near = near
            .map(|near| format!("did you mean `{near}` (`transform: {{rename: {{{name}: {near}}}}}`)? else "))
            .unwrap_or_default();
        let message = format!("the file has a column `{name}`, which table `{}` does not have", self.table.name);
        TaskError::permanent(message).code(NO_COLUMN).help(format!(
            "{near}add it to the table, choose columns with `transform: {{select: […]}}`, or leave it out with `on_extra_column: ignore`"
        ))
    }
}

/// What to do with a statement that begins or ends a transaction.
const ENDS_TRANSACTION: &str = "leave it out: the table is made in the transaction of the load";

/// What is allowed to differ between file and table.
#[derive(Clone, Copy)]
pub(super) struct Leniency {
    /// The file may have more columns.
    pub(super) extra: bool,
    /// The file may have fewer, where the table allows NULL.
    pub(super) missing: bool,
}

fn twice(first: &str, second: &str, column: &str) -> TaskError {
    TaskError::permanent(format!("the file's columns `{first}` and `{second}` both go to column `{column}`"))
        .help("choose one of them with `transform: {select: […]}`")
}

fn field(column: &TableColumn) -> Result<TableField, TaskError> {
    if column.is_generated {
        return Err(TaskError::permanent(format!("column `{}` is generated by the server", column.name))
            .help("leave it out with `transform: {select: […]}`"));
    }
    Ok(column.into())
}

/// Refuses what would end the load's transaction, or wants rows from a client.
fn check_statement(statement: &Statement<'_>) -> Result<(), TaskError> {
    let text = statement.code().to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let help = match words.as_slice() {
        ["start" | "prepare", "transaction", ..] | ["begin" | "commit" | "end" | "rollback" | "abort", ..] => {
            ENDS_TRANSACTION
        }
        ["copy", ..] if text.contains("stdin") || text.contains("stdout") => {
            "leave the rows out of the file, and load them by a task of their own"
        }
        _ => return Ok(()),
    };
    let (line, column) = statement.place(1);
    let first = statement.text.lines().next().unwrap_or_default();
    Err(TaskError::permanent(format!("{}:{line}:{column}: `{first}` is not allowed in a `ddl` file", statement.file))
        .help(help))
}

async fn make(
    transaction: &Transaction<'_>,
    (name, table): (&str, &TableName),
    create: &CreateTable<'_>,
) -> Result<(), TaskError> {
    match create {
        CreateTable::Never => Err(TaskError::permanent(format!("there is no table `{name}`"))
            .help("create it, or let the task do so: `ddl: file.sql`, or `schema: {column: type}`")),
        CreateTable::Columns(columns) => {
            let sql = create_table(table, columns)?;
            transaction.batch_execute(&sql).await.map_err(|error| explain(&format!("creating table `{name}`"), &error))
        }
        CreateTable::File { name: file, text } => {
            let all = statements(file, text, &Value::Null).map_err(TaskError::permanent)?;
            all.iter().try_for_each(check_statement)?;
            for statement in all {
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
