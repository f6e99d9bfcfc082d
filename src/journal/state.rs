//! The state of an execution, computed from its events by a pure function that rejects illegal transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::event::{Event, ExecutionSpec};
use super::outcome::TaskOutcome;
use super::target::{ExecutionTarget, StartedBy};
use super::task_run::{LoopProgress, TaskRun, TaskState};
use super::work_time::WorkTime;
use crate::execution_state::ExecutionState;
use crate::id::{ExecutionId, RunId};
use crate::task::ErrorClass;
use crate::text::plain;

/// The state of an execution: its events, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What it runs.
    pub created: ExecutionSpec,
    /// Where it stands.
    pub status: ExecutionState,
    /// When it was first started.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// Labels, those that tasks added included.
    pub labels: Map<String, Value>,
    /// The task runs that have begun, except for those of loop iterations that ended well.
    pub tasks: BTreeMap<RunId, TaskRun>,
    /// The flow's outputs, once it has ended well.
    pub outputs: Map<String, Value>,
    /// Rows that its tasks loaded.
    pub rows: u64,
    /// How often the flow's `retry` has retried it since somebody started it.
    pub retries: u32,
    /// When it is retried, while it waits for that.
    pub retry_at: Option<DateTime<Utc>>,
    /// The new execution that retries it.
    pub successor: Option<ExecutionId>,
    /// The state that it ends in, while it is being killed.
    pub ending: Option<ExecutionState>,
    /// The SLAs of the flow that it has violated.
    pub violated: BTreeSet<String>,
    /// Which kind of process it belongs to; none in journals of earlier versions.
    pub started_by: Option<StartedBy>,
    /// What its tasks reach that do not name it themselves; none in journals of earlier versions.
    pub target: Option<ExecutionTarget>,
    /// How often a process has died while it worked on it.
    pub interruptions: u32,
    /// How long processes have worked on it.
    pub(super) work_time: WorkTime,
    /// Whether it was running, paused or retrying before it was queued, so that it continues once it starts.
    pub(super) continues: bool,
    /// How many events there are.
    pub(super) events: u32,
}

/// An event that cannot follow the ones before it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{event}` cannot happen to {what}")]
pub struct IllegalTransition {
    event: &'static str,
    what: String,
}

impl State {
    /// The state after the first event.
    pub fn new(created: ExecutionSpec) -> Self {
        Self {
            labels: created.labels.clone(),
            started_by: created.started_by,
            target: created.target.clone(),
            created,
            status: ExecutionState::Created,
            started: None,
            ended: None,
            tasks: BTreeMap::new(),
            outputs: Map::new(),
            rows: 0,
            retries: 0,
            retry_at: None,
            successor: None,
            ending: None,
            violated: BTreeSet::new(),
            interruptions: 0,
            work_time: WorkTime::default(),
            continues: false,
            events: 1,
        }
    }

    /// How long processes have worked on it, once it has ended.
    pub fn took(&self) -> Option<Duration> {
        self.ended.map(|_| self.worked())
    }

    /// How long processes have worked on it until its end or its latest pause.
    pub fn worked(&self) -> Duration {
        self.work_time.total.to_std().unwrap_or_default()
    }

