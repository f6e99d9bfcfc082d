//! The ledger: what has been loaded, written in the load's own transaction, so that it is never ahead or behind.

use std::fmt::Display;

use tokio_postgres::row::RowIndex;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Row, Transaction};

use crate::fingerprint::Fingerprint;
use crate::postgres::explain;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::{TaskContext, TaskError};
use crate::tasks::appended::PriorRows;
use crate::tasks::counts::Counts;
use crate::tasks::file_address::{FileAddress, noted_address};
use crate::text::count;

use super::rows;
use super::source::SourceFile;
use super::table::TargetTable;

const LEDGER: &str = include_str!("../../../sql/postgres/jitney_loads.sql");

/// What is read of an entry. Parameters: the target, the partition, the file's checksum, the definitions that count as the
/// same, the file's address, whole and short, and the flow. Earlier versions noted the short address, which another flow
/// may have for another file.
const COLUMNS: &str = "id, execution, task, partition = $2 AS same_partition, source_sha256 = $3 AS same_content,
    definition_sha256 = ANY($4) AS same_steps, flow = $7 AS same_flow,
    (coalesce(address, partition) = $5 OR (coalesce(address, partition) = $6 AND flow = $7)) AS same_address,
    address, partition, source, rows_read, rows_loaded, rows_rejected, rows_skipped";
/// Whether an entry is of the file at this address.
const SAME_ADDRESS: &str = "(coalesce(address, partition) = $5 OR (coalesce(address, partition) = $6 AND flow = $7))";
/// Whether no table has the name that an entry has as its target. Asked of the catalog, since `to_regclass` fails in schemas that
/// the user may not use.
const IS_GONE: &str = "CASE WHEN cardinality(parse_ident(target, false)) = 2
        THEN NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE ARRAY[n.nspname, c.relname]::text[] = parse_ident(target, false))
        ELSE to_regclass(target) IS NULL END";
/// The names of the columns of a table `c`.
const COLUMN_NAMES: &str = "ARRAY(SELECT a.attname::text FROM pg_attribute a
                                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";
/// Former names of tables that are looked at.
const MAX_NAMES: usize = 20;

/// What identifies a load: the same key with the same checksums has the same result.
pub(super) struct LedgerKey {
    /// The table with its schema.
    pub(super) target: String,
    /// The partition's value, or the file's short address where the load has no partition.
    pub(super) partition: String,
    /// The file's address.
    pub(super) address: FileAddress,
    /// The flow's id.
    pub(super) flow: String,
    /// SHA-256 of the file, in hex.
    pub(super) source_sha256: String,
    /// What the task does with it.
    pub(super) definition: Fingerprint,
    /// The ledger with its schema: a trigger may set another `search_path` before the load is written down.
    pub(super) ledger: String,
}

impl LedgerKey {
    /// The parameters of [`COLUMNS`].
    fn parameters<'a>(&'a self, definitions: &'a (dyn ToSql + Sync)) -> [&'a (dyn ToSql + Sync); 7] {
        let Self { target, partition, source_sha256, address, flow, .. } = self;
        [target, partition, source_sha256, definitions, &address.whole, &address.short, flow]
    }
}

/// A load that the ledger holds.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) id: i64,
    /// The execution that did it.
    pub(super) execution: String,
    /// The run of a task that did it.
    run: String,
    /// The file's address.
    pub(super) address: String,
    pub(super) has_same_address: bool,
    /// Whether a flow of the same id did it.
    pub(super) is_of_this_flow: bool,
    has_same_partition: bool,
    pub(super) has_same_content: bool,
    pub(super) has_same_steps: bool,
    /// What it counted.
    pub(super) counts: Counts,
}

impl Earlier {
    /// Whether partition, file and definition are the same as now.
    pub(super) fn is_same(&self) -> bool {
        self.has_same_partition && self.has_same_content && self.has_same_steps
    }

    /// Whether the very task run did it that asks.
    pub(super) fn is_of(&self, context: &TaskContext) -> bool {
        self.execution == context.execution.as_str() && self.run == context.run.as_str()
    }
}

