//! The runner: takes executions up and works on them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::again;
use crate::engine::control::Control;
use crate::engine::host::ExecutionHost;
use crate::engine::interrupted::end_killing;
use crate::engine::lock::Claim;
use crate::engine::lookup::{Folder, Lookup};
use crate::engine::plan::{Run, Start};
use crate::engine::subflow::SubflowRunner;
use crate::engine::work::Work;
use crate::file_access::FileAccess;
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, RunId, TaskId};
use crate::journal::{Event, ExecutionState, Journal, JournalError, StartedBy, State, TaskFailure, Triggered};
use crate::storage::Storage;
use crate::task::{EngineServices, Level, LogQuota, Outputs, Progress, TaskContext, TaskError};

/// How many sub-executions that nobody waits for run at a time.
const UNATTENDED: usize = 16;

/// What a display may want to know.
pub enum Notice<'a> {
    /// An attempt begins.
    TaskStarted {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// The attempt's number, from 1.
        attempt: u32,
        /// How far it comes.
        progress: Arc<Progress>,
    },
    /// An attempt ended well.
    TaskSucceeded {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// What it gave.
        outputs: &'a Outputs,
        /// How long it took.
        took: Duration,
    },
    /// An attempt ended badly.
    TaskFailed {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// Why.
        error: &'a TaskFailure,
        /// When it is repeated.
        retry_at: Option<DateTime<Utc>>,
    },
    /// A task was skipped.
    TaskSkipped(&'a Step),
    /// A task, or the engine, logs a line.
    Log {
        /// The task; empty for the engine.
        task: &'a TaskId,
        /// How severe it is.
        level: Level,
        /// The text, without secrets.
        message: &'a str,
    },
}

/// Where notices go.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;

