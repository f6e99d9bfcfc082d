//! `subflow`

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::execution_state::ExecutionState;
use crate::flow::labels_of;
use crate::task::{Capability, SubflowRequest, SubflowResult, Task, TaskContext, TaskError};

/// Runs another flow as an execution of its own. It is found by namespace and id among the flows in the folder of this
/// one and in the folders below.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Subflow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    #[serde(alias = "flow_id")]
    flow_id: String,
    /// Its inputs.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Labels for its execution: a map, or a list of `{key, value}`.
    #[serde(default)]
    labels: Value,
    /// Whether its execution also gets the labels of this one.
    #[serde(default)]
    inherit_labels: bool,
    /// Whether the task waits until it has ended.
    #[serde(default = "yes")]
    wait: bool,
    /// Whether the task fails, or ends with a warning, if the execution that it waits for does.
    #[serde(default = "yes")]
    transmit_failed: bool,
    /// When it starts; immediately by default.
    #[serde(alias = "scheduleOn")]
    #[schemars(with = "Option<String>")]
    schedule_date: Option<DateTime<Utc>>,
    /// What a retry of this task does with an execution that did not succeed: it continues from the tasks that failed
    /// (`RETRY_FAILED`), or a new one starts (`NEW_EXECUTION`).
    #[serde(default)]
    restart_behavior: RestartBehavior,
    /// The revision of the flow; ignored, since the current file is always used.
    #[expect(dead_code, reason = "flows may name it")]
    revision: Option<u64>,
}

/// What a repeated task does about the execution that it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RestartBehavior {
    /// It is resumed.
    #[default]
    RetryFailed,
    /// It starts another one.
    NewExecution,
}

pub(super) fn yes() -> bool {
    true
}

/// What a flow gave.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The execution.
    execution_id: String,
    /// Its final state; `CREATED` if the task did not wait.
    state: String,
    /// The flow's outputs.
    outputs: Map<String, Value>,
}

impl Task for Subflow {
    const NAME: &'static str = "subflow";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.core.flow.Subflow",
        "io.kestra.core.tasks.flows.Subflow",
        "io.kestra.core.tasks.flows.Flow",
    ];
    const CAPABILITIES: &'static [Capability] = &[Capability::StartsFlows];
    const EXAMPLE: &'static str = "\
- id: load_month
  type: subflow
  namespace: zoomcamp
  flowId: postgres_taxi
  inputs:
    taxi: green
    year: \"2019\"
    month: \"01\"";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let request = SubflowRequest {
            key: None,
            namespace: self.namespace.clone(),
            flow: self.flow_id.clone(),
            inputs: self.inputs.clone(),
            labels: labels_of(&self.labels),
            inherits_labels: self.inherit_labels,
            waits: self.wait,
            date: self.schedule_date,
            as_new: self.restart_behavior == RestartBehavior::NewExecution,
            cancel: context.cancel.child_token(),
        };
        let name = format!("{}.{}", self.namespace, self.flow_id);
        let child = context.children()?.start(request).await?;
        if self.transmit_failed {
            transmit(context, &name, &child)?;
        }
        let SubflowResult { id, state, outputs, .. } = child;
        Ok(Outputs { execution_id: id.to_string(), state: state.as_str().to_owned(), outputs })
    }
}

/// Lets the task end as the execution did that it waited for.
pub(super) fn transmit(context: &TaskContext, name: &str, child: &SubflowResult) -> Result<(), TaskError> {
    if !child.succeeded {
        let error = TaskError::transient(format!("the flow `{name}` ended {} (execution {})", child.state, child.id));
        return Err(error.help(format!("to see its log: jitney executions logs {}", child.id)));
    }
    if child.state == ExecutionState::Warning {
        context.end_with_warning();
    }
    Ok(())
}
