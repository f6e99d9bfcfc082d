//! `ai.chat`: a conversation with a language model.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ask::ask_in_form;
use super::configuration::ChatConfiguration;
use super::message::{self, MessageSpec};
use super::outputs::{ChatOutputs, TokenTally};
use super::provider::{self, ProviderSpec};
use super::refused::{NoGuardrails, NoObservability, NoTools};
use crate::ai::ChatRequest;
use crate::task::{FieldConflict, Task, TaskContext, TaskError};

/// Asks a language model and passes its answer to later tasks.
///
/// Rate limits, server errors and answers that break off are retried. What the model was told and answers is not
/// logged, and the key never is. [AI](ai.md) describes providers, local ones first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiChat {
    /// The model. By default the first provider of the settings.
    provider: Option<ProviderSpec>,
    /// What was said, the question last.
    messages: Vec<MessageSpec>,
    /// How the model answers.
    #[serde(default)]
    configuration: ChatConfiguration,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    tools: Option<NoTools>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    guardrails: Option<NoGuardrails>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    observability: Option<NoObservability>,
}

impl Task for AiChat {
    const NAME: &'static str = "ai.chat";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.ai.completion.ChatCompletion",
        "io.kestra.plugin.ai.ChatCompletion",
        "io.kestra.plugin.langchain4j.ChatCompletion",
        "io.kestra.plugin.langchain4j.completion.ChatCompletion",
    ];
    const FILES: &'static [&'static str] = &["messages"];
    const EXAMPLE: &'static str = "\
- id: ask_model
  type: ai.chat
  provider: {type: ollama, modelName: \"qwen3:4b\"}
  messages:
    - {type: USER, content: \"What is a data pipeline? Answer in one sentence.\"}";
    type Outputs = ChatOutputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        [message::conflicts(&self.messages), self.configuration.conflicts(self.provider.as_ref())].concat()
    }

    async fn run(&self, context: &TaskContext) -> Result<ChatOutputs, TaskError> {
        let model = provider::open(self.provider.as_ref(), context)?;
        let (system, messages) = message::conversation(&self.messages, context).await?;
        let options = self.configuration.options(self.provider.as_ref());
        let request = ChatRequest { system, messages, tools: Vec::new(), format: self.configuration.format(), options };
        let mut tally = TokenTally::new(&context.settings);
        let (answer, json_output) = ask_in_form(&model, request, &self.configuration, &mut tally, context).await?;
        Ok(ChatOutputs { json_output, ..tally.outputs(answer, self.configuration.return_thinking) })
    }
}
