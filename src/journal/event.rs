//! What can happen to an execution, and the pure function that says what it means.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::TaskId;
use crate::task::{ErrorClass, Outputs};

/// One thing that happened. Events are only ever appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The execution exists: what it runs and with what.
    Created(Created),
    /// A process took the execution up, for the first time or again after a stop.
    Started,
    /// An attempt of a task begins.
    TaskStarted {
        /// The task.
        task: TaskId,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// An attempt ended well.
    TaskSucceeded {
        /// The task.
        task: TaskId,
        /// What it gives to later tasks.
        outputs: Outputs,
        /// Labels that it adds to the execution.
        labels: Map<String, Value>,
    },
    /// An attempt ended badly.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// Why.
        error: Failure,
        /// When the next attempt starts; none when this was the last.
        retry_at: Option<DateTime<Utc>>,
    },
    /// The task's condition kept it from running.
    TaskSkipped {
        /// The task.
        task: TaskId,
    },
    /// The execution is over, or stopped until somebody resumes it.
    Ended {
        /// How it ended.
        state: ExecutionState,
    },
}

/// What an execution runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The flow's id.
    pub flow: String,
    /// The flow's namespace.
    pub namespace: String,
    /// Path of the flow's file.
    pub file: String,
    /// The flow's text, passwords blanked.
    pub text: String,
    /// SHA-256 of the flow's own text, in hex.
    pub sha256: String,
    /// The validated inputs; secret ones are left out.
    pub inputs: Map<String, Value>,
    /// Labels.
    pub labels: Map<String, Value>,
    /// The moment that the run is for.
    pub trigger_date: DateTime<Utc>,
}

/// Why an attempt failed, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether a repeat could help.
    pub class: ErrorClass,
    /// What went wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// The states of an execution, in Kestra's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExecutionState {
    /// Written down, not started.
    Created,
    /// A process works on it, or died while it did.
    Running,
    /// All tasks ended well.
    Success,
    /// A task that may fail did.
    Warning,
    /// A task failed.
    Failed,
    /// The user stopped it.
    Killed,
}

impl ExecutionState {
    /// The state as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// Whether nothing remains to be done.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Success | Self::Warning)
    }
}

impl std::fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a task run stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum TaskState {
    /// To be started.
    Created,
    /// An attempt is under way, or its process died.
    Running,
    /// Waits for its next attempt.
    Retrying {
        /// When that is.
        at: DateTime<Utc>,
    },
    /// Ended well.
    Success,
    /// Not run, by its condition.
    Skipped,
    /// Its last attempt failed.
    Failed,
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Retrying { .. } => "RETRYING",
            Self::Success => "SUCCESS",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
        })
    }
}

