//! Flows: listing, saving and deleting them. A flow that is saved is written to a file in the folder of flows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::blocking::run_blocking;
use crate::clock;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::backfill::GridRequest;
use crate::engine::catalog::CatalogEntry;
use crate::engine::missing_files;
use crate::flow::{Flow, MAX_FLOW_BYTES, parse};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::form::{FormUpload, form_error};
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::server::audit::note_target;
use crate::tasks;

/// A flow as the API shows it: its own keys, and a few more.
fn to_json(entry: &CatalogEntry) -> Value {
    let mut map = match entry.flow.document.value.clone() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    map.insert("id".to_owned(), json!(entry.id));
    map.insert("namespace".to_owned(), json!(entry.namespace));
    map.insert("revision".to_owned(), json!(entry.revision));
    map.insert("source".to_owned(), json!(entry.text()));
    map.insert("broken".to_owned(), json!(entry.is_broken));
    // A server can be given the files after the flow.
    let missing =
        missing_files(&entry.flow).into_iter().map(|finding| Diagnostic { severity: Severity::Warning, ..finding });
    map.insert("findings".to_owned(), json!(entry.findings.iter().cloned().chain(missing).collect::<Vec<_>>()));
    Value::Object(map)
}

/// Saves a new flow.
#[utoipa::path(post, path = "/flows", tag = "flows", request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, description = "The flow", body = Object), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn create(State(app): State<Arc<App>>, text: String) -> Result<Json<Value>, ApiError> {
    let (namespace, id) = run_blocking(|| name_of(&text));
    note_target(format!("{namespace}.{id}"));
    let catalog = app.catalog.clone();
    let saved = tokio::task::spawn_blocking(move || catalog.create(&text)).await;
    let entry = saved.map_err(|error| ApiError::internal(&error))??;
    Ok(Json(run_blocking(|| to_json(&entry))))
}

/// Saves an existing flow.
#[utoipa::path(put, path = "/flows/{namespace}/{id}", tag = "flows",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, description = "The flow", body = Object), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn update(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    text: String,
) -> Result<Json<Value>, ApiError> {
    if app.catalog.get(&namespace, &id).is_none() {
        return Err(ApiError::flow_not_found(&namespace, &id));
    }
    if run_blocking(|| name_of(&text)) != (namespace.clone(), id.clone()) {
        return Err(ApiError::unprocessable(format!(
            "the text is not of the flow `{id}` in the namespace `{namespace}`"
        )));
    }
    save(&app, text).await
}

async fn save(app: &Arc<App>, text: String) -> Result<Json<Value>, ApiError> {
    let catalog = app.catalog.clone();
    let saved = tokio::task::spawn_blocking(move || catalog.save(&text)).await;
    let entry = saved.map_err(|error| ApiError::internal(&error))??;
    Ok(Json(run_blocking(|| to_json(&entry))))
}

/// The namespace and the id that a text names; empty where it names none.
fn name_of(text: &str) -> (String, String) {
    // One that is too large is rejected when it is read as a flow.
    let text = if text.len() > MAX_FLOW_BYTES { "" } else { text };
    let value = crate::flow::from_yaml(text).unwrap_or_default();
    let part = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    (part("namespace"), part("id"))
}

/// What to say where no flow was sent.
const NO_FILE: &str = "no flow was sent: send a file of flows as a form (`curl -F fileUpload=@FILE`)";

/// Saves all flows of a file: YAML texts between lines of `---`.
#[utoipa::path(post, path = "/flows/import", tag = "flows",
    request_body(content = String, content_type = "multipart/form-data", description = "The file as `fileUpload`"),
    responses((status = 200, description = "The flows", body = [Object]), (status = 422, body = ApiError)))]
pub(super) async fn import(State(app): State<Arc<App>>, upload: FormUpload) -> Result<Json<Vec<Value>>, ApiError> {
    let mut form = upload.into_form().ok_or_else(|| ApiError::unprocessable(NO_FILE))?;
    let mut saved = Vec::new();
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        if field.name() != Some("fileUpload") {
            continue;
        }
        for text in texts(&field.text().await.map_err(form_error)?) {
            let (namespace, id) = run_blocking(|| name_of(&text));
            note_target(format!("{namespace}.{id}"));
            saved.push(save(&app, text).await?.0);
        }
    }
    if saved.is_empty() {
        return Err(ApiError::unprocessable(NO_FILE));
    }
    Ok(Json(saved))
}

/// The texts between lines of `---`.
pub(in crate::server) fn texts(file: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    for line in file.lines() {
        if line.trim_end() == "---" {
            texts.push(String::new());
        } else if let Some(text) = texts.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    texts.retain(|text| !text.trim().is_empty());
    texts
}

/// The problems of a text.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidationResponse {
    /// The index of the text in the request, from 0.
    index: usize,
    namespace: String,
    flow: String,
    /// The errors as text; absent if there are none.
    constraints: Option<String>,
    /// All findings, each with its position.
    #[schema(value_type = Vec<Object>)]
    findings: Vec<Diagnostic>,
}

