//! `for_each`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks once for each value of a list: `taskrun.value` is the value, `taskrun.iteration` its index from 0. Later
/// tasks read the outputs of each iteration as `outputs.<task>[<value>]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The values: a list, or the JSON text of one.
    #[serde(alias = "value")]
    values: Value,
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// How many values are processed at a time; 0 means no limit.
    #[serde(default = "one", rename = "concurrencyLimit", alias = "concurrency_limit", alias = "concurrent")]
    concurrency_limit: u32,
}

fn one() -> u32 {
    1
}

impl Task for ForEach {
    const NAME: &'static str = "for_each";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.core.flow.ForEach",
        "io.kestra.plugin.core.flow.EachSequential",
        "io.kestra.core.tasks.flows.EachSequential",
    ];
    const CAPABILITIES: &'static [Capability] = &[Capability::Loops, Capability::OutputsByValue];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const EXAMPLE: &'static str = "\
- id: months
  type: for_each
  values: [\"01\", \"02\", \"03\"]
  concurrencyLimit: 2
  tasks:
    - id: say
      type: log
      message: month {{ taskrun.value }}";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        Ok(Expansion::of("tasks").each(list(&self.values)?).at_a_time(self.concurrency_limit))
    }
}

/// The values of a list, or of a text that is a list in JSON.
pub(super) fn list(values: &Value) -> Result<Vec<Value>, TaskError> {
    let parsed = match values {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    };
    match parsed {
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Object(map)) => {
            Ok(map.into_iter().map(|(key, value)| serde_json::json!({"key": key, "value": value})).collect())
        }
        _ => Err(TaskError::permanent(format!("`values` is not a list: {values}"))
            .help("write a list, or an expression whose result is one: `{{ outputs.months.value }}`")),
    }
}
