//! `output_values`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::{Task, TaskContext, TaskError};

/// Passes named values to later tasks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputValues {
    /// The values by name.
    values: Map<String, Value>,
}

/// The values.
#[derive(Serialize, JsonSchema)]
pub struct ValueOutputs {
    /// The values by name, with their expressions evaluated.
    values: Map<String, Value>,
}

impl Task for OutputValues {
    const NAME: &'static str = "output_values";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.output.OutputValues"];
    const EXAMPLE: &'static str = "\
- id: names
  type: output_values
  values:
    table: \"{{ inputs.taxi }}_tripdata\"
    file: \"{{ inputs.taxi }}_tripdata_{{ inputs.year }}-{{ inputs.month }}.csv\"";
    type Outputs = ValueOutputs;

    async fn run(&self, _: &TaskContext) -> Result<ValueOutputs, TaskError> {
        Ok(ValueOutputs { values: self.values.clone() })
    }
}
