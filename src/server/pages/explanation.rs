//! "Explain" on an execution that failed: what a model says about it, and the correction of the flow that it proposes.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::diff::{self, DiffLine};
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, assistant, page};
use crate::blocking::run_blocking;
use crate::copilot::QuestionSubject;
use crate::engine::FailureReport;
use crate::id::ExecutionId;
use crate::journal::ExecutionState;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::executions::Present;

#[derive(Template)]
#[template(path = "explanation.html")]
struct ExplanationPage {
    shell: Shell,
    id: String,
    namespace: String,
    flow: String,
    flow_address: String,
    /// What the model says, in paragraphs.
    words: Vec<String>,
    /// Which model says it.
    model: String,
    /// Why there is no explanation.
    problem: String,
    fix: Option<ProposedFix>,
}

/// The flow as the model would have it.
struct ProposedFix {
    lines: Vec<DiffLine>,
    text: String,
    /// What tells the text that it is a change of.
    base: String,
    errors: usize,
}

/// What a model says about a failure.
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> PageResult {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let (state, report) = run_blocking(|| {
        let Present { state, .. } = Present::of(&app, &id)?;
        let flow = app.executor.flow(&state).ok();
        let redactor = &app.settings.redactor;
        let report = FailureReport::of(app.executor.journal(), redactor, (&id, &state), flow.as_deref())?;
        Ok::<_, ApiError>((state, report))
    })?;
    if state.status != ExecutionState::Failed {
        return Err(
            ApiError::conflict(format!("execution {id} is {}: only failures are explained", state.status)).into()
        );
    }
    let spec = &state.created;
    let edited = run_blocking(|| app.catalog.text_to_edit(&spec.namespace, &spec.flow)).ok();
    let mut shown = ExplanationPage {
        shell: Shell::of(&app, NavPage::Executions, ""),
        id: id.to_string(),
        namespace: spec.namespace.clone(),
        flow: spec.flow.clone(),
        flow_address: flow_address(&spec.namespace, &spec.flow),
        words: Vec::new(),
        model: String::new(),
        problem: String::new(),
        fix: None,
    };
    let subject = QuestionSubject::Failure {
        what: format!("The execution {id} of the flow `{}` has failed.", spec.flow),
        report: &report,
        text: edited.as_ref().map(|edited| edited.text.as_str()),
        with_log: false,
    };
    match assistant::ask(&app, &subject).await {
        Err(problem) => shown.problem = problem,
        Ok((model, answer)) => {
            shown.model = model;
            shown.words = assistant::paragraphs(&answer.words);
            let written = answer.written.zip(edited).filter(|(written, edited)| written.text != edited.text);
            shown.fix = written.map(|(written, edited)| ProposedFix {
                lines: diff::lines(&edited.text, &written.text),
                errors: written.errors(),
                text: written.text,
                base: edited.digest,
            });
        }
    }
    page(&shown)
}
