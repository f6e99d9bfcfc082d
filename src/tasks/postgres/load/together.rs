//! Rows that may refer to each other, when the table does not take all of them at once. A foreign key is judged when all
//! rows of a statement are there, so what the table refuses for one alone waits until the bad rows among the others are
//! known, and is then tried again in one statement; so do rows that a trigger refuses, which may look for others. Rows
//! that are certain to be refused together with the others are held apart meanwhile (`apart.rs`). A row is rejected when nothing
//! that is left can be taken any more.

use super::bisect::{Parts, Waits};
use super::held_back::HeldBack;
use super::merge::{CHOSEN, MergeStep, Merged, Merging, STAGE, same};
use super::refused::RefusedRows;
use crate::postgres::CopyError;
use crate::postgres::name::quote_name;
use crate::task::TaskError;

/// How often rows are set apart that the file itself says are to wait. Chains that triggers make may be long.
const MAX_PASSES: usize = 10;
/// All that is left is tried at least so often without the rows whose reference the server misses, and more often while
/// there are few: so many rows are sent in all.
const MIN_TRIES: u64 = 20;
const MAX_ROWS_TRIED: u64 = 200_000;

/// How the rows that are left are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Without those that have no reference or a key twice, as far as the file and the tables tell.
    Ahead(Waits),
    /// Without those whose reference the server misses.
    Named(Waits),
    /// One by one, if need be, without those that have a key twice.
    Rows,
    /// One by one, if need be.
    Single,
}

