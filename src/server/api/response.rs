//! Executions in responses, with the fields that scripts written for Kestra read.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::id::ExecutionId;
use crate::journal::{State, Summary, TaskRun, Triggered};

/// The facts of a webhook that are what somebody sent to it.
const SENT: [&str; 3] = ["body", "headers", "parameters"];

/// A state with its times.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateResponse {
    /// The state's name, in capitals.
    pub(crate) current: String,
    /// When it started.
    pub(crate) start_date: Option<DateTime<Utc>>,
    /// When it ended.
    pub(crate) end_date: Option<DateTime<Utc>>,
    /// The duration in ISO 8601; for an execution, without pauses and without the time between processes.
    pub(crate) duration: Option<String>,
}

impl StateResponse {
    fn new(current: &str, began: Option<DateTime<Utc>>, ended: Option<DateTime<Utc>>, took: Option<f64>) -> Self {
        let duration = took.map(|took| format!("PT{took:.3}S"));
        Self { current: current.to_owned(), start_date: began, end_date: ended, duration }
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ResultsPage<T> {
    /// The page.
    pub(crate) results: Vec<T>,
    /// The total number.
    pub(crate) total: u64,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LabelResponse {
    key: String,
    value: String,
}

/// One run of a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskRunResponse {
    /// The id of the task run: the id of the task, preceded by the iterations of the enclosing loops.
    id: String,
    /// The task's id.
    task_id: String,
    /// Where it stands.
    state: StateResponse,
    /// The number of attempts so far.
    attempts: u32,
    /// Its outputs.
    #[schema(value_type = Object)]
    outputs: Map<String, Value>,
    /// Why its latest attempt failed.
    error: Option<String>,
    /// What to do about it.
    help: Option<String>,
}

/// An execution.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExecutionResponse {
    /// The execution's id.
    pub(crate) id: String,
    /// The flow's namespace.
    pub(crate) namespace: String,
    /// The flow's id.
    pub(crate) flow_id: String,
    /// Where it stands.
    pub(crate) state: StateResponse,
    /// Whether it is interrupted: it has not ended, and the process that ran it is gone; a restart continues it.
    pub(crate) interrupted: bool,
    /// The inputs, without secret ones.
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
    /// The values of the flow's `outputs`; empty until it has succeeded, and omitted in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    outputs: Option<Map<String, Value>>,
    /// The labels.
    labels: Vec<LabelResponse>,
    /// Rows that its tasks loaded.
    rows: u64,
    /// The task runs; omitted in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_run_list: Option<Vec<TaskRunResponse>>,
    /// What started it; left out where somebody did by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<ExecutionTriggerResponse>,
    /// The date that it is for.
    schedule_date: Option<DateTime<Utc>>,
}

/// What started an execution.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionTriggerResponse {
    /// The trigger's id in its flow.
    pub(crate) id: String,
    /// The type of the trigger, or `backfill`.
    #[serde(rename = "type")]
    kind: String,
    /// What expressions read as `trigger`, such as its `date`; without the body sent to a webhook, which may be a
    /// secret.
    #[schema(value_type = Object)]
    pub(crate) variables: Map<String, Value>,
}

impl ExecutionTriggerResponse {
    pub(crate) fn of(triggered: &Triggered) -> Self {
        let is_shown = |name: &str| triggered.kind != "webhook" || !SENT.contains(&name);
        let shown = triggered.facts.iter().filter(|(name, _)| is_shown(name));
        // A backfill names the schedule that it goes by.
        let id = triggered.facts.get("id").and_then(Value::as_str).unwrap_or(&triggered.id);
        Self {
            id: id.to_owned(),
            kind: triggered.kind.clone(),
            variables: shown.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

impl ExecutionResponse {
    /// A whole execution.
    pub(crate) fn whole(id: &ExecutionId, state: &State, interrupted: bool) -> Self {
        let took = state.took().map(|took| took.as_secs_f64());
        let text = crate::text::plain;
        let label = |(key, value): (&String, &Value)| LabelResponse { key: key.clone(), value: text(value) };
        let runs = state.tasks.iter().map(|(run, task)| task_run(run.as_str(), run.task(), task)).collect();
        Self {
            id: id.to_string(),
            namespace: state.created.namespace.clone(),
            flow_id: state.created.flow.clone(),
            state: StateResponse::new(state.status.as_str(), state.started, state.ended, took),
            interrupted,
            inputs: state.created.inputs.clone(),
            outputs: Some(state.outputs.clone()),
            labels: state.labels.iter().map(label).collect(),
            rows: state.rows,
            task_run_list: Some(runs),
            trigger: state.created.trigger.as_ref().map(ExecutionTriggerResponse::of),
            schedule_date: Some(state.created.trigger_date),
        }
    }

    /// An execution in a list.
    pub(crate) fn listed(summary: &Summary, trigger: Option<&Triggered>, interrupted: bool) -> Self {
        Self {
            id: summary.id.to_string(),
            namespace: summary.namespace.clone(),
            flow_id: summary.flow.clone(),
            state: StateResponse::new(summary.state.as_str(), summary.started, summary.ended, summary.took),
            interrupted,
            inputs: summary.inputs.clone(),
            outputs: None,
            labels: Vec::new(),
            rows: summary.rows,
            task_run_list: None,
            trigger: trigger.map(ExecutionTriggerResponse::of),
            schedule_date: summary.trigger_date,
        }
    }
}

fn task_run(id: &str, task_id: &str, task: &TaskRun) -> TaskRunResponse {
    let took = task.ended.zip(task.since).map(|(ended, began)| (ended - began).as_seconds_f64());
    TaskRunResponse {
        id: id.to_owned(),
        task_id: task_id.to_owned(),
        state: StateResponse::new(task.state.as_str(), task.since, task.ended, took),
        attempts: task.attempts,
        outputs: task.outputs.clone(),
        error: task.error.as_ref().map(|error| error.message.clone()),
        help: task.error.as_ref().and_then(|error| error.help.clone()),
    }
}
