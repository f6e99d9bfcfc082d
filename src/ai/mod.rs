//! Language models: one way to ask any of them, whoever serves it.
//!
//! A [`Model`] sends requests and reads answers; a [`Provider`] knows the form of both and does no I/O. Answers are
//! always streamed, so that a slow model is not mistaken for a silent one, and an answer that ends early is an error.
//! Everything that a server sends is bounded in size and time.
//!
//! The requests are made by our own client, not by a crate for it: those that there are switch on the decompression of
//! answers for every HTTP client of the process, which downloads must not have, and read answers of any size.

mod answer;
mod anthropic;
mod call;
mod embed;
mod events;
mod gemini;
mod message;
mod model;
mod openai;
mod price;
mod provider;
mod target;

pub use answer::{ChatAnswer, FinishReason, Usage};
pub use embed::{EmbedPurpose, EmbedRequest, Embeddings};
pub use events::EventReader;
pub use message::{
    AnswerFormat, ChatMessage, ChatOptions, ChatRequest, MessagePart, Thinking, ToolCall, ToolResult, ToolSpec,
};
pub use model::{Model, TextSink};
pub use price::cost;
pub use provider::Provider;
pub use target::ModelTarget;
