//! A file that is to be added, and that is known under another name of its table, or to another ledger of the database: the
//! ledger is the first `jitney_loads` on the `search_path`, and knows tables by their names.

use tokio_postgres::Transaction;

use super::PostgresLoad;
use super::known::{Known, Planned};
use crate::task::{Level, TaskError};
use crate::tasks::appended::{EITHER_WAY_HELP, IfLoaded};
use crate::tasks::postgres::ledger::{self, Earlier};
use crate::tasks::postgres::loaded::Loaded;
use crate::tasks::postgres::rows;

impl PostgresLoad {
    /// What is known of the file elsewhere, if anything is.
    ///
    /// # Errors
    /// When it may be in the table already, and the user does not say what to do then.
    pub(super) async fn known_elsewhere(
        &self,
        transaction: &Transaction<'_>,
        planned: &Planned<'_>,
    ) -> Result<Option<Known>, TaskError> {
        let key = planned.key;
        for (name, earlier) in ledger::under_former_names(transaction, key).await? {
            // Another table may have had the name, so the rows decide.
            let own = rows::of_renamed(transaction, (&planned.target.table.sql_name, &name), &earlier).await?.own;
            if own > 0 {
                let execution = &earlier.execution;
                let known =
                    format!("execution {execution} has loaded this very file already, into this table as `{name}`");
                let is_whole = own == earlier.counts.loaded && earlier.has_same_steps;
                return self.decided(planned, &earlier, &known, is_whole).map(Some);
            }
        }
        let Some((other, earlier)) = ledger::in_another(transaction, key).await? else { return Ok(None) };
        let known = format!(
            "execution {} has loaded this very file already, says the ledger `{other}`, and the `search_path` of this \
             session leads to another one, `{}`",
            earlier.execution, key.ledger
        );
        self.decided(planned, &earlier, &known, false).map(Some)
    }

    fn decided(
        &self,
        planned: &Planned<'_>,
        earlier: &Earlier,
        known: &str,
        is_certain: bool,
    ) -> Result<Known, TaskError> {
        let is_left_out = match self.wanted_if_loaded() {
            None => is_certain,
            wanted => wanted == Some(IfLoaded::Skip),
        };
        if !is_left_out {
            return Err(TaskError::permanent(known).help(EITHER_WAY_HELP));
        }
        let loaded = Loaded::known(&self.table, planned.source, earlier.counts);
        Ok(Known::Done(loaded.noting(Level::Info, format!("{known}; nothing to do"))))
    }
}
