//! What a task is: a struct read from YAML, with a `run`. Everything else about it derives from the struct.

mod capability;
pub mod documentation;
mod expansion;
mod fields;
mod files;
mod level;
mod log_source;
mod outage;
mod pause;
mod probe;
mod quota;
mod read;
mod serde_error;
mod subflow;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::file_access::FileAccess;
use crate::id::{ExecutionId, FlowId, RunId, TaskId};
use crate::storage::{self, Storage};
use crate::text::without_number;
use read::{check, read_rendered};

pub use capability::Capability;
pub use expansion::{Expansion, LoopCondition};
pub use fields::{has_template, is_template};
pub use files::OpenInput;
pub use level::Level;
pub use log_source::LogSource;
pub use outage::OutageTracker;
pub use pause::{OnPauseTimeout, PauseRequest};
pub use probe::{Ledger, LedgerAnswer, LedgerProbe, LoadRecord, ProbeFuture, SourceProbe, SourceVersion};
pub use quota::{LINE_OVERHEAD, LogQuota};
pub use read::{FieldConflict, FieldError, read};
pub use serde_error::SerdeComplaint;
pub use subflow::{EngineServices, StartedSubflow, SubflowRequest, SubflowResult, SubflowStarter};

/// A task type: a plain struct whose fields are the YAML keys, already rendered, and whose doc comments are what the
/// user reads in `jitney tasks TYPE`.
pub trait Task: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The short name, `system.verb`.
    const NAME: &'static str;
    /// Other names for the same task, Kestra's first.
    const ALIASES: &'static [&'static str] = &[];
    /// What others must know of the task.
    const CAPABILITIES: &'static [Capability] = &[];
    /// The fields that hold sub-tasks. A task that has any gives an [`Expansion`], which says which of them run.
    const BRANCHES: &'static [Branch] = &[];
    /// The fields that a shell reads as commands.
    const SHELL: &'static [&'static str] = &[];
    /// The fields that are a program in another language.
    const PROGRAM: &'static [&'static str] = &[];
    /// The fields that a database reads as SQL; the task takes values for it as `parameters`.
    const SQL: &'static [&'static str] = &[];
    /// The fields that name files of this machine.
    const FILES: &'static [&'static str] = &[];
    /// Those of [`Task::FILES`] that are a part of the flow, such as SQL: no task makes them.
    const DEFINITIONS: &'static [&'static str] = &[];
    /// The fields whose templates are not rendered before the task runs.
    const DEFERRED: &'static [&'static str] = &[];
    /// The fields to which an expression gives a text, be its result a list or a map.
    const STRINGIFY: &'static [&'static str] = &[];
    /// The fields of Kestra's task that are accepted and change nothing here, each with what to do instead. A field
    /// within another is written `outer.inner`.
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[];
    /// Whether there is work to do after the sub-tasks.
    const HAS_EPILOGUE: bool = false;
    /// How to ask what its target holds already, if it loads into one that can tell.
    const LEDGER: Option<Ledger> = None;
    /// How to ask what its source offers now, if it downloads from one.
    const SOURCE: Option<SourceProbe> = None;
    /// A list item of a flow's `tasks` that shows the usual fields.
    const EXAMPLE: &'static str;
    /// What [`Task::run`] gives: what later tasks may refer to as `outputs.<id>.<field>`; of a task with sub-tasks the
    /// [`Expansion`].
    type Outputs: Serialize + JsonSchema;

    /// The schema of what later tasks may refer to. A task with sub-tasks says here what its decision leaves.
    fn output_schema() -> Schema {
        schemars::schema_for!(Self::Outputs)
    }

    /// The fields that contradict each other, or that another field leaves without effect.
    fn conflicts(&self) -> Vec<FieldConflict> {
        Vec::new()
    }

    /// Does the work of one attempt.
    fn run(&self, context: &TaskContext) -> impl Future<Output = Result<Self::Outputs, TaskError>> + Send;

    /// The work after the sub-tasks, once all have ended well, if [`Task::HAS_EPILOGUE`]; returns further outputs.
    fn epilogue(&self, _context: &TaskContext) -> impl Future<Output = Result<Outputs, TaskError>> + Send {
        async { Ok(Outputs::new()) }
    }
}

