//! `switch`

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs the tasks of the case that a value names.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// The value that names the case.
    value: String,
    /// The tasks of each case, by its name.
    #[serde(default)]
    cases: BTreeMap<String, Vec<Value>>,
    /// The tasks for a value that matches no case.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    defaults: Vec<Value>,
}

/// Which case was chosen.
#[derive(Serialize, JsonSchema)]
struct Chosen {
    /// The value that names the case.
    value: String,
    /// Whether no case matches, so that the tasks of `defaults` run.
    defaults: bool,
}

impl Task for Switch {
    const NAME: &'static str = "switch";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.Switch", "io.kestra.core.tasks.flows.Switch"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable];
    const BRANCHES: &'static [Branch] = &[Branch::Cases("cases"), Branch::List("defaults")];
    const EXAMPLE: &'static str = "\
- id: colour
  type: switch
  value: \"{{ inputs.taxi }}\"
  cases:
    green:
      - id: green
        type: log
        message: a green one
  defaults:
    - id: other
      type: log
      message: another one";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(Chosen)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        let is_case = self.cases.contains_key(&self.value);
        let branch = if is_case { format!("cases.{}", self.value) } else { "defaults".to_owned() };
        Ok(Expansion::of(branch).giving(&Chosen { value: self.value.clone(), defaults: !is_case }))
    }
}
