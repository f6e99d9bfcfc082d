//! Loads that wait for each other.

use tokio_postgres::{Error, Transaction};

use super::PostgresLoad;
use super::mode::Mode;
use crate::postgres::explain;
use crate::task::{TaskContext, TaskError};
use crate::tasks::postgres::ledger::LedgerKey;

impl PostgresLoad {
    /// Two loads of the same partition at once: the second waits until the first has committed. A merge or a truncate
    /// takes the whole table, since its rows may meet anybody's.
    ///
    /// Every load takes its advisory locks in the same order, and holds them to the end of its transaction: first that of
    /// a ledger that is not there yet, then that of a table that is not there yet, then this one. So no two loads wait for
    /// each other.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn acquire_load_lock(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        key: &LedgerKey,
    ) -> Result<(), TaskError> {
        let whole = matches!(self.mode, Mode::Merge(_) | Mode::Truncate);
        let name = if whole { key.target.clone() } else { format!("{} {}", key.target, key.partition) };
        let waiting = |error: Error| explain("waiting for another load", &error);
        let sql = "SELECT pg_try_advisory_xact_lock(hashtextextended('jitney: load ' || $1, 0))";
        let free: bool = transaction.query_one(sql, &[&name]).await.map_err(waiting)?.get(0);
        if !free {
            context.info(format!("waiting for another load into `{}` to end", self.table));
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended('jitney: load ' || $1, 0))";
            transaction.query_one(sql, &[&name]).await.map_err(waiting)?;
        }
        Ok(())
    }
}
