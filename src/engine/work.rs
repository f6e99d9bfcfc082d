//! One execution at work: does what the plan says, waits for attempts, and writes down how they ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::engine::control::{Control, Rest};
use crate::engine::outside::World;
use crate::engine::plan::{Next, Run, plan};
use crate::engine::retry;
use crate::engine::run::{EngineError, Notice, Runner};
use crate::flow::expression::ExpressionError;
use crate::flow::{Flow, Step};
use crate::id::RunId;
use crate::journal::{Event, ExecutionState, Failure, Outcome, State};
use crate::task::{ErrorClass, Expansion, Level, Outputs, TaskContext, TaskError, TaskType};

/// How long a stopped task may take to clean up.
const GRACE: Duration = Duration::from_secs(10);

/// An execution, and its attempts under way.
pub(super) struct Work<'a> {
    pub(super) runner: &'a Runner,
    pub(super) flow: &'a Flow,
    pub(super) run: &'a Run,
    pub(super) control: &'a Control,
    /// Breaks off what is under way.
    pub(super) cancel: CancellationToken,
    pub(super) attempts: JoinSet<(RunId, Result<Outputs, TaskError>)>,
    pub(super) begun: HashMap<RunId, Begun<'a>>,
}

/// An attempt under way.
pub(super) struct Begun<'a> {
    step: &'a Step,
    context: Arc<TaskContext>,
    at: Instant,
}

impl<'a> Work<'a> {
    /// Works until the execution has ended or is to stop.
    pub(super) async fn until_end(&mut self, state: &mut State) -> Result<(), EngineError> {
        while state.status == ExecutionState::Running {
            if self.control.kill.is_cancelled() {
                return self.stop(state).await;
            }
            if let Some(rest) = self.control.resting() {
                return self.rest(state, rest).await;
            }
            let mut due = None;
            let mut moved = false;
            for next in plan(state, self.flow, self.run, Utc::now()) {
                match next {
                    Next::Wait(at) => due = Some(due.map_or(at, |earlier: DateTime<Utc>| earlier.min(at))),
                    next => moved |= self.take(state, next)?,
                }
            }
            if !moved {
                self.wait(state, due).await?;
            }
        }
        Ok(())
    }

    /// Does one thing; whether the plan may look different now.
    fn take(&mut self, state: &mut State, next: Next<'a>) -> Result<bool, EngineError> {
        match next {
            Next::Start { run, step, fields, attempt } => {
                self.start(state, run, step, fields, attempt)?;
                return Ok(false);
            }
            Next::Skip(run, step) => {
                (self.runner.observer)(Notice::TaskSkipped(step));
                self.append(state, Event::TaskSkipped { run })?;
            }
            Next::Refuse(run, step, error) => self.refuse(state, run, step, &error)?,
            Next::Iteration(run, index, outcome) => {
                self.append(state, Event::IterationEnded { run, index, outcome })?
            }
            Next::Finish(run, step, outcome) => self.finish(state, run, step, outcome)?,
            Next::End(end) => self.append(state, Event::Ended { state: end })?,
            Next::Wait(_) => return Ok(false),
        }
        Ok(true)
    }

    fn start(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &'a Step,
        fields: Value,
        attempt: u32,
    ) -> Result<(), EngineError> {
        self.append(state, Event::TaskStarted { run: run.clone(), attempt })?;
        let context =
            Arc::new(self.runner.context(self.run, self.flow, step, &run, attempt, self.cancel.child_token()));
        if !step.task.is_flowable() {
            (self.runner.observer)(Notice::TaskStarted {
                run: &run,
                step,
                attempt,
                progress: context.progress.clone(),
            });
        }
        let limit = step.common.timeout.map(|span| span.0);
        let (task, id, given) = (step.task, run.clone(), context.clone());
        self.attempts.spawn(async move { (id, bounded(task, limit, fields, given).await) });
        self.begun.insert(run, Begun { step, context, at: Instant::now() });
        Ok(())
    }

    async fn wait(&mut self, state: &mut State, due: Option<DateTime<Utc>>) -> Result<(), EngineError> {
        let pause = due.map_or(Duration::MAX, |at| (at - Utc::now()).to_std().unwrap_or_default());
        let ended = tokio::select! {
            Some(ended) = self.attempts.join_next(), if !self.attempts.is_empty() => ended,
            () = tokio::time::sleep(pause.min(Duration::from_secs(3600))) => return Ok(()),
            () = self.control.asked() => return Ok(()),
        };
        self.end(state, ended)?;
        // Others may have ended at the same time: the plan need look only once.
        while let Some(ended) = self.attempts.try_join_next() {
            self.end(state, ended)?;
        }
        Ok(())
    }

    /// Stops what is under way and closes the execution; what had ended well by then counts.
    async fn stop(&mut self, state: &mut State) -> Result<(), EngineError> {
        self.cancel.cancel();
        while let Some(ended) = self.attempts.join_next().await {
            self.end(state, ended)?;
        }
        self.append(state, Event::Ended { state: ExecutionState::Killed })
    }

    /// Lets what is under way come to its end, unless it is cut off; what is, begins again later, as after a crash.
    async fn rest(&mut self, state: &mut State, rest: Rest) -> Result<(), EngineError> {
        while !self.attempts.is_empty() {
            tokio::select! {
                Some(ended) = self.attempts.join_next() => self.end(state, ended)?,
                () = self.control.cut_off() => break,
            }
        }
        if self.control.kill.is_cancelled() {
            return self.stop(state).await;
        }
        self.cancel.cancel();
        while let Some(ended) = self.attempts.join_next().await {
            if !matches!(&ended, Ok((_, Err(error))) if error.class == ErrorClass::Cancelled) {
                self.end(state, ended)?;
            }
        }
        let event = if rest == Rest::Paused { Event::Paused } else { Event::Queued };
        self.append(state, event)
    }

