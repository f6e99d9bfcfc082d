//! `ai.classify`: which of several classes a text belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::ask_json;
use super::configuration::ChatConfiguration;
use super::outputs::TokenTally;
use super::provider::{self, ProviderSpec};
use super::refused::NoGuardrails;
use crate::ai::{AnswerFormat, ChatMessage, ChatRequest, FinishReason, Usage};
use crate::task::{FieldConflict, Task, TaskContext, TaskError};

/// Lets a model choose the class that a text belongs to.
///
/// The output is always one of the classes: an answer that is none is asked for again once, and then an error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiClassify {
    /// The model. By default the first provider of the settings.
    provider: Option<ProviderSpec>,
    /// The text, with what to decide.
    prompt: String,
    /// The classes.
    classes: Vec<String>,
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

/// What was chosen.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The class.
    classification: String,
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

impl Task for AiClassify {
    const NAME: &'static str = "ai.classify";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.ai.completion.Classification",
        "io.kestra.plugin.langchain4j.completion.Classification",
        "io.kestra.plugin.langchain4j.Classification",
    ];
    const STRINGIFY: &'static [&'static str] = &["prompt"];
    const EXAMPLE: &'static str = "\
- id: mood
  type: ai.classify
  provider: {type: ollama, modelName: \"qwen3:4b\"}
  prompt: \"Is this review positive or negative? Great taxi, kind driver.\"
  classes: [positive, negative]";
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut found = self.configuration.conflicts(self.provider.as_ref());
        if self.classes.len() < 2 {
            found.push(FieldConflict::between(["classes"], "name at least two classes"));
        }
        if !matches!(self.configuration.format(), AnswerFormat::Text) {
            let message = "`responseFormat` has no effect here: the schema is made of `classes`";
            found.push(FieldConflict::between(["configuration"], message));
        }
        found
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let model = provider::open(self.provider.as_ref(), context)?;
        let schema = json!({
            "type": "object", "properties": {"class": {"type": "string", "enum": self.classes}},
            "required": ["class"], "additionalProperties": false,
        });
        let classes = self.classes.join("`, `");
        let question = format!(
            "{}\n\nChoose one of the classes `{classes}`. Answer with a JSON object that has the field `class`.",
            self.prompt
        );
        let request = ChatRequest {
            system: self.system_message.clone(),
            messages: vec![ChatMessage::user(question)],
            tools: Vec::new(),
            format: AnswerFormat::Schema { name: "classification".to_owned(), schema, is_strict: true },
            options: self.configuration.options(self.provider.as_ref()),
        };
        let mut tally = TokenTally::new(&context.settings);
        let (answer, value) = ask_json(&model, request, &self.configuration, &mut tally, context).await?;
        Ok(Outputs {
            classification: value["class"].as_str().unwrap_or_default().to_owned(),
            finish_reason: answer.finish,
            token_usage: tally.usage(),
            cost: tally.cost(),
            metrics: tally.metrics(&[]),
        })
    }
}