/// A field that holds sub-tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A list of tasks.
    List(&'static str),
    /// A single task.
    One(&'static str),
    /// A map of lists of tasks; the branch of each is called `{field}.{key}`.
    Cases(&'static str),
    /// A list of `{task, dependsOn}`.
    Graph(&'static str),
}

/// The code of an error about a file that a value may not name.
pub const DENIED: &str = "not allowed";

/// The code of an error about a column that is not there, or that has no place.
pub const NO_COLUMN: &str = "no column";

/// What `workingDir` is in expressions, until the task that has such a folder puts its path there.
pub const WORKING_DIR: &str = "__JITNEY_WORKING_DIR__";

/// The outputs of a finished task, by name.
pub type Outputs = Map<String, Value>;

/// A task attempt in flight.
pub type TaskFuture = Pin<Box<dyn Future<Output = Result<Outputs, TaskError>> + Send>>;

/// A task type without its Rust type: the entry of the registry.
pub struct TaskType {
    /// The short name.
    pub name: &'static str,
    /// Other names, with Kestra's first.
    pub aliases: &'static [&'static str],
    /// What others must know of it.
    pub capabilities: &'static [Capability],
    /// The fields that hold sub-tasks; empty for a task that does its own work.
    pub branches: &'static [Branch],
    /// The fields that a shell reads as commands.
    pub shell: &'static [&'static str],
    /// The fields that are a program in another language.
    pub program: &'static [&'static str],
    /// The fields that a database reads as SQL.
    pub sql: &'static [&'static str],
    /// The fields that name files of this machine.
    pub files: &'static [&'static str],
    /// Those of them that are a part of the flow, such as SQL.
    pub definitions: &'static [&'static str],
    /// The fields whose templates are not rendered before the task runs.
    pub deferred: &'static [&'static str],
    /// The fields to which an expression gives a text, be its result a list or a map.
    pub stringify: &'static [&'static str],
    /// The fields that are accepted and change nothing, each with what to do instead.
    pub without_effect: &'static [(&'static str, &'static str)],
    /// How to ask what its target holds already.
    pub ledger: Option<Ledger>,
    /// How to ask what its source offers now.
    pub source: Option<SourceProbe>,
    /// The YAML example.
    pub example: &'static str,
    /// The JSON Schema of the fields.
    pub schema: fn() -> Schema,
    /// The JSON Schema of the outputs.
    pub outputs: fn() -> Schema,
    /// Whether these fields, their templates not yet rendered, can make a task.
    pub check: fn(&Value) -> Result<(), FieldError>,
    /// Starts one attempt.
    pub run: fn(Value, Arc<TaskContext>) -> TaskFuture,
    /// Starts the work after the sub-tasks, if there is any.
    pub epilogue: Option<fn(Value, Arc<TaskContext>) -> TaskFuture>,
}

impl std::fmt::Debug for TaskType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl TaskType {
    /// The registry entry of a task type.
    pub const fn of<T: Task>() -> Self {
        Self {
            name: T::NAME,
            aliases: T::ALIASES,
            capabilities: T::CAPABILITIES,
            branches: T::BRANCHES,
            shell: T::SHELL,
            program: T::PROGRAM,
            sql: T::SQL,
            files: T::FILES,
            definitions: T::DEFINITIONS,
            deferred: T::DEFERRED,
            stringify: T::STRINGIFY,
            without_effect: T::WITHOUT_EFFECT,
            ledger: T::LEDGER,
            source: T::SOURCE,
            example: T::EXAMPLE,
            schema: || schemars::schema_for!(T),
            outputs: T::output_schema,
            check: check::<T>,
            run: |fields, context| Box::pin(run::<T>(fields, context)),
            epilogue: if T::HAS_EPILOGUE {
                Some(|fields, context| Box::pin(epilogue::<T>(fields, context)))
            } else {
                None
            },
        }
    }

