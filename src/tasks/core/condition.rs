//! `if`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::expression::is_truthy;
use crate::task::{Task, TaskContext, TaskError};

/// Runs one list of tasks when a condition holds, and another when it does not.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct If {
    /// The condition. `false`, `0` and nothing do not hold, nor do their texts.
    condition: Value,
    /// The tasks to run when it holds.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    then: Vec<Value>,
    /// The tasks to run when it does not.
    #[serde(default, rename = "else")]
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    otherwise: Vec<Value>,
}

/// Which way it went.
#[derive(Serialize, JsonSchema)]
pub struct Chosen {
    /// Whether the condition held.
    #[serde(rename = "evaluationResult")]
    evaluation_result: bool,
    /// `then` or `else`.
    branch: &'static str,
}

impl Task for If {
    const NAME: &'static str = "if";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.If"];
    const BRANCHES: &'static [&'static str] = &["then", "else"];
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
    type Outputs = Chosen;

    async fn run(&self, _: &TaskContext) -> Result<Chosen, TaskError> {
        let holds = is_truthy(&self.condition);
        Ok(Chosen { evaluation_result: holds, branch: if holds { "then" } else { "else" } })
    }
}
