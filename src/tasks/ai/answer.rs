//! `ai.answer`: an answer from documents.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ask::ask_in_form;
use super::configuration::ChatConfiguration;
use super::outputs::{ChatOutputs, Source, TokenTally};
use super::provider::{self, ProviderSpec};
use super::refused::{NoGuardrails, NoMemory, NoObservability, NoRetrievers, NoTools};
use super::retrieve::{retrieve, usual_results, wrong_limits};
use super::store::EmbeddingStore;
use crate::ai::{ChatMessage, ChatRequest};
use crate::task::{FieldConflict, Task, TaskContext, TaskError};

/// Finds the passages of ingested documents that a question is about, and lets a model answer from them.
///
/// The passages that the model was given are the output `sources`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiAnswer {
    /// The model that answers.
    #[serde(alias = "chat_provider", alias = "provider")]
    chat_provider: ProviderSpec,
    /// The model that turns the question into a vector: the one that the documents were ingested with. By default that of
    /// `chatProvider`.
    #[serde(alias = "embedding_provider")]
    embedding_provider: Option<ProviderSpec>,
    /// Where the documents are stored.
    embeddings: EmbeddingStore,
    /// The question.
    prompt: String,
    /// How the model should behave.
    #[serde(alias = "system_message")]
    system_message: Option<String>,
    /// How the model answers.
    #[serde(default, alias = "chat_configuration", alias = "configuration")]
    chat_configuration: ChatConfiguration,
    /// Which passages the model is given.
    #[serde(default, alias = "content_retriever_configuration")]
    content_retriever_configuration: RetrieverConfiguration,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    content_retrievers: Option<NoRetrievers>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    tools: Option<NoTools>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    memory: Option<NoMemory>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    guardrails: Option<NoGuardrails>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    observability: Option<NoObservability>,
}

/// Which passages a model is given.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RetrieverConfiguration {
    /// The most passages.
    #[serde(default = "usual_results", alias = "max_results")]
    max_results: usize,
    /// How near a passage must be, from 0 to 1; 0.5 is nothing in common.
    #[serde(default, alias = "min_score")]
    min_score: f64,
}

impl Default for RetrieverConfiguration {
    fn default() -> Self {
        Self { max_results: usual_results(), min_score: 0.0 }
    }
}

impl Task for AiAnswer {
    const NAME: &'static str = "ai.answer";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.ai.rag.ChatCompletion", "io.kestra.plugin.langchain4j.rag.ChatCompletion"];
    const STRINGIFY: &'static [&'static str] = &["prompt"];
    const EXAMPLE: &'static str = "\
- id: answer
  type: ai.answer
  chatProvider: {type: ollama, modelName: \"qwen3:4b\"}
  embeddingProvider: {type: ollama, modelName: nomic-embed-text}
  embeddings: {type: kv}
  prompt: What does a backfill do?";
    type Outputs = ChatOutputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let RetrieverConfiguration { max_results, min_score } = self.content_retriever_configuration;
        let limits = wrong_limits(max_results, min_score)
            .map(|message| FieldConflict::between(["contentRetrieverConfiguration"], message));
        let provider = Some(&self.chat_provider);
        let configured = self.chat_configuration.conflicts(provider).into_iter().map(|conflict| {
            let message = conflict.message;
            FieldConflict::between(["chatConfiguration"], message)
        });
        self.embeddings.conflicts().into_iter().chain(configured).chain(limits).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<ChatOutputs, TaskError> {
        let model = provider::open(Some(&self.chat_provider), context)?;
        let embedding = self.embedding_provider.as_ref().unwrap_or(&self.chat_provider);
        let RetrieverConfiguration { max_results, min_score } = self.content_retriever_configuration;
        let (sources, embedding_model, usage) =
            retrieve(context, embedding, &self.embeddings, &self.prompt, (max_results, min_score)).await?;
        let mut tally = TokenTally::new(&context.settings);
        tally.add(&embedding_model, usage);
        if sources.is_empty() {
            context.warn("no passage is near enough to the question: the model answers without documents");
        }
        let request = ChatRequest {
            system: self.system_message.clone(),
            messages: vec![ChatMessage::user(question(&self.prompt, &sources))],
            tools: Vec::new(),
            format: self.chat_configuration.format(),
            options: self.chat_configuration.options(Some(&self.chat_provider)),
        };
        let configuration = &self.chat_configuration;
        let (answer, json_output) = ask_in_form(&model, request, configuration, &mut tally, context).await?;
        let outputs = tally.outputs(answer, configuration.return_thinking);
        Ok(ChatOutputs { completion: outputs.text_output.clone(), json_output, sources, ..outputs })
    }
}

/// The question with the passages, in the words that Kestra uses.
fn question(prompt: &str, sources: &[Source]) -> String {
    if sources.is_empty() {
        return prompt.to_owned();
    }
    let passages: Vec<&str> = sources.iter().map(|source| source.content.as_str()).collect();
    format!("{prompt}\n\nAnswer using the following information:\n{}", passages.join("\n\n"))
}
