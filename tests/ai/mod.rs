//! Tasks that ask language models, over real connections to servers made by others: two that imitate the providers, and
//! two real models. No paid model is called.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod agents;
mod course;
mod documents;
mod providers;
mod shapes;

use std::path::Path;
use std::sync::Arc;

use jitney::task::{Outputs, TaskContext, TaskError};
use serde_json::{Value, json};

use crate::common::attempt::{self, Lines};

/// An attempt with these language models in the settings, and the lines that it logs.
fn context(home: &Path, ai: Value) -> (TaskContext, Lines) {
    let (mut context, lines) = attempt::context(home, &[]);
    context.settings = Arc::new(context.settings.with_ai(serde_json::from_value(ai).unwrap()));
    (context, lines)
}

/// Runs a task in a new place with no settings.
async fn run(kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    let home = tempfile::tempdir().unwrap();
    attempt::run(context(home.path(), json!({})).0, kind, fields).await
}

/// `ai.chat` with one message.
fn chat(provider: &Value, question: &str) -> Value {
    json!({"provider": provider, "messages": [{"type": "USER", "content": question}]})
}