/// Makes the ledger if it is not there, or adds the columns that one of an earlier version lacks; gives its name for SQL.
///
/// # Errors
/// When the server refuses.
pub(super) async fn ensure(transaction: &Transaction<'_>) -> Result<String, TaskError> {
    if let Some(name) = complete(transaction).await? {
        return Ok(name);
    }
    check_place(transaction).await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('jitney: ledger', 0));";
    let sql = format!("SET LOCAL client_min_messages = warning; {lock} {LEDGER} RESET client_min_messages");
    transaction.batch_execute(&sql).await.map_err(|error| explain("creating the ledger `jitney_loads`", &error))?;
    let made = complete(transaction).await?;
    made.ok_or_else(|| TaskError::permanent("the ledger `jitney_loads` was created and cannot be found"))
}

/// Whether the ledger can be made in the first schema of the `search_path`, if there is none yet.
async fn check_place(transaction: &Transaction<'_>) -> Result<(), TaskError> {
    let sql = "SELECT to_regclass('jitney_loads') IS NOT NULL, current_schema()::text, current_user::text,
                      coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), current_setting('search_path')";
    let row = transaction.query_one(sql, &[]).await.map_err(|error| explain("looking for the ledger", &error))?;
    let (schema, user): (Option<String>, String) = (row.get(1), row.get(2));
    match (schema, row.get(3)) {
        _ if row.get(0) => Ok(()),
        (None, _) => Err(TaskError::permanent(format!(
            "there is no schema for the ledger `jitney_loads`: the `search_path` of the session (`{}`) names none that \
             the user `{user}` can use",
            row.get::<_, &str>(4)
        ))
        .help(format!(
            "set it for the user (`ALTER ROLE {} SET search_path = public`) or in the address \
             (`?options=-c%20search_path%3Dpublic`)",
            quote_name(&user)
        ))),
        (Some(schema), false) => Err(TaskError::permanent(format!(
            "the user `{user}` may not create the ledger `jitney_loads` in the schema `{schema}`, the first of the \
             `search_path`"
        ))
        .help(format!(
            "grant it with `GRANT CREATE ON SCHEMA {schema} TO {user}`, or set a `search_path` that begins with a schema in \
             which the user may create tables",
            schema = quote_name(&schema),
            user = quote_name(&user)
        ))),
        (Some(_), true) => Ok(()),
    }
}

/// Whether the user may create the temporary tables that some loads need.
///
/// # Errors
/// When the user may not, or the server refuses.
pub(super) async fn check_temporary(transaction: &Transaction<'_>, what: &str) -> Result<(), TaskError> {
    let sql = "SELECT has_database_privilege(current_database(), 'TEMP'), current_user::text, current_database()::text";
    let row = transaction.query_one(sql, &[]).await;
    let row = row.map_err(|error| explain("asking for the user's rights", &error))?;
    if row.get(0) {
        return Ok(());
    }
    let (user, database): (&str, &str) = (row.get(1), row.get(2));
    let message =
        format!("the user `{user}` may not create temporary tables in the database `{database}`, and {what} needs one");
    let grant = format!("GRANT TEMPORARY ON DATABASE {} TO {}", quote_name(database), quote_name(user));
    Err(TaskError::permanent(message).help(format!("grant it with `{grant}`")))
}

/// What versions since the first have added to the ledger, and its type.
const ADDED: [(&str, &str); 4] =
    [("xid", "bigint"), ("parts", "bigint[]"), ("updates", "boolean"), ("address", "text")];

/// What a ledger with these columns lacks.
fn lacking(columns: &[String]) -> Vec<(&'static str, &'static str)> {
    ADDED.into_iter().filter(|(name, _)| !columns.iter().any(|column| column == name)).collect()
}

/// What to read a ledger with these columns from, in SQL: those that it lacks are empty.
fn reading(ledger: &str, columns: &[String]) -> String {
    let empty: Vec<String> = lacking(columns).iter().map(|(name, kind)| format!("NULL::{kind} AS {name}")).collect();
    match empty.is_empty() {
        true => ledger.to_owned(),
        false => format!("(SELECT old.*, old.xmin, {} FROM {ledger} old)", empty.join(", ")),
    }
}

