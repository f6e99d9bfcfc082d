//! `allow_failure`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks one after another; when one fails, the flow continues with a warning.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowFailure {
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
}

impl Task for AllowFailure {
    const NAME: &'static str = "allow_failure";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.AllowFailure", "io.kestra.core.tasks.flows.AllowFailure"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable, Capability::AllowsFailure];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const EXAMPLE: &'static str = "\
- id: try
  type: allow_failure
  tasks:
    - id: wait
      type: sleep
      duration: 1s";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        Ok(Expansion { allow_failure: true, ..Expansion::of("tasks") })
    }
}
