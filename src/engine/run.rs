//! The runner: does what the plan says and writes down what happened.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::engine::control::Control;
use crate::engine::lock::Claim;
use crate::engine::outside::World;
use crate::engine::plan::Run;
use crate::engine::work::Work;
use crate::engine::{input_files, snapshot};
use crate::flow::input;
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, RunId, TaskId};
use crate::journal::{Created, Event, ExecutionState, Failure, Journal, JournalError, State};
use crate::storage::Storage;
use crate::task::{Level, Outputs, Progress, TaskContext};

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
        error: &'a Failure,
        /// When it is repeated.
        retry_at: Option<DateTime<Utc>>,
    },
    /// A task was skipped.
    TaskSkipped(&'a Step),
    /// A task, or the engine, logs a line.
    Log {
        /// The task.
        task: &'a TaskId,
        /// How grave it is.
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
    #[error("execution {0} is under way in another process; wait until it ends, or stop that process first")]
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
    /// The lock file cannot be used.
    #[error("the lock of execution {0} cannot be taken")]
    Lock(ExecutionId, #[source] std::io::Error),
    /// The file of an input cannot be copied.
    #[error("input `{0}`: cannot copy {1} into storage")]
    InputFile(String, String, #[source] std::io::Error),
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
}

impl Runner {
    /// Writes a new execution down, to be run. Secret inputs are not written, of addresses the password is not. Files
    /// are copied into its storage.
    ///
    /// # Errors
    /// When a file cannot be copied, or the journal cannot be written.
    pub fn create(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        trigger_date: Option<DateTime<Utc>>,
    ) -> Result<ExecutionId, EngineError> {
        let now = Utc::now();
        let id = ExecutionId::generate(now);
        let (created, _) = self.created(&id, flow, inputs, trigger_date.unwrap_or(now))?;
        self.journal.create(&id, now, created)?;
        Ok(id)
    }

    /// What the journal keeps of a new execution, and the secret inputs that it does not. Files among the inputs are
    /// copied into its storage.
    pub(super) fn created(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        trigger_date: DateTime<Utc>,
    ) -> Result<(Created, Map<String, Value>), EngineError> {
        let inputs = input_files::keep(flow, inputs, &Storage::new(self.settings.storage(), id.clone()))?;
        Ok(self.recorded(flow, &inputs, trigger_date))
    }

    /// The same for inputs whose files are where they are to be.
    pub(super) fn recorded(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        trigger_date: DateTime<Utc>,
    ) -> (Created, Map<String, Value>) {
        let file = std::path::absolute(&flow.document.file).unwrap_or_else(|_| PathBuf::from(&flow.document.file));
        let (public, secrets) = self.split_secrets(flow, inputs);
        let created = Created {
            flow: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            file: file.display().to_string(),
            text: snapshot::blank(&flow.document),
            sha256: snapshot::fingerprint(&flow.document.text),
            inputs: public,
            labels: flow.labels.clone(),
            trigger_date,
            trigger: None,
            revision: None,
        };
        (created, secrets)
    }

    /// Takes an execution up and works on it until it ends. A journal that another process left in the middle is no
    /// different from a new one: what had not ended well starts again.
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
        let _claim = Claim::take(&self.settings, id)?;
        let (_, secrets) = self.split_secrets(flow, inputs);
        let mut state = self.journal.state(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))?;
        if state.status.is_done() {
            return Ok(state);
        }
        self.append(id, &mut state, Event::Started)?;
        self.work(id, &mut state, flow, secrets, &Control::killed_by(cancel)).await?;
        Ok(state)
    }

    /// Works on an execution that has been taken up, until it ends or is to rest.
    ///
    /// # Errors
    /// When the journal fails.
    pub(super) async fn work(
        &self,
        id: &ExecutionId,
        state: &mut State,
        flow: &Flow,
        secrets: Map<String, Value>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let world = Arc::new(World::new(self, id, flow, &secrets));
        let run = Run { id: id.clone(), secrets, said: Arc::default(), world };
        let cancel = CancellationToken::new();
        let attempts = JoinSet::new();
        let mut work = Work { runner: self, flow, run: &run, control, cancel, attempts, begun: HashMap::new() };
        work.until_end(state).await
    }

    pub(super) fn append(&self, id: &ExecutionId, state: &mut State, event: Event) -> Result<(), EngineError> {
        Ok(self.journal.append(id, state, Utc::now(), &event)?)
    }

    pub(super) fn context(
        &self,
        run: &Run,
        flow: &Flow,
        step: &Step,
        id: &RunId,
        attempt: u32,
        cancel: CancellationToken,
    ) -> TaskContext {
        let (journal, observer, execution) = (self.journal.clone(), self.observer.clone(), run.id.clone());
        let lowest = step.common.log_level.unwrap_or(Level::Debug);
        TaskContext {
            flow: flow.id.clone(),
            namespace: flow.namespace.clone(),
            execution: run.id.clone(),
            task: step.id.clone(),
            run: id.clone(),
            attempt,
            folder: std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone()),
            storage: Storage::new(self.settings.storage(), run.id.clone()),
            settings: self.settings.clone(),
            cancel,
            progress: Arc::default(),
            labels: Mutex::default(),
            warning: AtomicBool::default(),
            said: run.said.clone(),
            log: Arc::new(move |task, level, message| {
                if level < lowest {
                    return;
                }
                observer(Notice::Log { task, level, message });
                // A line that cannot be kept has been shown; the task itself must not fail for it.
                let _ = journal.log(&execution, Utc::now(), task, level, message);
            }),
        }
    }

    pub(super) fn split_secrets(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let (secret, mut public): (Map<_, _>, Map<_, _>) =
            inputs.clone().into_iter().partition(|(name, value)| input::is_secret(&flow.inputs, name, value));
        for value in secret.values().filter_map(Value::as_str) {
            self.settings.redactor.learn(value);
        }
        for (name, value) in secret.iter().filter(|(name, _)| !input::is_declared_secret(&flow.inputs, name)) {
            public.insert(name.clone(), input::without_passwords(value));
        }
        (public, secret)
    }
}
