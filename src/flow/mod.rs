//! Flows: from YAML text to a [`Flow`] that can be planned, with every finding at once. Nothing here does I/O.
//!
//! `document.rs` parses the text and keeps the position of every node; `parse.rs` builds the flow from it, with
//! `steps.rs`, `contract.rs`, `input/` and `trigger/` for its parts; `check.rs` then follows the references between
//! the parts. Each pass continues after an error, and skips what an earlier one has reported (`InvalidParts`).

pub mod assist;
mod bounds;
mod check;
mod contract;
pub mod convert;
mod defaults;
mod document;
pub mod documentation;
pub mod edit;
pub mod expression;
mod findings;
pub mod graph;
mod injection;
pub mod input;
mod members;
mod parse;
mod reference;
mod schema;
mod steps;
mod suggestion;
mod syntax_error;
pub mod template;
pub mod trigger;
pub mod type_page;
pub mod type_search;

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::duration::{DurationSpec, Timeout};
use crate::id::{FlowId, TaskId};
use crate::task::{Level, TaskType};

pub use bounds::MAX_FLOW_BYTES;
pub use contract::{
    CheckAction, CheckStyle, Concurrency, ConcurrencyPolicy, FlowCheck, FlowOutput, Sla, SlaAction, SlaKind,
};
pub use defaults::PluginDefault;
pub use document::{Document, Position, from_yaml};
pub use findings::all as all_findings;
pub use input::Input;
pub use parse::{ParsedFlow, parse};
pub use schema::schema;
pub use trigger::Trigger;

/// A flow that can run.
#[derive(Debug)]
pub struct Flow {
    /// The flow's id.
    pub id: FlowId,
    /// The namespace it lives in.
    pub namespace: String,
    /// What it is for.
    pub description: Option<String>,
    /// Labels that every execution gets.
    pub labels: Map<String, Value>,
    /// What a run may be given.
    pub inputs: Vec<Input>,
    /// Values under `vars`.
    pub variables: Map<String, Value>,
    /// The tasks, in order.
    pub steps: Vec<Step>,
    /// The tasks that run when one of `steps` has failed.
    pub errors: Vec<Step>,
    /// The tasks that run after all others, whatever came of them.
    pub finally: Vec<Step>,
    /// The tasks that run when it is known how an execution ends; they change nothing about that.
    pub after: Vec<Step>,
    /// What starts it without anybody asking.
    pub triggers: Vec<Trigger>,
    /// What an execution returns to its caller.
    pub outputs: Vec<FlowOutput>,
    /// The limit on executions that run at the same time.
    pub concurrency: Option<Concurrency>,
    /// How a failed execution is repeated.
    pub retry: Option<RetrySpec>,
    /// Promises about every execution.
    pub sla: Vec<Sla>,
    /// What must hold before an execution starts.
    pub checks: Vec<FlowCheck>,
    /// Whether it must not run.
    pub disabled: bool,
    /// The task types that it was read with.
    pub tasks: &'static [TaskType],
    /// The folder of the flow's file: relative paths start there.
    pub folder: PathBuf,
    /// The text and the positions in it.
    pub document: Document,
}

/// Sub-tasks, by the field that holds them: `then`, `tasks`, `cases.green`.
pub type Branches = Vec<(String, Vec<Step>)>;

/// A task in a flow.
pub struct Step {
    /// The task's id.
    pub id: TaskId,
    /// Its type.
    pub task: &'static TaskType,
    /// Its own fields, not rendered; sub-tasks and the common fields are taken out.
    pub fields: Value,
    /// The fields that every task may have.
    pub common: CommonFields,
    /// Sub-tasks, by the field that holds them.
    pub branches: Branches,
    /// The tasks that must have ended well before it begins; only in a `dag`.
    pub depends_on: Vec<TaskId>,
    /// The tasks whose outputs its expressions name; none when that is not known before it runs.
    pub uses: Option<BTreeSet<String>>,
    /// Where the task is in the document.
    pub path: Vec<String>,
}

impl Step {
    /// The sub-tasks of one field; empty when there are none.
    pub fn branch(&self, name: &str) -> &[Self] {
        let found = self.branches.iter().find(|(field, _)| field == name);
        found.map(|(_, steps)| steps.as_slice()).unwrap_or_default()
    }
}

/// A step, and those in the branches of steps, each before what is in it.
pub fn visit_steps<'a>(steps: &'a [Step], visit: &mut impl FnMut(&'a Step)) {
    for step in steps {
        visit(step);
        step.branches.iter().for_each(|(_, branch)| visit_steps(branch, visit));
    }
}

