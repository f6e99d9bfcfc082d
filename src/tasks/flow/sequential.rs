//! `sequential`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks one after another, as one task with its own `errors`, `finally` or condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sequential {
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
}

impl Task for Sequential {
    const NAME: &'static str = "sequential";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.Sequential", "io.kestra.core.tasks.flows.Sequential"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const EXAMPLE: &'static str = "\
- id: both
  type: sequential
  tasks:
    - id: first
      type: log
      message: first
    - id: second
      type: log
      message: second
  errors:
    - id: sorry
      type: log
      message: one of them failed";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        Ok(Expansion::of("tasks"))
    }
}
