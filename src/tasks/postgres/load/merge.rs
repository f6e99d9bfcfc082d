//! A merge: rows are copied to a stage, and go from there into the table. What the table has against one of them is found
//! by halves: a part of the stage that the server refuses is tried again in two parts, each within a savepoint. So do rows
//! that may refer to each other, where bad ones are rejected: `together.rs`.

use std::sync::OnceLock;

use super::PostgresLoad;
use super::mode::{Merge, Mode, list};
use super::prepared::PreparedLoad;
use super::savepoint;
use super::send::{PARTS, Sending, Sent, part};
use crate::postgres::CopyError;
use crate::postgres::name::quote_name;
use crate::task::TaskError;
use crate::tasks::bad_rows::Rejected;
use crate::tasks::on_match::OnMatch;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;
use crate::tasks::postgres::target::Target;

/// The stage of a merge: a table that is gone with the transaction.
pub(super) const STAGE: &str = "pg_temp.jitney_stage";
/// The same as the server's messages name it.
pub(super) const STAGE_NAME: &str = "jitney_stage";
/// The rows of the stage that count for their keys, once it is known that the table does not take all of them.
pub(super) const CHOSEN: &str = "pg_temp.jitney_chosen";

/// The stage's columns besides the table's.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// The number of a row, in the order in which rows were sent. Where a row lies in a table says nothing certain of it.
    pub(super) row: String,
    /// The row's line in the file, where bad rows are rejected and rows stand on lines.
    pub(super) line: Option<String>,
    /// Whether the stage has the table's checks, so that they speak of one row.
    pub(super) is_checked: bool,
}

impl Stage {
    /// Names the columns as no field is named.
    pub(super) fn new(fields: &[TableField], is_checked: bool, has_lines: bool) -> Self {
        let free = |name: &str| {
            let mut name = name.to_owned();
            while fields.iter().any(|field| field.name == name) {
                name.push('_');
            }
            name
        };
        let line = (is_checked && has_lines).then(|| free("jitney_line"));
        Self { row: free("jitney_row"), line, is_checked }
    }

    /// The field that takes a row's line.
    pub(super) fn line(&self) -> Option<TableField> {
        self.line.as_deref().map(|name| TableField::unstored(name, Kind::Int8))
    }

    /// The columns that are numbered here, and how, where it matters that no row is numbered twice. Of a merge it is not
    /// known before which rows are new.
    fn numbered<'a>(&self, merge: Option<&Merge>, prepared: &'a PreparedLoad<'_>) -> Vec<(TableField, &'a str)> {
        let (target, is_new) = (prepared.target, self.is_checked && merge.is_none());
        let columns = target.numbered(&prepared.fields).filter(|_| is_new);
        columns.filter_map(|column| Some((target.stored(&column.name)?, column.expression.as_deref()?))).collect()
    }

    /// The statements that make it. It has no checks where they may not concern the row: triggers that see it before it is
    /// stored may make good what a check refuses, a merge may skip the row, and a check may look at where the row lies.
    pub(super) fn sql(&self, target: &Target, fields: &[TableField], key: &[String]) -> String {
        let (table, row) = (&target.table.sql_name, quote_name(&self.row));
        let mut changes = vec![format!("ADD COLUMN {row} bigint GENERATED ALWAYS AS IDENTITY")];
        changes.extend(self.line.iter().map(|line| format!("ADD COLUMN {} bigint", quote_name(line))));
        let nature = &target.nature;
        let make = if !nature.can_be_read {
            // Only a table that may be read serves as a model.
            let typed = |field: &TableField| format!("{} {}", quote_name(&field.name), field.sql_type);
            format!("({}) ON COMMIT DROP", fields.iter().map(typed).collect::<Vec<_>>().join(", "))
        } else if self.is_checked && !nature.may_skip_rows && !nature.checks_place && key.is_empty() {
            changes.extend(target.others(fields).map(|name| format!("DROP COLUMN {}", quote_name(name))));
            format!("(LIKE {table} INCLUDING CONSTRAINTS) ON COMMIT DROP")
        } else {
            format!("ON COMMIT DROP AS SELECT {} FROM {table} WITH NO DATA", list(fields))
        };
        if self.is_checked {
            changes.extend(key.iter().map(|name| format!("ALTER COLUMN {name} SET NOT NULL")));
        }
        format!("CREATE TEMP TABLE jitney_stage {make}; ALTER TABLE {STAGE} {}", changes.join(", "))
    }
}

