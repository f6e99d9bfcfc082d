//! What a model is asked.

use std::collections::BTreeMap;

use serde_json::Value;

/// A question to a model, with all that was said before.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// How the model should behave.
    pub system: Option<String>,
    /// What was said, the question last.
    pub messages: Vec<ChatMessage>,
    /// What the model may ask to be done.
    pub tools: Vec<ToolSpec>,
    /// The form of the answer.
    pub format: AnswerFormat,
    /// How the answer is made.
    pub options: ChatOptions,
}

/// One message of a conversation.
#[derive(Clone, Debug)]
pub enum ChatMessage {
    /// Of the user.
    User(Vec<MessagePart>),
    /// Of the model.
    Assistant {
        /// What it said.
        text: String,
        /// What it asked to be done.
        calls: Vec<ToolCall>,
        /// The message as the provider sent it; it is sent back as it is, since it may be signed.
        original: Option<Value>,
    },
    /// What came of the tools that the message before asked for.
    Tools(Vec<ToolResult>),
}

impl ChatMessage {
    /// A text of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(vec![MessagePart::Text(text.into())])
    }

    /// A text of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), calls: Vec::new(), original: None }
    }
}

/// A part of a user's message.
#[derive(Clone, Debug)]
pub enum MessagePart {
    /// A text.
    Text(String),
    /// An image or a PDF.
    File {
        /// Such as `image/png`.
        media_type: String,
        /// Its bytes in base64.
        base64: String,
    },
}

/// A tool that the model asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Tells the calls of one message apart.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments: a map, unless the model wrote something else.
    pub arguments: Value,
}

/// What came of a tool.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The result, or what went wrong.
    pub content: String,
    /// Whether it went wrong.
    pub is_error: bool,
}

/// A tool that is offered.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, 64 at most.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub schema: Value,
}

/// The form of an answer.
#[derive(Clone, Debug, Default)]
pub enum AnswerFormat {
    /// Text.
    #[default]
    Text,
    /// JSON of any shape.
    Json,
    /// JSON of this shape.
    Schema {
        /// A name for it.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether the provider enforces it; not every schema can be.
        is_strict: bool,
    },
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Whether it does, unless that is left to the model.
    pub enabled: Option<bool>,
    /// How many tokens it may think.
    pub budget: Option<u32>,
    /// Whether its thoughts are part of the answer.
    pub is_returned: bool,
}

/// How an answer is made; what is not set is left to the provider.
#[derive(Clone, Debug, Default)]
pub struct ChatOptions {
    /// How much chance is in it, from 0.
    pub temperature: Option<f64>,
    /// Of which share of the most likely words the next one is taken.
    pub top_p: Option<f64>,
    /// Of how many of the most likely words the next one is taken.
    pub top_k: Option<u32>,
    /// Where chance begins.
    pub seed: Option<i64>,
    /// How many tokens the answer may have.
    pub max_tokens: Option<u32>,
    /// Whether the model thinks first.
    pub thinking: Thinking,
    /// Whether the beginning of the request is kept by the provider for the next one.
    pub caches_prompt: bool,
    /// Further headers to send.
    pub headers: BTreeMap<String, String>,
}
