//! `configuration`: how a model answers.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::provider::ProviderSpec;
use crate::ai::{AnswerFormat, ChatOptions, Thinking};
use crate::ai_settings::ProviderKind;
use crate::task::FieldConflict;

/// How a model answers. What is not set is left to the provider.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ChatConfiguration {
    /// How much chance is in an answer, from 0.
    temperature: Option<f64>,
    /// Of how many of the most likely words the next one is taken; for providers that know it.
    #[serde(alias = "top_k")]
    top_k: Option<u32>,
    /// Of which share of the most likely words the next one is taken, up to 1.
    #[serde(alias = "top_p")]
    top_p: Option<f64>,
    /// A number that makes answers repeatable, as far as the provider can.
    seed: Option<i64>,
    /// How many tokens an answer may have.
    #[serde(alias = "maxTokens", alias = "max_tokens")]
    max_token: Option<u32>,
    /// Whether the question is logged, at level DEBUG.
    #[serde(default, alias = "log_requests")]
    pub(super) log_requests: bool,
    /// Whether the answer is logged, at level DEBUG.
    #[serde(default, alias = "log_responses")]
    pub(super) log_responses: bool,
    /// Whether the model thinks before it answers; for Gemini and Anthropic.
    #[serde(alias = "thinking_enabled")]
    thinking_enabled: Option<bool>,
    /// How many tokens it may think; for Gemini and Anthropic.
    #[serde(alias = "thinking_budget_tokens")]
    thinking_budget_tokens: Option<u32>,
    /// Whether its thoughts are an output.
    #[serde(default, alias = "return_thinking")]
    pub(super) return_thinking: bool,
    /// Whether the provider keeps the beginning of a request for the next one. Gemini and OpenAI do by themselves.
    #[serde(default, alias = "prompt_caching")]
    prompt_caching: bool,
    /// The form of the answer.
    #[serde(default, alias = "response_format")]
    response_format: ResponseFormat,
}

/// The form of an answer.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResponseFormat {
    /// `TEXT` or `JSON`.
    #[serde(default, rename = "type")]
    kind: ResponseKind,
    /// JSON: the JSON Schema of the answer. An answer of another shape is asked for again once.
    #[serde(alias = "json_schema")]
    json_schema: Option<Value>,
    /// JSON: what the answer is, for the model.
    #[serde(alias = "json_schema_description")]
    json_schema_description: Option<String>,
    /// JSON: whether OpenAI's servers enforce the schema; each object in it must then list all its properties as `required`
    /// and have `additionalProperties: false`.
    #[serde(default, alias = "strict_json")]
    strict_json: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ResponseKind {
    #[default]
    #[serde(alias = "text")]
    Text,
    #[serde(alias = "json")]
    Json,
}

impl ChatConfiguration {
    /// What a provider is told.
    pub(super) fn options(&self, provider: Option<&ProviderSpec>) -> ChatOptions {
        ChatOptions {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            seed: self.seed,
            max_tokens: self.max_token.or(provider.and_then(|provider| provider.max_tokens)),
            thinking: Thinking {
                enabled: self.thinking_enabled,
                budget: self.thinking_budget_tokens,
                is_returned: self.return_thinking,
            },
            caches_prompt: self.prompt_caching,
            headers: Default::default(),
        }
    }

    /// The form of the answer.
    pub(super) fn format(&self) -> AnswerFormat {
        let ResponseFormat { kind, json_schema, json_schema_description, strict_json } = &self.response_format;
        match (kind, json_schema) {
            (ResponseKind::Text, _) => AnswerFormat::Text,
            (ResponseKind::Json, None) => AnswerFormat::Json,
            (ResponseKind::Json, Some(schema)) => {
                let mut schema = schema.clone();
                if let (Some(about), Value::Object(fields)) = (json_schema_description, &mut schema) {
                    fields.entry("description").or_insert_with(|| about.as_str().into());
                }
                AnswerFormat::Schema { name: "answer".to_owned(), schema, is_strict: *strict_json }
            }
        }
    }

    /// What contradicts itself, or what the provider does not know.
    pub(super) fn conflicts(&self, provider: Option<&ProviderSpec>) -> Vec<FieldConflict> {
        let format = &self.response_format;
        let is_text = format.kind == ResponseKind::Text;
        let mut found = Vec::new();
        if is_text && (format.json_schema.is_some() || format.json_schema_description.is_some() || format.strict_json) {
            found.push("a schema needs `responseFormat.type: JSON`".to_owned());
        }
        if format.json_schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            found.push("`responseFormat.jsonSchema` must be a map: a JSON Schema".to_owned());
        }
        if self.thinking_enabled == Some(false) && self.thinking_budget_tokens.is_some() {
            found.push("`thinkingBudgetTokens` has no effect with `thinkingEnabled: false`".to_owned());
        }
        found.extend(provider.into_iter().flat_map(|provider| self.unknown_to(provider)));
        found.into_iter().map(|message| FieldConflict::between(["configuration"], message)).collect()
    }

    fn unknown_to(&self, provider: &ProviderSpec) -> Vec<String> {
        let kind = provider.kind;
        let has_thinking = matches!(kind, ProviderKind::Gemini | ProviderKind::Anthropic);
        let is_own_server = kind == ProviderKind::OpenAi && provider.base_url.is_some();
        let has_top_k =
            has_thinking || is_own_server || matches!(kind, ProviderKind::LocalAi | ProviderKind::OpenRouter);
        let fields = [
            ("topK", self.top_k.is_some() && !has_top_k),
            ("seed", self.seed.is_some() && kind == ProviderKind::Anthropic),
            ("thinkingEnabled", self.thinking_enabled.is_some() && !has_thinking),
            ("thinkingBudgetTokens", self.thinking_budget_tokens.is_some() && !has_thinking),
        ];
        let unknown = fields.into_iter().filter(|(_, is_unknown)| *is_unknown);
        unknown.map(|(field, _)| format!("the provider {} does not know `{field}`; remove it", kind.name())).collect()
    }
}
