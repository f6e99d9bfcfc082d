//! One attempt of a task: its timeout, its cancellation and its outcome.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::host::ExecutionHost;
use crate::flow::Step;
use crate::task::{Expansion, Outputs, PauseRequest, TaskContext, TaskError, TaskFuture};
use crate::text::{MAX_DEPTH, nests_too_deeply};

/// How long a cancelled task may take to clean up.
const CANCEL_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// The outcome of an attempt that did not fail.
pub(super) enum AttemptOutcome {
    Expanded(Expansion),
    Paused(PauseRequest),
    Succeeded(Outputs),
}

/// Interprets what an attempt returned: the decision of a task with sub-tasks, the request for a pause, or outputs.
pub(super) fn interpret(
    step: &Step,
    context: &TaskContext,
    outputs: Outputs,
    is_epilogue: bool,
    host: &ExecutionHost,
) -> Result<AttemptOutcome, TaskError> {
    if outputs.values().any(nests_too_deeply) {
        return Err(TaskError::permanent(format!("an output is nested more than {MAX_DEPTH} levels deep")));
    }
    if let Some(pause) = context.services.pause.lock().ok().and_then(|mut pause| pause.take()) {
        return Ok(AttemptOutcome::Paused(pause));
    }
    if !step.task.is_flowable() || is_epilogue {
        return Ok(AttemptOutcome::Succeeded(outputs));
    }
    let outputs = host.fit_to_keep(outputs)?;
    serde_json::from_value(Value::Object(outputs))
        .map(AttemptOutcome::Expanded)
        .map_err(|error| TaskError::permanent("the task does not determine which tasks to run").caused_by(error))
}

/// Work within its time, stopped cleanly when the user asks.
pub(super) async fn run_with_timeout(
    work: TaskFuture,
    timeout: Option<Duration>,
    context: Arc<TaskContext>,
) -> Result<Outputs, TaskError> {
    let cancel = context.cancel.clone();
    // Work that nobody waits for any more must not keep running unseen.
    let mut work = AbortOnDropHandle::new(tokio::spawn(work));
    let timed_out = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        done = &mut work => return joined(done),
        () = cancel.cancelled() => TaskError::cancelled("it was stopped"),
        () = context.services.full.cancelled() => {
            let home = context.settings.home.display();
            TaskError::permanent(format!("no space left on the disk of {home}: the log of the task cannot be stored"))
                .help("free some space; `jitney clean` removes files that are no longer needed")
        }
        () = timed_out => {
            let timeout = crate::duration::DurationSpec(timeout.unwrap_or_default());
            TaskError::transient(format!("took longer than its timeout of {timeout}")).code("timeout")
        }
    };
    cancel.cancel();
    match tokio::time::timeout(CANCEL_GRACE_PERIOD, &mut work).await {
        // It was done just before it could be stopped: the work is real, so it counts.
        Ok(done) => joined(done).or(Err(stopped)),
        Err(_) => Err(stopped),
    }
}

fn joined(done: Result<Result<Outputs, TaskError>, tokio::task::JoinError>) -> Result<Outputs, TaskError> {
    done.unwrap_or_else(
        |error| Err(TaskError::permanent("the task panicked; this is a bug in jitney").caused_by(error)),
    )
}