/// The ledger, as SQL names it, and its columns, if there is one.
async fn present(transaction: &Transaction<'_>) -> Result<Option<(String, Vec<String>)>, TaskError> {
    let sql = format!(
        "SELECT format('%I.%I', n.nspname, c.relname), {COLUMN_NAMES}
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('jitney_loads')"
    );
    let row = transaction.query_opt(&sql, &[]).await;
    let row = row.map_err(|error| explain("looking for the ledger", &error))?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// The ledger, as SQL names it, if it is there with all of its columns.
///
/// # Errors
/// When the server refuses.
pub(super) async fn complete(transaction: &Transaction<'_>) -> Result<Option<String>, TaskError> {
    let present = present(transaction).await?;
    Ok(present.filter(|(_, columns)| lacking(columns).is_empty()).map(|(name, _)| name))
}

/// What to read the ledger from, in SQL, if there is one, also one of an earlier version.
///
/// # Errors
/// When the server refuses.
pub(super) async fn readable(transaction: &Transaction<'_>) -> Result<Option<String>, TaskError> {
    Ok(present(transaction).await?.map(|(name, columns)| reading(&name, &columns)))
}

/// The newest load of the partition, or of the whole table, if any.
pub(super) async fn newest(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
    any_partition: bool,
) -> Result<Option<Earlier>, TaskError> {
    find(transaction, key, "($8 OR partition = $2) ORDER BY id DESC", &[&any_partition]).await
}

/// The load of this very task run, if an attempt of it has committed one and could not say so any more. A task run that
/// begins anew, since a task around it does, counts its attempts anew, and by then its rows may have been removed: so
/// the table's rows must bear the ledger out.
///
/// # Errors
/// When an attempt has committed the load and it is unknown whether its rows are there.
pub(super) async fn committed(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
    context: &TaskContext,
    table: &TargetTable,
) -> Result<Option<Earlier>, TaskError> {
    let rest = "partition = $2 AND source_sha256 = $3 AND definition_sha256 = ANY($4) AND execution = $8 AND task = $9
                ORDER BY id DESC";
    let found = find(transaction, key, rest, &[&context.execution.as_str(), &context.run.as_str()]).await?;
    let Some(own) = found else { return Ok(None) };
    match rows::of(transaction, &table.sql_name, None, &own).await?.prior_rows(own.counts.loaded) {
        PriorRows::Whole => Ok(Some(own)),
        PriorRows::Unclear(why) if context.attempt > 1 => Err(TaskError::permanent(format!(
            "an earlier attempt of this task committed the file, {}, but {why}",
            count(own.counts.loaded, "row")
        ))
        .help("look at the table, put it right by hand, and run the rest of the flow in a new execution")),
        _ => Ok(None),
    }
}

/// What comes nearest to a load of the file: one of the same file, else of the same content under another address, else
/// of other content under the same address. The newest of each.
pub(super) async fn nearest(transaction: &Transaction<'_>, key: &LedgerKey) -> Result<Option<Earlier>, TaskError> {
    let rest = format!(
        "({SAME_ADDRESS} OR source_sha256 = $3)
         ORDER BY source_sha256 = $3 DESC, {SAME_ADDRESS} DESC, definition_sha256 = ANY($4) DESC, id DESC"
    );
    find(transaction, key, &rest, &[]).await
}

/// Loads of this very file, by the names of tables that are no longer there under them; the newest of each.
pub(super) async fn under_former_names(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
) -> Result<Vec<(String, Earlier)>, TaskError> {
    let sql = format!(
        "SELECT DISTINCT ON (target) {COLUMNS}, target FROM jitney_loads
         WHERE target <> $1 AND {SAME_ADDRESS} AND source_sha256 = $3 AND {IS_GONE}
         ORDER BY target, id DESC LIMIT {MAX_NAMES}"
    );
    let definitions = key.definition.known();
    let rows = transaction
        .query(&sql, &key.parameters(&definitions.as_slice()))
        .await
        .map_err(|error| explain("reading the ledger", &error))?;
    rows.iter().map(|row| Ok((cell(row, "target")?, earlier(row, key)?))).collect()
}

/// The newest load of this very file in another ledger of the database, and that ledger. Those that the user may not read
/// are not looked at.
pub(super) async fn in_another(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
) -> Result<Option<(String, Earlier)>, TaskError> {
    let sql = format!(
        "SELECT format('%I.%I', n.nspname, c.relname), {COLUMN_NAMES}
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relname = 'jitney_loads' AND c.relkind = 'r' AND c.relpersistence <> 't'
                   AND c.oid IS DISTINCT FROM to_regclass('jitney_loads')
                   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                   AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN (
                       'id', 'execution', 'flow', 'task', 'target', 'partition', 'source_sha256', 'definition_sha256',
                       'rows_read', 'rows_loaded', 'rows_rejected', 'rows_skipped')) = 12
               ORDER BY 1"
    );
    let others = transaction.query(&sql, &[]).await.map_err(|error| explain("looking for other ledgers", &error))?;
    for other in &others {
        let ledger: String = other.get(0);
        let columns: Vec<String> = other.get(1);
        let from = format!("{} l", reading(&ledger, &columns));
        let rest = format!("{SAME_ADDRESS} AND source_sha256 = $3 ORDER BY id DESC");
        if let Some(found) = find_in(transaction, &from, key, &rest, &[]).await? {
            return Ok(Some((ledger, found)));
        }
    }
    Ok(None)
}

