//! `ai.search`: passages of documents, without a model that answers.

use std::io::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outputs::{Source, TokenTally};
use super::provider::ProviderSpec;
use super::retrieve::{retrieve, usual_results, wrong_limits};
use super::store::EmbeddingStore;
use crate::ai::Usage;
use crate::task::{FieldConflict, Task, TaskContext, TaskError};
use crate::tasks::fetch::FetchMode;

/// Finds the passages of ingested documents that are nearest to a question.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiSearch {
    /// The model that turns the question into a vector: the one that the documents were ingested with.
    provider: ProviderSpec,
    /// Where the documents are stored.
    embeddings: EmbeddingStore,
    /// What is looked for.
    query: String,
    /// The most passages.
    #[serde(default = "usual_results", alias = "max_results")]
    max_results: usize,
    /// How near a passage must be, from 0 to 1; 0.5 is nothing in common.
    #[serde(default, alias = "min_score")]
    min_score: f64,
    /// What to do with the passages: `FETCH` them as `results` and `sources`, `FETCH_ONE`, `STORE` them as a file of one JSON
    /// object per line, or `NONE`.
    #[serde(default = "usual_fetch", alias = "fetch_type", alias = "fetch")]
    fetch_type: FetchMode,
}

fn usual_fetch() -> FetchMode {
    FetchMode::All
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The texts of the passages, the nearest first.
    results: Vec<String>,
    /// The passages with where they come from.
    sources: Vec<Source>,
    /// The file of the passages, with `STORE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    /// The number of passages.
    size: u64,
    /// The tokens that it took.
    token_usage: Usage,
    /// The same as metrics.
    metrics: Vec<Value>,
}

impl Task for AiSearch {
    const NAME: &'static str = "ai.search";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.ai.rag.Search", "io.kestra.plugin.langchain4j.rag.Search"];
    const STRINGIFY: &'static [&'static str] = &["query"];
    const EXAMPLE: &'static str = "\
- id: find
  type: ai.search
  provider: {type: ollama, modelName: nomic-embed-text}
  embeddings: {type: kv}
  query: What does a backfill do?
  maxResults: 5";
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut found = self.embeddings.conflicts();
        found.extend(
            wrong_limits(self.max_results, self.min_score)
                .map(|message| FieldConflict::between(["maxResults"], message)),
        );
        found
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let limits = (self.max_results, self.min_score);
        let (mut sources, model, usage) =
            retrieve(context, &self.provider, &self.embeddings, &self.query, limits).await?;
        let mut tally = TokenTally::new(&context.settings);
        tally.add(&model, usage);
        let (size, mut uri) = (sources.len() as u64, None);
        match self.fetch_type {
            FetchMode::All => {}
            FetchMode::First => sources.truncate(1),
            FetchMode::Nothing => sources.clear(),
            FetchMode::File => {
                uri = Some(stored(&sources, context)?);
                sources.clear();
            }
        }
        let results = sources.iter().map(|source| source.content.clone()).collect();
        Ok(Outputs { results, sources, uri, size, token_usage: tally.usage(), metrics: tally.metrics(&[]) })
    }
}

fn stored(sources: &[Source], context: &TaskContext) -> Result<String, TaskError> {
    let file = context.output_file("passages.ndjson")?;
    let mut text = Vec::new();
    let written = sources.iter().try_for_each(|source| {
        serde_json::to_writer(&mut text, source)?;
        writeln!(text)
    });
    let written = written.and_then(|()| std::fs::write(&file.path, text));
    written.map_err(|error| TaskError::permanent("cannot store the passages").caused_by(error))?;
    Ok(file.uri)
}
