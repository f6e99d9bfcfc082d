//! `fail`

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::flow::expression::is_truthy;
use crate::task::{Task, TaskContext, TaskError};
use crate::tasks::core::log::Nothing;

/// Fails, always or when a condition holds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fail {
    /// When to fail. By default always.
    condition: Option<Value>,
    /// The error message.
    #[serde(default = "failure", alias = "error_message")]
    error_message: String,
}

fn failure() -> String {
    "Task failure".to_owned()
}

impl Task for Fail {
    const NAME: &'static str = "fail";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.execution.Fail", "io.kestra.core.tasks.executions.Fail"];
    const EXAMPLE: &'static str = "\
- id: only_2019
  type: fail
  condition: \"{{ inputs.year != '2019' }}\"
  errorMessage: There are no files of {{ inputs.year }}";
    type Outputs = Nothing;

    async fn run(&self, _: &TaskContext) -> Result<Nothing, TaskError> {
        match &self.condition {
            Some(condition) if !is_truthy(condition) => Ok(Nothing {}),
            _ => Err(TaskError::permanent(&self.error_message)),
        }
    }
}
