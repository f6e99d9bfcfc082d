//! The plan of an execution as a whole: its tasks, what runs after them, SLAs, outputs, retries.

use chrono::Duration;
use serde_json::{Map, Value};

use crate::engine::plan::{Action, Block, BlockStatus, Ending, Planner};
use crate::engine::retry;
use crate::engine::scope::Scope;
use crate::flow::expression::{evaluate_condition, render};
use crate::flow::{RetryBehavior, RetrySpec, Sla, SlaKind};
use crate::journal::{ExecutionState, TaskOutcome, TaskRun, TaskState};
use crate::task::ErrorClass;
use crate::text::plain;

impl<'a> Planner<'_, 'a> {
    /// The whole execution.
    pub(super) fn execution(&mut self) {
        if self.check_durations() {
            return;
        }
        let (flow, top) = (self.eval.flow, Scope::default());
        let BlockStatus::Done(outcome) = self.list(&flow.steps, &top, 1) else { return self.pause_if_idle() };
        let retry = if outcome == TaskOutcome::Failed { self.retry() } else { None };
        if let Some(retry) = retry.filter(|retry| retry.behavior == RetryBehavior::RetryFailedTask) {
            return self.actions.push(Action::Retry(retry));
        }
        let block = Block { tasks: &flow.steps, errors: &flow.errors, finally: &flow.finally };
        match self.handlers(outcome, block, &top) {
            BlockStatus::Open => self.pause_if_idle(),
            BlockStatus::Done(outcome) => self.end(outcome, retry),
        }
    }

    /// Checks the SLAs about durations; whether one is violated now.
    fn check_durations(&mut self) -> bool {
        let (state, now) = (self.eval.state, self.eval.now);
        let Some(started) = state.started else { return false };
        for sla in self.eval.flow.sla.iter().filter(|sla| !state.violated.contains(&sla.id)) {
            let Some(longest) = sla.duration.filter(|_| sla.kind == SlaKind::MaxDuration) else { continue };
            let at = started + Duration::from_std(longest.0).unwrap_or(Duration::MAX);
            if at <= now {
                self.actions.push(Action::ViolateSla(sla, format!("it ran longer than {longest}")));
                return true;
            }
            self.wait(at);
        }
        false
    }

    /// When only pauses are open, the execution is paused.
    fn pause_if_idle(&mut self) {
        let state = self.eval.state;
        let waits_alone = self.running == 0 && self.actions.iter().all(|next| matches!(next, Action::Wait(_)));
        let retries = state.tasks.values().any(|task| matches!(task.state, TaskState::Retrying { .. }));
        let is_paused = state.paused().next().is_some();
        if state.status == ExecutionState::Running && waits_alone && is_paused && !retries && !self.waits_in_loop() {
            self.actions.push(Action::Pause);
        }
    }

    /// Whether a loop waits for its next iteration.
    fn waits_in_loop(&self) -> bool {
        let waiting = |task: &TaskRun| {
            let is_waiting = task.expansion.as_ref().is_some_and(|expansion| expansion.until.is_some());
            task.state == TaskState::Running && is_waiting
        };
        self.eval.state.tasks.iter().any(|(run, task)| {
            let inside = run.iteration(task.progress.next);
            waiting(task) && !self.eval.state.tasks.keys().any(|other| other.as_str().starts_with(&inside))
        })
    }

    /// All tasks have ended, and so have those for errors and those that run in any case.
    fn end(&mut self, outcome: TaskOutcome, retry: Option<&'a RetrySpec>) {
        let mut ending = Ending { state: outcome.into(), outputs: Map::new(), problem: None };
        // One task alone gives nothing of the flow.
        if outcome != TaskOutcome::Failed && self.eval.state.created.only.is_none() {
            if let Some((sla, why)) = self.violated_assertion() {
                return self.actions.push(Action::ViolateSla(sla, why));
            }
            match self.outputs() {
                Ok(outputs) => ending.outputs = outputs,
                Err(problem) => (ending.state, ending.problem) = (ExecutionState::Failed, Some(problem)),
            }
            let warns = self.eval.flow.retry.as_ref().is_some_and(|retry| retry.warning_on_retry);
            let is_repeated = self.eval.state.retries > 0 || self.eval.state.created.attempt > 1;
            if ending.state == ExecutionState::Success && warns && is_repeated {
                ending.state = ExecutionState::Warning;
            }
        }
        self.eval.end = Some(if retry.is_some() { ExecutionState::Retried } else { ending.state });
        if self.list(&self.eval.flow.after, &Scope::default(), 1) != BlockStatus::Open {
            self.actions.push(retry.map_or(Action::End(ending), Action::Retry));
        }
    }

    fn violated_assertion(&self) -> Option<(&'a Sla, String)> {
        let open = self.eval.flow.sla.iter().filter(|sla| !self.eval.state.violated.contains(&sla.id));
        let names = self.eval.of_flow();
        open.filter(|sla| sla.kind == SlaKind::ExecutionAssertion).find_map(|sla| {
            let condition = sla.assertion.as_ref()?;
            match evaluate_condition(condition, &names, &self.eval.snapshot()) {
                Ok(true) => None,
                Ok(false) => Some((sla, format!("`{}` does not hold", plain(condition)))),
                Err(error) => Some((sla, error.message)),
            }
        })
    }

    /// The flow's outputs, rendered.
    fn outputs(&self) -> Result<Map<String, Value>, String> {
        let flow = self.eval.flow;
        if flow.outputs.is_empty() {
            return Ok(Map::new());
        }
        let names = self.eval.of_flow();
        let mut outputs = Map::new();
        for output in &flow.outputs {
            let value = match render(&output.value, &names, &self.eval.snapshot()) {
                Ok(value) => value,
                Err(_) if !output.required => continue,
                Err(error) => return Err(format!("output `{}`: {}", output.id, error.message)),
            };
            if value.is_null() && !output.required {
                continue;
            }
            outputs.insert(output.id.clone(), output.typed(value)?);
        }
        Ok(outputs)
    }

    /// How the execution is retried after a failure, if it is: as a failed task says, or else the flow. One task alone is not.
    fn retry(&self) -> Option<&'a RetrySpec> {
        let (state, flow) = (self.eval.state, self.eval.flow);
        if state.created.only.is_some() {
            return None;
        }
        let is_failed = |task: &TaskRun| task.state == TaskState::Failed;
        let failed: Vec<_> = state.tasks.iter().filter(|(_, task)| is_failed(task)).collect();
        let passing = failed
            .iter()
            .filter(|(_, task)| task.error.as_ref().is_some_and(|error| error.class == ErrorClass::Transient));
        let names: Vec<&str> = passing.map(|(run, _)| run.task()).collect();
        if names.is_empty() {
            return None;
        }
        let own = flow.all_steps().into_iter().filter(|step| names.contains(&step.id.as_str()));
        let own = own.filter_map(|step| step.common.retry.as_ref());
        let as_new = own.filter(|retry| retry.behavior == RetryBehavior::CreateNewExecution);
        as_new.chain(&flow.retry).find(|retry| {
            let tries = match retry.behavior {
                RetryBehavior::CreateNewExecution => state.created.attempt,
                RetryBehavior::RetryFailedTask => state.retries + 1,
            };
            let first = state.started.unwrap_or(self.eval.now);
            retry::next_attempt(Some(retry), ErrorClass::Transient, tries, first, self.eval.now, 0.0).is_some()
        })
    }
}