/// Whether a task of this id is inside of a step.
pub fn contains(step: &Step, id: &str) -> bool {
    step.branches.iter().flat_map(|(_, branch)| branch).any(|inner| inner.id.as_str() == id || contains(inner, id))
}

/// Labels: a map, or a list of `{key, value}`.
pub fn labels_of(value: &Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map.clone(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| Some((item.get("key")?.as_str()?.to_owned(), item.get("value")?.clone())))
            .collect(),
        _ => Map::new(),
    }
}

impl Flow {
    /// All tasks, those inside of others included, in the order of the text.
    pub fn all_steps(&self) -> Vec<&Step> {
        let mut all = Vec::new();
        for steps in [&self.steps, &self.errors, &self.finally, &self.after] {
            visit_steps(steps, &mut |step| all.push(step));
        }
        all
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.id, self.task.name)
    }
}

/// The fields that every task may have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CommonFields {
    /// The task's name in the flow; later tasks refer to its outputs by it.
    pub id: String,
    /// What kind of task it is; `jitney tasks` lists them.
    #[serde(rename = "type")]
    pub kind: String,
    /// A note for the reader.
    pub description: Option<String>,
    /// How to repeat the task when it fails for a reason that may pass.
    pub retry: Option<RetrySpec>,
    /// The longest that one attempt may take; it may be an expression.
    pub timeout: Option<Timeout>,
    /// Leaves the task out.
    #[serde(default)]
    pub disabled: bool,
    /// A condition; when it does not hold the task is skipped.
    #[serde(alias = "when")]
    pub run_if: Option<Value>,
    /// Whether the flow continues, with a warning, when the task fails.
    #[serde(default)]
    pub allow_failure: bool,
    /// Whether the flow takes no notice when the task ends with a warning.
    #[serde(default)]
    pub allow_warning: bool,
    /// The lowest level that is logged of what the task says: `DEBUG`, `INFO`, `WARN` or `ERROR`. All by default.
    pub log_level: Option<Level>,
}

/// The names of [`CommonFields`]'s fields in YAML.
pub const COMMON_FIELDS: &[&str] = &[
    "id",
    "type",
    "description",
    "retry",
    "timeout",
    "disabled",
    "runIf",
    "when",
    "allowFailure",
    "allowWarning",
    "logLevel",
];

/// Kestra's further fields for every task, which change nothing here.
pub const WITHOUT_EFFECT: &[&str] = &["version", "workerGroup", "logToFile", "taskCache", "assets"];

/// How a failed task is repeated.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RetrySpec {
    /// `constant`: always after `interval`. `exponential`: each pause `delayFactor` times longer. `random`: between
    /// `minInterval` and `maxInterval`.
    #[serde(rename = "type")]
    pub kind: RetryKind,
    /// The pause, or the first pause.
    pub interval: Option<DurationSpec>,
    /// The shortest pause of `random`.
    pub min_interval: Option<DurationSpec>,
    /// The longest pause.
    pub max_interval: Option<DurationSpec>,
    /// How much longer each pause of `exponential` is; 2 by default.
    pub delay_factor: Option<f64>,
    /// How many attempts there are in all.
    #[serde(alias = "maxAttempt")]
    pub max_attempts: Option<u32>,
    /// No attempt starts later than this after the first.
    pub max_duration: Option<DurationSpec>,
    /// Whether what ended well after a failure counts as a warning.
    #[serde(default)]
    pub warning_on_retry: bool,
    /// Whether the failed task is repeated (`RETRY_FAILED_TASK`), or the whole flow by a new execution
    /// (`CREATE_NEW_EXECUTION`).
    #[serde(default)]
    pub behavior: RetryBehavior,
}

impl RetrySpec {
    /// The pause that is longer than all the time there is for retries, so that none comes.
    pub(crate) fn pause_too_long(&self) -> Option<&'static str> {
        let longest = self.max_duration?.0;
        let (name, first) = match self.kind {
            RetryKind::Random => ("minInterval", self.min_interval.or(self.interval)?),
            RetryKind::Constant | RetryKind::Exponential => ("interval", self.interval?),
        };
        (first.0 > longest).then_some(name)
    }
}

/// What a [`RetrySpec`] repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryBehavior {
    /// What failed, in the same execution.
    #[default]
    RetryFailedTask,
    /// The flow, in a new execution.
    CreateNewExecution,
}

/// The kinds of [`RetrySpec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetryKind {
    /// Equal pauses.
    Constant,
    /// Growing pauses.
    Exponential,
    /// Random pauses.
    Random,
}
