//! `provider`: which model is asked, and where.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::refused::{NoCertificates, NoTitles};
use crate::ai::{EmbedPurpose, EmbedRequest, Embeddings, Model, ModelTarget};
use crate::ai_settings::ProviderKind;
use crate::duration::DurationSpec;
use crate::secret::Secret;
use crate::task::{TaskContext, TaskError};
use crate::web::RetryPolicy;

/// Tries of one request. With pauses that double from 0.2 s, or those that the server asks for.
const TRIES: u32 = 6;

/// A model and who serves it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ProviderSpec {
    /// Who serves the model: `gemini`, `openai`, `anthropic`, `ollama`, `localai`, `openrouter`, `deepseek`, `mistral`, or
    /// Kestra's name of one. Any server with OpenAI's API is of type `openai` with a `baseUrl`.
    #[serde(rename = "type")]
    pub(super) kind: ProviderKind,
    /// The name of the model. `ai.models` of the settings may name another one to use in its place.
    #[serde(alias = "model_name", alias = "model")]
    model_name: String,
    /// The key, best as `"{{ secret('NAME') }}"` or `"{{ kv('NAME') }}"`. Servers on your own machines need none.
    #[serde(alias = "api_key")]
    api_key: Option<String>,
    /// The address of the API. By default the provider's own, or that of `ai.base_urls` in the settings.
    #[serde(alias = "base_url", alias = "endpoint")]
    pub(super) base_url: Option<String>,
    /// How long the server may be silent, before an answer and within it. By default 2m.
    timeout: Option<DurationSpec>,
    /// How many tokens an answer may have, unless the configuration says it.
    #[serde(alias = "max_tokens")]
    pub(super) max_tokens: Option<u32>,
    /// Further headers to send.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How vectors are made, where the model makes some.
    #[serde(default, alias = "embedding_model_configuration")]
    embedding_model_configuration: EmbeddingConfiguration,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    client_pem: Option<NoCertificates>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    ca_pem: Option<NoCertificates>,
}

/// How vectors are made.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EmbeddingConfiguration {
    /// What the vectors are for, in Gemini's words. By default `RETRIEVAL_DOCUMENT` for documents and `RETRIEVAL_QUERY` for
    /// questions.
    #[serde(alias = "task_type")]
    task_type: Option<String>,
    /// How many numbers a vector has, if the model leaves a choice.
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<u32>,
    /// How long the server may be silent; wins over the provider's `timeout`.
    timeout: Option<DurationSpec>,
    /// How often a request that failed is retried. By default 5 times.
    #[serde(alias = "max_retries")]
    max_retries: Option<u32>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    title_metadata_key: Option<NoTitles>,
}

impl ProviderSpec {
    fn target(&self) -> ModelTarget {
        let target = ModelTarget::new(self.kind, self.model_name.trim());
        ModelTarget {
            base_url: self.base_url.clone().filter(|url| !url.trim().is_empty()),
            api_key: self.api_key.as_deref().map(Secret::new),
            headers: self.headers.clone(),
            timeout: self.timeout.map_or(target.timeout, |span| span.0),
            ..target
        }
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// When the provider does not, or not now.
    pub(super) async fn embed(
        &self,
        context: &TaskContext,
        texts: Vec<String>,
        purpose: EmbedPurpose,
    ) -> Result<(Embeddings, String), TaskError> {
        let configuration = &self.embedding_model_configuration;
        let mut target = self.target();
        target.timeout = configuration.timeout.map_or(target.timeout, |span| span.0);
        let model = Model::open(target, &context.settings)?;
        let (task_type, dimensions) = (configuration.task_type.clone(), configuration.output_dimensionality);
        let request = EmbedRequest { texts, purpose, task_type, dimensions };
        let tries = configuration.max_retries.map_or(TRIES, |retries| retries.saturating_add(1));
        let embeddings = model.embed(&request, &RetryPolicy::of(context).with_tries(tries)).await?;
        Ok((embeddings, model.name().to_owned()))
    }
}

/// The model of a task: its own, or the default one of the settings.
///
/// # Errors
/// When there is none, or an address or key is missing or wrong.
pub(super) fn open(spec: Option<&ProviderSpec>, context: &TaskContext) -> Result<Model, TaskError> {
    let target = match spec {
        Some(spec) => spec.target(),
        None => ModelTarget::configured(&context.settings.ai.default_provider().ok_or_else(|| {
            TaskError::permanent("the task has no `provider`, and the settings have no default one").help(
                "add `provider: {type: ollama, modelName: …}`, or `ai: {providers: […]}` to jitney.yaml; see docs/ai.md",
            )
        })?),
    };
    let model = Model::open(target, &context.settings)?;
    if let Some(spec) = spec.filter(|spec| spec.model_name.trim() != model.name()) {
        context.info_once(format!("the settings use `{}` in place of `{}`", model.name(), spec.model_name.trim()));
    }
    Ok(model)
}

/// How a task's requests are retried.
pub(super) fn retries(context: &TaskContext) -> RetryPolicy<'_> {
    RetryPolicy::of(context).with_tries(TRIES)
}
