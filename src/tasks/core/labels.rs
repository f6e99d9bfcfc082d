//! `labels`

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::task::{Task, TaskContext, TaskError};
use crate::tasks::core::log::Nothing;

/// Adds labels to the execution, to find it again by.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// A map, or a list of {key, value}.
    labels: Given,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Given {
    Map(Map<String, Value>),
    List(Vec<Label>),
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
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.execution.Labels"];
    const EXAMPLE: &'static str = "\
- id: label
  type: labels
  labels:
    file: \"{{ inputs.taxi }}_{{ inputs.year }}-{{ inputs.month }}\"";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        let labels: Map<String, Value> = match &self.labels {
            Given::Map(map) => map.clone(),
            Given::List(list) => list.iter().cloned().map(|label| (label.key, label.value)).collect(),
        };
        if let Ok(mut known) = context.labels.lock() {
            known.extend(labels);
        }
        Ok(Nothing {})
    }
}
