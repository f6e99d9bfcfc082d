//! `dag`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs each task as soon as the tasks that it depends on have succeeded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dag {
    /// The tasks, as a list of `{task: …, dependsOn: [ids]}`.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// How many run at a time; 0 means no limit.
    #[serde(default)]
    concurrent: u32,
}

impl Task for Dag {
    const NAME: &'static str = "dag";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.Dag", "io.kestra.core.tasks.flows.Dag"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable];
    const BRANCHES: &'static [Branch] = &[Branch::Graph("tasks")];
    const EXAMPLE: &'static str = "\
- id: graph
  type: dag
  tasks:
    - task:
        id: first
        type: log
        message: first
    - task:
        id: second
        type: log
        message: second
      dependsOn: [first]";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        Ok(Expansion::of("tasks").at_a_time(self.concurrent))
    }
}
