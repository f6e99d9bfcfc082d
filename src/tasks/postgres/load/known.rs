//! Whether a load was done before, and whether it is done again.

use tokio_postgres::Transaction;

use super::PostgresLoad;
use super::mode::Mode;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::{Level, TaskContext, TaskError};
use crate::tasks::appended::{AppendDecision, IfLoaded, PriorLoad, PriorRows};
use crate::tasks::file_address::NotedAddress;
use crate::tasks::postgres::ledger::{self, Earlier, LedgerKey};
use crate::tasks::postgres::loaded::{Loaded, Note};
use crate::tasks::postgres::rows;
use crate::tasks::postgres::source::SourceFile;
use crate::tasks::postgres::target::Target;
use crate::text::count;

/// A load that is about to be done.
pub(super) struct Planned<'a> {
    pub(super) target: &'a Target,
    pub(super) source: &'a SourceFile,
    pub(super) key: &'a LedgerKey,
}

/// What is known of a load before it is done.
pub(super) enum Known {
    /// It has been done; its result.
    Done(Loaded),
    /// It is to be done, with a word about it once it is.
    New(Option<Note>),
}

impl PostgresLoad {
    /// The result of a load that need not be done, since it has been.
    pub(super) async fn already_there(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Known, TaskError> {
        if planned.target.is_new {
            return Ok(Known::New(None));
        }
        match self.mode {
            Mode::Append => self.appended(transaction, context, planned).await,
            Mode::Merge(_) if self.wanted_if_loaded().is_none() => Ok(Known::New(None)),
            _ => self.replaced(transaction, context, planned).await,
        }
    }

    /// What the user wants done with a file that was loaded before.
    pub(super) fn wanted_if_loaded(&self) -> Option<IfLoaded> {
        if self.force { Some(IfLoaded::Load) } else { self.if_loaded }
    }

    /// A load that replaces rows, or compares them, is safe to repeat: it is left out only if nothing would change.
    async fn replaced(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Known, TaskError> {
        if self.wanted_if_loaded() == Some(IfLoaded::Load) {
            return Ok(Known::New(None));
        }
        // A truncate takes everybody's rows, so the last load counts, whatever its partition.
        let any_partition = matches!(self.mode, Mode::Truncate);
        let earlier = ledger::newest(transaction, planned.key, any_partition).await?;
        let Some(earlier) = earlier.filter(Earlier::is_same) else { return Ok(Known::New(None)) };
        let is_there = match self.wanted_if_loaded() {
            Some(IfLoaded::Fail) => {
                let by = &earlier.execution;
                let message = format!("execution {by} has already loaded this file, and `if_loaded` is `fail`");
                return Err(TaskError::permanent(message));
            }
            Some(_) => true,
            None => self.are_rows_there(transaction, planned.target, &earlier).await?,
        };
        Ok(if is_there { Known::Done(self.skipped(context, planned, &earlier)) } else { Known::New(None) })
    }

    fn skipped(&self, context: &TaskContext, planned: &Planned<'_>, earlier: &Earlier) -> Loaded {
        if earlier.is_of(context) && context.attempt > 1 {
            return self.committed(planned, earlier);
        }
        let message = format!("execution {} has already loaded this file; nothing to do", earlier.execution);
        Loaded::known(&self.table, planned.source, earlier.counts).noting(Level::Info, message)
    }

    fn committed(&self, planned: &Planned<'_>, earlier: &Earlier) -> Loaded {
        let message = "an attempt before this one has loaded the file, and could not say so any more";
        Loaded::of(&self.table, planned.source, earlier.counts, 0.0).noting(Level::Info, message)
    }

    /// A file that is added is known by its content and its address. Whether its rows are still there, the rows
    /// themselves tell.
    async fn appended(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        planned: &Planned<'_>,
    ) -> Result<Known, TaskError> {
        let Planned { target, source, key } = planned;
        let wanted = self.wanted_if_loaded();
        // Without the setting, the rows themselves tell it below.
        if (context.attempt > 1 || wanted == Some(IfLoaded::Load))
            && let Some(own) = ledger::committed(transaction, key, context, &target.table).await?
        {
            return Ok(Known::Done(self.committed(planned, &own)));
        }
        let nearest = ledger::nearest(transaction, key).await?;
        let is_known = nearest.as_ref().is_some_and(|earlier| earlier.has_same_content && earlier.has_same_address);
        if !is_known
            && wanted != Some(IfLoaded::Load)
            && let Some(known) = self.known_elsewhere(transaction, planned).await?
        {
            return Ok(known);
        }
        let Some(earlier) = nearest else { return Ok(Known::New(None)) };
        let before = PriorLoad {
            file: &source.name,
            table: &self.table,
            execution: &earlier.execution,
            address: &earlier.address,
            sameness: key.address.sameness(&NotedAddress {
                address: &earlier.address,
                is_of_this_flow: earlier.is_of_this_flow,
                is_of_this_execution: earlier.execution == context.execution.as_str(),
            }),
            has_same_content: earlier.has_same_content,
            has_same_steps: earlier.has_same_steps,
            rows: earlier.counts.loaded,
        };
        let kept_out = if target.nature.may_skip_rows { earlier.counts.skipped } else { 0 };
        let mut are_all_there = false;
        let prior_rows = match before.depends_on_rows(wanted) {
            true => {
                let rows = rows::of(transaction, &target.table.sql_name, None, &earlier).await?;
                // A merge that brought nothing, since the rows were there, does not tell that they still are.
                let is_gone = !earlier.has_same_steps && rows.are_of_others();
                are_all_there = kept_out > 0 && rows.own == earlier.counts.loaded + kept_out;
                if is_gone { PriorRows::Gone } else { rows.prior_rows_with(earlier.counts.loaded, kept_out) }
            }
            false => PriorRows::Whole,
        };
        match before.decide(wanted, &prior_rows)? {
            AppendDecision::Load(level, message) => Ok(Known::New(Some((level, message)))),
            AppendDecision::Skip(message) => {
                if earlier.counts.loaded == 0 && kept_out > 0 && !are_all_there {
                    let message = format!(
                        "{message}. The triggers of `{}` kept {} out of it or stored them elsewhere, so whether they are \
                         still there is not known; `if_loaded: load` loads the file again",
                        self.table,
                        count(kept_out, "row")
                    );
                    return Ok(Known::Done(
                        Loaded::known(&self.table, source, earlier.counts).noting(Level::Warn, message),
                    ));
                }
                Ok(Known::Done(Loaded::known(&self.table, source, earlier.counts).noting(Level::Info, message)))
            }
        }
    }

    /// Whether this load's partition holds its rows as they were loaded, and no others.
    async fn are_rows_there(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        earlier: &Earlier,
    ) -> Result<bool, TaskError> {
        let condition = match self.mode.partition()? {
            // A literal, not a parameter: it takes the column's own type, which may be an enum.
            Some((column, value)) => Some(format!("t.{} = {}", quote_name(target.own_name(column)?), quote(&value))),
            None => None,
        };
        let rows = rows::of(transaction, &target.table.sql_name, condition.as_deref(), earlier).await?;
        Ok(rows.are_those_of(earlier.counts.loaded))
    }
}
