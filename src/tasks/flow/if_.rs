//! `if`

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::expression::is_truthy;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs one list of tasks when a condition holds, and another when it does not.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct If {
    /// The condition. It does not hold if its value is `false`, `0`, empty, or the text of one of these.
    condition: Value,
    /// The tasks to run when it holds.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    then: Vec<Value>,
    /// The tasks to run when it does not.
    #[serde(default, rename = "else")]
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    otherwise: Vec<Value>,
}

/// The value of the condition.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Decided {
    /// Whether the condition holds.
    evaluation_result: bool,
}

impl Task for If {
    const NAME: &'static str = "if";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.If", "io.kestra.core.tasks.flows.If"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Decidable];
    const BRANCHES: &'static [Branch] = &[Branch::List("then"), Branch::List("else")];
    const EXAMPLE: &'static str = "\
- id: which
  type: if
  condition: \"{{ inputs.taxi == 'green' }}\"
  then:
    - id: green
      type: log
      message: a green one
  else:
    - id: yellow
      type: log
      message: a yellow one";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(Decided)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        let holds = is_truthy(&self.condition);
        Ok(Expansion::of(if holds { "then" } else { "else" }).giving(&Decided { evaluation_result: holds }))
    }
}
