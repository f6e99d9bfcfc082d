//! A file into a table in one transaction, which a stop rolls back. It is repeated while the server is away, and never
//! left without knowing how it ended.

use std::future::Future;
use std::time::Instant;

use tokio_postgres::{IsolationLevel, Transaction};

use super::loaded::Loaded;
use super::source::SourceFile;
use super::{ledger, search_path};
use crate::postgres::{FlowAddress, LOST, TransactionOutcome, WaitMonitor, connect_once, explain, outcome};
use crate::task::{ErrorClass, OutageTracker, TaskContext, TaskError};

/// The code of a load of which nobody knows whether it took effect.
const UNKNOWN: &str = "outcome unknown";

/// Has deferred constraints checked now, and not when the transaction ends.
pub(super) const IMMEDIATE: &str = "SET CONSTRAINTS ALL IMMEDIATE";
/// What is being done, for messages.
pub(super) const CHECKING: &str = "checking the deferred constraints";

/// A task that loads a file.
pub(super) trait Loading: Sync {
    /// The file to load.
    fn from(&self) -> &str;

    /// The table, as the user names it.
    fn table(&self) -> &str;

    /// The server.
    fn address(&self, context: &TaskContext) -> FlowAddress;

    /// Loads the file and writes to the ledger, which is there under this name, within the transaction.
    fn load(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &WaitMonitor<'_>,
        source: &SourceFile,
        ledger: String,
        began: Instant,
    ) -> impl Future<Output = Result<Loaded, TaskError>> + Send;

    /// Loads the file. A load is safe to repeat, so what may pass is repeated.
    fn until_loaded(&self, context: &TaskContext) -> impl Future<Output = Result<Loaded, TaskError>> + Send {
        async move {
            let source = SourceFile::open(context, self.from()).await?;
            let mut outage = OutageTracker::none(&context.settings);
            loop {
                match attempt(self, context, &source).await {
                    Err(problem) if problem.code.as_deref() != Some(UNKNOWN) => outage.wait(context, problem).await?,
                    ended => return ended,
                }
                context.progress.reset();
            }
        }
    }
}

async fn attempt<L: Loading + ?Sized>(
    task: &L,
    context: &TaskContext,
    source: &SourceFile,
) -> Result<Loaded, TaskError> {
    let address = task.address(context);
    let mut session = connect_once(context, Some(&address)).await?;
    let (watch, server) = (session.watch(context), format!("postgres://{}", session.server));
    let began = Instant::now();
    // What the load before this one committed must be seen after waiting for it, whatever the server's default.
    let beginning = session.client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
    let doing = "beginning the load";
    let begun = async { beginning.start().await.map_err(|error| explain(doing, &error)) };
    let transaction = watch.over(doing, begun).await?;
    // The server waits while rows are prepared, unlike for an idle user who holds locks; `WaitMonitor` bounds that.
    let patience = async {
        let sql = "SET LOCAL idle_in_transaction_session_timeout = 0";
        transaction.batch_execute(sql).await.map_err(|error| explain(doing, &error))
    };
    watch.over(doing, patience).await?;
    // On the heap: the state of a load is large, and so would be everything around it.
    let begun_load = Box::pin(async {
        watch.over("looking at the search_path", search_path::check(&transaction)).await?;
        watch.identify(&transaction, true).await?;
        let ledger = watch.over("looking for the ledger", ledger::ensure(&transaction)).await?;
        let loaded = task.load(&transaction, context, &watch, source, ledger, began).await?;
        // A COMMIT that fails for them would be hard to tell from one that was not answered.
        let checking =
            async { outcome::number_after(&transaction, IMMEDIATE).await.map_err(|error| explain(CHECKING, &error)) };
        let number = watch.over(CHECKING, checking).await.map_err(not_kept)?;
        Ok((loaded, number))
    });
    let loaded = tokio::select! {
        biased;
        () = context.cancel.cancelled() => None,
        loaded = begun_load => Some(loaded.map_err(rolled_back)?),
    };
    let Some((loaded, number)) = loaded else {
        drop(transaction);
        session.interrupt().await;
        return Err(TaskError::cancelled(format!("the load into `{}` was stopped and rolled back", task.table())));
    };
    // From here on nobody could say whether a stop came in time, so there is none.
    let doing = "committing the load";
    let commit = async { transaction.commit().await.map_err(|error| explain(doing, &error)) };
    if let Err(problem) = watch.over(doing, commit).await {
        settle(context, task.table(), &address, number.as_deref(), problem).await?;
    }
    loaded.notes.iter().for_each(|(level, message)| context.log_line(*level, message));
    Ok(Loaded { server, ..loaded })
}

/// Logs that a load is not in the isolation level that the session's transactions have if they do not name one.
pub(super) fn say_isolation(context: &TaskContext, default: &str) {
    if default != "read committed" {
        context.info(format!(
            "the load runs in READ COMMITTED, although `default_transaction_isolation` is `{default}`: it must see what \
             other loads commit while it waits for them"
        ));
    }
}

/// Finds out whether a commit that was not answered took effect.
async fn settle(
    context: &TaskContext,
    table: &str,
    address: &FlowAddress,
    number: Option<&str>,
    problem: TaskError,
) -> Result<(), TaskError> {
    if problem.class != ErrorClass::Transient {
        return Err(problem);
    }
    match outcome::of(context, address, number).await {
        TransactionOutcome::Committed => {
            context.info("the server has committed the load");
            Ok(())
        }
        TransactionOutcome::RolledBack => Err(rolled_back(problem)),
        TransactionOutcome::Unknown => Err(TaskError::transient(format!(
            "{}; whether the load into `{}` was committed is not known, since the server could not be asked",
            problem.message, table
        ))
        .code(UNKNOWN)
        .help("resume the execution or run it again: the ledger tells, and what was committed is not loaded twice")),
    }
}

/// What a constraint has against the rows when all of them are there.
fn not_kept(problem: TaskError) -> TaskError {
    match problem.help {
        Some(_) => problem,
        None => problem.help(
            "a deferred constraint speaks of all rows together, and nothing of them was committed; \
             `on_bad_row: {reject: {}}` of `postgres.load` has each row checked and names its line",
        ),
    }
}

/// A connection that broke before the commit was sent leaves nothing.
fn rolled_back(problem: TaskError) -> TaskError {
    if problem.code.as_deref() != Some(LOST) {
        return problem;
    }
    let help = problem.help.clone().unwrap_or_default();
    problem.help(format!("nothing of it was committed; {help}"))
}
