//! `labels`

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::task::{Task, TaskContext, TaskError};
use crate::tasks::core::log::Nothing;

/// Adds labels to the execution, so that it can be searched for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// A map, a list of {key, value}, or either as JSON text.
    labels: LabelsField,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write a map, or a list of {key, value}")]
enum LabelsField {
    Map(Map<String, Value>),
    List(Vec<Label>),
    Json(String),
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Label {
    /// The label's name.
    key: String,
    /// The label's value.
    value: Value,
}

impl Task for Labels {
    const NAME: &'static str = "labels";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.execution.Labels", "io.kestra.core.tasks.executions.Labels"];
    const EXAMPLE: &'static str = "\
- id: label
  type: labels
  labels:
    file: \"{{ inputs.taxi }}_{{ inputs.year }}-{{ inputs.month }}\"";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        if let Ok(mut known) = context.labels.lock() {
            known.extend(self.labels.read()?);
        }
        Ok(Nothing {})
    }
}

impl LabelsField {
    fn read(&self) -> Result<Map<String, Value>, TaskError> {
        match self {
            Self::Map(map) => Ok(map.clone()),
            Self::List(list) => Ok(list.iter().cloned().map(|label| (label.key, label.value)).collect()),
            Self::Json(text) => match serde_json::from_str(text) {
                Ok(inner @ (Self::Map(_) | Self::List(_))) => inner.read(),
                _ => Err(TaskError::permanent("`labels` is neither a map nor a list of {key, value}")),
            },
        }
    }
}
