//! The iterations of loops: those over values, and those that wait for a condition.

use chrono::Duration;
use serde_json::{Map, Value};

use crate::engine::plan::{Action, Block, BlockStatus, MAX_CONCURRENT, Planner};
use crate::engine::scope::Scope;
use crate::flow::expression::{ExpressionError, evaluate_condition, render};
use crate::flow::{FlowOutput, Step};
use crate::id::RunId;
use crate::journal::{TaskOutcome, TaskRun};
use crate::task::{Expansion, LoopCondition, read};
use crate::text::count;

impl<'a> Planner<'_, 'a> {
    /// A loop: its iterations, then what runs after them. A loop that keeps its tasks to itself has `errors` for each
    /// iteration, any other for the whole.
    pub(super) fn iterate(
        &mut self,
        run: &RunId,
        step: &'a Step,
        task: &TaskRun,
        expansion: &Expansion,
        block: Block<'a>,
        scope: &Scope,
    ) -> BlockStatus {
        let errors = if expansion.isolated { block.errors } else { &[] };
        let inner = Block { errors, finally: &[], ..block };
        let status = match &expansion.until {
            Some(until) => self.until(run, step, task, expansion, until, inner, scope),
            None => self.iterations(run, step, task, expansion, inner, scope),
        };
        let errors = if expansion.isolated { &[] } else { block.errors };
        match status {
            BlockStatus::Open => BlockStatus::Open,
            BlockStatus::Done(outcome) => self.handlers(outcome, Block { errors, ..block }, scope),
        }
    }

    /// Once an iteration has failed no other begins, unless the loop continues on failure; those that have begun run to their
    /// end.
    fn iterations(
        &mut self,
        run: &RunId,
        step: &'a Step,
        task: &TaskRun,
        expansion: &Expansion,
        block: Block<'a>,
        scope: &Scope,
    ) -> BlockStatus {
        let limit = if expansion.concurrent == 0 { MAX_CONCURRENT } else { expansion.concurrent as usize };
        let (progress, mut open) = (&task.progress, 0);
        let count = expansion.values.as_ref().map_or(0, |values| u32::try_from(values.len()).unwrap_or(u32::MAX));
        for index in (progress.next..count).filter(|index| !progress.has_ended(*index)) {
            if open >= limit {
                break;
            }
            let inside = scope.enter(run, expansion, index);
            let has_begun = || block.tasks.iter().any(|step| self.has_begun(step, &inside));
            if !progress.failed.is_empty() && !has_begun() {
                break;
            }
            open += 1;
            if let BlockStatus::Done(outcome) = self.block(block, &inside, expansion.concurrent_within) {
                self.end_iteration(run, step, expansion, index, outcome, &inside);
            }
        }
        match (open, progress.failed.is_empty(), progress.warning) {
            (1.., _, _) => BlockStatus::Open,
            (_, false, _) => BlockStatus::Done(TaskOutcome::Failed),
            (_, _, true) => BlockStatus::Done(TaskOutcome::Warning),
            _ => BlockStatus::Done(TaskOutcome::Success),
        }
    }

    fn end_iteration(
        &mut self,
        run: &RunId,
        step: &'a Step,
        expansion: &Expansion,
        index: u32,
        outcome: TaskOutcome,
        inside: &Scope,
    ) {
        let has_outputs = expansion.isolated && outcome != TaskOutcome::Failed;
        let outputs = if has_outputs { self.iteration_outputs(step, inside) } else { Ok(None) };
        self.actions.push(match outputs {
            Ok(outputs) => Action::Iteration { run: run.clone(), index, outcome, outputs, condition_met: false },
            Err(error) => Action::Fail(run.clone(), step, error),
        });
    }

    /// The outputs of an iteration: the loop's `outputs`, rendered.
    fn iteration_outputs(&self, step: &Step, inside: &Scope) -> Result<Option<Map<String, Value>>, ExpressionError> {
        let Some(Value::Array(outputs)) = step.fields.get("outputs") else { return Ok(None) };
        let names = self.eval.of_task(step, inside, 1);
        let mut rendered = Map::new();
        for output in outputs.iter().filter_map(|output| read::<FlowOutput>(output).ok()) {
            let value = render(&output.value, &names, &self.eval.snapshot())?;
            let typed = output.typed(value);
            let culprit = output.value.as_str().unwrap_or(&output.id);
            let typed = typed.map_err(|message| ExpressionError::new(message, culprit))?;
            rendered.insert(output.id, typed);
        }
        Ok(Some(rendered))
    }

    /// One iteration after another until the condition holds, or the bounds are reached.
    #[expect(clippy::too_many_arguments, reason = "all of it is what the loop is at this moment")]
    fn until(
        &mut self,
        run: &RunId,
        step: &'a Step,
        task: &TaskRun,
        expansion: &Expansion,
        until: &LoopCondition,
        block: Block<'a>,
        scope: &Scope,
    ) -> BlockStatus {
        let progress = &task.progress;
        let warned = if progress.warning { TaskOutcome::Warning } else { TaskOutcome::Success };
        if !progress.failed.is_empty() {
            return BlockStatus::Done(TaskOutcome::Failed);
        }
        if progress.condition_met {
            return BlockStatus::Done(warned);
        }
        if let Some(latest) = progress.latest {
            let due = latest + seconds(until.interval);
            if is_exhausted(until, task) {
                return BlockStatus::Done(if until.fail_on_max { TaskOutcome::Failed } else { warned });
            }
            if due > self.eval.now {
                return self.wait(due);
            }
        }
        let inside = scope.enter(run, expansion, progress.next);
        let BlockStatus::Done(outcome) = self.block(block, &inside, 1) else { return BlockStatus::Open };
        let names = self.eval.of_task(step, &inside, task.attempts);
        let condition = step.fields.get("condition").unwrap_or(&Value::Null);
        let met = if outcome == TaskOutcome::Failed {
            Ok(false)
        } else {
            evaluate_condition(condition, &names, &self.eval.snapshot())
        };
        self.actions.push(match met {
            Ok(condition_met) => {
                Action::Iteration { run: run.clone(), index: progress.next, outcome, outputs: None, condition_met }
            }
            Err(error) => Action::Fail(run.clone(), step, error),
        });
        BlockStatus::Open
    }

    /// Why a loop that waits for a condition failed, if that was not met.
    pub(super) fn unmet_condition(&self, task: &TaskRun) -> Option<String> {
        let until = task.expansion.as_ref()?.until.as_ref()?;
        let unmet_condition = task.progress.failed.is_empty() && !task.progress.condition_met && until.fail_on_max;
        unmet_condition.then(|| {
            format!("the condition still did not hold after {}", count(u64::from(task.progress.next), "iteration"))
        })
    }
}

/// Whether the bounds of the loop allow no further iteration.
fn is_exhausted(until: &LoopCondition, task: &TaskRun) -> bool {
    let too_many = until.max_iterations.is_some_and(|max| task.progress.next >= max);
    let (Some(longest), Some(latest), Some(since)) = (until.max_duration, task.progress.latest, task.started) else {
        return too_many;
    };
    too_many || latest + seconds(until.interval) > since + seconds(longest)
}

fn seconds(seconds: f64) -> Duration {
    let micros = (seconds.clamp(0.0, 3.0e9) * 1e6).round();
    Duration::microseconds(micros as i64)
}
