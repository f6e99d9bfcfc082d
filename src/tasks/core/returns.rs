//! `return`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::{Task, TaskContext, TaskError};

/// Passes a value to later tasks, mostly to see the result of an expression.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// The value: text, or any YAML.
    #[serde(default)]
    format: Value,
}

/// The value.
#[derive(Serialize, JsonSchema)]
pub struct Returned {
    /// The value, with its expressions evaluated.
    value: Value,
}

impl Task for Return {
    const NAME: &'static str = "return";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.debug.Return", "io.kestra.core.tasks.debugs.Return"];
    const EXAMPLE: &'static str = "\
- id: file_name
  type: return
  format: \"{{ inputs.taxi }}_tripdata_{{ inputs.year }}-{{ inputs.month }}.csv\"";
    type Outputs = Returned;

    async fn run(&self, context: &TaskContext) -> Result<Returned, TaskError> {
        context.info(self.format.as_str().map_or_else(|| self.format.to_string(), str::to_owned));
        // A text whose template gives a number is still a text, as it would be with more words around it.
        let value = match &self.format {
            Value::Number(_) | Value::Bool(_) => Value::String(self.format.to_string()),
            other => other.clone(),
        };
        Ok(Returned { value })
    }
}
