//! Tools about executions: run a flow, list, follow, explain and stop executions.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tool::{McpResult, McpTool, ToolError, brief, flow, list, page};
use crate::blocking::run_blocking;
use crate::engine::{ExecutionRequest, FailureReport};
use crate::flow::input::to_argument;
use crate::id::ExecutionId;
use crate::journal::{LogFilter, LogPosition, State, Summary, TaskRun, TaskState};
use crate::server::App;
use crate::server::access::Role;
use crate::server::api::error::ApiError;
use crate::server::api::executions::Present;
use crate::server::api::parameters::QueryParameters;

/// The longest wait for an execution, in seconds.
const MAX_WAIT: u64 = 55;
/// The most task runs and log lines of a result, and the longest line.
const MAX_TASKS: usize = 40;
const MAX_LOG_LINES: u32 = 60;
const MAX_LINE: usize = 500;
/// The label of executions that agents start.
const FROM: (&str, &str) = ("system.from", "mcp");

/// Runs a flow, and waits for a while until it ends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunFlow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
    /// Values of inputs, by name; `explain_flow` lists the inputs.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// How long to wait for its end, in seconds: 30 by default and 55 at most.
    wait_seconds: Option<u64>,
}

impl McpTool for RunFlow {
    const NAME: &'static str = "run_flow";
    const TITLE: &'static str = "Run flow";
    const ROLE: Role = Role::Operator;
    const IS_CHANGE: bool = true;

    fn target(&self) -> String {
        format!("{}.{}", self.namespace, self.id)
    }

    async fn call(self, app: Arc<App>) -> McpResult {
        let entry = flow(&app, &self.namespace, &self.id)?;
        if entry.is_broken {
            let error = ToolError::from(ApiError::findings(entry.findings.clone()));
            return Err(error.next("the file of the flow has errors: correct it with `save_flow`"));
        }
        let given: Vec<(String, String)> =
            self.inputs.iter().map(|(name, value)| (name.clone(), to_argument(value))).collect();
        let submitted = run_blocking(|| {
            ApiError::check_file_inputs(&app, &entry.flow, &given)?;
            let inputs = app.executor.resolve(&entry.flow, &given)?;
            let labels = [(FROM.0.to_owned(), json!(FROM.1))].into_iter().collect();
            Ok::<_, ApiError>(app.executor.submit(
                &entry.flow,
                ExecutionRequest { inputs, labels, from_outside: true, ..ExecutionRequest::default() },
            )?)
        });
        let id = submitted.map_err(|error| ToolError::from(error).next("`explain_flow` lists the inputs"))?;
        wait(&app, &id, self.wait_seconds.unwrap_or(30)).await?;
        run_blocking(|| report(&app, &id, 0))
    }
}

