//! `ai.extract`: fields out of a text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ask::ask_json;
use super::configuration::ChatConfiguration;
use super::outputs::TokenTally;
use super::provider::{self, ProviderSpec};
use super::refused::NoGuardrails;
use crate::ai::{AnswerFormat, ChatMessage, ChatRequest, FinishReason, Usage};
use crate::task::{FieldConflict, Task, TaskContext, TaskError};

/// Lets a model find fields in a text and outputs them as JSON.
///
/// The model is given a schema with all fields as texts, and an answer that lacks one is asked for again once. For other
/// types, use `ai.chat` with `configuration.responseFormat.jsonSchema`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiExtract {
    /// The model. By default the first provider of the settings.
    provider: Option<ProviderSpec>,
    /// The text, with what to look for in it.
    prompt: String,
    /// What the fields describe, such as `Person`.
    #[serde(alias = "schema_name")]
    schema_name: String,
    /// The names of the fields.
    #[serde(alias = "json_fields")]
    json_fields: Vec<String>,
    /// How the model should behave.
    #[serde(alias = "system_message")]
    system_message: Option<String>,
    /// How the model answers.
    #[serde(default)]
    configuration: ChatConfiguration,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    guardrails: Option<NoGuardrails>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The name of the schema.
    schema_name: String,
    /// The fields as a text of JSON.
    extracted_json: String,
    /// The fields as a value.
    json_output: Value,
    /// Why the answer ended.
    finish_reason: FinishReason,
    /// The tokens of all requests.
    token_usage: Usage,
    /// What they cost, if the price of the model is in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// The same as metrics.
    metrics: Vec<Value>,
}

impl Task for AiExtract {
    const NAME: &'static str = "ai.extract";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.ai.completion.JSONStructuredExtraction",
        "io.kestra.plugin.langchain4j.completion.JSONStructuredExtraction",
        "io.kestra.plugin.langchain4j.JSONStructuredExtraction",
    ];
    const STRINGIFY: &'static [&'static str] = &["prompt"];
    const EXAMPLE: &'static str = "\
- id: person
  type: ai.extract
  provider: {type: ollama, modelName: \"qwen3:4b\"}
  prompt: \"Ada Lovelace wrote to Charles Babbage on 5 July 1843.\"
  schemaName: Letter
  jsonFields: [sender, recipient, date]";
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut found = self.configuration.conflicts(self.provider.as_ref());
        if self.json_fields.is_empty() {
            found.push(FieldConflict::between(["jsonFields"], "name at least one field"));
        }
        if !matches!(self.configuration.format(), AnswerFormat::Text) {
            let message = "`responseFormat` has no effect here: the schema is made of `jsonFields`";
            found.push(FieldConflict::between(["configuration"], message));
        }
        found
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let model = provider::open(self.provider.as_ref(), context)?;
        let request = ChatRequest {
            system: self.system_message.clone(),
            messages: vec![ChatMessage::user(self.question())],
            tools: Vec::new(),
            format: AnswerFormat::Schema { name: self.name(), schema: self.schema(), is_strict: true },
            options: self.configuration.options(self.provider.as_ref()),
        };
        let mut tally = TokenTally::new(&context.settings);
        let (answer, value) = ask_json(&model, request, &self.configuration, &mut tally, context).await?;
        Ok(Outputs {
            schema_name: self.schema_name.clone(),
            extracted_json: value.to_string(),
            json_output: value,
            finish_reason: answer.finish,
            token_usage: tally.usage(),
            cost: tally.cost(),
            metrics: tally.metrics(&[]),
        })
    }
}

impl AiExtract {
    /// The question; not every server tells the model of the schema.
    fn question(&self) -> String {
        let fields = self.json_fields.join("`, `");
        let name = &self.schema_name;
        format!(
            "{}\n\nAnswer with a JSON object `{name}` that has exactly the fields `{fields}`, each a text.",
            self.prompt
        )
    }

    /// The schema's name in letters that every provider takes.
    fn name(&self) -> String {
        let name = self.schema_name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_");
        if name.is_empty() { "fields".to_owned() } else { name }
    }

    fn schema(&self) -> Value {
        let fields = self.json_fields.iter().map(|field| (field.clone(), json!({"type": "string"})));
        let properties: Map<String, Value> = fields.collect();
        json!({
            "type": "object", "properties": properties, "required": self.json_fields, "additionalProperties": false,
        })
    }
}
