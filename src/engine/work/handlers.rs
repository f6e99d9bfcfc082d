//! How the ends of tasks, pauses and retries, and violations of SLAs, change an execution.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::error::EngineError;
use crate::engine::names::stamp;
use crate::engine::notice::Notice;
use crate::engine::plan::Ending;
use crate::engine::replay;
use crate::engine::retry;
use crate::engine::scope::value_text;
use crate::engine::work::Work;
use crate::flow::expression::ExpressionError;
use crate::flow::{RetryBehavior, RetrySpec, Sla, SlaAction, Step, contains, labels_of};
use crate::id::RunId;
use crate::journal::{Event, ExecutionState, State, TaskFailure, TaskOutcome, TaskRun, TaskState};
use crate::storage::Storage;
use crate::task::{ErrorClass, Level, LogSource, OnPauseTimeout, Outputs, TaskError};

impl Work<'_> {
    /// All sub-tasks have ended; the task ends as they did.
    pub(super) fn finish(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        outcome: TaskOutcome,
        why: Option<String>,
    ) -> Result<(), EngineError> {
        self.remove_folder(state, &run);
        if outcome == TaskOutcome::Failed {
            if let Some(message) = why {
                return self.fail(state, run, step, TaskError::permanent(message));
            }
            let message = format!("a task inside `{}` failed", step.id);
            let error = TaskFailure { class: ErrorClass::Permanent, message, help: None, code: None };
            return self.add(state, Event::TaskFailed { run, error, retry_at: None });
        }
        let outputs = state.tasks.get(&run).map(expansion_outputs).unwrap_or_default();
        let warning = outcome == TaskOutcome::Warning;
        self.add(state, Event::TaskSucceeded { run, outputs, labels: Map::new(), warning })
    }

    /// A task has done its own work after its sub-tasks.
    pub(super) fn finish_epilogue(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        further: Outputs,
    ) -> Result<(), EngineError> {
        self.remove_folder(state, &run);
        let mut outputs = state.tasks.get(&run).map(expansion_outputs).unwrap_or_default();
        outputs.extend(self.run.host.without_secrets(further));
        let inside = |task: &str| contains(step, task);
        let warns = |(id, task): (&RunId, &TaskRun)| task.state == TaskState::Warning && inside(id.task());
        let warning = state.tasks.iter().any(warns);
        self.add(state, Event::TaskSucceeded { run, outputs, labels: Map::new(), warning })
    }

    /// A pause has timed out.
    pub(super) fn resume(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        behavior: OnPauseTimeout,
    ) -> Result<(), EngineError> {
        match behavior {
            OnPauseTimeout::Resume | OnPauseTimeout::Warn => {
                let outputs = resume_outputs("time", Map::new());
                let warning = behavior == OnPauseTimeout::Warn && !step.common.allow_warning;
                self.add(state, Event::TaskSucceeded { run, outputs, labels: Map::new(), warning })
            }
            OnPauseTimeout::Fail => {
                let error = TaskError::permanent("nobody resumed it in time");
                self.fail(state, run, step, error)
            }
            OnPauseTimeout::Cancel => {
                self.log(Level::Warn, &step.id, "nobody resumed it in time: the execution is cancelled")?;
                self.add(state, Event::Killing { state: ExecutionState::Cancelled })
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        error: TaskError,
    ) -> Result<(), EngineError> {
        self.remove_folder(state, &run);
        let now = clock::now();
        let task = state.tasks.get(&run);
        // The sub-tasks of a task continue from its files.
        if task.is_none_or(|task| task.expansion.is_none()) {
            Storage::new(self.runner.settings.storage(), self.run.id.clone()).make_room(&run);
        }
        let attempt = task.map_or(1, |task| task.attempts);
        let first = task.and_then(|task| task.since).unwrap_or(now);
        // A new execution, if that is what the policy asks for, comes when this one has ended.
        let policy = step.common.retry.as_ref().filter(|retry| retry.behavior == RetryBehavior::RetryFailedTask);
        let retry_at = retry::next_attempt(policy, error.class, attempt, first, now, rand::random::<f64>());
        let clean = |text: &str| self.runner.settings.redactor.line(text);
        let error = TaskFailure {
            class: error.class,
            message: clean(&error.message),
            help: error.help.as_deref().map(clean),
            code: error.code,
        };
        (self.runner.observer)(Notice::TaskFailed { run: &run, step, error: &error, retry_at });
        self.runner.journal.log(&self.run.id, now, &step.id, Level::Error, &error.message)?;
        self.add(state, Event::TaskFailed { run, error, retry_at })
    }

    /// A task whose expressions have no value fails without an attempt of its own code.
    pub(super) fn fail_to_start(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        error: &ExpressionError,
    ) -> Result<(), EngineError> {
        let attempt = state.tasks.get(&run).map_or(0, |task| task.attempts) + 1;
        self.add(state, Event::TaskStarted { run: run.clone(), attempt })?;
        self.fail_expression(state, run, step, error)
    }

    /// A running task fails, since an expression in it has no value.
    pub(super) fn fail_expression(
        &mut self,
        state: &mut State,
        run: RunId,
        step: &Step,
        error: &ExpressionError,
    ) -> Result<(), EngineError> {
        let document = &self.flow.document;
        let located = document.locate_text(&step.path, &error.culprit, Diagnostic::error(&error.message));
        let message = format!("{} ({}:{}:{})", error.message, located.file, located.line, located.column);
        self.fail(state, run, step, TaskError::permanent(message))
    }

    /// The execution has violated an SLA of its flow.
    pub(super) fn violate(&mut self, state: &mut State, sla: &Sla, why: &str) -> Result<(), EngineError> {
        let labels = labels_of(&sla.labels);
        self.log(Level::Warn, LogSource::Execution, &format!("the SLA `{}` is violated: {why}", sla.id))?;
        self.add(state, Event::Violated { sla: sla.id.clone(), labels })?;
        match sla.behavior {
            SlaAction::Fail => self.add(state, Event::Killing { state: ExecutionState::Failed }),
            SlaAction::Cancel => self.add(state, Event::Killing { state: ExecutionState::Cancelled }),
            SlaAction::None => Ok(()),
        }
    }

    pub(super) fn end_execution(&mut self, state: &mut State, ending: Ending) -> Result<(), EngineError> {
        if let Some(problem) = &ending.problem {
            self.log(Level::Error, LogSource::Execution, problem)?;
        }
        let outputs = self.run.host.without_secrets(ending.outputs);
        self.add(state, Event::Ended { state: ending.state, outputs })
    }

    /// The execution failed and is retried after a while.
    pub(super) fn schedule_retry(&mut self, state: &mut State, retry: &RetrySpec) -> Result<(), EngineError> {
        let now = clock::now();
        let at = now + retry::pause(retry, state.retries.max(state.created.attempt - 1) + 1, rand::random::<f64>());
        let as_new = retry.behavior == RetryBehavior::CreateNewExecution;
        let successor = as_new.then(|| self.runner.journal.new_id(now)).transpose()?;
        let who = if as_new { "it is retried as a new execution" } else { "failed tasks are retried" };
        let shown = at.with_timezone(&chrono::Local).format("%H:%M:%S");
        self.log(Level::Warn, LogSource::Execution, &format!("the execution failed; {who} at {shown}"))?;
        self.add(state, Event::Retrying { at, successor })
    }

    /// Waits until the execution is to be retried, and retries it.
    pub(super) async fn retry(&mut self, state: &mut State) -> Result<(), EngineError> {
        self.flush(state)?;
        let pause = state.retry_at.map(|at| (at - clock::now()).to_std().unwrap_or_default()).unwrap_or_default();
        if !self.sleep(pause).await {
            return Ok(());
        }
        if let Some(successor) = state.successor.clone() {
            self.runner.create_retry(self.flow, self.inputs, &self.run.id, state, &successor)?;
            return self.add(state, Event::Ended { state: ExecutionState::Retried, outputs: Map::new() });
        }
        let reset = replay::runs_to_reset(state, self.flow, true);
        self.add(state, Event::Restarted { reset })?;
        self.add(state, Event::Started)
    }

    pub(super) fn log(&self, level: Level, source: impl Into<LogSource>, message: &str) -> Result<(), EngineError> {
        self.runner.log(&self.run.id, level, source, message)
    }

    /// Removes the folder that the sub-tasks of a task shared.
    fn remove_folder(&self, state: &State, run: &RunId) {
        let expansion = state.tasks.get(run).and_then(|task| task.expansion.as_ref());
        if let Some(folder) = expansion.and_then(|expansion| expansion.folder.as_ref()) {
            // A folder that stays is removed by `jitney clean`.
            let _ = std::fs::remove_dir_all(self.runner.settings.home.join("work").join(folder));
        }
    }

    pub(super) fn remove_folders(&self, state: &State) {
        state.tasks.keys().for_each(|run| self.remove_folder(state, run));
    }
}

/// The outputs of a pause that has ended.
pub(in crate::engine) fn resume_outputs(by: &str, inputs: Map<String, Value>) -> Outputs {
    let resumed = json!({"on": stamp(clock::now()), "by": by});
    Map::from_iter([("onResume".to_owned(), Value::Object(inputs)), ("resumed".to_owned(), resumed)])
}

/// The outputs of a task with sub-tasks: those of its decision, and those of its iterations.
fn expansion_outputs(task: &TaskRun) -> Outputs {
    let Some(expansion) = &task.expansion else { return Outputs::new() };
    let mut outputs = expansion.outputs.clone();
    if expansion.until.is_some() {
        outputs.insert("iterationCount".to_owned(), json!(task.progress.next));
    }
    if expansion.isolated {
        let entry = |(index, outputs): (&u32, &Map<String, Value>)| {
            let value = expansion.value(*index).map(value_text);
            let key = expansion.keys.as_ref().and_then(|keys| keys.get(*index as usize));
            json!({"item": {"value": value, "iteration": index, "key": key}, "outputs": outputs})
        };
        outputs.insert("outputs".to_owned(), task.progress.isolated_outputs.iter().map(entry).collect());
    }
    outputs
}
