//! `each_parallel`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use super::NoOutputs;
use super::for_each::list;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks once for each value of a list, all in parallel: the values, and the tasks of each. Otherwise like
/// `for_each`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EachParallel {
    /// The values: a list, or the JSON text of one.
    #[serde(alias = "value")]
    values: Value,
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// How many values are processed at a time; 0 means no limit.
    #[serde(default)]
    concurrent: u32,
}

impl Task for EachParallel {
    const NAME: &'static str = "each_parallel";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.EachParallel", "io.kestra.core.tasks.flows.EachParallel"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Loops, Capability::OutputsByValue];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const EXAMPLE: &'static str = "\
- id: colours
  type: each_parallel
  values: [\"green\", \"yellow\"]
  tasks:
    - id: name
      type: log
      message: \"{{ taskrun.value }}\"
    - id: wait
      type: sleep
      duration: 1s";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(NoOutputs)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        let expansion = Expansion::of("tasks").each(list(&self.values)?).at_a_time(self.concurrent);
        Ok(Expansion { concurrent_within: 0, ..expansion })
    }
}