/// Why an execution cannot go on, other than that a task failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another process works on it.
    #[error("execution {0} is running in another process; wait until it ends, or stop that process first")]
    Taken(ExecutionId),
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// It is in a state in which that cannot be done.
    #[error("execution {id} is {state} and cannot be {what}")]
    NotPossible {
        /// The execution.
        id: ExecutionId,
        /// What cannot be done to it, as in `restarted`.
        what: &'static str,
        /// Its state.
        state: ExecutionState,
    },
    /// The process stops, and starts nothing more.
    #[error("the process is stopping")]
    Stopping,
    /// Something is missing that it needs to go on.
    #[error("execution {id} {reason}")]
    Stuck {
        /// The execution.
        id: ExecutionId,
        /// What is missing.
        reason: String,
    },
    /// It began with another Postgres or Google Cloud project than the one that it would reach now.
    #[error("{what} began with {began} and would continue with {here}")]
    Elsewhere {
        /// The execution or the backfill.
        what: String,
        /// What it began with.
        began: String,
        /// What it would reach now.
        here: String,
    },
    /// What it is to go on with does not answer.
    #[error(transparent)]
    Unreachable(#[from] TaskError),
    /// The lock file cannot be used.
    #[error("cannot make a lock in {}", .0.display())]
    Lock(PathBuf, #[source] std::io::Error),
    /// The file of an input cannot be copied.
    #[error("input `{0}`: cannot copy {1} into storage")]
    InputFile(String, String, #[source] std::io::Error),
    /// What was asked for cannot be: the flow is disabled, a check does not hold, an input does not fit.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Refused(Vec<Diagnostic>),
}

impl EngineError {
    /// Whether the machine is at fault, as with a full disk: the same may well succeed later.
    pub fn is_of_machine(&self) -> bool {
        match self {
            Self::Journal(_) | Self::Lock(..) => true,
            Self::InputFile(_, _, error) => error.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

impl From<Diagnostic> for EngineError {
    fn from(finding: Diagnostic) -> Self {
        Self::Refused(vec![finding])
    }
}

/// Runs executions.
#[derive(Clone)]
pub struct Runner {
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// Where events go.
    pub journal: Arc<Journal>,
    /// Where notices go.
    pub observer: Observer,
    /// Where flows find the others that they start; each looks beside itself when there is none.
    pub catalog: Option<Arc<dyn Lookup>>,
    /// Which kind of process this is: executions that it starts belong to it.
    pub started_by: StartedBy,
    /// Sub-executions that nobody waits for. Whoever ends the process should.
    pub background: TaskTracker,
    /// How many of these may run at a time.
    pub turns: Arc<Semaphore>,
}

impl Runner {
    /// A terminal's runner of flows that find others beside themselves.
    pub fn new(settings: Arc<Settings>, journal: Arc<Journal>, observer: Observer) -> Self {
        let (started_by, background) = (StartedBy::Terminal, TaskTracker::new());
        let turns = Arc::new(Semaphore::new(UNATTENDED));
        Self { settings, journal, observer, catalog: None, started_by, background, turns }
    }

    /// Takes an execution up and works on it until it ends or is paused until somebody resumes it. A journal that
    /// another process left in the middle is no different from a new one: what was under way starts again. One that
    /// ended otherwise than well is restarted.
    ///
    /// # Errors
    /// When the journal fails, or another process works on the execution.
    pub async fn run(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: CancellationToken,
    ) -> Result<State, EngineError> {
        let mut state = self.run_until_pause(id, flow, inputs, &cancel).await?;
        // Nobody holds the execution while it is paused, so that others can resume it.
        while let (ExecutionState::Paused, Some(at)) = (state.status, state.pause_ends()) {
            self.until_pause_ends(id, at, &cancel).await?;
            state = match self.run_until_pause(id, flow, inputs, &cancel).await {
                Err(EngineError::Taken(_)) => {
                    self.until_free(id, &cancel).await?;
                    let state = self.state(id)?;
                    if state.status.has_ended() {
                        return Ok(state);
                    }
                    state
                }
                other => other?,
            };
        }
        Ok(state)
    }

    /// As [`Runner::run`], and goes on with the executions that repeat this one, to the last.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn run_to_the_last(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: CancellationToken,
    ) -> Result<(ExecutionId, State), EngineError> {
        let (mut id, mut state) = (id.clone(), self.run(id, flow, inputs, cancel.clone()).await?);
        while let (ExecutionState::Retried, Some(successor)) = (state.status, state.successor.clone()) {
            self.repeat_anew(flow, inputs, &id, &state, &successor)?;
            state = self.run(&successor, flow, inputs, cancel.clone()).await?;
            id = successor;
        }
        Ok((id, state))
    }

    async fn run_until_pause(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: &CancellationToken,
    ) -> Result<State, EngineError> {
        let _claim = Claim::take(&self.settings, id)?;
        let mut state = self.state(id)?;
        end_killing(&self.journal, id, &mut state)?;
        let is_due = state.pause_ends().is_some_and(|at| at <= clock::now());
        let rests = state.status == ExecutionState::Paused && !is_due && !cancel.is_cancelled();
        if state.status.is_done() || rests {
            return Ok(state);
        }
        if self.admit(id, flow, &mut state, cancel).await? {
            self.work(id, &mut state, flow, inputs, &Control::killed_by(cancel.clone())).await?;
        }
        Ok(state)
    }

    /// Works on an execution that has been taken up, until it ends, is paused or is to rest.
    ///
    /// # Errors
    /// When the journal fails.
    pub(super) async fn work(
        &self,
        id: &ExecutionId,
        state: &mut State,
        flow: &Flow,
        inputs: &Map<String, Value>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let is_new = state.status == ExecutionState::Running && state.tasks.is_empty();
        if is_new && self.fails_a_check(id, flow, inputs, state)? {
            return Ok(());
        }
        let run = self.around(id, flow, inputs, state);
        Work::new(self, flow, &run, inputs, control).until_end(state).await
    }

    /// The events by which an execution begins, goes on where a process broke off, or restarts, as it stands.
    pub(super) fn beginning(&self, flow: &Flow, state: &State) -> Vec<Event> {
        match state.status {
            ExecutionState::Running => vec![Event::TakenUp { again: again::forgotten(state, flow, false) }],
            status if status.is_restartable() => {
                vec![Event::Restarted { again: again::forgotten(state, flow, true) }, Event::Started]
            }
            ExecutionState::Paused | ExecutionState::Retrying | ExecutionState::Killing => Vec::new(),
            _ => vec![Event::Started],
        }
    }

    /// What plans need to know beside the state.
    pub(super) fn around(&self, id: &ExecutionId, flow: &Flow, inputs: &Map<String, Value>, state: &State) -> Run {
        let (_, secrets) = self.split_secrets(flow, inputs, state.created.parent.is_some());
        let restricted = self.is_restricted(state);
        let secret_texts = self.secret_texts(flow, &secrets);
        let host = Arc::new(ExecutionHost::new(self, id, flow, &secret_texts, self.files(flow, restricted)));
        let catalog = self.catalog.clone().unwrap_or_else(|| Arc::new(Folder::around(flow)));
        // Without its size the log starts anew: that it grows longer is better than that nothing runs.
        let used = self.journal.log_size(id).unwrap_or_default();
        let quota = Arc::new(LogQuota::new(self.settings.log_limit.unwrap_or(LogQuota::DEFAULT), used));
        Run { id: id.clone(), secrets, restricted, said: Arc::default(), quota, host, catalog }
    }

    /// Whether the values of an execution may come from somebody who may not read every file of this machine.
    pub(super) fn is_restricted(&self, state: &State) -> bool {
        let by_server = [Some(self.started_by), state.started_by].contains(&Some(StartedBy::Server));
        by_server || state.created.from_outside
    }

    /// The files that the values of a flow may name.
    pub(super) fn files(&self, flow: &Flow, restricted: bool) -> FileAccess {
        let folder = folder_of(flow);
        if restricted { FileAccess::restricted(folder, &self.settings) } else { FileAccess::unrestricted(folder) }
    }

    /// The files that a task's fields may name.
    pub(super) fn files_of_task(&self, flow: &Flow, start: &Start, state: &State) -> FileAccess {
        let files = self.files(flow, self.is_restricted(state)).of_task(start.step.id.as_str());
        let files = files.with_literal(start.literal.iter().cloned());
        let files = files.with_found(state.created.trigger.as_ref().and_then(Triggered::file));
        match &start.folder {
            Some(folder) => files.with_folder(self.settings.home.join("work").join(folder)),
            None => files,
        }
    }

    /// The state of an execution.
    ///
    /// # Errors
    /// When there is none, or the journal cannot be read.
    pub fn state(&self, id: &ExecutionId) -> Result<State, EngineError> {
        self.journal.state(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))
    }

    pub(super) fn append(&self, id: &ExecutionId, state: &mut State, event: Event) -> Result<(), EngineError> {
        Ok(self.journal.append(id, state, clock::now(), &event)?)
    }

    /// Shows and keeps a line of the engine's.
    pub(super) fn say(&self, id: &ExecutionId, level: Level, task: &TaskId, text: &str) -> Result<(), EngineError> {
        let message = &self.settings.redactor.line(text);
        (self.observer)(Notice::Log { task, level, message });
        Ok(self.journal.log(id, clock::now(), task, level, message)?)
    }

    pub(super) fn context(
        &self,
        run: &Run,
        flow: &Flow,
        start: &Start,
        state: &State,
        cancel: CancellationToken,
    ) -> TaskContext {
        let (journal, observer, execution) = (self.journal.clone(), self.observer.clone(), run.id.clone());
        let lowest = start.step.common.log_level.unwrap_or(Level::Debug);
        let folder = start.folder.as_ref().map(|folder| self.settings.home.join("work").join(folder));
        let files = self.files_of_task(flow, start, state);
        let subflows = SubflowRunner::new(self, run, flow, start, state, files.clone());
        let full = CancellationToken::new();
        let no_room = full.clone();
        TaskContext {
            flow: flow.id.clone(),
            namespace: flow.namespace.clone(),
            execution: run.id.clone(),
            task: start.step.id.clone(),
            run: start.run.clone(),
            attempt: start.attempt,
            files,
            storage: Storage::new(self.settings.storage(), run.id.clone()),
            settings: self.settings.clone(),
            cancel,
            progress: Arc::default(),
            labels: Mutex::default(),
            warning: AtomicBool::default(),
            said: run.said.clone(),
            pinned: Mutex::default(),
            log: Arc::new(move |task, level, message| {
                if level < lowest {
                    return;
                }
                observer(Notice::Log { task, level, message });
                // A line that cannot be kept has been shown. Without room on the disk there is no end of them, nor of
                // what the task does.
                if let Err(JournalError::Full) = journal.log(&execution, clock::now(), task, level, message) {
                    no_room.cancel();
                }
            }),
            services: EngineServices {
                subflows: Some(Arc::new(subflows)),
                folder,
                pause: Mutex::default(),
                quota: run.quota.clone(),
                full,
            },
        }
    }
}

/// The folder of a flow's file as an absolute path.
pub(super) fn folder_of(flow: &Flow) -> PathBuf {
    std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone())
}
