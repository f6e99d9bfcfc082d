//! `log`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::{Level, Task, TaskContext, TaskError};
use crate::text::plain;

/// Writes a line, or several, to the execution's log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The text, or a list of texts; other values are written as JSON.
    message: Value,
    /// The level of the message.
    #[serde(default = "info")]
    level: Level,
}

fn info() -> Level {
    Level::Info
}

/// Nothing.
#[derive(Serialize, JsonSchema)]
pub struct Nothing {}

impl Task for Log {
    const NAME: &'static str = "log";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log"];
    const STRINGIFY: &'static [&'static str] = &["message"];
    const EXAMPLE: &'static str = "\
- id: say
  type: log
  message: Loading {{ inputs.taxi }}";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        let lines = match &self.message {
            Value::Array(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        lines.iter().for_each(|line| context.log_line(self.level, &plain(line)));
        Ok(Nothing {})
    }
}
