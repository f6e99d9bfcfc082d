//! What the events of an execution add up to: a pure function, which refuses what cannot be.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::event::{Created, Event, ExecutionState, Failure, Outcome};
use crate::id::RunId;
use crate::task::{Expansion, Outputs};
use crate::text::plain;

/// Where a task run stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum TaskState {
    /// To be started.
    Created,
    /// An attempt or sub-tasks are under way, or their process died.
    Running,
    /// Waits for its next attempt.
    Retrying {
        /// When that is.
        at: DateTime<Utc>,
    },
    /// Ended well.
    Success,
    /// Ended well, but for something that may fail.
    Warning,
    /// Not run, by its condition.
    Skipped,
    /// Its last attempt failed.
    Failed,
}

impl TaskState {
    /// The state as users see it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Retrying { .. } => "RETRYING",
            Self::Success => "SUCCESS",
            Self::Warning => "WARNING",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
        }
    }

    fn is_done(&self) -> bool {
        matches!(self, Self::Success | Self::Warning | Self::Skipped)
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One run of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskRun {
    /// Where it stands.
    #[serde(flatten)]
    pub state: TaskState,
    /// Attempts so far.
    pub attempts: u32,
    /// When its first attempt began.
    pub since: Option<DateTime<Utc>>,
    /// When its latest attempt began.
    pub started: Option<DateTime<Utc>>,
    /// When its latest attempt ended.
    pub ended: Option<DateTime<Utc>>,
    /// What it gave; empty unless it succeeded.
    pub outputs: Outputs,
    /// Why its latest attempt failed.
    pub error: Option<Failure>,
    /// Which sub-tasks it runs, once it has decided.
    #[serde(skip)]
    pub expansion: Option<Expansion>,
    /// How far its loop has come.
    #[serde(skip)]
    pub progress: Loop,
}

/// The iterations of a loop that have ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loop {
    /// All iterations below this one have ended.
    pub next: u32,
    /// Those from `next` on that have ended.
    pub ended: BTreeSet<u32>,
    /// Those that failed; their task runs are kept.
    pub failed: BTreeSet<u32>,
    /// Whether one ended with a warning.
    pub warning: bool,
    /// The outputs of the sub-tasks: by task, then by the iteration's value.
    pub outputs: Map<String, Value>,
}

impl Loop {
    /// Whether an iteration is over.
    pub fn has_ended(&self, index: u32) -> bool {
        index < self.next || self.ended.contains(&index)
    }

    fn end(&mut self, index: u32) {
        self.ended.insert(index);
        while self.ended.remove(&self.next) {
            self.next += 1;
        }
    }

    /// Failed iterations run again.
    fn reopen(&mut self) {
        let Some(first) = self.failed.first().copied() else { return };
        self.ended.extend(first..self.next);
        self.next = self.next.min(first);
        for index in std::mem::take(&mut self.failed) {
            self.ended.remove(&index);
        }
    }
}

