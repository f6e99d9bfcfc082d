//! Work of a load that the server may refuse rows of, without any loss of what was done before it.

use tokio_postgres::{Error, Transaction};

use crate::postgres::{CopyError, WaitMonitor, explain};
use crate::task::TaskError;

/// Stores rows, and does what belongs to it, within a savepoint, which is gone afterwards either way. Rows that stay keep
/// the number of its subtransaction, by which the ledger knows them again. What the server has against one of the rows, as
/// `blames_row` tells, is the inner error, and nothing of the work stays.
///
/// # Errors
/// What the work says that is about no row, or that the server refuses a statement.
pub(super) fn within<T>(
    transaction: &Transaction<'_>,
    watch: &WaitMonitor<'_>,
    (doing, blames_row): (&str, &(dyn Fn(&CopyError) -> bool + Sync)),
    work: impl Future<Output = Result<T, TaskError>>,
) -> impl Future<Output = Result<Result<T, CopyError>, TaskError>> {
    let work = Box::pin(work);
    async move {
        over(watch, doing, transaction.batch_execute("SAVEPOINT jitney_rows")).await?;
        let (end, outcome) = match work.await {
            Ok(done) => ("RELEASE SAVEPOINT jitney_rows", Ok(done)),
            Err(problem) => {
                let refusal = watch.copy_error().filter(blames_row).ok_or(problem)?;
                watch.before_copy();
                ("ROLLBACK TO SAVEPOINT jitney_rows; RELEASE SAVEPOINT jitney_rows", Err(refusal))
            }
        };
        over(watch, doing, transaction.batch_execute(end)).await?;
        Ok(outcome)
    }
}

/// Waits for a statement, as [`WaitMonitor::over`] does.
///
/// # Errors
/// What the server says, in words about what was being done.
pub(super) async fn over<T>(
    watch: &WaitMonitor<'_>,
    doing: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, TaskError> {
    watch.over(doing, async { work.await.map_err(|error| explain(doing, &error)) }).await
}