    /// Applies one more event.
    ///
    /// # Errors
    /// When the event cannot follow the ones before; the state is then unchanged.
    pub fn apply(&mut self, time: DateTime<Utc>, event: &Event) -> Result<(), IllegalTransition> {
        match event {
            Event::Created(_) => return Err(self.illegal("created")),
            Event::Replayed { tasks, .. } => {
                self.when("replayed", &[ExecutionState::Created])?;
                self.tasks = tasks.iter().map(|(run, kept)| (run.clone(), kept.clone().into())).collect();
            }
            Event::Queued => self.queue()?,
            Event::Started => self.start(time)?,
            Event::Adopted { reset } => self.adopt(reset)?,
            Event::Restarted { reset } => self.restart(reset)?,
            Event::Interrupted => {
                self.when("interrupted", &[ExecutionState::Running, ExecutionState::Killing])?.interruptions += 1;
            }
            Event::Moved { started_by, target } => {
                self.started_by = started_by.or(self.started_by);
                self.target = target.clone().or_else(|| self.target.take());
            }
            Event::Labelled { labels } => {
                if !self.status.has_ended() {
                    return Err(self.illegal("labelled"));
                }
                self.labels.clone_from(labels);
            }
            Event::Paused => {
                self.when("paused", &[ExecutionState::Running, ExecutionState::Queued])?.status =
                    ExecutionState::Paused;
            }
            Event::Retrying { at, successor } => {
                self.running("retrying")?.status = ExecutionState::Retrying;
                self.retry_at = Some(*at);
                self.successor.clone_from(successor);
            }
            Event::Violated { sla, labels } => {
                self.alive("violated")?.violated.insert(sla.clone());
                self.labels.extend(labels.clone());
            }
            Event::Killing { state } => {
                self.alive("killing")?.status = ExecutionState::Killing;
                self.ending = Some(*state);
            }
            Event::Ended { state, outputs } => {
                self.end(time, *state)?;
                self.outputs.clone_from(outputs);
            }
            of_a_task => self.apply_to_task(time, of_a_task)?,
        }
        self.work_time.follow(time, event, self.status);
        self.events += 1;
        Ok(())
    }

    fn apply_to_task(&mut self, time: DateTime<Utc>, event: &Event) -> Result<(), IllegalTransition> {
        match event {
            Event::TaskStarted { run, attempt } => self.start_task(time, run, *attempt)?,
            Event::TaskExpanded { run, expansion } => {
                self.running_task("task_expanded", run)?.expansion = Some(expansion.clone());
            }
            Event::IterationEnded { run, index, outcome, outputs, condition_met } => {
                self.end_iteration(time, run, *index, *outcome)?;
                if let Some(task) = self.tasks.get_mut(run) {
                    task.progress.condition_met |= condition_met;
                    task.progress.isolated_outputs.extend(outputs.clone().map(|outputs| (*index, outputs)));
                }
            }
            Event::TaskPaused { run, until, behavior } => {
                self.running_task("task_paused", run)?.state = TaskState::Paused { until: *until, behavior: *behavior };
            }
            Event::TaskSucceeded { run, outputs, labels, warning } => {
                let state = if *warning { TaskState::Warning } else { TaskState::Success };
                let task = self.end_task("task_succeeded", time, run, state)?;
                task.outputs = outputs.clone();
                task.error = None;
                task.order_outputs();
                self.rows += outputs.get("rows_loaded").and_then(Value::as_u64).unwrap_or(0);
                self.labels.extend(labels.clone());
            }
            Event::TaskFailed { run, error, retry_at } => {
                let last = if error.class == ErrorClass::Cancelled { TaskState::Killed } else { TaskState::Failed };
                let state = retry_at.map_or(last, |at| TaskState::Retrying { at });
                self.end_task("task_failed", time, run, state)?.error = Some(error.clone());
            }
            Event::TaskSkipped { run } => self.skip_task(time, run)?,
            _ => return Err(self.illegal("an event of its own")),
        }
        Ok(())
    }

    /// An execution starts when it is new, and again when it did not end well. (In journals of the first version also when its
    /// process died.) Tasks that had not ended well start again; those with sub-tasks continue from these.
    fn start(&mut self, time: DateTime<Utc>) -> Result<(), IllegalTransition> {
        if self.status.is_done() {
            return Err(self.illegal("started"));
        }
        self.status = ExecutionState::Running;
        self.started.get_or_insert(time);
        (self.ended, self.retry_at, self.ending) = (None, None, None);
        if std::mem::take(&mut self.continues) {
            self.reopen_interrupted();
            return Ok(());
        }
        for task in self.tasks.values_mut().filter(|task| !task.state.is_done()) {
            // A loop that waited in vain waits anew.
            let is_exhausted = task.state == TaskState::Failed
                && task.expansion.as_ref().is_some_and(|expansion| expansion.until.is_some());
            task.state = if task.expansion.is_some() { TaskState::Running } else { TaskState::Created };
            if is_exhausted && task.progress.failed.is_empty() {
                task.progress = LoopProgress::default();
            }
            task.progress.reopen();
        }
        Ok(())
    }