/// What the table took of some rows.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Those that are new in the table, or changed a row of it.
    pub(super) rows: u64,
    /// Those of a merge that its triggers kept out.
    pub(super) kept_out: u64,
}

impl std::ops::AddAssign for Taken {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.kept_out += other.kept_out;
    }
}

/// The result of a merge.
#[derive(Default)]
pub(super) struct Merged {
    /// The rows of the file.
    pub(super) taken: Taken,
    /// The numbers of the subtransactions that wrote them.
    pub(super) parts: Vec<i64>,
}

/// Staged rows on their way into the table.
pub(super) struct Merging<'a> {
    pub(super) sending: &'a Sending<'a>,
    /// How they are compared with the table's; none when all of them are added.
    pub(super) merge: Option<&'a Merge>,
    pub(super) stage: &'a Stage,
    pub(super) fields: &'a [TableField],
    /// Those of them that are computed once the rows are staged, and how.
    pub(super) numbered: Vec<(TableField, &'a str)>,
    /// Defers constraints again, once each part of the rows is checked by itself.
    pub(super) deferring: OnceLock<String>,
}

/// The two steps of a merge.
#[derive(Clone, Copy)]
pub(super) enum MergeStep {
    Update,
    Insert,
}

impl PostgresLoad {
    /// How many rows are new or changed in the table, once those on a stage are in it. `sent` gets how many of them
    /// triggers kept out, and how many were there.
    ///
    /// # Errors
    /// As [`Merging::run`].
    pub(super) async fn merged(
        &self,
        sending: &Sending<'_>,
        sent: &mut Sent,
        rejected: &mut Rejected,
    ) -> Result<u64, TaskError> {
        let Some(stage) = &sending.prepared.stage else { return Ok(sent.stored) };
        let merge = if let Mode::Merge(merge) = &self.mode { Some(merge) } else { None };
        let numbered = stage.numbered(merge, sending.prepared);
        let mut fields = sending.prepared.fields.clone();
        fields.extend(numbered.iter().map(|(field, _)| field.clone()));
        let (merging, before) = (
            Merging { sending, merge, stage, fields: &fields, numbered, deferring: OnceLock::new() },
            rejected.count(),
        );
        let merged = Box::pin(merging.run(rejected)).await?;
        let Taken { rows, kept_out } = merged.taken;
        let others = sent.stored.saturating_sub(rows + rejected.count() - before);
        sent.kept_out = if merge.is_none() { others } else { kept_out };
        sent.already_there = others.saturating_sub(sent.kept_out);
        sent.parts.extend(merged.parts);
        Ok(rows)
    }
}

