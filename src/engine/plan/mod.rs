//! What to do next, as a function of what has happened.

mod finish;
mod loops;
#[cfg(test)]
mod table;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::duration::{DurationError, DurationSpec, Timeout};
use crate::engine::context::ExecutionContext;
use crate::engine::host::FoundSecrets;
use crate::engine::literal;
use crate::engine::names::EvalContext;
use crate::engine::scope::Scope;
use crate::flow::expression::{ExpressionError, Names, evaluate_condition, render};
use crate::flow::{Flow, RetrySpec, Sla, Step, contains};
use crate::id::RunId;
use crate::journal::{ExecutionState, State, TaskOutcome, TaskRun, TaskState};
use crate::task::{Expansion, OnPauseTimeout};
use crate::text::plain;

/// The maximum number of attempts that run at a time in one execution.
pub(super) const MAX_CONCURRENT: usize = 64;

/// Something to do next.
#[derive(Debug)]
pub enum Action<'a> {
    /// Start an attempt of a task.
    Start(Start<'a>),
    /// The task's condition does not hold.
    Skip(RunId, &'a Step),
    /// The task cannot start: an expression in it has no value.
    FailToStart(RunId, &'a Step, ExpressionError),
    /// The task, which is running, fails: an expression in it has no value.
    Fail(RunId, &'a Step, ExpressionError),
    /// All sub-tasks of an iteration have ended.
    Iteration {
        /// The loop's run.
        run: RunId,
        /// The iteration, from 0.
        index: u32,
        /// How it ended.
        outcome: TaskOutcome,
        /// What it gives to tasks after the loop.
        outputs: Option<Map<String, Value>>,
        /// Whether the condition that the loop waits for holds.
        condition_met: bool,
    },
    /// All sub-tasks of a task have ended well; it has work to do after them.
    RunEpilogue(Start<'a>),
    /// All sub-tasks of a task have ended.
    Finish(RunId, &'a Step, TaskOutcome, Option<String>),
    /// A pause has timed out.
    Resume(RunId, &'a Step, OnPauseTimeout),
    /// Nothing can be done until a pause ends.
    Pause,
    /// An SLA of the flow is violated, and why.
    ViolateSla(&'a Sla, String),
    /// The execution failed and is retried, itself or by a new one.
    Retry(&'a RetrySpec),
    /// Nothing is to be done before this moment.
    Wait(DateTime<Utc>),
    /// Nothing is left to do.
    End(Ending),
}

/// An attempt of a task.
#[derive(Debug)]
pub struct Start<'a> {
    /// The task run.
    pub run: RunId,
    /// The task.
    pub step: &'a Step,
    /// Its fields, rendered except for those that are rendered late.
    pub fields: Value,
    /// The names for these; empty when there are none.
    pub names: Names,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The texts of its fields that are literal, where that matters.
    pub literal: BTreeSet<String>,
    /// The folder that the task shares with others.
    pub folder: Option<String>,
    /// Its timeout.
    pub timeout: Option<DurationSpec>,
}

/// How an execution ends.
#[derive(Debug)]
pub struct Ending {
    /// The state.
    pub state: ExecutionState,
    /// The flow's outputs.
    pub outputs: Map<String, Value>,
    /// Why there are none, should that be a failure.
    pub problem: Option<String>,
}

/// What to do next, and the secrets that were found on the way.
#[derive(Debug)]
pub struct Plan<'a> {
    /// All that can be done now; none while running attempts must be waited for.
    pub actions: Vec<Action<'a>>,
    /// To be registered with the host before anything of the actions is shown or kept.
    pub secrets: FoundSecrets,
}

/// Decides what to do next. It changes nothing, and the same arguments give the same answer as long as secrets, files and
/// stored values stay the same, except for random values.
pub fn plan<'a>(state: &State, flow: &'a Flow, run: &ExecutionContext, now: DateTime<Utc>) -> Plan<'a> {
    let running = state.tasks.values().filter(|task| is_running(task)).count();
    let secrets = FoundSecrets::default();
    let eval = EvalContext { state, flow, run, now, found: &secrets, end: None };
    let mut planner = Planner { eval, running, actions: Vec::new() };
    planner.execution();
    let actions = planner.actions;
    Plan { actions, secrets }
}

fn is_running(task: &TaskRun) -> bool {
    task.state == TaskState::Running && task.expansion.is_none()
}

/// Whether a task, or a list of them, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockStatus {
    Open,
    Done(TaskOutcome),
}

/// Tasks with what runs when they fail, and what runs in any case.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) tasks: &'a [Step],
    pub(super) errors: &'a [Step],
    pub(super) finally: &'a [Step],
}

pub(super) struct Planner<'s, 'a> {
    pub(super) eval: EvalContext<'s, 'a>,
    pub(super) running: usize,
    pub(super) actions: Vec<Action<'a>>,
}

impl<'a> Planner<'_, 'a> {
    pub(super) fn block(&mut self, block: Block<'a>, scope: &Scope, concurrent: u32) -> BlockStatus {
        match self.list(block.tasks, scope, concurrent) {
            BlockStatus::Open => BlockStatus::Open,
            BlockStatus::Done(outcome) => self.handlers(outcome, block, scope),
        }
    }

    /// What runs after tasks that ended so.
    pub(super) fn handlers(&mut self, mut outcome: TaskOutcome, block: Block<'a>, scope: &Scope) -> BlockStatus {
        if outcome == TaskOutcome::Failed && self.list(block.errors, scope, 1) == BlockStatus::Open {
            return BlockStatus::Open;
        }
        match self.list(block.finally, scope, 1) {
            BlockStatus::Open => return BlockStatus::Open,
            BlockStatus::Done(last) => outcome = outcome.max(last),
        }
        BlockStatus::Done(outcome)
    }

    /// Tasks one after another, until one fails; or side by side, each as soon as those that it depends on have ended
    /// well, all of them to the end.
    pub(super) fn list(&mut self, steps: &'a [Step], scope: &Scope, concurrent: u32) -> BlockStatus {
        let limit = if concurrent == 0 { usize::MAX } else { concurrent as usize };
        let (mut open, mut worst) = (0, TaskOutcome::Success);
        let mut passed: BTreeSet<&str> = BTreeSet::new();
        for step in steps {
            let is_left_out = |id: &str| steps.iter().any(|other| other.id.as_str() == id && self.is_left_out(other));
            let waits = step.depends_on.iter().any(|id| !passed.contains(id.as_str()) && !is_left_out(id.as_str()));
            if open >= limit || (waits && !self.has_begun(step, scope)) {
                continue;
            }
            match self.step(step, scope) {
                BlockStatus::Open => open += 1,
                BlockStatus::Done(TaskOutcome::Failed) if concurrent == 1 => {
                    return BlockStatus::Done(TaskOutcome::Failed);
                }
                BlockStatus::Done(outcome) => {
                    worst = worst.max(outcome);
                    if outcome != TaskOutcome::Failed {
                        passed.insert(step.id.as_str());
                    }
                }
            }
        }
        // What waits for a task that failed never runs; else something open will let it run.
        if open > 0 { BlockStatus::Open } else { BlockStatus::Done(worst) }
    }

    pub(super) fn has_begun(&self, step: &Step, scope: &Scope) -> bool {
        self.eval.state.tasks.contains_key(&scope.run_id(&step.id))
    }

    fn step(&mut self, step: &'a Step, scope: &Scope) -> BlockStatus {
        let run = scope.run_id(&step.id);
        let (state, now) = (self.eval.state, self.eval.now);
        let Some(task) = state.tasks.get(&run) else {
            if self.is_left_out(step) {
                return BlockStatus::Done(TaskOutcome::Success);
            }
            return self.start(run, step, scope, 1);
        };
        let warned = if step.common.allow_warning { TaskOutcome::Success } else { TaskOutcome::Warning };
        match (&task.state, &task.expansion) {
            (TaskState::Created, _) => self.start(run, step, scope, task.attempts + 1),
            (TaskState::Running, None) => BlockStatus::Open,
            (TaskState::Running, Some(expansion)) => self.expanded(run, step, task, expansion, scope),
            (TaskState::Retrying { at }, _) if *at > now => self.wait(*at),
            (TaskState::Retrying { .. }, _) => self.start(run, step, scope, task.attempts + 1),
            (TaskState::Paused { until: Some(at), .. }, _) if *at > now => self.wait(*at),
            (TaskState::Paused { until, behavior }, _) => {
                if until.is_some() {
                    self.actions.push(Action::Resume(run, step, *behavior));
                }
                BlockStatus::Open
            }
            (TaskState::Success | TaskState::Skipped, _) => BlockStatus::Done(TaskOutcome::Success),
            (TaskState::Warning, _) => BlockStatus::Done(warned),
            (TaskState::Failed, _) if step.common.allow_failure => BlockStatus::Done(warned),
            (TaskState::Failed | TaskState::Killed, _) => BlockStatus::Done(TaskOutcome::Failed),
        }
    }

    /// Whether the execution runs another task alone.
    fn is_left_out(&self, step: &Step) -> bool {
        let Some(only) = self.eval.state.created.only.as_deref() else { return false };
        let is_inside = |meant: &&Step| meant.id.as_str() == only && contains(meant, step.id.as_str());
        let is_meant =
            step.id.as_str() == only || contains(step, only) || self.eval.flow.all_steps().iter().any(is_inside);
        !is_meant
    }

    pub(super) fn wait(&mut self, at: DateTime<Utc>) -> BlockStatus {
        self.actions.push(Action::Wait(at));
        BlockStatus::Open
    }

    fn start(&mut self, run: RunId, step: &'a Step, scope: &Scope, attempt: u32) -> BlockStatus {
        if self.running >= MAX_CONCURRENT {
            return BlockStatus::Open;
        }
        let names = self.eval.of_task(step, scope, attempt);
        let snapshot = self.eval.snapshot();
        let condition =
            step.common.run_if.as_ref().map_or(Ok(true), |condition| evaluate_condition(condition, &names, &snapshot));
        let rendered = condition.and_then(|is_met| {
            Ok(if is_met { Some((self.fields(step, &names)?, self.timeout(step, &names)?)) } else { None })
        });
        let next = match rendered {
            Ok(Some((fields, timeout))) => {
                self.running += 1;
                let names = if step.task.deferred.is_empty() { Names::new() } else { names };
                let (folder, literal) = (scope.folder.clone(), self.literal(step, scope));
                Action::Start(Start { run, step, fields, names, attempt, literal, folder, timeout })
            }
            Ok(None) => Action::Skip(run, step),
            Err(error) => Action::FailToStart(run, step, error),
        };
        self.actions.push(next);
        BlockStatus::Open
    }

    fn timeout(&self, step: &Step, names: &Names) -> Result<Option<DurationSpec>, ExpressionError> {
        match &step.common.timeout {
            None => Ok(None),
            Some(Timeout::Fixed(span)) => Ok(Some(*span)),
            Some(Timeout::Later(text)) => {
                let rendered = plain(&render(&Value::from(text.as_str()), names, &self.eval.snapshot())?);
                let wrong = |error: DurationError| ExpressionError::new(format!("`timeout`: {error}"), text);
                rendered.parse().map(Some).map_err(wrong)
            }
        }
    }

    /// The literal texts of a task's fields, if its values may come from outside.
    fn literal(&self, step: &Step, scope: &Scope) -> BTreeSet<String> {
        if self.eval.run.restricted { literal::of_task(&self.eval, step, scope) } else { BTreeSet::new() }
    }

    /// A task's fields, rendered except for those that are rendered late.
    fn fields(&self, step: &Step, names: &Names) -> Result<Value, ExpressionError> {
        let mut fields = self.rendered(step, names)?;
        for name in step.task.stringify.iter().filter(|name| step.fields.get(**name).is_some_and(Value::is_string)) {
            if let Some(value @ (Value::Array(_) | Value::Object(_))) = fields.get_mut(*name) {
                *value = Value::String(value.to_string());
            }
        }
        Ok(fields)
    }

    fn rendered(&self, step: &Step, names: &Names) -> Result<Value, ExpressionError> {
        let snapshot = self.eval.snapshot();
        let Some(fields) = step.fields.as_object().filter(|_| !step.task.deferred.is_empty()) else {
            return render(&step.fields, names, &snapshot);
        };
        let one = |(key, value): (&String, &Value)| -> Result<(String, Value), ExpressionError> {
            let is_late = step.task.deferred.contains(&key.as_str());
            let value = if is_late { value.clone() } else { render(value, names, &snapshot)? };
            Ok((key.clone(), value))
        };
        Ok(Value::Object(fields.iter().map(one).collect::<Result<_, ExpressionError>>()?))
    }

    /// Plans the sub-tasks of a task that has decided which of them run.
    fn expanded(
        &mut self,
        run: RunId,
        step: &'a Step,
        task: &TaskRun,
        expansion: &Expansion,
        scope: &Scope,
    ) -> BlockStatus {
        let tasks = expansion.branch.as_ref().map_or(&[][..], |name| step.branch(name));
        let block = Block { tasks, errors: step.branch("errors"), finally: step.branch("finally") };
        let status = if expansion.is_loop() {
            self.iterate(&run, step, task, expansion, block, scope)
        } else {
            self.block(block, &scope.below(&run, expansion.folder.as_ref()), expansion.concurrent)
        };
        if let BlockStatus::Done(outcome) = status {
            let forgiven = outcome == TaskOutcome::Failed && expansion.allow_failure;
            let outcome = if forgiven { TaskOutcome::Warning } else { outcome };
            let next = self.after_sub_tasks(run, step, task, outcome, scope);
            self.actions.push(next);
        }
        BlockStatus::Open
    }

    fn after_sub_tasks(
        &self,
        run: RunId,
        step: &'a Step,
        task: &TaskRun,
        outcome: TaskOutcome,
        scope: &Scope,
    ) -> Action<'a> {
        if outcome == TaskOutcome::Failed || step.task.epilogue.is_none() {
            return Action::Finish(run, step, outcome, self.unmet_condition(task));
        }
        let names = self.eval.of_task(step, scope, task.attempts);
        let folder = task.expansion.as_ref().and_then(|expansion| expansion.folder.clone());
        match self.fields(step, &names) {
            Ok(fields) => {
                let literal = self.literal(step, scope);
                Action::RunEpilogue(Start {
                    run,
                    step,
                    fields,
                    names,
                    attempt: task.attempts,
                    literal,
                    folder,
                    timeout: None,
                })
            }
            Err(error) => Action::Fail(run, step, error),
        }
    }
}
