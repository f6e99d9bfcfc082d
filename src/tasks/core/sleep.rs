//! `sleep`

use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::DurationSpec;
use crate::task::{Task, TaskContext, TaskError};
use crate::tasks::core::log::Nothing;

/// Waits.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// The duration: `15s`, `2m`, `PT15S`.
    duration: DurationSpec,
}

impl Task for Sleep {
    const NAME: &'static str = "sleep";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.Sleep"];
    const EXAMPLE: &'static str = "\
- id: breathe
  type: sleep
  duration: 15s";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        tokio::select! {
            () = tokio::time::sleep(self.duration.0) => Ok(Nothing {}),
            () = context.cancel.cancelled() => Err(TaskError::cancelled("stopped while sleeping")),
        }
    }
}