/// Waits until an execution has ended or is paused, for at most so many seconds.
async fn wait(app: &App, id: &ExecutionId, seconds: u64) -> Result<(), ToolError> {
    let timeout = Duration::from_secs(seconds.min(MAX_WAIT));
    match tokio::time::timeout(timeout, app.executor.wait(id)).await {
        Ok(Err(error)) => Err(ApiError::from(error).into()),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Lists executions, the newest first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListExecutions {
    /// Only those of flows of this namespace.
    namespace: Option<String>,
    /// Only those of flows of this id.
    flow_id: Option<String>,
    /// Only those in this state, such as RUNNING, PAUSED, SUCCESS, WARNING, FAILED, KILLED or INTERRUPTED.
    state: Option<String>,
    /// The most executions, 20 by default and 100 at most.
    limit: Option<u32>,
}

impl McpTool for ListExecutions {
    const NAME: &'static str = "list_executions";
    const TITLE: &'static str = "List executions";

    async fn call(self, app: Arc<App>) -> McpResult {
        let mut query = QueryParameters::default();
        for (name, value) in [("namespace", &self.namespace), ("flowId", &self.flow_id), ("state", &self.state)] {
            query = query.adding(name, value.as_deref().unwrap_or_default());
        }
        let limit = self.limit.unwrap_or(20).clamp(1, 100);
        let found =
            run_blocking(|| Ok::<_, ApiError>(app.executor.journal().search(&query.query_in(&app)?, limit, 0)?))?;
        let shown: Vec<Value> = found.executions.iter().map(summary).collect();
        let more = found.total.saturating_sub(shown.len() as u64);
        Ok(Value::Object(page("executions", &shown, more)))
    }
}

fn summary(summary: &Summary) -> Value {
    json!({
        "id": summary.id, "namespace": summary.namespace, "flow_id": summary.flow, "state": summary.state,
        "created": summary.created, "seconds": summary.took, "rows": summary.rows,
        "inputs": inputs(&summary.inputs),
    })
}

/// Inputs, each with its beginning.
fn inputs(all: &Map<String, Value>) -> Map<String, Value> {
    all.iter().map(|(name, value)| (name.clone(), json!(brief(&to_argument(value), 200)))).collect()
}

/// Follows an execution: its state, its tasks and the new lines of its log. Waits for its end if it is asked to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowExecution {
    /// The execution's id.
    id: String,
    /// How long to wait for its end, in seconds: 0 by default and 55 at most.
    wait_seconds: Option<u64>,
    /// Only log lines after this number, which an earlier call gave as `last_line`.
    after_line: Option<i64>,
}

impl McpTool for FollowExecution {
    const NAME: &'static str = "follow_execution";
    const TITLE: &'static str = "Follow execution";

    async fn call(self, app: Arc<App>) -> McpResult {
        let id = execution(&app, &self.id)?;
        wait(&app, &id, self.wait_seconds.unwrap_or(0)).await?;
        run_blocking(|| report(&app, &id, self.after_line.unwrap_or(0)))
    }
}

/// The id of an execution that there is.
fn execution(app: &App, id: &str) -> Result<ExecutionId, ToolError> {
    let next = |error: ApiError| ToolError::from(error).next("`list_executions` lists the executions");
    let id: ExecutionId = id.parse().map_err(|error: crate::id::InvalidId| next(error.into()))?;
    let known = run_blocking(|| app.executor.journal().status(&id)).map_err(|error| next(error.into()))?;
    known.map(|_| id.clone()).ok_or_else(|| next(ApiError::execution_not_found(&id)))
}

/// An execution without the values that its tasks return, which may be rows.
fn report(app: &App, id: &ExecutionId, after: i64) -> McpResult {
    let Present { state, interrupted, .. } = Present::of(app, id)?;
    let position = if after > 0 { LogPosition::After(after) } else { LogPosition::End };
    let lines = app.executor.journal().log_lines(id, &LogFilter::default(), position, MAX_LOG_LINES);
    let lines = lines.map_err(ApiError::from)?;
    let mut result = header(id, &state, interrupted);
    let mut tasks: Vec<_> = state.tasks.iter().collect();
    // What failed is of most interest.
    tasks.sort_by_key(|(_, task)| !matches!(task.state, TaskState::Failed));
    let tasks: Vec<Value> = tasks.into_iter().map(|(run, task)| task_run(run.as_str(), task)).collect();
    result.extend(list("tasks", &tasks, MAX_TASKS));
    let said: Vec<String> = lines.iter().map(|(_, line)| log_line(line)).collect();
    result.insert("log".to_owned(), json!(said));
    result.insert("last_line".to_owned(), json!(lines.last().map_or(after, |(number, _)| *number)));
    result.insert("next".to_owned(), json!(next(&state, interrupted)));
    Ok(Value::Object(result))
}

fn log_line(line: &crate::journal::LogLine) -> String {
    let source = line.source.as_str();
    let source = if source.is_empty() { String::new() } else { format!(" {source}:") };
    brief(&format!("{}{source} {}", line.level, line.message), MAX_LINE)
}

fn header(id: &ExecutionId, state: &State, interrupted: bool) -> Map<String, Value> {
    let created = &state.created;
    let header = json!({
        "id": id, "namespace": created.namespace, "flow_id": created.flow, "state": state.status,
        "interrupted": interrupted, "started": state.started, "ended": state.ended,
        "seconds": state.took().map(|took| took.as_secs_f64()), "rows": state.rows, "inputs": inputs(&created.inputs),
    });
    header.as_object().cloned().unwrap_or_default()
}

fn task_run(run: &str, task: &TaskRun) -> Value {
    // Counts of rows and bytes, and whether something was there already.
    let counts = task.outputs.iter().filter(|(_, value)| value.is_number() || value.is_boolean());
    let counts: Map<String, Value> = counts.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut shown = json!({"run": run, "state": task.state.as_str(), "attempts": task.attempts});
    if let Some(map) = shown.as_object_mut() {
        if !counts.is_empty() {
            map.insert("outputs".to_owned(), Value::Object(counts));
        }
        if let Some(error) = &task.error {
            map.insert("error".to_owned(), json!(brief(&error.message, 1000)));
            map.extend(error.help.as_ref().map(|help| ("help".to_owned(), json!(help))));
        }
    }
    shown
}

/// What an agent may do next.
fn next(state: &State, interrupted: bool) -> &'static str {
    use crate::journal::ExecutionState as Is;
    match state.status {
        _ if interrupted => "its process is gone: tell the user to restart it",
        Is::Failed => "call `explain_execution`",
        Is::Success | Is::Warning => "it has ended well",
        Is::Paused => "it waits for somebody to resume it",
        _ if state.status.has_ended() => "it has ended",
        _ => "it is not over: call `follow_execution` with `wait_seconds`",
    }
}

