//! `parallel`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks in parallel, all of them to the end, even if one fails.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// How many run at a time; 0 means no limit.
    #[serde(default)]
    concurrent: u32,
}

impl Task for Parallel {
    const NAME: &'static str = "parallel";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.Parallel", "io.kestra.core.tasks.flows.Parallel"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable, Capability::Parallel];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const EXAMPLE: &'static str = "\
- id: both
  type: parallel
  tasks:
    - id: left
      type: sleep
      duration: 1s
    - id: right
      type: sleep
      duration: 1s";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        Ok(Expansion::of("tasks").at_a_time(self.concurrent))
    }
}
