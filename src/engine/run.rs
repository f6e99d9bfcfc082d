//! The runner: does what the plan says and writes down what happened.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::engine::plan::{Next, Run, plan};
use crate::engine::{retry, snapshot};
use crate::flow::input::{self, InputType};
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{Created, Event, ExecutionState, Failure, Journal, JournalError, State};
use crate::secret::hide_address_passwords;
use crate::storage::Storage;
use crate::task::{Level, Outputs, Progress, TaskContext, TaskError};

/// How long a stopped task may take to clean up.
const GRACE: Duration = Duration::from_secs(10);

/// What a display may want to know.
pub enum Notice<'a> {
    /// An attempt begins.
    TaskStarted {
        /// The task.
        step: &'a Step,
        /// The attempt's number, from 1.
        attempt: u32,
        /// How far it comes.
        progress: Arc<Progress>,
    },
    /// An attempt ended well.
    TaskSucceeded {
        /// The task.
        step: &'a Step,
        /// What it gave.
        outputs: &'a Outputs,
        /// How long it took.
        took: Duration,
    },
    /// An attempt ended badly.
    TaskFailed {
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
    /// The lock file cannot be used.
    #[error("the lock of execution {0} cannot be taken")]
    Lock(ExecutionId, #[source] std::io::Error),
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
    /// Writes a new execution down, to be run. Secret inputs are not written, of addresses the password is not.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn create(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        trigger_date: Option<DateTime<Utc>>,
    ) -> Result<ExecutionId, EngineError> {
        let now = Utc::now();
        let id = ExecutionId::generate(now);
        let file = std::path::absolute(&flow.document.file).unwrap_or_else(|_| PathBuf::from(&flow.document.file));
        let (public, _) = self.split_secrets(flow, inputs);
        let created = Created {
            flow: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            file: file.display().to_string(),
            text: snapshot::blank(&flow.document),
            sha256: snapshot::fingerprint(&flow.document.text),
            inputs: public,
            labels: flow.labels.clone(),
            trigger_date: trigger_date.unwrap_or(now),
        };
        self.journal.append(&id, now, &Event::Created(created))?;
        Ok(id)
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
        let _lock = self.lock(id)?;
        let (_, secrets) = self.split_secrets(flow, inputs);
        let run = Run { id: id.clone(), secrets, said: Arc::default() };
        let mut state = self.journal.state(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))?;
        if state.status.is_done() {
            return Ok(state);
        }
        state = self.append(id, Event::Started)?;
        while state.status == ExecutionState::Running {
            state = match plan(&state, flow, &run, Utc::now()) {
                _ if cancel.is_cancelled() => self.append(id, Event::Ended { state: ExecutionState::Killed })?,
                Next::Start { step, fields, attempt } => {
                    self.attempt(&run, flow, step, fields, attempt, &cancel).await?
                }
                Next::Skip(step) => {
                    (self.observer)(Notice::TaskSkipped(step));
                    self.append(id, Event::TaskSkipped { task: step.id.clone() })?
                }
                Next::Refuse(step, error) => self.refuse(&run, flow, step, &error)?,
                Next::Wait(at) => {
                    let pause = (at - Utc::now()).to_std().unwrap_or_default();
                    tokio::select! { () = tokio::time::sleep(pause) => {}, () = cancel.cancelled() => {} }
                    state
                }
                // Attempts are awaited one by one, and `Started` puts those of a dead process back.
                Next::Busy => self.append(id, Event::Started)?,
                Next::End(end) => self.append(id, Event::Ended { state: end })?,
            };
        }
        Ok(state)
    }

    async fn attempt(
        &self,
        run: &Run,
        flow: &Flow,
        step: &Step,
        fields: Value,
        attempt: u32,
        cancel: &CancellationToken,
    ) -> Result<State, EngineError> {
        let began = std::time::Instant::now();
        let started = self.append(&run.id, Event::TaskStarted { task: step.id.clone(), attempt })?;
        let context = Arc::new(self.context(run, flow, step, attempt, cancel.child_token()));
        (self.observer)(Notice::TaskStarted { step, attempt, progress: context.progress.clone() });
        match bounded(step, fields, context.clone()).await {
            Ok(outputs) => {
                (self.observer)(Notice::TaskSucceeded { step, outputs: &outputs, took: began.elapsed() });
                let labels = context.labels.lock().map(|labels| labels.clone()).unwrap_or_default();
                let outputs = without_secrets(outputs, &run.secrets);
                self.append(&run.id, Event::TaskSucceeded { task: step.id.clone(), outputs, labels })
            }
            Err(error) => self.fail(run, step, &started, error),
        }
    }

    fn fail(&self, run: &Run, step: &Step, started: &State, error: TaskError) -> Result<State, EngineError> {
        let now = Utc::now();
        let attempt = started.tasks.get(&step.id).map_or(1, |task| task.attempts);
        let first = started.tasks.get(&step.id).and_then(|task| task.since).unwrap_or(now);
        let retry_at =
            retry::next_attempt(step.common.retry.as_ref(), error.class, attempt, first, now, rand::random::<f64>());
        let clean = |text: &str| self.settings.redactor.clean(text);
        let error =
            Failure { class: error.class, message: clean(&error.message), help: error.help.as_deref().map(clean) };
        (self.observer)(Notice::TaskFailed { step, error: &error, retry_at });
        self.journal.log(&run.id, now, &step.id, Level::Error, &error.message)?;
        self.append(&run.id, Event::TaskFailed { task: step.id.clone(), error, retry_at })
    }

    /// A task whose expressions have no value fails without an attempt of its own code.
    fn refuse(
        &self,
        run: &Run,
        flow: &Flow,
        step: &Step,
        error: &crate::flow::expression::ExpressionError,
    ) -> Result<State, EngineError> {
        let finding = crate::diagnostic::Diagnostic::error(&error.message);
        let located = flow.document.locate_text(&step.path, &error.culprit, finding);
        let state = self.journal.state(&run.id)?.ok_or_else(|| EngineError::Unknown(run.id.clone()))?;
        let attempt = state.tasks.get(&step.id).map_or(0, |task| task.attempts) + 1;
        let started = self.append(&run.id, Event::TaskStarted { task: step.id.clone(), attempt })?;
        let message = format!("{} ({}:{}:{})", error.message, located.file, located.line, located.column);
        self.fail(run, step, &started, TaskError::permanent(message))
    }

    fn context(&self, run: &Run, flow: &Flow, step: &Step, attempt: u32, cancel: CancellationToken) -> TaskContext {
        let (journal, observer, id) = (self.journal.clone(), self.observer.clone(), run.id.clone());
        TaskContext {
            flow: flow.id.clone(),
            execution: run.id.clone(),
            task: step.id.clone(),
            attempt,
            folder: std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone()),
            storage: Storage::new(self.settings.storage(), run.id.clone()),
            settings: self.settings.clone(),
            cancel,
            progress: Arc::default(),
            labels: Mutex::default(),
            said: run.said.clone(),
            log: Arc::new(move |task, level, message| {
                observer(Notice::Log { task, level, message });
                // A line that cannot be kept has been shown; the task itself must not fail for it.
                let _ = journal.log(&id, Utc::now(), task, level, message);
            }),
        }
    }

    fn append(&self, id: &ExecutionId, event: Event) -> Result<State, EngineError> {
        Ok(self.journal.append(id, Utc::now(), &event)?)
    }

    /// One process at a time works on an execution; the lock goes with the process.
    fn lock(&self, id: &ExecutionId) -> Result<File, EngineError> {
        let folder = self.settings.home.join("locks");
        let lock = std::fs::create_dir_all(&folder).and_then(|()| File::create(folder.join(id.as_str())));
        let file = lock.map_err(|error| EngineError::Lock(id.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(EngineError::Taken(id.clone())),
            Err(TryLockError::Error(error)) => Err(EngineError::Lock(id.clone(), error)),
        }
    }

    fn split_secrets(&self, flow: &Flow, inputs: &Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
        let (secret, mut public): (Map<_, _>, Map<_, _>) =
            inputs.clone().into_iter().partition(|(name, value)| input::is_secret(&flow.inputs, name, value));
        for (name, value) in secret.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
            self.settings.redactor.learn(value);
            if flow.inputs.iter().any(|input| input.id == *name && input.kind != InputType::Secret) {
                public.insert(name.clone(), Value::from(hide_address_passwords(value)));
            }
        }
        (public, secret)
    }
}

/// One attempt within its time, stopped cleanly when the user asks.
async fn bounded(step: &Step, fields: Value, context: Arc<TaskContext>) -> Result<Outputs, TaskError> {
    let cancel = context.cancel.clone();
    let mut work = tokio::spawn((step.task.run)(fields, context));
    let limit = step.common.timeout.map(|span| span.0);
    let late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        done = &mut work => return finished(done),
        () = cancel.cancelled() => TaskError::cancelled("stopped by the user"),
        () = late => TaskError::transient(format!("took longer than its timeout of {}", crate::duration::Span(limit.unwrap_or_default()))),
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

/// Blanks secret inputs that a task repeats in its outputs.
fn without_secrets(outputs: Outputs, secrets: &Map<String, Value>) -> Outputs {
    let blank = |text: String| {
        let known = secrets.values().filter_map(Value::as_str).filter(|secret| !secret.is_empty());
        known.fold(text, |text, secret| text.replace(secret, "***"))
    };
    outputs.into_iter().map(|(name, value)| (name, map_text(value, &blank))).collect()
}

fn map_text(value: Value, change: &impl Fn(String) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.into_iter().map(|item| map_text(item, change)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, map_text(value, change))).collect(),
        other => other,
    }
}
