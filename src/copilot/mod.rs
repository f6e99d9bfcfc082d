//! Flows from a sentence, and explanations of failures, by a language model: what `jitney ai` and the pages offer.
//!
//! `context.rs` tells the model about the language and the task types, always from the registry and the schemas; `question.rs`
//! is what is asked; `reply.rs` reads the answer; `preserve.rs` puts back what the model need not have touched; `dialogue.rs`
//! validates each flow with our own validator, and asks again with its findings until there are no errors, a few times at
//! most. Passwords and known secrets are never sent, nor rows, nor the content of files.

mod context;
mod dialogue;
mod preserve;
mod question;
mod reply;

pub use dialogue::{Copilot, CopilotAnswer, MAX_TRIES, WrittenFlow};
pub use question::{CopilotQuestion, QuestionSubject};

/// A comparison of two texts, as `diff -u` prints it.
pub fn unified_diff(old: &str, new: &str, name: &str) -> String {
    let compared = similar::TextDiff::configure().timeout(std::time::Duration::from_millis(500)).diff_lines(old, new);
    let headers = (format!("{name} (before)"), format!("{name} (after)"));
    compared.unified_diff().context_radius(3).header(&headers.0, &headers.1).to_string()
}
