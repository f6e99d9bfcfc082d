//! What a model answers.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::message::{ChatMessage, ToolCall};

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// What the model thought, where it says it.
    pub thinking: Option<String>,
    /// What it asks to be done before it goes on.
    pub calls: Vec<ToolCall>,
    /// The message as the provider sent it.
    pub original: Value,
    /// The tokens that it took.
    pub usage: Usage,
    /// Why it ended.
    pub finish: FinishReason,
    /// The model that answered, as the provider calls it.
    pub model: String,
}

impl ChatAnswer {
    /// The answer as a message of the conversation that goes on.
    pub fn to_message(&self) -> ChatMessage {
        ChatMessage::Assistant {
            text: self.text.clone(),
            calls: self.calls.clone(),
            original: Some(self.original.clone()),
        }
    }
}

/// The tokens of a request and its answer, as far as the provider tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens that were sent.
    pub input_token_count: Option<u64>,
    /// Tokens of the answer.
    pub output_token_count: Option<u64>,
    /// Both.
    pub total_token_count: Option<u64>,
}

impl Usage {
    /// From what was sent and answered.
    pub fn of(input: Option<u64>, output: Option<u64>) -> Self {
        let total = match (input, output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or_default().saturating_add(output.unwrap_or_default())),
        };
        Self { input_token_count: input, output_token_count: output, total_token_count: total }
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or_default().saturating_add(b.unwrap_or_default())),
        };
        Self {
            input_token_count: sum(self.input_token_count, other.input_token_count),
            output_token_count: sum(self.output_token_count, other.output_token_count),
            total_token_count: sum(self.total_token_count, other.total_token_count),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It had as many tokens as it may have.
    Length,
    /// A tool is needed.
    ToolExecution,
    /// The provider held it back.
    ContentFilter,
    /// Something else.
    Other,
}

impl FinishReason {
    /// What a provider's word for it means.
    pub(super) fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "stop" | "end_turn" | "stop_sequence" | "eos" | "completed" => Self::Stop,
            "length" | "max_tokens" | "model_context_window_exceeded" | "model_length" => Self::Length,
            "tool_calls" | "tool_use" | "function_call" => Self::ToolExecution,
            "content_filter" | "refusal" | "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii"
            | "image_safety" | "language" => Self::ContentFilter,
            _ => Self::Other,
        }
    }
}
