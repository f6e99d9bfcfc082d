//! Texts as vectors, which are close to each other where the texts mean something similar.

use super::answer::Usage;

/// Why vectors are wanted; some models make other ones for questions than for documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmbedPurpose {
    /// The texts are stored, to be found later.
    #[default]
    Document,
    /// The text is what is looked for.
    Query,
}

/// Texts to turn into vectors.
#[derive(Clone, Debug, Default)]
pub struct EmbedRequest {
    /// The texts.
    pub texts: Vec<String>,
    /// What for.
    pub purpose: EmbedPurpose,
    /// The same in the provider's own word.
    pub task_type: Option<String>,
    /// How many numbers a vector should have.
    pub dimensions: Option<u32>,
}

/// The vectors of texts.
#[derive(Clone, Debug, Default)]
pub struct Embeddings {
    /// One for each text, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// The tokens that it took.
    pub usage: Usage,
}
