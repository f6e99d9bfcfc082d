//! A flow as a tool.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::definition::ToolDefinition;
use crate::ai::ToolSpec;
use crate::flow::labels_of;
use crate::task::{SubflowRequest, TaskContext, TaskError};

/// A flow that the model may run.
pub(super) struct FlowTool {
    namespace: String,
    flow: String,
    inputs: Map<String, Value>,
    labels: Map<String, Value>,
    inherits_labels: bool,
}

impl FlowTool {
    pub(super) fn of(definition: &ToolDefinition) -> (Self, ToolSpec) {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let tool = Self {
            namespace: text(&definition.namespace),
            flow: text(&definition.flow_id),
            inputs: definition.inputs.clone(),
            labels: labels_of(&definition.labels),
            inherits_labels: definition.inherit_labels,
        };
        let name = definition.name.clone().unwrap_or_else(|| tool.flow.clone());
        let schema = json!({
            "type": "object",
            "properties": {"inputs": {
                "type": "object", "description": "The inputs of the flow, by their ids", "additionalProperties": true,
            }},
        });
        let description = format!(
            "{} (Runs the flow {}.{} and returns its state and outputs.)",
            text(&definition.description),
            tool.namespace,
            tool.flow
        );
        (tool, ToolSpec { name, description, schema })
    }

    /// Runs the flow and waits for its end.
    pub(super) async fn run(
        &self,
        arguments: &Map<String, Value>,
        runs: &mut BTreeMap<u64, u32>,
        context: &TaskContext,
    ) -> Result<String, TaskError> {
        let mut inputs = arguments.get("inputs").and_then(Value::as_object).cloned().unwrap_or_default();
        // What the flow's author has fixed is not the model's to choose.
        inputs.extend(self.inputs.clone());
        let request = SubflowRequest {
            key: Some(self.key(&inputs, runs)),
            namespace: self.namespace.clone(),
            flow: self.flow.clone(),
            inputs,
            labels: self.labels.clone(),
            inherits_labels: self.inherits_labels,
            waits: true,
            date: None,
            as_new: false,
            cancel: context.cancel.child_token(),
        };
        let ended = context.children()?.start(request).await?;
        let result =
            json!({"executionId": ended.id.to_string(), "state": ended.state.as_str(), "outputs": ended.outputs});
        if !ended.succeeded {
            return Err(TaskError::permanent(format!("the flow did not succeed: {result}")));
        }
        Ok(result.to_string())
    }

    /// What tells this run from others: an attempt that is repeated finds the execution that it started with the same inputs,
    /// and never one with others.
    fn key(&self, inputs: &Map<String, Value>, runs: &mut BTreeMap<u64, u32>) -> u32 {
        let mut sorted: Vec<(&String, &Value)> = inputs.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        let text = format!("{}\0{}\0{}", self.namespace, self.flow, json!(sorted));
        let number = |text: &str| {
            let digest = Sha256::digest(text);
            digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let times = runs.entry(number(&text)).or_default();
        *times += 1;
        u32::try_from(number(&format!("{text}\0{times}")) >> 32).unwrap_or_default()
    }
}