    /// Any execution that is not done may be queued: a new one, one whose process has died, one that is resumed or restarted.
    fn queue(&mut self) -> Result<(), IllegalTransition> {
        if self.status.is_done() || self.status == ExecutionState::Queued {
            return Err(self.illegal("queued"));
        }
        self.continues |=
            matches!(self.status, ExecutionState::Running | ExecutionState::Paused | ExecutionState::Retrying);
        self.status = ExecutionState::Queued;
        self.ended = None;
        Ok(())
    }

    /// Another process continues: only attempts that were running are lost.
    fn adopt(&mut self, reset: &[RunId]) -> Result<(), IllegalTransition> {
        self.running("taken_up")?;
        self.reset_task(reset);
        self.reopen_interrupted();
        Ok(())
    }

    fn reopen_interrupted(&mut self) {
        let interrupted = |task: &&mut TaskRun| task.state == TaskState::Running && task.expansion.is_none();
        self.tasks.values_mut().filter(interrupted).for_each(|task| task.state = TaskState::Created);
    }

    fn restart(&mut self, reset: &[RunId]) -> Result<(), IllegalTransition> {
        if self.status != ExecutionState::Retrying && !self.status.is_restartable() {
            return Err(self.illegal("restarted"));
        }
        self.retries = if self.status == ExecutionState::Retrying { self.retries + 1 } else { 0 };
        self.status = ExecutionState::Restarted;
        (self.ended, self.retry_at, self.ending) = (None, None, None);
        self.continues = false;
        self.violated.clear();
        self.reset_task(reset);
        Ok(())
    }

    fn reset_task(&mut self, runs: &[RunId]) {
        for run in runs {
            self.tasks.remove(run);
        }
    }

    fn start_task(&mut self, time: DateTime<Utc>, run: &RunId, attempt: u32) -> Result<(), IllegalTransition> {
        let task = self.running("task_started")?.tasks.entry(run.clone()).or_insert_with(TaskRun::new);
        let waiting = matches!(task.state, TaskState::Created | TaskState::Retrying { .. });
        if !waiting || attempt != task.attempts + 1 {
            return Err(IllegalTransition { event: "task_started", what: format!("task `{run}`") });
        }
        task.state = TaskState::Running;
        task.attempts = attempt;
        task.since.get_or_insert(time);
        task.started = Some(time);
        task.ended = None;
        Ok(())
    }

    /// The task runs of an iteration that ended well are dropped, and their outputs go to the loop: memory depends on how many
    /// iterations are running, not on how many there are.
    fn end_iteration(
        &mut self,
        time: DateTime<Utc>,
        run: &RunId,
        index: u32,
        outcome: TaskOutcome,
    ) -> Result<(), IllegalTransition> {
        let task = self.running_task("iteration_ended", run)?;
        let Some(expansion) = task.expansion.as_ref().filter(|expansion| expansion.has_iteration(index)) else {
            return Err(IllegalTransition { event: "iteration_ended", what: format!("task `{run}`") });
        };
        let (value, is_isolated) = (expansion.value(index).map(plain), expansion.isolated);
        let continue_on_failure = expansion.continue_on_failure;
        task.progress.end(index, time);
        task.progress.warning |=
            outcome == TaskOutcome::Warning || (continue_on_failure && outcome == TaskOutcome::Failed);
        if outcome == TaskOutcome::Failed && !continue_on_failure {
            task.progress.failed.insert(index);
            return Ok(());
        }
        let prefix = run.iteration(index);
        let begins = |id: &RunId| id.as_str().starts_with(&prefix);
        let inside = self.tasks.range(RunId::new(prefix.clone())..).take_while(|(id, _)| begins(id));
        let inside: Vec<RunId> = inside.map(|(id, _)| id.clone()).collect();
        let ended: Vec<(RunId, TaskRun)> =
            inside.into_iter().filter_map(|id| self.tasks.remove(&id).map(|task| (id, task))).collect();
        let Some(task) = self.tasks.get_mut(run).filter(|_| !is_isolated) else { return Ok(()) };
        for (id, inner) in ended {
            let own = (!inner.outputs.is_empty()).then(|| (id.task().to_owned(), Value::Object(inner.outputs)));
            // What the tasks of a loop within gave lies there by the values of that loop.
            for (name, outputs) in own.into_iter().chain(inner.progress.outputs) {
                task.progress.keep(name, value.as_deref(), outputs);
            }
        }
        Ok(())
    }

