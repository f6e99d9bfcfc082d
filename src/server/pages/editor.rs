//! The editor of flows: a form that works without a script, with one it is CodeMirror. What it says of a text is what `jitney
//! validate` says.

mod ask;
mod assist;
mod check;
mod form;
mod line_ends;

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::diff::{self, DiffLine};
use super::error::PageError;
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, assistant, page};
use crate::blocking::run_blocking;
use crate::engine::catalog::CatalogError;
use crate::flow::template::{self, TemplateGroup};
use crate::id::FlowKey;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use ask::Proposal;
use check::Check;

pub(super) use assist::{complete, describe, diagnose};
pub(super) use check::sentence;

/// What a new flow begins as.
const FIRST_TEMPLATE: &str = "hello";

#[derive(Template)]
#[template(path = "editor.html")]
struct EditorPage {
    shell: Shell,
    frame: EditorFrame,
    templates: Vec<TemplateGroup>,
}

/// What both views of a draft have.
struct EditorFrame {
    /// The flow's own page; empty for a new flow.
    address: String,
    /// Where the form goes.
    action: String,
    namespace: String,
    id: String,
    file: String,
    /// What tells the text that the edit began with.
    base: String,
    text: String,
    check: Check,
    outcome: EditOutcome,
    /// What was asked of a model; none where there is no model to ask.
    wish: Option<String>,
}

impl EditorFrame {
    fn of(draft: Draft, file: String, check: Check, outcome: EditOutcome) -> Self {
        let Draft { key, base, text, .. } = draft;
        let address = key.as_ref().map(|key| flow_address(&key.namespace, &key.id)).unwrap_or_default();
        let action = if address.is_empty() { "/flows/new".to_owned() } else { format!("{address}/edit") };
        let (namespace, id) = key.map(|key| (key.namespace, key.id)).unwrap_or_default();
        let wish = outcome.wish.clone();
        Self { address, action, namespace, id, file, base, text, check, outcome, wish }
    }
}

/// The file has changed since the edit began.
struct Conflict {
    /// What tells its text of now.
    digest: String,
    is_gone: bool,
    lines: Vec<DiffLine>,
}

/// What is being edited.
struct Draft {
    /// None for a new flow.
    key: Option<FlowKey>,
    base: String,
    text: String,
    view: View,
}

/// How it is shown.
enum View {
    Yaml,
    /// As a form, with the fields of the task at a path.
    Form(String),
}

impl View {
    fn of(form: &QueryParameters) -> Self {
        let task = || form.one("task").unwrap_or_default().to_owned();
        if form.one("view") == Some("form") { Self::Form(task()) } else { Self::Yaml }
    }
}

/// What became of it.
#[derive(Default)]
struct EditOutcome {
    is_saved: bool,
    problem: String,
    conflict: Option<Conflict>,
    /// Whether nothing has been chosen yet.
    offers_templates: bool,
    /// What was asked of a model, and what it would change.
    wish: Option<String>,
    proposal: Option<Proposal>,
}

/// The editor on a flow's file.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let key = FlowKey::new(namespace, id);
    let edited = run_blocking(|| app.catalog.text_to_edit(&key.namespace, &key.id))?;
    let (base, text) = (edited.digest, line_ends::shown(&edited.text));
    let draft = Draft { key: Some(key), base, text, view: View::of(&parameters) };
    editor(&app, draft, EditOutcome { is_saved: parameters.is_on("saved"), ..EditOutcome::default() })
}

/// What the editor has of a flow's file: its text, what tells it from later ones, and its findings.
pub(super) async fn json(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
) -> Result<Json<Value>, PageError> {
    let key = FlowKey::new(namespace, id);
    let edited = run_blocking(|| app.catalog.text_to_edit(&key.namespace, &key.id))?;
    let file = check::file_of(&app, Some(&key));
    let findings = run_blocking(|| check::findings(&file, &edited.text));
    Ok(Json(json!({"file": file, "text": edited.text, "digest": edited.digest, "findings": findings})))
}

/// The editor on a template.
pub(super) async fn new(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let name = parameters.one("template").unwrap_or(FIRST_TEMPLATE);
    let found = template::find(name).ok_or_else(|| ApiError::not_found(format!("there is no template `{name}`")))?;
    editor(
        &app,
        Draft { key: None, base: String::new(), text: found.text(), view: View::Yaml },
        EditOutcome { offers_templates: parameters.one("template").is_none(), ..EditOutcome::default() },
    )
}

/// Saves an edited flow, or does with its text what the button says.
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    body: String,
) -> Result<Response, PageError> {
    let key = FlowKey::new(namespace, id);
    if app.catalog.get(&key.namespace, &key.id).is_none() {
        return Err(ApiError::flow_not_found(&key.namespace, &key.id).into());
    }
    post(&app, Some(key), &QueryParameters::parse(&body)).await
}

/// Saves a new flow.
pub(super) async fn create(State(app): State<Arc<App>>, body: String) -> Result<Response, PageError> {
    post(&app, None, &QueryParameters::parse(&body)).await
}