/// Validates flows without saving them.
#[utoipa::path(post, path = "/flows/validate", tag = "flows",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, description = "The problems of each text", body = [ValidationResponse])))]
pub(super) async fn validate(body: String) -> Json<Vec<ValidationResponse>> {
    let check = |(index, text): (usize, String)| {
        let findings = parse("flow.yaml", &text, tasks::ALL).findings;
        let errors: Vec<String> =
            findings.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect();
        let (namespace, flow) = name_of(&text);
        let constraints = (!errors.is_empty()).then(|| errors.join("\n"));
        ValidationResponse { index, namespace, flow, constraints, findings }
    };
    Json(run_blocking(|| texts(&body).into_iter().enumerate().map(check).collect()))
}

/// One flow.
#[utoipa::path(get, path = "/flows/{namespace}/{id}", tag = "flows",
    responses((status = 200, description = "The flow with its source", body = Object), (status = 404, body = ApiError)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let entry = app.catalog.get(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    Ok(Json(run_blocking(|| to_json(&entry))))
}

/// The partitions of a flow: what the target holds, the latest runs, and whether the source has changed since.
#[utoipa::path(get, path = "/flows/{namespace}/{id}/partitions", tag = "flows",
    params(("trigger" = Option<String>, Query), ("every" = Option<String>, Query), ("from" = Option<String>, Query), ("to" = Option<String>, Query),
        ("inputs" = Option<Vec<String>>, Query, description = "`name:value`, may be repeated"),
        ("check" = Option<bool>, Query, description = "Check, by HTTP headers alone, which partitions have changed at the source")),
    responses((status = 200, description = "`[{column, partitions: [{partition, date, state, rows, …}]}]`", body = [Object]),
        (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn partitions(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let request = grid_request(&app, &flow, &parameters)?;
    let reading = async move || {
        let grid = app.executor.runner().grid(&flow, &request, clock::now()).await?;
        Ok(json!(grid.columns))
    };
    run_on_pool(reading).await.map(Json)
}

/// Which partitions of a flow a query asks for.
pub(in crate::server) fn grid_request(
    app: &App,
    flow: &Flow,
    parameters: &QueryParameters,
) -> Result<GridRequest, ApiError> {
    let given = parameters.pairs("inputs")?;
    ApiError::check_file_inputs(app, flow, &given)?;
    let text = |name: &str| parameters.one(name).map(str::to_owned);
    Ok(GridRequest {
        trigger: text("trigger"),
        every: text("every"),
        from: text("from"),
        to: text("to"),
        last: None,
        given,
        check: parameters.is_on("check"),
    })
}

/// Deletes a flow and its file; its executions are kept.
#[utoipa::path(delete, path = "/flows/{namespace}/{id}", tag = "flows",
    responses((status = 204, description = "Deleted"), (status = 404, body = ApiError)))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    run_blocking(|| app.catalog.remove(&namespace, &id))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page of flows.
#[derive(Serialize, ToSchema)]
pub(super) struct FlowsResponse {
    /// The flows: their own keys, and `revision`, `source`, `broken`, `findings`.
    #[schema(value_type = Vec<Object>)]
    results: Vec<Value>,
    /// The total number.
    total: u64,
    /// Problems of files and folders, regardless of the search: files that are not valid and never were, a second file
    /// with the id of another flow, a folder that cannot be read.
    #[schema(value_type = Vec<Object>)]
    problems: Vec<Diagnostic>,
}

/// Lists all flows, or those whose names contain a text.
#[utoipa::path(get, path = "/flows/search", tag = "flows",
    params(("q" = Option<String>, Query), ("namespace" = Option<String>, Query), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, description = "A page of flows, and problems of other files", body = FlowsResponse)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<FlowsResponse>, ApiError> {
    let (size, skipped) = parameters.page()?;
    let word = parameters.one("q").unwrap_or_default().to_lowercase();
    let matches = |entry: &Arc<CatalogEntry>| {
        let in_namespace = parameters.one("namespace").is_none_or(|namespace| {
            entry.namespace == namespace
                || entry.namespace.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('.'))
        });
        in_namespace && format!("{}.{}", entry.namespace, entry.id).to_lowercase().contains(&word)
    };
    let found: Vec<Arc<CatalogEntry>> = app.catalog.list().into_iter().filter(matches).collect();
    let page = found.iter().skip(skipped as usize).take(size as usize);
    let page = run_blocking(|| page.map(|entry| to_json(entry)).collect());
    Ok(Json(FlowsResponse { results: page, total: found.len() as u64, problems: app.catalog.problems() }))
}
