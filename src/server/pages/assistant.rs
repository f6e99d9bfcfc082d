//! What the pages ask a language model.

use std::sync::Arc;

use crate::copilot::{Copilot, CopilotAnswer, CopilotQuestion, QuestionSubject};
use crate::server::App;
use crate::task::TaskError;
use crate::tasks;

/// Whether there is a model to ask, and the settings do not switch it off.
pub(super) fn is_offered(app: &App) -> bool {
    let ai = &app.settings.ai;
    ai.enabled.unwrap_or(true) && ai.default_provider().is_some()
}

/// The model's name and its answer; or why there is none.
pub(super) async fn ask(app: &Arc<App>, subject: &QuestionSubject<'_>) -> Result<(String, CopilotAnswer), String> {
    if !is_offered(app) {
        return Err(
            "No language model is configured, or it is switched off: `jitney ai` says how to add one.".to_owned()
        );
    }
    let failed = |error: TaskError| match error.help {
        Some(help) => format!("{}; {help}", error.message),
        None => error.message,
    };
    // An answer takes a while: half of the connections are left to others.
    let _permit = app.connections.acquire_stream().map_err(|error| error.message().to_owned())?;
    let question = CopilotQuestion::new(subject, tasks::ALL, &app.settings.redactor)?;
    let copilot = Copilot::of(&app.settings).map_err(failed)?.ok_or("No language model is configured.")?;
    let answer = copilot.ask(question, |_| {}).await.map_err(failed)?;
    Ok((copilot.model().to_owned(), answer))
}

/// The paragraphs of an answer.
pub(super) fn paragraphs(words: &str) -> Vec<String> {
    words.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).map(str::to_owned).collect()
}
