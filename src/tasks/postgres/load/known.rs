//! Whether a load was done before, and whether it is done again.

use tokio_postgres::{Error, Transaction};

use super::Load;
use super::mode::Mode;
use crate::postgres::explain;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::{TaskContext, TaskError};
use crate::tasks::appended::{Before, IfLoaded, Standing, Verdict};
use crate::tasks::postgres::ledger::{self, Earlier, Key, Rows};
use crate::tasks::postgres::loaded::Loaded;
use crate::tasks::postgres::source::Source;
use crate::tasks::postgres::target::Target;

/// A load that is about to be done.
pub(super) struct Planned<'a> {
    pub(super) target: &'a Target,
    pub(super) source: &'a Source,
    pub(super) key: &'a Key,
}

impl Load {
    /// The result of a load that need not be done, since it has been.
    pub(super) async fn already_there(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Option<Loaded>, TaskError> {
        if planned.target.is_new {
            return Ok(None);
        }
        match self.mode {
            Mode::Append => self.appended(transaction, context, planned).await,
            Mode::Merge(_) if self.wanted_if_loaded().is_none() => Ok(None),
            _ => self.replaced(transaction, context, planned).await,
        }
    }

    /// What the user wants done with a file that was loaded before.
    fn wanted_if_loaded(&self) -> Option<IfLoaded> {
        if self.force { Some(IfLoaded::Load) } else { self.if_loaded }
    }

    /// A load that replaces rows, or compares them, is safe to repeat: it is left out only if nothing would change.
    async fn replaced(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Option<Loaded>, TaskError> {
        if self.wanted_if_loaded() == Some(IfLoaded::Load) {
            return Ok(None);
        }
        // A truncate takes everybody's rows, so the last load counts, whatever its partition.
        let any_partition = matches!(self.mode, Mode::Truncate);
        let earlier = ledger::newest(transaction, planned.key, any_partition).await?;
        let Some(earlier) = earlier.filter(Earlier::is_same) else { return Ok(None) };
        let is_there = match self.wanted_if_loaded() {
            Some(IfLoaded::Fail) => {
                let by = &earlier.execution;
                let message = format!("execution {by} has loaded this very file already, and `if_loaded` is `fail`");
                return Err(TaskError::permanent(message));
            }
            Some(_) => true,
            None => self.are_rows_there(transaction, planned.target, &earlier).await?,
        };
        Ok(is_there.then(|| self.skipped(context, planned, &earlier)))
    }

    fn skipped(&self, context: &TaskContext, planned: &Planned<'_>, earlier: &Earlier) -> Loaded {
        if earlier.is_of(context) && context.attempt > 1 {
            return self.committed(context, planned, earlier);
        }
        context.info(format!("execution {} has loaded this very file already; nothing to do", earlier.execution));
        Loaded::known(&self.table, planned.source, earlier.counts)
    }

    fn committed(&self, context: &TaskContext, planned: &Planned<'_>, earlier: &Earlier) -> Loaded {
        context.info("an attempt before this one has loaded the file, and could not say so any more");
        Loaded::of(&self.table, planned.source, earlier.counts, 0.0)
    }

    /// A file that is added is known by its content and its address. Whether its rows are still there, the rows
    /// themselves tell.
    async fn appended(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Option<Loaded>, TaskError> {
        let Planned { target, source, key } = planned;
        let wanted = self.wanted_if_loaded();
        // Without the setting, the rows themselves tell it below.
        if (context.attempt > 1 || wanted == Some(IfLoaded::Load))
            && let Some(own) = ledger::committed(transaction, key, context, target).await?
        {
            return Ok(Some(self.committed(context, planned, &own)));
        }
        let Some(earlier) = ledger::nearest(transaction, key).await? else { return Ok(None) };
        let before = Before {
            file: &source.name,
            table: &self.table,
            execution: &earlier.execution,
            address: &earlier.partition,
            has_same_address: earlier.has_same_partition,
            has_same_content: earlier.has_same_content,
            has_same_steps: earlier.has_same_steps,
            rows: earlier.counts.loaded,
        };
        let standing = match before.depends_on_rows(wanted) {
            true => standing(ledger::rows_of(transaction, &target.sql_name, &earlier).await?, earlier.counts.loaded),
            false => Standing::Whole,
        };
        match before.decide(wanted, &standing)? {
            Verdict::Load(level, message) => {
                context.say(level, &message);
                Ok(None)
            }
            Verdict::Skip(message) => {
                context.info(message);
                Ok(Some(Loaded::known(&self.table, source, earlier.counts)))
            }
        }
    }

    /// Whether this load's partition holds its rows as they were loaded, and no others. Rows carry the number of the
    /// transaction that wrote them, and so does the ledger's row: one that was changed since has another.
    async fn are_rows_there(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        earlier: &Earlier,
    ) -> Result<bool, TaskError> {
        let table = &target.sql_name;
        let rows = match self.mode.partition()? {
            Some((column, value)) => {
                // A literal, not a parameter: it takes the column's own type, which may be an enum.
                format!(" WHERE {} = {}", quote_name(target.own_name(column)?), quote(&value))
            }
            None => String::new(),
        };
        let own = "count(*) FILTER (WHERE xmin = (SELECT xmin FROM jitney_loads WHERE id = $1))";
        let sql = format!("SELECT count(*), {own} FROM {table}{rows}");
        let counting = |error: Error| explain("counting the rows that are there", &error);
        let row = transaction.query_one(&sql, &[&earlier.id]).await.map_err(counting)?;
        let [all, own] = [0, 1].map(|index| row.get::<_, i64>(index).unsigned_abs());
        Ok(all == earlier.counts.loaded && own == all)
    }
}

/// What has become of a load's rows. A row that was changed since is nobody's whom the ledger knows.
fn standing(rows: Rows, loaded: u64) -> Standing {
    match rows {
        Rows { is_shared: true, .. } => Standing::Unclear(
            "several loads in the ledger were written by one transaction, as when a dump is restored, so that their rows \
             cannot be told apart"
                .to_owned(),
        ),
        Rows { own, .. } if own == loaded => Standing::Whole,
        Rows { own: 0, strange: 0, .. } => Standing::Gone,
        Rows { own, strange, .. } => Standing::Unclear(format!(
            "of these the table holds {own} as they were loaded; the others are deleted or changed, and {strange} rows of \
             the table are of no load in the ledger"
        )),
    }
}