    fn end_task(
        &mut self,
        event: &'static str,
        time: DateTime<Utc>,
        run: &RunId,
        state: TaskState,
    ) -> Result<&mut TaskRun, IllegalTransition> {
        let is_paused = self.tasks.get(run).is_some_and(|task| matches!(task.state, TaskState::Paused { .. }));
        if is_paused && self.status == ExecutionState::Paused {
            // The end of a pause makes the execution run again.
            self.status = ExecutionState::Running;
        }
        let is_open = |task: &&mut TaskRun| is_paused || task.state == TaskState::Running;
        let execution = self.when(event, &[ExecutionState::Running, ExecutionState::Killing])?;
        let task = execution.tasks.get_mut(run).filter(is_open);
        let task = task.ok_or_else(|| IllegalTransition { event, what: format!("task `{run}`") })?;
        task.state = state;
        task.ended = Some(time);
        Ok(task)
    }

    fn skip_task(&mut self, time: DateTime<Utc>, run: &RunId) -> Result<(), IllegalTransition> {
        let task = self.running("task_skipped")?.tasks.entry(run.clone()).or_insert_with(TaskRun::new);
        if task.state != TaskState::Created {
            return Err(IllegalTransition { event: "task_skipped", what: format!("task `{run}`") });
        }
        task.state = TaskState::Skipped;
        task.ended = Some(time);
        Ok(())
    }

    fn end(&mut self, time: DateTime<Utc>, state: ExecutionState) -> Result<(), IllegalTransition> {
        let has_not_started = matches!(self.status, ExecutionState::Created | ExecutionState::Queued);
        if self.status.has_ended() || !state.has_ended() || (has_not_started && state.is_done()) {
            return Err(self.illegal("ended"));
        }
        self.status = state;
        self.ended = Some(time);
        (self.ending, self.retry_at) = (None, None);
        Ok(())
    }

    fn when(&mut self, event: &'static str, states: &[ExecutionState]) -> Result<&mut Self, IllegalTransition> {
        if states.contains(&self.status) { Ok(self) } else { Err(self.illegal(event)) }
    }

    fn running(&mut self, event: &'static str) -> Result<&mut Self, IllegalTransition> {
        self.when(event, &[ExecutionState::Running])
    }

    fn alive(&mut self, event: &'static str) -> Result<&mut Self, IllegalTransition> {
        if self.status.has_ended() { Err(self.illegal(event)) } else { Ok(self) }
    }

    /// A running task run, also while the execution is being killed.
    fn running_task(&mut self, event: &'static str, run: &RunId) -> Result<&mut TaskRun, IllegalTransition> {
        let execution = self.when(event, &[ExecutionState::Running, ExecutionState::Killing])?;
        let task = execution.tasks.get_mut(run).filter(|task| task.state == TaskState::Running);
        task.ok_or_else(|| IllegalTransition { event, what: format!("task `{run}`") })
    }