async fn find(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
    rest: &str,
    more: &[&(dyn ToSql + Sync)],
) -> Result<Option<Earlier>, TaskError> {
    find_in(transaction, "jitney_loads", key, rest, more).await
}

async fn find_in(
    transaction: &Transaction<'_>,
    ledger: &str,
    key: &LedgerKey,
    rest: &str,
    more: &[&(dyn ToSql + Sync)],
) -> Result<Option<Earlier>, TaskError> {
    let sql = format!("SELECT {COLUMNS} FROM {ledger} WHERE target = $1 AND {rest} LIMIT 1");
    let definitions = key.definition.known();
    let definitions = definitions.as_slice();
    let mut values = key.parameters(&definitions).to_vec();
    values.extend(more);
    let row = transaction.query_opt(&sql, &values).await.map_err(|error| explain("reading the ledger", &error))?;
    row.as_ref().map(|row| earlier(row, key)).transpose()
}

/// A value of an entry. Another ledger may be anybody's table of that name, with columns of any type.
///
/// # Errors
/// When the column has another type, or a NULL.
pub(super) fn cell<'a, T: FromSql<'a>>(row: &'a Row, column: impl RowIndex + Display) -> Result<T, TaskError> {
    row.try_get(column).map_err(|error| explain("reading the ledger", &error))
}

fn earlier(row: &Row, key: &LedgerKey) -> Result<Earlier, TaskError> {
    let count = |name: &str| cell::<i64>(row, name).map(i64::unsigned_abs);
    Ok(Earlier {
        id: cell(row, "id")?,
        execution: cell(row, "execution")?,
        run: cell(row, "task")?,
        address: noted_address(cell(row, "address")?, cell(row, "partition")?, cell(row, "source")?, &key.address),
        has_same_address: cell(row, "same_address")?,
        is_of_this_flow: cell(row, "same_flow")?,
        has_same_partition: cell(row, "same_partition")?,
        has_same_content: cell(row, "same_content")?,
        has_same_steps: cell(row, "same_steps")?,
        counts: Counts {
            read: count("rows_read")?,
            loaded: count("rows_loaded")?,
            rejected: count("rows_rejected")?,
            skipped: count("rows_skipped")?,
        },
    })
}

/// Writes a load of this attempt down. `updates` says whether it may have changed rows of other loads; a trigger may, too. `parts`
/// are the numbers of its subtransactions.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    (source, key): (&SourceFile, &LedgerKey),
    counts: Counts,
    (seconds, updates, parts): (f64, bool, &[i64]),
) -> Result<(), TaskError> {
    let texts = [
        context.execution.as_str(),
        &key.flow,
        context.run.as_str(),
        &key.target,
        &key.partition,
        &source.name,
        &key.source_sha256,
        &key.definition.sha256,
        &key.address.whole,
    ];
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    let Counts { read, loaded, rejected, skipped } = counts;
    let sql = format!(
        "INSERT INTO {ledger} (execution, flow, task, target, partition, source, source_sha256, definition_sha256,
             address, rows_read, rows_loaded, rows_rejected, rows_skipped, bytes, seconds, xid, parts, updates)
         VALUES ({}, {read}, {loaded}, {rejected}, {skipped}, {}, {seconds}, txid_current(), '{{{parts}}}', {updates} OR EXISTS (
             SELECT 1 FROM pg_trigger WHERE NOT tgisinternal AND (tgrelid = {table}::regclass
                 OR tgrelid IN (SELECT relid FROM pg_partition_tree({table}::regclass)))))",
        texts.join(", "),
        source.bytes,
        ledger = key.ledger,
        table = quote(&key.target),
        parts = parts.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
    );
    transaction.batch_execute(&sql).await.map_err(|error| explain("writing to the ledger", &error))
}