    /// Whether its work is to run other tasks.
    pub fn is_flowable(&self) -> bool {
        !self.branches.is_empty()
    }

    /// The system that it speaks to: the first part of its short name.
    pub fn system(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Whether `name` is one of this type's names.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

async fn epilogue<T: Task>(fields: Value, context: Arc<TaskContext>) -> Result<Outputs, TaskError> {
    read_rendered::<T>(&fields)?.epilogue(&context).await
}

async fn run<T: Task>(fields: Value, context: Arc<TaskContext>) -> Result<Outputs, TaskError> {
    let outputs = read_rendered::<T>(&fields)?.run(&context).await?;
    match serde_json::to_value(outputs) {
        Ok(Value::Object(outputs)) => Ok(outputs),
        Ok(Value::Null) => Ok(Outputs::new()),
        Ok(other) => Err(TaskError::permanent(format!("outputs are not a map: {other}"))),
        Err(error) => Err(TaskError::permanent("outputs cannot be stored").caused_by(error)),
    }
}

/// Whether a repeat of the same attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The world may have changed by then: a cut line, a busy server.
    Transient,
    /// The same will happen again: a wrong password, a bad file.
    Permanent,
    /// The user stopped it.
    Cancelled,
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct TaskError {
    /// Whether a repeat can help.
    pub class: ErrorClass,
    /// What was being done to what, and what went wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// What went wrong in a word or two, for tables: `404`, `corrupt`.
    pub code: Option<String>,
}

impl TaskError {
    /// A failure that will happen again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Permanent, message: message.into(), help: None, code: None }
    }

    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Transient, message: message.into(), help: None, code: None }
    }

    /// The user stopped the attempt.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Cancelled, message: message.into(), help: None, code: None }
    }

    /// Adds the cause and the causes behind it to the message, each once.
    pub fn caused_by(mut self, cause: impl std::error::Error) -> Self {
        let mut next: Option<&dyn std::error::Error> = Some(&cause);
        while let Some(error) = next {
            let text = error.to_string();
            let text = without_number(&text);
            if !self.message.contains(&*text) {
                self.message = format!("{}: {text}", self.message);
            }
            next = error.source();
        }
        self
    }

    /// Adds what went wrong in a word or two.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "\n  help: {help}"))
    }
}

impl std::error::Error for TaskError {}

impl From<Box<Diagnostic>> for TaskError {
    /// A finding in a file is permanent, and starts with its place: `trips.csv:12:3: …`.
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        let Diagnostic { message, file, line, column, help, .. } = *diagnostic;
        let place = match (file.is_empty(), line) {
            (true, _) => String::new(),
            (false, 0) => format!("{file}: "),
            (false, line) => format!("{file}:{line}:{}: ", column.max(1)),
        };
        // What has a line is a row, or a statement, that does not fit.
        let code = (line > 0).then(|| "bad data".to_owned());
        Self { class: ErrorClass::Permanent, message: place + &message, help, code }
    }
}

impl From<Diagnostic> for TaskError {
    fn from(diagnostic: Diagnostic) -> Self {
        Box::new(diagnostic).into()
    }
}

/// How far an attempt has come; a display reads it while the task writes it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes done so far, of the source as it is stored (compressed).
    pub bytes: AtomicU64,
    /// Bytes to do in all; 0 while unknown.
    pub total_bytes: AtomicU64,
    /// Rows done so far.
    pub rows: AtomicU64,
    waiting: Mutex<Option<String>>,
}

impl Progress {
    /// Adds to the bytes done.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds to the rows done.
    pub fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Says what the task waits for, such as a lock and who holds it; none while it gets on.
    pub fn set_waiting(&self, what: Option<String>) {
        if let Ok(mut waiting) = self.waiting.lock() {
            *waiting = what;
        }
    }

