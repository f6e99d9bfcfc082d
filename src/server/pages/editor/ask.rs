//! "Ask AI" in the editor: a model changes the text as it is told, and what it would change is shown before it is saved.

use std::sync::Arc;

use crate::copilot::QuestionSubject;
use crate::server::App;
use crate::server::pages::assistant;
use crate::server::pages::diff::{self, DiffLine};

/// What a model would change.
pub(super) struct Proposal {
    /// What it says, in paragraphs.
    pub(super) words: Vec<String>,
    /// The text before and after.
    pub(super) lines: Vec<DiffLine>,
    /// How many errors are left after all tries.
    pub(super) errors: usize,
    /// How often the model was asked.
    pub(super) tries: u32,
}

/// The text as a model would have it, and what it says; or why there is none.
pub(super) async fn propose(
    app: &Arc<App>,
    (text, is_new): (&str, bool),
    wish: &str,
) -> Result<(String, Proposal), String> {
    let wish = wish.trim();
    if wish.is_empty() {
        return Err("Say what the flow should do.".to_owned());
    }
    let subject = match is_new {
        true => QuestionSubject::NewFlow(wish),
        false => QuestionSubject::ChangedFlow { wish, text },
    };
    let (_, answer) = assistant::ask(app, &subject).await?;
    let Some(written) = answer.written else {
        return Err(format!("The model wrote no flow. It says: {}", answer.words));
    };
    let proposal = Proposal {
        words: assistant::paragraphs(&answer.words),
        lines: diff::lines(text, &written.text),
        errors: written.errors(),
        tries: answer.tries,
    };
    Ok((written.text, proposal))
}
