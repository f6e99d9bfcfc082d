//! Staged rows that the table does not take all at once: what it refuses is found by halves, and the others are taken.

use super::merge::{CHOSEN, MergeStep, Merged, Merging, STAGE, Taken, same};
use super::refused::RefusedRows;
use super::savepoint;
use super::send::Sending;
use crate::postgres::CopyError;
use crate::postgres::name::quote_name;
use crate::stream::row_text;
use crate::task::TaskError;
use crate::tasks::postgres::table::TableField;
use crate::tasks::postgres::transaction::{CHECKING, IMMEDIATE};

/// Parts of the chosen rows, by their first and last numbers.
pub(super) struct Parts {
    /// Those that are to be taken, the next one last.
    open: Vec<(i64, i64)>,
    /// What waits for other rows.
    waits: Waits,
    /// Those that the table refused, and that wait.
    pub(super) waiting: Vec<((i64, i64), CopyError)>,
}

/// What is tried again once other rows are in, when the table refuses it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Never,
    /// Parts with a foreign key that is not kept.
    References,
    /// The same, and any single row.
    ReferencesAndRows,
    /// Any single row.
    Rows,
}

impl Parts {
    pub(super) fn new(open: Vec<(i64, i64)>, waits: Waits) -> Self {
        Self { open, waits, waiting: Vec::new() }
    }

    /// The single rows that wait, and why.
    pub(super) fn rows(&self) -> impl Iterator<Item = (i64, &CopyError)> {
        self.waiting.iter().filter(|((from, to), _)| from == to).map(|((row, _), refusal)| (*row, refusal))
    }

    /// Whether a part waits. When more rows do than may be rejected, they may all be bad: no part is taken apart then.
    fn may_wait(&self, (from, to): (i64, i64), refusal: &CopyError, remaining: u64) -> bool {
        let is_row = from == to;
        match self.waits {
            Waits::Never => false,
            _ if self.rows().count() as u64 > remaining => true,
            Waits::References => refusal.is_foreign_key_violation(),
            Waits::ReferencesAndRows => refusal.is_foreign_key_violation() || is_row,
            Waits::Rows => is_row,
        }
    }
}