    /// What the task waits for.
    pub fn waiting(&self) -> Option<String> {
        self.waiting.lock().ok()?.clone()
    }

    /// Begins anew, for another attempt at the same work.
    pub fn reset(&self) {
        for counter in [&self.bytes, &self.total_bytes, &self.rows] {
            counter.store(0, Ordering::Relaxed);
        }
        self.set_waiting(None);
    }

    /// Sets what there is to do.
    pub fn set_total_bytes(&self, bytes: u64) {
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }
}

/// Where the lines that a task logs go.
pub type LogSink = Arc<dyn Fn(&TaskId, Level, &str) + Send + Sync>;

/// What an attempt may know and use.
pub struct TaskContext {
    /// The flow's id.
    pub flow: FlowId,
    /// The flow's namespace.
    pub namespace: String,
    /// The execution that the attempt belongs to.
    pub execution: ExecutionId,
    /// The task's id.
    pub task: TaskId,
    /// The id of the task run: the id of the task, preceded by the iterations of the enclosing loops.
    pub run: RunId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The files of this machine that its fields may name; relative paths start at the folder of the flow's file.
    pub files: FileAccess,
    /// Those of them that are kept open.
    pub pinned: Mutex<Vec<OpenInput>>,
    /// The files of this execution.
    pub storage: Storage,
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// Set when the user stops the execution; long work looks at it, and ends with [`TaskError::cancelled`].
    pub cancel: CancellationToken,
    /// How far the attempt has come.
    pub progress: Arc<Progress>,
    /// Labels that the task adds to its execution.
    pub labels: Mutex<Map<String, Value>>,
    /// Whether the task, should it end well, ends with a warning.
    pub warning: AtomicBool,
    /// Lines that [`TaskContext::info_once`] has logged for this execution.
    pub said: Arc<Mutex<BTreeSet<String>>>,
    /// Where log lines go; tasks call [`TaskContext::info`] and similar methods.
    pub log: LogSink,
    /// What else the engine offers.
    pub services: EngineServices,
}

impl TaskContext {
    /// Logs a line for users who follow the run.
    pub fn info(&self, message: impl AsRef<str>) {
        self.log_line(Level::Info, message.as_ref());
    }

    /// Logs a line unless a task of this execution has logged it this way before.
    pub fn info_once(&self, message: impl Into<String>) {
        let message = message.into();
        let is_new = self.said.lock().is_ok_and(|mut said| said.insert(message.clone()));
        if is_new {
            self.info(message);
        }
    }

    /// Logs something to look at.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log_line(Level::Warn, message.as_ref());
    }

    /// Lets the task end with a warning if it ends well.
    pub fn end_with_warning(&self) {
        self.warning.store(true, Ordering::Relaxed);
    }

    /// Whether the task ends with a warning if it ends well.
    pub fn has_warning(&self) -> bool {
        self.warning.load(Ordering::Relaxed)
    }

    /// Lets the task wait after this attempt, until somebody resumes the execution or the time has come.
    pub fn pause(&self, pause: PauseRequest) {
        if let Ok(mut wanted) = self.services.pause.lock() {
            *wanted = Some(pause);
        }
    }

    /// The way to other flows.
    ///
    /// # Errors
    /// When the task runs outside of an execution.
    pub fn children(&self) -> Result<&Arc<dyn SubflowStarter>, TaskError> {
        let children = self.services.subflows.as_ref();
        children.ok_or_else(|| TaskError::permanent("other flows are only available in an execution"))
    }

    /// Logs at a level, without secrets.
    pub fn log_line(&self, level: Level, message: &str) {
        (self.log)(&self.task, level, &self.settings.redactor.line(message));
    }

    /// A place in storage for a file of this task.
    ///
    /// # Errors
    /// When the name is no plain file name, or the storage cannot be written.
    pub fn output_file(&self, name: &str) -> Result<storage::StoredFile, TaskError> {
        self.storage
            .place(&self.run, name)
            .map_err(|error| TaskError::permanent(format!("cannot store `{name}`")).caused_by(error))
    }
}