impl Merging<'_> {
    /// Takes the chosen rows in as few statements as can be. Rows that change others are tried again once all are added.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn together(
        &self,
        all: (&[String], u64),
        last: i64,
        merged: &mut Merged,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        self.batch(&format!("CREATE TEMP TABLE jitney_held_back (LIKE {CHOSEN}) ON COMMIT DROP")).await?;
        let updates = self.steps().any(|step| matches!(step, MergeStep::Update));
        if updates {
            let mut parts = Parts::new(vec![(1, last)], Waits::References);
            Box::pin(self.bisect(MergeStep::Update, &mut parts, all, merged, refused)).await?;
            self.keep_updates(all.0, &parts).await?;
        }
        Box::pin(self.added(all, merged, refused)).await?;
        if updates && refused.count() <= all.1 {
            self.execute(&format!("INSERT INTO {CHOSEN} SELECT * FROM pg_temp.jitney_updates")).await?;
            Box::pin(self.updated(all, merged, refused)).await?;
        }
        Ok(())
    }

    /// Keeps rows that wait and change rows of the table; they add none.
    async fn keep_updates(&self, key: &[String], parts: &Parts) -> Result<(), TaskError> {
        let row = quote_name(&self.stage.row);
        self.batch(&format!("CREATE TEMP TABLE jitney_updates (LIKE {CHOSEN}) ON COMMIT DROP")).await?;
        for ((from, to), _) in &parts.waiting {
            self.execute(&format!(
                "WITH gone AS (DELETE FROM {CHOSEN} s WHERE {row} BETWEEN {from} AND {to}
                     AND EXISTS (SELECT 1 FROM {} t WHERE {}) RETURNING *)
                 INSERT INTO pg_temp.jitney_updates SELECT * FROM gone",
                self.target().table.sql_name,
                same(key, "t", "s")
            ))
            .await?;
        }
        Ok(())
    }

    /// Changes rows of the table until nothing more can be changed.
    async fn updated(
        &self,
        all: (&[String], u64),
        merged: &mut Merged,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let rest = self.rest().await?;
        let mut parts = Parts::new(rest, Waits::Never);
        self.bisect(MergeStep::Update, &mut parts, all, merged, refused).await
    }

    /// Adds rows until nothing more can be added, and rejects what is left.
    async fn added(
        &self,
        (key, remaining): (&[String], u64),
        merged: &mut Merged,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let held_back = HeldBack::new(self).await?;
        let strategies: &[Strategy] = match self.target().nature.has_row_functions {
            // What a trigger raises does not say whether it looks for other rows, and it may add what a row refers to.
            true => {
                let waits = Waits::ReferencesAndRows;
                &[
                    Strategy::Ahead(waits),
                    Strategy::Named(waits),
                    Strategy::Rows,
                    Strategy::Named(waits),
                    Strategy::Single,
                ]
            }
            false => &[Strategy::Ahead(Waits::References), Strategy::Single],
        };
        loop {
            let (mut layers, mut left) = (Vec::new(), Parts::new(Vec::new(), Waits::Never));
            for strategy in strategies {
                left =
                    Box::pin(self.until_stuck(*strategy, (&held_back, &mut layers), (key, remaining), merged, refused))
                        .await?;
                if left.waiting.is_empty() && self.rest().await?.is_empty() {
                    break;
                }
            }
            if left.waiting.is_empty() || refused.count() > remaining {
                return Ok(());
            }
            self.give_up(&left, &layers, key, refused).await?;
        }
    }

    /// Tries what is left until no more can be taken; what waits then. `layers` gets the rows that were set apart, those
    /// that wait for others after these.
    async fn until_stuck(
        &self,
        strategy: Strategy,
        (held_back, layers): (&HeldBack<'_>, &mut Vec<i64>),
        all: (&[String], u64),
        merged: &mut Merged,
        refused: &mut RefusedRows,
    ) -> Result<Parts, TaskError> {
        let mut passes = 0;
        loop {
            let before = (merged.taken, refused.count());
            let waits = match strategy {
                Strategy::Ahead(waits) => {
                    *layers = held_back.hold_dangling().await?;
                    // A trigger may give a row another key.
                    if !self.target().nature.may_skip_rows {
                        held_back.hold_duplicates().await?;
                    }
                    waits
                }
                Strategy::Named(waits) => {
                    held_back.hold_duplicates().await?;
                    Box::pin(self.without_named(held_back, all, merged)).await?;
                    waits
                }
                Strategy::Rows => {
                    held_back.hold_duplicates().await?;
                    Waits::Rows
                }
                Strategy::Single => Waits::Rows,
            };
            let mut parts = Parts::new(self.rest().await?, waits);
            Box::pin(self.bisect(MergeStep::Insert, &mut parts, all, merged, refused)).await?;
            if matches!(strategy, Strategy::Named(_)) {
                // A row that is refused for another reason keeps the server from naming what is missed.
                let others = parts.rows().filter(|(_, refusal)| !refusal.is_foreign_key_violation());
                let others: Vec<String> = others.map(|(row, _)| row.to_string()).collect();
                if held_back.hold_rows(&others).await? > 0 {
                    Box::pin(self.without_named(held_back, all, merged)).await?;
                }
            }
            let has_apart = held_back.release().await? > 0;
            passes += 1;
            let is_over = strategy != Strategy::Single && passes == MAX_PASSES || refused.count() > all.1;
            if is_over || before == (merged.taken, refused.count()) || parts.waiting.is_empty() && !has_apart {
                return Ok(parts);
            }
        }
    }

    /// Takes all that is left without the rows whose reference the server misses. It names one of them at a time, so that
    /// the rows are sent once for each; where that would be too often, most of them are taken one by one first.
    async fn without_named(
        &self,
        held_back: &HeldBack<'_>,
        (key, remaining): (&[String], u64),
        merged: &mut Merged,
    ) -> Result<(), TaskError> {
        let source = format!("(SELECT * FROM {CHOSEN} ORDER BY {})", quote_name(&self.stage.row));
        let left = self.number(&format!("SELECT count(*) FROM {CHOSEN}")).await?.unwrap_or_default().unsigned_abs();
        let tries = (MAX_ROWS_TRIED / left.max(1)).max(MIN_TRIES);
        for _ in 0..=remaining.min(tries) {
            match Box::pin(self.within(self.take(MergeStep::Insert, key, &source))).await? {
                Ok((taken, part)) => {
                    merged.taken += taken;
                    merged.parts.extend((taken.rows > 0).then_some(part));
                    self.execute(&format!("DELETE FROM {CHOSEN}")).await?;
                    break;
                }
                Err(refusal) if refusal.is_foreign_key_violation() && held_back.hold_named(&refusal).await? > 0 => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Rejects rows that wait in vain. Where another row of the same key counts instead of one of them, others may have
    /// waited for that, so they keep waiting.
    async fn give_up(
        &self,
        left: &Parts,
        layers: &[i64],
        key: &[String],
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let mut rows: Vec<(i64, &CopyError)> = left.rows().collect();
        rows.sort_by_key(|(row, _)| layers.iter().position(|other| other == row).unwrap_or(usize::MAX));
        if !key.is_empty() {
            for (row, refusal) in &rows {
                if self.has_next(*row, key).await? {
                    self.note(*row, refusal, refused).await?;
                    self.replace(*row, key).await?;
                    return Ok(());
                }
            }
        }
        for (row, refusal) in rows {
            self.note(row, refusal, refused).await?;
            self.replace(row, key).await?;
        }
        Ok(())
    }

    /// Whether another row of the same key would count instead of a chosen one.
    async fn has_next(&self, number: i64, key: &[String]) -> Result<bool, TaskError> {
        let row = quote_name(&self.stage.row);
        let sql = format!(
            "SELECT s.{row} FROM {STAGE} s JOIN {CHOSEN} c ON {} WHERE c.{row} = {number} LIMIT 1",
            same(key, "s", "c")
        );
        Ok(self.number(&sql).await?.is_some())
    }

    /// The chosen rows that are left, as one part.
    async fn rest(&self) -> Result<Vec<(i64, i64)>, TaskError> {
        let last = self.number(&format!("SELECT max({}) FROM {CHOSEN}", quote_name(&self.stage.row))).await?;
        Ok(last.map(|last| (1, last)).into_iter().collect())
    }
}
