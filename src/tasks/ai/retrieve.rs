//! Passages of documents for a question.

use super::outputs::Source;
use super::provider::ProviderSpec;
use super::store::EmbeddingStore;
use crate::ai::EmbedPurpose;
use crate::task::{TaskContext, TaskError};

/// How many passages a task may ask for.
pub(super) const MAX_RESULTS: usize = 1000;

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
