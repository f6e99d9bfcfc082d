//! The engine's services for tasks: executions of other flows among them.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::execution_state::ExecutionState;
use crate::id::ExecutionId;
use crate::task::{LogQuota, PauseRequest, TaskError};

/// What the engine offers to an attempt.
#[derive(Default)]
pub struct EngineServices {
    /// Starts other flows; none outside of an execution.
    pub subflows: Option<Arc<dyn SubflowStarter>>,
    /// The folder that the task shares with others.
    pub folder: Option<PathBuf>,
    /// What the task asked for with [`TaskContext::pause`](crate::task::TaskContext::pause).
    pub pause: Mutex<Option<PauseRequest>>,
    /// How much of what scripts print the execution's log still takes.
    pub quota: Arc<LogQuota>,
    /// Cancelled when the disk has no room for the lines that the task logs.
    pub full: CancellationToken,
}

/// The execution of another flow that a task wants.
#[derive(Clone, Debug, Default)]
pub struct SubflowRequest {
    /// Distinguishes several executions of one task run. An attempt that asks again under the same key gets the same
    /// execution.
    pub key: Option<u32>,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// Its inputs.
    pub inputs: Map<String, Value>,
    /// Labels that it gets.
    pub labels: Map<String, Value>,
    /// Whether it gets the labels of the asking execution too.
    pub inherits_labels: bool,
    /// Whether the task waits for its end.
    pub waits: bool,
    /// When it starts; none is at once.
    pub date: Option<DateTime<Utc>>,
    /// Whether an execution that did not end well is retried as a new one, not restarted.
    pub as_new: bool,
    /// Set when the task is to stop.
    pub cancel: CancellationToken,
}

/// The execution that a task has started.
#[derive(Clone, Debug)]
pub struct SubflowResult {
    /// The execution.
    pub id: ExecutionId,
    /// Its state; CREATED when nobody waits for it.
    pub state: ExecutionState,
    /// Whether it succeeded, perhaps with a warning; true as well when nobody waited for it.
    pub succeeded: bool,
    /// The outputs of its flow.
    pub outputs: Map<String, Value>,
}

/// An execution that is running.
pub type StartedSubflow = Pin<Box<dyn Future<Output = Result<SubflowResult, TaskError>> + Send>>;

/// The engine's side.
pub trait SubflowStarter: Send + Sync {
    /// Starts an execution, or continues the one that an earlier attempt started.
    fn start(&self, request: SubflowRequest) -> StartedSubflow;

    /// Renders a field that [`Task::DEFERRED`](crate::task::Task::DEFERRED) names; `taskrun` gets these further names.
    ///
    /// # Errors
    /// When an expression has no value.
    fn render(&self, value: &Value, taskrun: Map<String, Value>) -> Result<Value, TaskError>;
}