impl Merging<'_> {
    /// Brings the staged rows into the table.
    ///
    /// # Errors
    /// When a key is NULL, when the table refuses a row and none is to be rejected, when too many are, or when the server
    /// refuses.
    pub(super) async fn run(&self, rejected: &mut Rejected) -> Result<Merged, TaskError> {
        let key = self.merge.map_or(Ok(Vec::new()), |merge| merge.key(self.target()))?;
        self.prepare(&key).await?;
        let source = self.staged(&key);
        if rejected.remaining().is_none() && self.target().nature.wants_one_statement {
            // Rows may need each other, so that nothing is known of one alone.
            let taken = self.all(&key, &source).await;
            let taken = match taken {
                Ok(taken) => taken,
                Err(problem) => return Err(self.located(problem).await),
            };
            return Ok(Merged { taken, parts: Vec::new() });
        }
        let whole = async {
            let taken = self.all(&key, &source).await?;
            if rejected.remaining().is_some() {
                self.check_deferred().await?;
            }
            Ok(taken)
        };
        if let Ok((taken, part)) = Box::pin(self.within(whole)).await? {
            return Ok(Merged { taken, parts: vec![part] });
        }
        let (merged, refused) = Box::pin(self.find_refused(&key, rejected.remaining())).await?;
        self.sending.prepared.take_refused(refused, rejected).await?;
        Ok(merged)
    }

    async fn located(&self, problem: TaskError) -> TaskError {
        let Sending { watch, relation, prepared, .. } = self.sending;
        match watch.copy_error().filter(|error| error.blames_row(relation)) {
            Some(refusal) => prepared.locate(&refusal, relation, 0, problem).await,
            None => problem,
        }
    }

    pub(super) fn target(&self) -> &Target {
        self.sending.prepared.target
    }

    pub(super) fn doing(&self) -> String {
        let doing = if self.merge.is_some() { "merging" } else { "loading" };
        format!("{doing} into `{}`", self.target().table.name)
    }

    fn updates(&self) -> bool {
        self.merge.is_some_and(|merge| merge.on_match == OnMatch::Update)
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = MergeStep> {
        let update = self.updates().then_some(MergeStep::Update);
        update.into_iter().chain([MergeStep::Insert])
    }

    pub(super) async fn execute(&self, sql: &str) -> Result<u64, TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        savepoint::over(watch, &self.doing(), transaction.execute(sql, &[])).await
    }

    pub(super) async fn batch(&self, sql: &str) -> Result<(), TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        savepoint::over(watch, &self.doing(), transaction.batch_execute(sql)).await
    }

    /// The number that a query gives.
    pub(super) async fn number(&self, sql: &str) -> Result<Option<i64>, TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        let row = savepoint::over(watch, &self.doing(), transaction.query_opt(sql, &[])).await?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// The numbers of rows that a query gives.
    pub(super) async fn numbers(&self, sql: &str) -> Result<Vec<i64>, TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        let rows = savepoint::over(watch, &self.doing(), transaction.query(sql, &[])).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn prepare(&self, key: &[String]) -> Result<(), TaskError> {
        if !key.is_empty() {
            self.check_nulls(key).await?;
        }
        if self.merge.is_none() {
            self.check_left_out().await?;
        }
        self.batch(&format!("ANALYZE {STAGE}; {PARTS}")).await?;
        self.number_rows().await
    }

    /// Numbers the staged rows in the order of the file, so that a row which is tried again keeps its numbers.
    async fn number_rows(&self) -> Result<(), TaskError> {
        let row = quote_name(&self.stage.row);
        for (field, expression) in &self.numbered {
            let name = quote_name(&field.name);
            self.batch(&format!(
                "ALTER TABLE {STAGE} ADD COLUMN {name} {};
                 WITH numbered AS MATERIALIZED (
                     SELECT {row}, {expression} AS {name} FROM (SELECT {row} FROM {STAGE} ORDER BY {row}) AS rows)
                 UPDATE {STAGE} s SET {name} = n.{name} FROM numbered n WHERE n.{row} = s.{row}",
                field.sql_type
            ))
            .await?;
        }
        Ok(())
    }

    /// Refuses columns without values whose domain takes no NULL: COPY stores one there, unlike an INSERT from the stage.
    async fn check_left_out(&self) -> Result<(), TaskError> {
        let table = &self.target().table;
        for column in self.target().without_value(self.fields).filter(|column| column.is_domain) {
            if let Err(refusal) = self.batch(&format!("SELECT NULL::{}", column.sql_type)).await {
                return Err(TaskError::permanent(format!(
                    "the file has no column for `{}` of table `{}`, whose type `{}` refuses NULL",
                    column.name, table.name, column.sql_type
                ))
                .caused_by(refusal)
                .help("give it a default or a value, or leave `reject` out: COPY alone does not check a column without values"));
            }
        }
        Ok(())
    }

    async fn check_nulls(&self, key: &[String]) -> Result<(), TaskError> {
        let nulls = key.iter().map(|name| format!("{name} IS NULL")).collect::<Vec<_>>().join(" OR ");
        if self.number(&format!("SELECT 1::bigint FROM {STAGE} WHERE {nulls} LIMIT 1")).await?.is_some() {
            return Err(TaskError::permanent(format!("{}: the key is NULL in some rows", self.doing()))
                .help("choose a key that every row has, for example a `row_id` of the transform"));
        }
        Ok(())
    }

    /// The staged rows of which each has a key of its own. Of rows with the same key, the last one counts for `update`
    /// and the first for `ignore`.
    pub(super) fn staged(&self, key: &[String]) -> String {
        let (keys, row) = (key.join(", "), quote_name(&self.stage.row));
        let order = self.order();
        if key.is_empty() {
            return format!("(SELECT * FROM {STAGE} ORDER BY {row})");
        }
        format!("(SELECT DISTINCT ON ({keys}) * FROM {STAGE} ORDER BY {keys}, {row} {order})")
    }

    pub(super) fn order(&self) -> &'static str {
        if self.updates() { "DESC" } else { "ASC" }
    }

    /// Takes all rows of a source; how many were taken.
    pub(super) async fn all(&self, key: &[String], source: &str) -> Result<Taken, TaskError> {
        let mut taken = Taken::default();
        for step in self.steps() {
            taken += self.take(step, key, source).await?;
        }
        Ok(taken)
    }

    pub(super) async fn take(&self, step: MergeStep, key: &[String], source: &str) -> Result<Taken, TaskError> {
        let due = self.due(step, key, source).await?;
        let rows = match step {
            MergeStep::Insert => self.execute(&insert(self.target(), self.fields, key, source)).await?,
            MergeStep::Update => {
                match self.merge.and_then(|merge| merge.update(self.target(), self.fields, key, source)) {
                    Some(update) => self.number(&update).await?.unwrap_or_default().unsigned_abs(),
                    None => 0,
                }
            }
        };
        self.sending.restore_role().await?;
        Ok(Taken { rows, kept_out: due.map_or(0, |due| due.saturating_sub(rows)) })
    }

    /// How many rows of a merge a step would take if no trigger kept any of them out; none where none does.
    async fn due(&self, step: MergeStep, key: &[String], source: &str) -> Result<Option<u64>, TaskError> {
        let (target, nature) = (self.target(), &self.target().nature);
        let query = match (step, self.merge) {
            (_, None) => None,
            (MergeStep::Insert, Some(_)) => nature.may_skip_rows.then(|| {
                let new = without_match(target, key);
                format!("SELECT count(*) FROM {source} s{new}")
            }),
            // A policy hides rows of the table from an UPDATE without a word.
            (MergeStep::Update, Some(_)) if !nature.may_skip_updates || nature.has_policies => None,
            (MergeStep::Update, Some(merge)) => merge.difference(self.fields, key).map(|differs| {
                let (table, keys) = (&target.table.sql_name, list_of("s", key));
                format!(
                    "SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {table} t, {source} s WHERE {differs}) AS keys"
                )
            }),
        };
        let Some(query) = query else { return Ok(None) };
        Ok(Some(self.number(&query).await?.unwrap_or_default().unsigned_abs()))
    }

    /// Takes rows within a savepoint; also the number of the subtransaction. What the table has against one of them is the
    /// inner error.
    pub(super) async fn within(
        &self,
        work: impl Future<Output = Result<Taken, TaskError>>,
    ) -> Result<Result<(Taken, i64), CopyError>, TaskError> {
        let Sending { transaction, watch, relation, .. } = self.sending;
        let blames_row = |refusal: &CopyError| refusal.blames_row(relation);
        let doing = self.doing();
        let work = Box::pin(async {
            watch.before_copy();
            Ok((work.await?, part(transaction, watch, &doing).await?))
        });
        savepoint::within(transaction, watch, (&doing, &blames_row), work).await
    }
}