async fn post(app: &Arc<App>, key: Option<FlowKey>, form: &QueryParameters) -> Result<Response, PageError> {
    let field = |name: &str| form.one(name).unwrap_or_default().to_owned();
    let mut draft = Draft { key, base: field("base"), text: line_ends::shown(&field("text")), view: View::of(form) };
    let action = field("do");
    if matches!(draft.view, View::Form(_))
        && let Err(problem) = run_blocking(|| form::changed(&mut draft.text, form, &action))
    {
        return Ok(editor(app, draft, EditOutcome { problem, ..EditOutcome::default() })?.into_response());
    }
    match action.split_once(' ').unwrap_or((&action, "")) {
        ("fix", fix) => draft.text = check::fixed(&draft.text, fix),
        ("yaml", _) => draft.view = View::Yaml,
        ("ask", _) => return asked(app, draft, field("wish")).await,
        ("form" | "open", path) => draft.view = View::Form(path.to_owned()),
        ("check" | "apply" | "add" | "remove" | "up" | "down", _) => {}
        ("overwrite", digest) => {
            digest.clone_into(&mut draft.base);
            return written(app, draft).await;
        }
        _ => return written(app, draft).await,
    }
    Ok(editor(app, draft, EditOutcome::default())?.into_response())
}

/// Shows the text as a model would have it. Nothing is saved.
async fn asked(app: &Arc<App>, mut draft: Draft, wish: String) -> Result<Response, PageError> {
    let mut outcome = EditOutcome { wish: Some(wish.clone()), ..EditOutcome::default() };
    // A template that nobody has changed is no flow of the user's.
    let is_template = |text: &str| template::ALL.iter().any(|template| template.text().trim() == text.trim());
    let is_new = draft.key.is_none() && is_template(&draft.text);
    match ask::propose(app, (&draft.text, is_new), &wish).await {
        Ok((text, proposal)) => {
            draft.text = text;
            outcome.proposal = Some(proposal);
        }
        Err(problem) => outcome.problem = problem,
    }
    Ok(editor(app, draft, outcome)?.into_response())
}

/// Writes the flow's file; what hinders that is shown in the editor.
async fn written(app: &Arc<App>, draft: Draft) -> Result<Response, PageError> {
    let (catalog, key) = (app.catalog.clone(), draft.key.clone());
    let (base, text) = (draft.base.clone(), draft.text.clone());
    let saving = move || match key {
        Some(key) => {
            let before = catalog.text_to_edit(&key.namespace, &key.id)?;
            catalog.save_edit(&key, &base, &line_ends::as_in_file(&before.text, &text))
        }
        None => catalog.create(&text),
    };
    let saved = tokio::task::spawn_blocking(saving).await.map_err(|error| ApiError::internal(&error))?;
    let refused = |status: StatusCode, draft: Draft, outcome: EditOutcome| {
        Ok((status, editor(app, draft, outcome)?).into_response())
    };
    match saved {
        Ok(entry) => {
            let address = flow_address(&entry.namespace, &entry.id);
            let query = QueryParameters::default().adding("saved", "true");
            let query = match draft.view {
                View::Form(task) => query.adding("view", "form").adding("task", &task),
                View::Yaml => query,
            };
            Ok(Redirect::to(&format!("{address}/edit?{}", query.text())).into_response())
        }
        Err(CatalogError::Changed { text, .. }) => {
            let conflict = run_blocking(|| conflict(app, &draft, &text))?;
            let outcome = EditOutcome { conflict: Some(conflict), ..EditOutcome::default() };
            refused(StatusCode::CONFLICT, draft, outcome)
        }
        Err(CatalogError::Exists(key)) => {
            let problem = format!("There is a flow {key} already. Choose another id, or edit that one.");
            refused(StatusCode::CONFLICT, draft, EditOutcome { problem, ..EditOutcome::default() })
        }
        Err(CatalogError::Invalid(findings)) => {
            let findings: Vec<String> = findings.iter().filter(|finding| finding.is_error()).map(sentence).collect();
            let problem = format!("It was not saved: {}", findings.join("\n"));
            refused(StatusCode::UNPROCESSABLE_ENTITY, draft, EditOutcome { problem, ..EditOutcome::default() })
        }
        Err(error) => Err(ApiError::from(error).into()),
    }
}

fn conflict(app: &App, draft: &Draft, now: &str) -> Result<Conflict, ApiError> {
    let digest = match &draft.key {
        Some(key) => app.catalog.text_to_edit(&key.namespace, &key.id)?.digest,
        None => String::new(),
    };
    let lines = diff::lines(&line_ends::shown(now), &draft.text);
    Ok(Conflict { digest, is_gone: now.is_empty(), lines })
}

fn editor(app: &App, draft: Draft, mut outcome: EditOutcome) -> PageResult {
    let wish = outcome.wish.take().unwrap_or_default();
    outcome.wish = assistant::is_offered(app).then_some(wish);
    let file = check::file_of(app, draft.key.as_ref());
    if let View::Form(task) = &draft.view {
        let task = task.clone();
        return form::show(app, draft, &task, file, outcome);
    }
    let check = run_blocking(|| Check::of(&file, &draft.text));
    let is_new = draft.key.is_none();
    page(&EditorPage {
        shell: Shell::of(app, NavPage::Flows, ""),
        templates: if is_new { template::groups() } else { Vec::new() },
        frame: EditorFrame::of(draft, if is_new { String::new() } else { file }, check, outcome),
    })
}
