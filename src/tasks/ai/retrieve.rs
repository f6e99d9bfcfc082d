//! Passages of documents for a question.

use super::outputs::Source;
use super::provider::ProviderSpec;
use super::store::EmbeddingStore;
use crate::ai::EmbedPurpose;
use crate::task::{TaskContext, TaskError};

/// How many passages a task gets, unless it asks for more, and at most.
const USUAL_RESULTS: usize = 3;
const MAX_RESULTS: usize = 1000;

pub(super) fn usual_results() -> usize {
    USUAL_RESULTS
}

/// What is wrong with the limits of a search.
pub(super) fn wrong_limits(max_results: usize, min_score: f64) -> Option<String> {
    if max_results == 0 || max_results > MAX_RESULTS {
        return Some(format!("`maxResults` must be from 1 to {MAX_RESULTS}"));
    }
    (!(0.0..=1.0).contains(&min_score)).then(|| "`minScore` must be from 0 to 1".to_owned())
}

/// The nearest passages, and the tokens that finding them took.
///
/// # Errors
/// When the question cannot be turned into a vector, or the store cannot be searched.
pub(super) async fn retrieve(
    context: &TaskContext,
    provider: &ProviderSpec,
    store: &EmbeddingStore,
    question: &str,
    (max_results, min_score): (usize, f64),
) -> Result<(Vec<Source>, String, crate::ai::Usage), TaskError> {
    let (embeddings, model) = provider.embed(context, vec![question.to_owned()], EmbedPurpose::Query).await?;
    let vector = embeddings.vectors.into_iter().next().unwrap_or_default();
    let found = store.search(context, &vector, (max_results, min_score)).await?;
    let sources = found.into_iter().map(|piece| {
        let mut metadata = piece.metadata;
        metadata.insert("score".to_owned(), piece.score.into());
        Source { content: piece.text, metadata }
    });
    Ok((sources.collect(), model, embeddings.usage))
}
