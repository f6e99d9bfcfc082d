//! The form of requests and answers of one API.

use serde_json::Value;

use super::answer::ChatAnswer;
use super::embed::EmbedRequest;
use super::message::ChatRequest;

/// What is known of an answer that is still coming.
#[derive(Clone, Debug, Default)]
pub struct PartialAnswer {
    /// The message, in the form that an answer in one piece would have.
    pub whole: Value,
    /// Whether the provider has said why it ended.
    pub is_complete: bool,
}

/// An API of language models. It makes requests and reads answers; others send and receive them.
pub trait Provider: Send + Sync {
    /// The headers that carry the key.
    fn login(&self, key: &str) -> Vec<(&'static str, String)>;

    /// Headers of every request.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Where a model is asked, after the API's address.
    fn chat_path(&self, model: &str) -> String;

    /// The request.
    fn chat_body(&self, model: &str, request: &ChatRequest) -> Value;

    /// Adds an event of a stream; returns the text that it brought.
    ///
    /// # Errors
    /// When the event has not the form that it should have.
    fn add_event(&self, answer: &mut PartialAnswer, event: Value) -> Result<Option<String>, String>;

    /// The answer in one piece.
    ///
    /// # Errors
    /// When it has not the form that it should have.
    fn answer(&self, whole: Value) -> Result<ChatAnswer, String>;

    /// Where so many texts are turned into vectors; none where the API does not do that.
    fn embed_path(&self, model: &str, texts: usize) -> Option<String>;

    /// The request.
    fn embed_body(&self, model: &str, request: &EmbedRequest) -> Value;

    /// The vectors of an answer, in the order of the texts, and the tokens that it took.
    ///
    /// # Errors
    /// When it has not the form that it should have.
    fn vectors(&self, whole: Value) -> Result<(Vec<Vec<f32>>, Option<u64>), String>;

    /// Where the models are listed.
    fn models_path(&self) -> &'static str;

    /// The names in such a list.
    fn model_names(&self, whole: &Value) -> Vec<String>;
}

/// The vectors of an answer's items, each under a key.
pub(super) fn vector(item: &Value) -> Option<Vec<f32>> {
    let numbers = item.as_array()?;
    numbers
        .iter()
        .map(|number| number.as_f64().map(|number| number as f32).filter(|number| number.is_finite()))
        .collect()
}