    fn end(
        &mut self,
        state: &mut State,
        ended: Result<(RunId, Result<Outputs, TaskError>), tokio::task::JoinError>,
    ) -> Result<(), EngineError> {
        let Ok((run, result)) = ended else { return Ok(()) };
        let Some(begun) = self.begun.remove(&run) else { return Ok(()) };
        match result.and_then(|outputs| decided(begun.step, outputs, &self.run.world)) {
            Ok(Decided::Expands(expansion)) => self.append(state, Event::TaskExpanded { run, expansion }),
            Ok(Decided::Gives(outputs)) => {
                let outputs = self.run.world.without_secrets(outputs);
                (self.runner.observer)(Notice::TaskSucceeded {
                    run: &run,
                    step: begun.step,
                    outputs: &outputs,
                    took: begun.at.elapsed(),
                });
                let labels = begun.context.labels.lock().map(|labels| labels.clone()).unwrap_or_default();
                let labels = self.run.world.without_secrets(labels);
                let warning = begun.context.has_warning() && !begun.step.common.allow_warning;
                self.append(state, Event::TaskSucceeded { run, outputs, labels, warning })
            }
            Err(error) => self.fail(state, run, begun.step, error),
        }
    }

    /// All sub-tasks have ended; the task ends as they did.
    fn finish(&mut self, state: &mut State, run: RunId, step: &Step, outcome: Outcome) -> Result<(), EngineError> {
        if outcome == Outcome::Failed {
            let message = format!("a task inside of `{}` failed", step.id);
            let error = Failure { class: ErrorClass::Permanent, message, help: None, code: None };
            return self.append(state, Event::TaskFailed { run, error, retry_at: None });
        }
        let expansion = state.tasks.get(&run).and_then(|task| task.expansion.as_ref());
        let outputs = expansion.map(|expansion| expansion.outputs.clone()).unwrap_or_default();
        let warning = outcome == Outcome::Warning;
        self.append(state, Event::TaskSucceeded { run, outputs, labels: Map::new(), warning })
    }

    fn fail(&mut self, state: &mut State, run: RunId, step: &Step, error: TaskError) -> Result<(), EngineError> {
        let now = Utc::now();
        let task = state.tasks.get(&run);
        let attempt = task.map_or(1, |task| task.attempts);
        let first = task.and_then(|task| task.since).unwrap_or(now);
        let policy = step.common.retry.as_ref();
        let retry_at = retry::next_attempt(policy, error.class, attempt, first, now, rand::random::<f64>());
        let clean = |text: &str| self.runner.settings.redactor.clean(text);
        let error = Failure {
            class: error.class,
            message: clean(&error.message),
            help: error.help.as_deref().map(clean),
            code: error.code,
        };
        (self.runner.observer)(Notice::TaskFailed { run: &run, step, error: &error, retry_at });
        self.runner.journal.log(&self.run.id, now, &step.id, Level::Error, &error.message)?;
        self.append(state, Event::TaskFailed { run, error, retry_at })
    }

    /// A task whose expressions have no value fails without an attempt of its own code.
    fn refuse(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        error: &ExpressionError,
    ) -> Result<(), EngineError> {
        let document = &self.flow.document;
        let located = document.locate_text(&step.path, &error.culprit, Diagnostic::error(&error.message));
        let attempt = state.tasks.get(&run).map_or(0, |task| task.attempts) + 1;
        self.append(state, Event::TaskStarted { run: run.clone(), attempt })?;
        let message = format!("{} ({}:{}:{})", error.message, located.file, located.line, located.column);
        self.fail(state, run, step, TaskError::permanent(message))
    }

    fn append(&self, state: &mut State, event: Event) -> Result<(), EngineError> {
        self.runner.append(&self.run.id, state, event)
    }
}

/// What an attempt came to.
enum Decided {
    Expands(Expansion),
    Gives(Outputs),
}

/// A task with sub-tasks decides which of them run; any other gives its outputs.
fn decided(step: &Step, outputs: Outputs, world: &World) -> Result<Decided, TaskError> {
    if !step.task.is_flowable() {
        return Ok(Decided::Gives(outputs));
    }
    let outputs = world.fit_to_keep(outputs)?;
    serde_json::from_value(Value::Object(outputs))
        .map(Decided::Expands)
        .map_err(|error| TaskError::permanent("the task cannot say which tasks to run").because(error))
}

/// One attempt within its time, stopped cleanly when the user asks.
async fn bounded(
    task: &'static TaskType,
    limit: Option<Duration>,
    fields: Value,
    context: Arc<TaskContext>,
) -> Result<Outputs, TaskError> {
    let cancel = context.cancel.clone();
    let mut work = tokio::spawn((task.run)(fields, context));
    let late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        done = &mut work => return finished(done),
        () = cancel.cancelled() => TaskError::cancelled("stopped by the user"),
        () = late => {
            let limit = crate::duration::Span(limit.unwrap_or_default());
            TaskError::transient(format!("took longer than its timeout of {limit}")).code("timeout")
        }
    };
    cancel.cancel();
    match tokio::time::timeout(GRACE, &mut work).await {
        // It was done just before it could be stopped: the work is real, so it counts.
        Ok(done) => finished(done).or(Err(stopped)),
        Err(_) => {
            work.abort();
            Err(stopped)
        }
    }
}

fn finished(done: Result<Result<Outputs, TaskError>, tokio::task::JoinError>) -> Result<Outputs, TaskError> {
    done.unwrap_or_else(|error| {
        Err(TaskError::permanent("the task broke off; this is a defect of jitney").because(error))
    })
}