/// All that is known about an execution: its events, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What it runs.
    pub created: Created,
    /// Where it stands.
    pub status: ExecutionState,
    /// When it was first taken up.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// Labels, those that tasks added included.
    pub labels: Map<String, Value>,
    /// The task runs that have begun, but for those of loop iterations that ended well.
    pub tasks: BTreeMap<RunId, TaskRun>,
    /// Rows that its tasks loaded.
    pub rows: u64,
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
    pub fn new(created: Created) -> Self {
        let labels = created.labels.clone();
        let status = ExecutionState::Created;
        Self { created, status, started: None, ended: None, labels, tasks: BTreeMap::new(), rows: 0, events: 1 }
    }

    /// Sums up one more event.
    ///
    /// # Errors
    /// When the event cannot follow the ones before; the state is then unchanged.
    pub fn apply(&mut self, time: DateTime<Utc>, event: &Event) -> Result<(), IllegalTransition> {
        match event {
            Event::Created(_) => return Err(self.refuse("created")),
            Event::Started => self.start(time)?,
            Event::TaskStarted { run, attempt } => self.start_task(time, run, *attempt)?,
            Event::TaskExpanded { run, expansion } => {
                self.running_task("task_expanded", run)?.expansion = Some(expansion.clone());
            }
            Event::IterationEnded { run, index, outcome } => self.end_iteration(run, *index, *outcome)?,
            Event::TaskSucceeded { run, outputs, labels, warning } => {
                let state = if *warning { TaskState::Warning } else { TaskState::Success };
                let task = self.end_task("task_succeeded", time, run, state)?;
                task.outputs = outputs.clone();
                task.error = None;
                self.rows += outputs.get("rows_loaded").and_then(Value::as_u64).unwrap_or(0);
                self.labels.extend(labels.clone());
            }
            Event::TaskFailed { run, error, retry_at } => {
                let state = retry_at.map_or(TaskState::Failed, |at| TaskState::Retrying { at });
                self.end_task("task_failed", time, run, state)?.error = Some(error.clone());
            }
            Event::TaskSkipped { run } => self.skip_task(time, run)?,
            Event::Queued => self.queue()?,
            Event::Paused => self.pause()?,
            Event::Ended { state } => self.end(time, *state)?,
        }
        self.events += 1;
        Ok(())
    }

    /// An execution is taken up when it is new, when its process died, or when it failed or was stopped. Tasks that
    /// had not ended well start again; those with sub-tasks go on from these.
    fn start(&mut self, time: DateTime<Utc>) -> Result<(), IllegalTransition> {
        if self.status.is_done() {
            return Err(self.refuse("started"));
        }
        self.status = ExecutionState::Running;
        self.started.get_or_insert(time);
        self.ended = None;
        for task in self.tasks.values_mut().filter(|task| !task.state.is_done()) {
            task.state = if task.expansion.is_some() { TaskState::Running } else { TaskState::Created };
            task.progress.reopen();
        }
        Ok(())
    }

    /// What is not done may wait for its turn: a new execution, one whose process has gone, one that is taken up again.
    fn queue(&mut self) -> Result<(), IllegalTransition> {
        if self.status.is_done() || self.status == ExecutionState::Queued {
            return Err(self.refuse("queued"));
        }
        self.status = ExecutionState::Queued;
        self.ended = None;
        Ok(())
    }

    fn pause(&mut self) -> Result<(), IllegalTransition> {
        if !matches!(self.status, ExecutionState::Running | ExecutionState::Queued) {
            return Err(self.refuse("paused"));
        }
        self.status = ExecutionState::Paused;
        Ok(())
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

    /// The task runs of an iteration that ended well are dropped, and their outputs go to the loop: memory depends on
    /// how many iterations are under way, not on how many there are.
    fn end_iteration(&mut self, run: &RunId, index: u32, outcome: Outcome) -> Result<(), IllegalTransition> {
        let task = self.running_task("iteration_ended", run)?;
        let values = task.expansion.as_ref().and_then(|expansion| expansion.values.as_ref());
        let Some(value) = values.and_then(|values| values.get(index as usize)) else {
            return Err(IllegalTransition { event: "iteration_ended", what: format!("task `{run}`") });
        };
        let value = plain(value);
        task.progress.end(index);
        task.progress.warning |= outcome == Outcome::Warning;
        if outcome == Outcome::Failed {
            task.progress.failed.insert(index);
            return Ok(());
        }
        let prefix = run.iteration(index);
        let begins = |id: &RunId| id.as_str().starts_with(&prefix);
        let inside = self.tasks.range(RunId::new(prefix.clone())..).take_while(|(id, _)| begins(id));
        let inside: Vec<RunId> = inside.map(|(id, _)| id.clone()).collect();
        let ended: Vec<(RunId, Outputs)> =
            inside.into_iter().filter_map(|id| self.tasks.remove(&id).map(|task| (id, task.outputs))).collect();
        if let Some(task) = self.tasks.get_mut(run) {
            for (id, outputs) in ended.into_iter().filter(|(_, outputs)| !outputs.is_empty()) {
                let child = task.progress.outputs.entry(id.task().to_owned()).or_insert_with(|| Map::new().into());
                if let Some(by_value) = child.as_object_mut() {
                    by_value.insert(value.clone(), Value::Object(outputs));
                }
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
        let task = self.running_task(event, run)?;
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
        let is_bad = !state.is_done();
        let may_end = self.status == ExecutionState::Running || (is_bad && !self.status.has_ended());
        if !may_end || !state.has_ended() {
            return Err(self.refuse("ended"));
        }
        self.status = state;
        self.ended = Some(time);
        Ok(())
    }

    fn running(&mut self, event: &'static str) -> Result<&mut Self, IllegalTransition> {
        if self.status == ExecutionState::Running { Ok(self) } else { Err(self.refuse(event)) }
    }

    fn running_task(&mut self, event: &'static str, run: &RunId) -> Result<&mut TaskRun, IllegalTransition> {
        let task = self.running(event)?.tasks.get_mut(run).filter(|task| task.state == TaskState::Running);
        task.ok_or_else(|| IllegalTransition { event, what: format!("task `{run}`") })
    }

    fn refuse(&self, event: &'static str) -> IllegalTransition {
        IllegalTransition { event, what: format!("an execution that is {}", self.status) }
    }
}

impl TaskRun {
    fn new() -> Self {
        Self {
            state: TaskState::Created,
            attempts: 0,
            since: None,
            started: None,
            ended: None,
            outputs: Outputs::new(),
            error: None,
            expansion: None,
            progress: Loop::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ErrorClass;

    fn created() -> Created {
        Created {
            flow: "f".into(),
            namespace: "n".into(),
            file: "f.yaml".into(),
            text: String::new(),
            sha256: String::new(),
            inputs: Map::new(),
            labels: Map::new(),
            trigger_date: DateTime::UNIX_EPOCH,
            trigger: None,
            revision: None,
        }
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

    fn child(index: u32, outcome: Outcome) -> Vec<Event> {
        let run = RunId::new(format!("t[{index}].c"));
        let outputs = Map::from_iter([("x".to_owned(), index.into())]);
        vec![
            Event::TaskStarted { run: run.clone(), attempt: 1 },
            Event::TaskSucceeded { run, outputs, labels: Map::new(), warning: false },
            Event::IterationEnded { run: RunId::new("t"), index, outcome },
        ]
    }

    #[test]
    fn an_iteration_that_ended_well_leaves_its_outputs_alone() {
        let state = looped(&[child(1, Outcome::Success), child(0, Outcome::Warning)].concat());
        let task = &state.tasks[&RunId::new("t")];
        assert_eq!(state.tasks.len(), 1);
        assert_eq!((task.progress.next, task.progress.warning), (2, true));
        assert_eq!(task.progress.outputs["c"]["b"]["x"], 1);
    }

    #[test]
    fn only_failed_iterations_run_again() {
        let ended = Event::Ended { state: ExecutionState::Failed };
        let all = [
            child(0, Outcome::Success),
            child(1, Outcome::Failed),
            child(2, Outcome::Success),
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
        let done = Event::Ended { state: ExecutionState::Success };
        let impossible: &[&[Event]] = &[
            &[started(1)],
            &[Event::Started, succeeded()],
            &[Event::Started, started(2)],
            &[Event::Started, started(1), started(2)],
            &[Event::Started, started(1), succeeded(), succeeded()],
            &[Event::Started, done.clone(), Event::Started],
            &[Event::Started, Event::Ended { state: ExecutionState::Running }],
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
    fn a_failed_execution_goes_on_from_the_task_that_failed() {
        let failure = Failure { class: ErrorClass::Permanent, message: "no".into(), help: None, code: None };
        let failed = Event::TaskFailed { run: RunId::new("t"), error: failure, retry_at: None };
        let ended = Event::Ended { state: ExecutionState::Failed };
        let state = after(&[Event::Started, started(1), failed, ended, Event::Started]).unwrap();
        assert_eq!(state.status, ExecutionState::Running);
        assert_eq!(state.tasks[&RunId::new("t")].state, TaskState::Created);
        assert_eq!(state.ended, None);
    }
}