impl Merge {
    /// The columns of the key, for SQL.
    ///
    /// # Errors
    /// When there are none, or the table has no such column.
    pub(super) fn key(&self, target: &Target) -> Result<Vec<String>, TaskError> {
        if self.key.is_empty() {
            let help = "for example `mode: {merge: {key: [unique_row_id]}}`";
            return Err(TaskError::permanent("`merge` wants a key").help(help));
        }
        self.key.iter().map(|name| target.own_name(name).map(quote_name)).collect()
    }

    /// Changes the table's rows that differ from those of `source`, if there is anything to change. It gives the number of
    /// keys that it changed, not of the table's rows: without a unique index the table may hold a key twice.
    fn update(&self, target: &Target, fields: &[TableField], key: &[String], source: &str) -> Option<String> {
        let set =
            self.changes(fields, key).iter().map(|name| format!("{name} = s.{name}")).collect::<Vec<_>>().join(", ");
        let differs = self.difference(fields, key)?;
        Some(format!(
            "WITH changed AS (
                 UPDATE {} t SET {set} FROM {source} s WHERE {differs} RETURNING {})
             SELECT count(*) FROM (SELECT DISTINCT {} FROM changed) AS keys",
            target.table.sql_name,
            list_of("s", key),
            key.join(", ")
        ))
    }

    /// The columns that a row of the file changes.
    fn changes(&self, fields: &[TableField], key: &[String]) -> Vec<String> {
        let changes = fields.iter().map(|field| (quote_name(&field.name), field.kind));
        let changes = changes.filter(|(name, kind)| !key.contains(name) || kind.has_equal_values());
        changes.map(|(name, _)| name).collect()
    }

    /// The condition that a row `t` of the table has the key of a row `s` of the file and other values; none where there is
    /// nothing to change.
    fn difference(&self, fields: &[TableField], key: &[String]) -> Option<String> {
        let changes = Some(self.changes(fields, key)).filter(|changes| !changes.is_empty())?;
        let row = |alias: &str| format!("ROW({})::record", list_of(alias, &changes));
        // By their bytes: to `=`, 1.0 and 1.00 are the same, and some types have none.
        Some(format!("{} AND {} OPERATOR(pg_catalog.*<>) {}", same(key, "t", "s"), row("t"), row("s")))
    }
}

fn list_of(alias: &str, columns: &[String]) -> String {
    columns.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
}

/// Adds the rows of `source` whose key the table has not, or all of them without a key.
fn insert(target: &Target, fields: &[TableField], key: &[String], source: &str) -> String {
    let (table, columns) = (&target.table.sql_name, list(fields));
    let overriding = if target.overrides_identity(fields) { " OVERRIDING SYSTEM VALUE" } else { "" };
    let insert = format!("INSERT INTO {table} ({columns}){overriding} SELECT {columns} FROM {source} s");
    format!("{insert}{}", without_match(target, key))
}

/// The condition that the table has no row with the key of a row `s`.
fn without_match(target: &Target, key: &[String]) -> String {
    match key {
        [] => String::new(),
        key => format!(" WHERE NOT EXISTS (SELECT 1 FROM {} t WHERE {})", target.table.sql_name, same(key, "t", "s")),
    }
}

/// The condition that rows of two aliases have the same key.
pub(super) fn same(key: &[String], one: &str, other: &str) -> String {
    key.iter().map(|name| format!("{one}.{name} = {other}.{name}")).collect::<Vec<_>>().join(" AND ")
}