    fn illegal(&self, event: &'static str) -> IllegalTransition {
        IllegalTransition { event, what: format!("an execution that is {}", self.status) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::TaskFailure;
    use super::*;
    use crate::task::{Expansion, Outputs};

    fn created() -> ExecutionSpec {
        ExecutionSpec { flow: "f".into(), namespace: "n".into(), file: "f.yaml".into(), ..ExecutionSpec::default() }
    }

    fn after(events: &[Event]) -> Result<State, IllegalTransition> {
        let mut state = State::new(created());
        for event in events {
            state.apply(DateTime::UNIX_EPOCH, event)?;
        }
        Ok(state)
    }

    fn started(attempt: u32) -> Event {
        Event::TaskStarted { run: RunId::new("t"), attempt }
    }

    fn succeeded() -> Event {
        Event::TaskSucceeded { run: RunId::new("t"), outputs: Outputs::new(), labels: Map::new(), warning: false }
    }

    #[test]
    fn an_interrupted_attempt_counts_and_its_task_starts_again() {
        let state = after(&[Event::Started, started(1), Event::Started]).unwrap();
        assert_eq!(state.tasks[&RunId::new("t")].state, TaskState::Created);
        assert_eq!(state.tasks[&RunId::new("t")].attempts, 1);
        assert!(after(&[Event::Started, started(1), Event::Started, started(2), succeeded()]).is_ok());
    }

    fn looped(events: &[Event]) -> State {
        let values = vec!["a".into(), "b".into(), "c".into()];
        let expansion = Expansion::of("tasks").each(values);
        let mut all = vec![Event::Started, started(1), Event::TaskExpanded { run: RunId::new("t"), expansion }];
        all.extend_from_slice(events);
        after(&all).unwrap()
    }

    fn child(index: u32, outcome: TaskOutcome) -> Vec<Event> {
        let run = RunId::new(format!("t[{index}].c"));
        let outputs = Map::from_iter([("x".to_owned(), index.into())]);
        vec![
            Event::TaskStarted { run: run.clone(), attempt: 1 },
            Event::TaskSucceeded { run, outputs, labels: Map::new(), warning: false },
            Event::IterationEnded { run: RunId::new("t"), index, outcome, outputs: None, condition_met: false },
        ]
    }

    #[test]
    fn an_iteration_that_ended_well_leaves_its_outputs_alone() {
        let state = looped(&[child(1, TaskOutcome::Success), child(0, TaskOutcome::Warning)].concat());
        let task = &state.tasks[&RunId::new("t")];
        assert_eq!(state.tasks.len(), 1);
        assert_eq!((task.progress.next, task.progress.warning), (2, true));
        assert_eq!(task.progress.outputs["c"]["b"]["x"], 1);
    }

    #[test]
    fn only_failed_iterations_run_again() {
        let ended = Event::Ended { state: ExecutionState::Failed, outputs: Map::new() };
        let all = [
            child(0, TaskOutcome::Success),
            child(1, TaskOutcome::Failed),
            child(2, TaskOutcome::Success),
            vec![ended, Event::Started],
        ];
        let state = looped(&all.concat());
        let progress = &state.tasks[&RunId::new("t")].progress;
        let open: Vec<u32> = (0..3).filter(|index| !progress.has_ended(*index)).collect();
        assert_eq!(open, [1]);
        assert!(state.tasks.contains_key(&RunId::new("t[1].c")), "the runs of a failed iteration are kept");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let done = Event::Ended { state: ExecutionState::Success, outputs: Map::new() };
        let impossible: &[&[Event]] = &[
            &[started(1)],
            &[Event::Started, succeeded()],
            &[Event::Started, started(2)],
            &[Event::Started, started(1), started(2)],
            &[Event::Started, started(1), succeeded(), succeeded()],
            &[Event::Started, done.clone(), Event::Started],
            &[Event::Started, Event::Ended { state: ExecutionState::Running, outputs: Map::new() }],
            &[Event::Queued, Event::Queued],
            &[Event::Queued, done.clone()],
            &[Event::Paused],
            &[Event::Started, done.clone(), Event::Queued],
            &[Event::Created(created())],
        ];
        for events in impossible {
            assert!(after(events).is_err(), "{events:?} was accepted");
        }
    }

    #[test]
    fn a_failed_execution_resumes_from_the_failed_task() {
        let failure = TaskFailure { class: ErrorClass::Permanent, message: "no".into(), help: None, code: None };
        let failed = Event::TaskFailed { run: RunId::new("t"), error: failure, retry_at: None };
        let ended = Event::Ended { state: ExecutionState::Failed, outputs: Map::new() };
        let state = after(&[Event::Started, started(1), failed, ended, Event::Started]).unwrap();
        assert_eq!(state.status, ExecutionState::Running);
        assert_eq!(state.tasks[&RunId::new("t")].state, TaskState::Created);
        assert_eq!(state.ended, None);
    }
}
