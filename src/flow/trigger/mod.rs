//! Triggers: schedules, webhooks, other flows, files and HTTP polls. This module parses and checks them; the engine and
//! the server act on them.

pub mod condition;
pub mod cron;
mod file;
mod filter;
mod parse;
mod types;
mod upstream;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::task::{FieldError, read};

pub use condition::{Condition, ConditionContext};
pub use cron::CronTimes;
pub use file::{FileArrival, ListingDepth};
pub use filter::ExecutionFilter;
pub use types::{FlowEnd, HttpPoll, MIN_KEY_LENGTH, Recover, Schedule, ScheduleBackfill, Webhook};
pub use upstream::{
    NaiveTimeText, Preconditions, TimeWindow, UpstreamExecution, UpstreamFlow, UpstreamStatus, WindowKind,
};

/// A trigger of a flow.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its id, unique among the flow's triggers.
    pub id: String,
    /// What it waits for.
    pub on: TriggerKind,
    /// The fields that every trigger may have.
    pub common: TriggerCommon,
    /// Labels that its executions get.
    pub labels: Map<String, Value>,
    /// What must also hold, all of it.
    pub conditions: Vec<Condition>,
    /// Where the trigger is in the document.
    pub path: Vec<String>,
}

/// What a trigger waits for.
#[derive(Clone, Debug)]
pub enum TriggerKind {
    /// Times.
    Schedule(Schedule, Box<CronTimes>),
    /// Calls.
    Webhook(Webhook),
    /// Other flows.
    Flow(FlowEnd),
    /// Files.
    File(FileArrival),
    /// Answers.
    Http(HttpPoll),
}

impl Trigger {
    /// Whether all conditions are met.
    ///
    /// # Errors
    /// When one cannot be decided.
    pub fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        for condition in &self.conditions {
            if !condition.is_met(context)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The times of a schedule; none of any other trigger.
    pub fn times(&self) -> Option<&CronTimes> {
        match &self.on {
            TriggerKind::Schedule(_, times) => Some(times),
            _ => None,
        }
    }
}

/// The fields that every trigger may have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TriggerCommon {
    /// The trigger's name in the flow.
    pub id: String,
    /// What kind of trigger it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// A note for the reader.
    pub description: Option<String>,
    /// Leaves the trigger out.
    #[serde(default)]
    pub disabled: bool,
    /// Values for the flow's inputs; expressions may name `trigger` and `vars`.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// Labels of the executions: a map, or a list of {key, value}.
    #[serde(default)]
    pub labels: Value,
    /// What must also hold, all of it: a list of conditions, each with a `type`.
    #[serde(default, alias = "scheduleConditions")]
    pub conditions: Value,
    /// An expression that must also hold.
    pub when: Option<Value>,
    /// The states of an execution after which the trigger disables itself.
    #[serde(default)]
    pub stop_after: Vec<UpstreamStatus>,
    /// Whether an execution may start while an earlier one of this trigger is running.
    #[serde(default)]
    pub allow_concurrent: bool,
    /// Ignored.
    pub log_level: Option<Value>,
}

/// The names of [`TriggerCommon`]'s fields in YAML.
pub const TRIGGER_FIELDS: &[&str] = &[
    "id",
    "type",
    "description",
    "disabled",
    "inputs",
    "labels",
    "conditions",
    "scheduleConditions",
    "when",
    "stopAfter",
    "allowConcurrent",
    "logLevel",
];

/// A type of trigger.
pub struct TriggerType {
    /// The short name.
    pub name: &'static str,
    /// Other names, with Kestra's first.
    pub aliases: &'static [&'static str],
    /// The YAML example.
    pub example: &'static str,
    /// The JSON Schema of the fields.
    pub schema: fn() -> Schema,
    /// Whether these fields make such a trigger.
    pub check: fn(&Value) -> Result<(), FieldError>,
}

const fn kind<T: DeserializeOwned + JsonSchema>(
    name: &'static str,
    aliases: &'static [&'static str],
    example: &'static str,
) -> TriggerType {
    let schema = || schemars::schema_for!(T);
    TriggerType { name, aliases, example, schema, check: |fields| read::<T>(fields).map(drop) }
}

/// Every type of trigger.
pub static TRIGGERS: &[TriggerType] = &[
    kind::<FileArrival>(
        "file",
        &["io.kestra.plugin.gcp.gcs.Trigger"],
        "\
- id: arrivals
  type: file
  from: incoming/*.csv.gz
  inputs:
    source: \"{{ trigger.uri }}\"",
    ),
    kind::<FlowEnd>(
        "flow",
        &["io.kestra.plugin.core.trigger.Flow", "io.kestra.core.models.triggers.types.Flow"],
        "\
- id: after_load
  type: flow
  states: [SUCCESS]
  conditions:
    - type: execution_flow
      namespace: zoomcamp
      flowId: postgres_taxi",
    ),
    kind::<HttpPoll>(
        "http",
        &["io.kestra.plugin.core.http.Trigger", "io.kestra.plugin.fs.http.Trigger"],
        "\
- id: new_month
  type: http
  uri: https://example.com/months.json
  interval: 10m
  condition: \"{{ response.statusCode == 200 }}\"",
    ),
    kind::<Schedule>(
        "schedule",
        &["io.kestra.plugin.core.trigger.Schedule", "io.kestra.core.models.triggers.types.Schedule"],
        "\
- id: monthly
  type: schedule
  cron: \"0 9 1 * *\"
  timezone: America/New_York
  inputs:
    taxi: green",
    ),
    kind::<Webhook>(
        "webhook",
        &["io.kestra.plugin.core.trigger.Webhook", "io.kestra.core.models.triggers.types.Webhook"],
        "\
- id: call
  type: webhook
  key: 4wjtkzwVGBM9yKnjm3yv8r",
    ),
];

impl TriggerType {
    /// The type of this name, short or Kestra's.
    pub fn find(name: &str) -> Option<&'static Self> {
        TRIGGERS.iter().find(|kind| kind.name == name || kind.aliases.contains(&name))
    }
}
