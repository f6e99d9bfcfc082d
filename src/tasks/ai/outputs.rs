//! What the tasks that ask a model give to later tasks.

use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ai::{self, ChatAnswer, FinishReason, Usage};
use crate::config::Settings;

/// An answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatOutputs {
    /// The text of the answer.
    pub(super) text_output: Option<String>,
    /// The answer as a value, if JSON was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json_output: Option<Value>,
    /// The same as `textOutput`, of an answer from documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completion: Option<String>,
    /// The thoughts of the model, with `returnThinking`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<String>,
    /// The passages that the model was given.
    pub(super) sources: Vec<Source>,
    /// The tools that were used, in order.
    pub(super) tool_executions: Vec<ToolExecution>,
    /// What the model said between them.
    pub(super) intermediate_responses: Vec<IntermediateResponse>,
    /// Why the answer ended.
    pub(super) finish_reason: FinishReason,
    /// The tokens of all requests, as far as the provider tells them.
    pub(super) token_usage: Usage,
    /// What they cost, if the price of the model is in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<f64>,
    /// The model that answered.
    pub(super) model: String,
    /// Milliseconds from the first request to the last answer.
    pub(super) request_duration: u64,
    /// The same as metrics.
    pub(super) metrics: Vec<Value>,
}

/// A passage of a document.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Source {
    /// Its text.
    pub(super) content: String,
    /// Where it comes from: `source`, `heading`, `index`, `score`, and what the flow added.
    pub(super) metadata: Map<String, Value>,
}

/// A tool that was used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolExecution {
    /// The call's id.
    pub(super) request_id: String,
    /// The tool's name.
    pub(super) request_name: String,
    /// The arguments that the model chose.
    pub(super) request_arguments: Value,
    /// What came of it.
    pub(super) result: String,
}

/// What the model said before it used tools.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct IntermediateResponse {
    /// Its words.
    pub(super) completion: String,
    /// The tools that it asked for.
    pub(super) tools: Vec<String>,
}

/// What several requests of one task took.
pub(super) struct TokenTally<'a> {
    settings: &'a Settings,
    began: Instant,
    calls: u64,
    usage: Usage,
    cost: Option<f64>,
}

impl<'a> TokenTally<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, began: Instant::now(), calls: 0, usage: Usage::default(), cost: None }
    }

    /// Adds the tokens of a request to the model that has this name in the settings.
    pub(super) fn add(&mut self, model: &str, usage: Usage) {
        self.calls += 1;
        self.usage = self.usage.plus(usage);
        let more = ai::cost(&self.settings.ai, model, usage);
        self.cost = self.cost.or(more.map(|_| 0.0)).map(|cost| cost + more.unwrap_or_default());
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn cost(&self) -> Option<f64> {
        self.cost
    }

    /// The metrics of the task, with these in addition.
    pub(super) fn metrics(&self, more: &[(&str, u64)]) -> Vec<Value> {
        let counts = [
            ("input.token.count", self.usage.input_token_count),
            ("output.token.count", self.usage.output_token_count),
            ("total.token.count", self.usage.total_token_count),
            ("ai.provider.calls", Some(self.calls)),
        ];
        let counts = counts.into_iter().filter_map(|(name, count)| Some((name, count?)));
        let counter = |(name, value): (&str, u64)| json!({"name": name, "type": "counter", "value": value});
        let mut metrics: Vec<Value> = counts.chain(more.iter().copied()).map(counter).collect();
        metrics.extend(self.cost.map(|cost| json!({"name": "ai.cost", "type": "counter", "value": cost})));
        metrics
    }

    /// The outputs of an answer.
    pub(super) fn outputs(&self, answer: ChatAnswer, returns_thinking: bool) -> ChatOutputs {
        ChatOutputs {
            text_output: (!answer.text.is_empty()).then_some(answer.text),
            json_output: None,
            completion: None,
            thinking: answer.thinking.filter(|_| returns_thinking),
            sources: Vec::new(),
            tool_executions: Vec::new(),
            intermediate_responses: Vec::new(),
            finish_reason: answer.finish,
            token_usage: self.usage,
            cost: self.cost,
            model: answer.model,
            request_duration: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            metrics: self.metrics(&[]),
        }
    }
}