impl Merging<'_> {
    /// Has deferred constraints checked now, and from now on at the end of each statement.
    pub(super) async fn check_deferred(&self) -> Result<(), TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        savepoint::over(watch, CHECKING, transaction.batch_execute(IMMEDIATE)).await
    }

    /// Has each part of the rows checked when its triggers are done, which may add what its rows refer to.
    async fn defer_in_parts(&self) -> Result<(), TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        let nature = &self.target().nature;
        if !(nature.has_deferred && nature.calls_functions()) {
            return Ok(());
        }
        // By its name, a constraint that cannot be deferred would be meant as well.
        let sql = "SELECT string_agg(DISTINCT format('%I.%I', nspname, conname), ', ')
                   FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace
                   WHERE condeferred AND NOT EXISTS (SELECT 1 FROM pg_constraint other WHERE other.conname = c.conname
                       AND other.connamespace = c.connamespace AND NOT other.condeferred)";
        let row = savepoint::over(watch, CHECKING, transaction.query_one(sql, &[])).await?;
        if let Some(names) = row.get::<_, Option<String>>(0) {
            self.deferring.get_or_init(|| format!("SET CONSTRAINTS {names} DEFERRED"));
        }
        Ok(())
    }

    /// Takes a part of the rows; how many.
    async fn take_part(&self, step: MergeStep, key: &[String], source: &str) -> Result<Taken, TaskError> {
        let Some(defer) = self.deferring.get() else { return self.take(step, key, source).await };
        self.batch(defer).await?;
        let taken = self.take(step, key, source).await?;
        self.check_deferred().await?;
        Ok(taken)
    }

    /// Tries the statements without any row, and undoes them: what is refused then is no row's fault.
    async fn try_without_rows(&self, key: &[String]) -> Result<(), TaskError> {
        self.batch("SAVEPOINT jitney_no_rows").await?;
        self.all(key, &format!("(SELECT * FROM {STAGE} WHERE false)")).await?;
        self.batch("ROLLBACK TO SAVEPOINT jitney_no_rows; RELEASE SAVEPOINT jitney_no_rows").await
    }

    /// Finds the rows that the table refuses, and takes the others. Where deferred constraints may speak of several rows,
    /// they are checked once all others are there; if one of them is not kept then, it is checked with each part.
    pub(super) async fn find_refused(
        &self,
        key: &[String],
        remaining: Option<u64>,
    ) -> Result<(Merged, RefusedRows), TaskError> {
        if remaining.is_some() {
            Box::pin(self.try_without_rows(key)).await?;
        }
        if remaining.is_some() && self.target().nature.wants_one_statement {
            self.batch("SAVEPOINT jitney_parts").await?;
            let found = Box::pin(self.sorted(key, remaining)).await?;
            if Box::pin(self.within(async { self.check_deferred().await.map(|()| Taken::default()) })).await?.is_ok() {
                // The ledger's entry must bear the number of the transaction itself.
                self.batch("RELEASE SAVEPOINT jitney_parts").await?;
                return Ok(found);
            }
            self.batch("ROLLBACK TO SAVEPOINT jitney_parts; RELEASE SAVEPOINT jitney_parts").await?;
        }
        if remaining.is_some() {
            self.check_deferred().await?;
            self.defer_in_parts().await?;
        }
        Box::pin(self.sorted(key, remaining)).await
    }

    async fn sorted(&self, key: &[String], remaining: Option<u64>) -> Result<(Merged, RefusedRows), TaskError> {
        let (mut merged, mut refused) = (Merged::default(), RefusedRows::default());
        let (last, remaining) = (self.choose(key).await?, remaining.unwrap_or(0));
        let all = (key, remaining);
        match self.target().nature.wants_one_statement {
            true => Box::pin(self.together(all, last, &mut merged, &mut refused)).await?,
            false => {
                for step in self.steps() {
                    let mut parts = Parts::new(vec![(1, last)], Waits::Never);
                    Box::pin(self.bisect(step, &mut parts, all, &mut merged, &mut refused)).await?;
                }
            }
        }
        Ok((merged, refused))
    }

    /// Parts the stage into the rows that count for their keys and the others, which may count yet; the highest number.
    async fn choose(&self, key: &[String]) -> Result<i64, TaskError> {
        let row = quote_name(&self.stage.row);
        self.batch(&format!(
            "CREATE TEMP TABLE jitney_chosen ON COMMIT DROP AS SELECT * FROM {} AS chosen;
             CREATE UNIQUE INDEX ON {CHOSEN} ({row});
             ANALYZE {CHOSEN};
             DELETE FROM {STAGE} s USING {CHOSEN} c WHERE c.{row} = s.{row}",
            self.staged(key)
        ))
        .await?;
        Ok(self.number(&format!("SELECT max({row}) FROM {CHOSEN}")).await?.unwrap_or_default())
    }

    /// Takes parts of the chosen rows, in the order of the file, and notes those that the table refuses, until there are
    /// more of them than there is room for. Where parts may wait, what is taken is no longer among the chosen rows.
    pub(super) async fn bisect(
        &self,
        step: MergeStep,
        parts: &mut Parts,
        (key, remaining): (&[String], u64),
        merged: &mut Merged,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let row = quote_name(&self.stage.row);
        while let Some((from, to)) = parts.open.pop().filter(|_| refused.count() <= remaining) {
            let these = format!("FROM {CHOSEN} WHERE {row} BETWEEN {from} AND {to}");
            let source = format!("(SELECT * {these} ORDER BY {row})");
            match Box::pin(self.within(self.take_part(step, key, &source))).await? {
                Ok((taken, part)) => {
                    merged.taken += taken;
                    merged.parts.extend((taken.rows > 0).then_some(part));
                    if parts.waits != Waits::Never && matches!(step, MergeStep::Insert) {
                        self.execute(&format!("DELETE {these}")).await?;
                    }
                }
                Err(refusal) if parts.may_wait((from, to), &refusal, remaining) => {
                    parts.waiting.push(((from, to), refusal));
                }
                Err(_) if from < to => {
                    let middle = from + (to - from) / 2;
                    parts.open.extend([(middle + 1, to), (from, middle)]);
                }
                Err(refusal) => {
                    self.note(from, &refusal, refused).await?;
                    parts.open.extend(self.replace(from, key).await?.map(|next| (next, next)));
                }
            }
        }
        Ok(())
    }

    /// Notes a row that the table refused.
    pub(super) async fn note(
        &self,
        number: i64,
        refusal: &CopyError,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let Sending { prepared, relation, .. } = self.sending;
        let row = quote_name(&self.stage.row);
        let line = match &self.stage.line {
            Some(line) => {
                let sql = format!("SELECT {} FROM {CHOSEN} WHERE {row} = {number}", quote_name(line));
                self.number(&sql).await?.map(i64::unsigned_abs)
            }
            None if self.stage.is_checked => None,
            // Every row was sent once, in the order of these numbers.
            None => prepared.line_of_sent(number.unsigned_abs())?,
        };
        let text = match line {
            Some(_) => Vec::new(),
            None => self.text(number).await?,
        };
        refused.add(line, prepared.rejection(refusal, relation, text));
        Ok(())
    }

    /// A chosen row as it would be sent.
    async fn text(&self, number: i64) -> Result<Vec<u8>, TaskError> {
        let Sending { transaction, watch, .. } = self.sending;
        let shown = |field: &TableField| format!("coalesce({}::text, '\\N')", quote_name(&field.name));
        let columns = self.sending.prepared.fields.iter().map(shown).collect::<Vec<_>>().join(", ");
        let row = quote_name(&self.stage.row);
        let sql = format!("SELECT concat_ws(E'\\t', {columns}) FROM {CHOSEN} WHERE {row} = {number}");
        let row = savepoint::over(watch, &self.doing(), transaction.query_one(&sql, &[])).await?;
        Ok(row_text(row.get::<_, &str>(0).as_bytes()))
    }

    /// Leaves a row out. The next one of the same key counts instead, if there is one: the table becomes as if the file had
    /// not had the row.
    pub(super) async fn replace(&self, number: i64, key: &[String]) -> Result<Option<i64>, TaskError> {
        let row = quote_name(&self.stage.row);
        if key.is_empty() {
            self.execute(&format!("DELETE FROM {CHOSEN} WHERE {row} = {number}")).await?;
            return Ok(None);
        }
        let next = format!(
            "WITH gone AS (DELETE FROM {STAGE} WHERE {row} = (
                 SELECT s.{row} FROM {STAGE} s JOIN {CHOSEN} c ON {} WHERE c.{row} = {number}
                 ORDER BY s.{row} {} LIMIT 1) RETURNING *)
             INSERT INTO {CHOSEN} SELECT * FROM gone RETURNING {row}",
            same(key, "s", "c"),
            self.order()
        );
        let next = self.number(&next).await?;
        self.execute(&format!("DELETE FROM {CHOSEN} WHERE {row} = {number}")).await?;
        Ok(next)
    }
}