/// One task of an execution.
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
    /// The tasks that have begun.
    pub tasks: BTreeMap<TaskId, TaskRun>,
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
        let tasks = BTreeMap::new();
        Self { created, status: ExecutionState::Created, started: None, ended: None, labels, tasks }
    }

    /// Sums up one more event.
    ///
    /// # Errors
    /// When the event cannot follow the ones before; the state is then unchanged.
    pub fn apply(&mut self, time: DateTime<Utc>, event: &Event) -> Result<(), IllegalTransition> {
        match event {
            Event::Created(_) => Err(self.refuse("created")),
            Event::Started => self.start(time),
            Event::TaskStarted { task, attempt } => self.start_task(time, task, *attempt),
            Event::TaskSucceeded { task, outputs, labels } => {
                let run = self.end_task("task_succeeded", time, task, TaskState::Success)?;
                run.outputs = outputs.clone();
                run.error = None;
                self.labels.extend(labels.clone());
                Ok(())
            }
            Event::TaskFailed { task, error, retry_at } => {
                let state = retry_at.map_or(TaskState::Failed, |at| TaskState::Retrying { at });
                self.end_task("task_failed", time, task, state)?.error = Some(error.clone());
                Ok(())
            }
            Event::TaskSkipped { task } => self.skip_task(time, task),
            Event::Ended { state } => self.end(time, *state),
        }
    }

    /// An execution is taken up when it is new, when its process died, or when it failed or was stopped. Tasks that
    /// had not ended well start again.
    fn start(&mut self, time: DateTime<Utc>) -> Result<(), IllegalTransition> {
        if self.status.is_done() {
            return Err(self.refuse("started"));
        }
        self.status = ExecutionState::Running;
        self.started.get_or_insert(time);
        self.ended = None;
        for run in self.tasks.values_mut() {
            if !matches!(run.state, TaskState::Success | TaskState::Skipped) {
                run.state = TaskState::Created;
            }
        }
        Ok(())
    }

    fn start_task(&mut self, time: DateTime<Utc>, task: &TaskId, attempt: u32) -> Result<(), IllegalTransition> {
        let run = self.running("task_started")?.tasks.entry(task.clone()).or_insert_with(TaskRun::new);
        let waiting = matches!(run.state, TaskState::Created | TaskState::Retrying { .. });
        if !waiting || attempt != run.attempts + 1 {
            return Err(IllegalTransition { event: "task_started", what: format!("task `{task}`") });
        }
        run.state = TaskState::Running;
        run.attempts = attempt;
        run.since.get_or_insert(time);
        run.started = Some(time);
        run.ended = None;
        Ok(())
    }

    fn end_task(
        &mut self,
        event: &'static str,
        time: DateTime<Utc>,
        task: &TaskId,
        state: TaskState,
    ) -> Result<&mut TaskRun, IllegalTransition> {
        let run = self.running(event)?.tasks.get_mut(task).filter(|run| run.state == TaskState::Running);
        let run = run.ok_or_else(|| IllegalTransition { event, what: format!("task `{task}`") })?;
        run.state = state;
        run.ended = Some(time);
        Ok(run)
    }

    fn skip_task(&mut self, time: DateTime<Utc>, task: &TaskId) -> Result<(), IllegalTransition> {
        let run = self.running("task_skipped")?.tasks.entry(task.clone()).or_insert_with(TaskRun::new);
        if run.state != TaskState::Created {
            return Err(IllegalTransition { event: "task_skipped", what: format!("task `{task}`") });
        }
        run.state = TaskState::Skipped;
        run.ended = Some(time);
        Ok(())
    }

    fn end(&mut self, time: DateTime<Utc>, state: ExecutionState) -> Result<(), IllegalTransition> {
        self.running("ended")?;
        if matches!(state, ExecutionState::Created | ExecutionState::Running) {
            return Err(self.refuse("ended"));
        }
        self.status = state;
        self.ended = Some(time);
        Ok(())
    }

    fn running(&mut self, event: &'static str) -> Result<&mut Self, IllegalTransition> {
        if self.status == ExecutionState::Running { Ok(self) } else { Err(self.refuse(event)) }
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Event::TaskStarted { task: TaskId::new("t"), attempt }
    }

    fn succeeded() -> Event {
        Event::TaskSucceeded { task: TaskId::new("t"), outputs: Outputs::new(), labels: Map::new() }
    }

    #[test]
    fn an_interrupted_attempt_counts_and_its_task_starts_again() {
        let state = after(&[Event::Started, started(1), Event::Started]).unwrap();
        assert_eq!(state.tasks[&TaskId::new("t")].state, TaskState::Created);
        assert_eq!(state.tasks[&TaskId::new("t")].attempts, 1);
        assert!(after(&[Event::Started, started(1), Event::Started, started(2), succeeded()]).is_ok());
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
            &[Event::Created(created())],
        ];
        for events in impossible {
            assert!(after(events).is_err(), "{events:?} was accepted");
        }
    }

    #[test]
    fn a_failed_execution_goes_on_from_the_task_that_failed() {
        let failure = Failure { class: ErrorClass::Permanent, message: "no".into(), help: None };
        let failed = Event::TaskFailed { task: TaskId::new("t"), error: failure, retry_at: None };
        let ended = Event::Ended { state: ExecutionState::Failed };
        let state = after(&[Event::Started, started(1), failed, ended, Event::Started]).unwrap();
        assert_eq!(state.status, ExecutionState::Running);
        assert_eq!(state.tasks[&TaskId::new("t")].state, TaskState::Created);
        assert_eq!(state.ended, None);
    }
}