/// Explains why an execution failed: the tasks that failed, what went wrong, what they say to do about it, their lines of the
/// flow and the end of their logs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainExecution {
    /// The execution's id.
    id: String,
}

impl McpTool for ExplainExecution {
    const NAME: &'static str = "explain_execution";
    const TITLE: &'static str = "Explain execution";

    async fn call(self, app: Arc<App>) -> McpResult {
        let id = execution(&app, &self.id)?;
        run_blocking(|| {
            let Present { state, interrupted, .. } = Present::of(&app, &id)?;
            let flow = app.executor.flow(&state).ok();
            let journal = app.executor.journal();
            let report = FailureReport::of(journal, &app.settings.redactor, (&id, &state), flow.as_deref());
            let report = json!(report.map_err(ApiError::from)?);
            let mut result = header(&id, &state, interrupted);
            result.extend(report.as_object().cloned().unwrap_or_default());
            let has_failed = state.status == crate::journal::ExecutionState::Failed;
            let advice = match has_failed {
                true => {
                    "correct the lines under `yaml` with `read_flow` and `save_flow`, or what the message names; then `run_flow`"
                }
                false => next(&state, interrupted),
            };
            result.insert("next".to_owned(), json!(advice));
            Ok(Value::Object(result))
        })
    }
}

/// Stops an execution. Loads that are running are rolled back; what scripts have changed stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KillExecution {
    /// The execution's id.
    id: String,
}

impl McpTool for KillExecution {
    const NAME: &'static str = "kill_execution";
    const TITLE: &'static str = "Kill execution";
    const ROLE: Role = Role::Operator;
    const IS_CHANGE: bool = true;

    fn target(&self) -> String {
        self.id.clone()
    }

    async fn call(self, app: Arc<App>) -> McpResult {
        let id = execution(&app, &self.id)?;
        run_blocking(|| app.executor.kill(&id)).map_err(ApiError::from)?;
        wait(&app, &id, 10).await?;
        run_blocking(|| report(&app, &id, 0))
    }
}
