//! One attempt of a task: within its time, stopped cleanly, and what it came to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::host::ExecutionHost;
use crate::flow::Step;
use crate::task::{Expansion, Outputs, PauseRequest, TaskContext, TaskError, TaskFuture};
use crate::text::{MAX_DEPTH, nests_too_deeply};

/// How long a stopped task may take to clean up.
const GRACE: Duration = Duration::from_secs(10);

/// What an attempt came to.
pub(super) enum Decided {
    Expands(Expansion),
    Pauses(PauseRequest),
    Gives(Outputs),
}

/// A task with sub-tasks decides which of them run, one may ask for a pause; any other gives its outputs.
pub(super) fn decided(
    step: &Step,
    context: &TaskContext,
    outputs: Outputs,
    concludes: bool,
    host: &ExecutionHost,
) -> Result<Decided, TaskError> {
    if outputs.values().any(nests_too_deeply) {
        return Err(TaskError::permanent(format!("an output nests deeper than {MAX_DEPTH} levels")));
    }
    if let Some(pause) = context.services.pause.lock().ok().and_then(|mut pause| pause.take()) {
        return Ok(Decided::Pauses(pause));
    }
    if !step.task.is_flowable() || concludes {
        return Ok(Decided::Gives(outputs));
    }
    let outputs = host.fit_to_keep(outputs)?;
    serde_json::from_value(Value::Object(outputs))
        .map(Decided::Expands)
        .map_err(|error| TaskError::permanent("the task cannot say which tasks to run").caused_by(error))
}

/// Work within its time, stopped cleanly when the user asks.
pub(super) async fn bounded(
    work: TaskFuture,
    limit: Option<Duration>,
    context: Arc<TaskContext>,
) -> Result<Outputs, TaskError> {
    let cancel = context.cancel.clone();
    // Work that nobody waits for any more does not go on unseen.
    let mut work = AbortOnDropHandle::new(tokio::spawn(work));
    let late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        done = &mut work => return finished(done),
        () = cancel.cancelled() => TaskError::cancelled("it was stopped"),
        () = context.services.full.cancelled() => {
            let home = context.settings.home.display();
            TaskError::permanent(format!("no space left on the disk of {home}: what the task logs cannot be kept"))
                .help("make room; `jitney clean` removes what nobody needs any more")
        }
        () = late => {
            let limit = crate::duration::DurationSpec(limit.unwrap_or_default());
            TaskError::transient(format!("took longer than its timeout of {limit}")).code("timeout")
        }
    };
    cancel.cancel();
    match tokio::time::timeout(GRACE, &mut work).await {
        // It was done just before it could be stopped: the work is real, so it counts.
        Ok(done) => finished(done).or(Err(stopped)),
        Err(_) => Err(stopped),
    }
}

fn finished(done: Result<Result<Outputs, TaskError>, tokio::task::JoinError>) -> Result<Outputs, TaskError> {
    done.unwrap_or_else(|error| {
        Err(TaskError::permanent("the task broke off; this is a defect of jitney").caused_by(error))
    })
}
