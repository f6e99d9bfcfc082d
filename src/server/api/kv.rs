//! The key-value store of a namespace.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::blocking::run_blocking;
use crate::clock;
use crate::duration::DurationSpec;
use crate::journal::{Kv, KvEntry, KvError, NewKvEntry};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::text::json_or_text;

impl From<KvError> for ApiError {
    fn from(error: KvError) -> Self {
        match &error {
            KvError::Sqlite(_) | KvError::Folder(_) => Self::internal(&error),
            KvError::Taken { .. } => Self::conflict(error.to_string()),
            _ => Self::unprocessable(error.to_string()),
        }
    }
}

/// The store, open.
pub(crate) fn store(app: &App) -> Result<Kv, ApiError> {
    Ok(Kv::open(&app.settings.kv())?)
}

/// All keys of a namespace with their values.
#[utoipa::path(get, path = "/namespaces/{namespace}/kv", tag = "kv",
    responses((status = 200, description = "The entries, in order", body = [Object])))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(namespace): Path<String>,
) -> Result<Json<Vec<KvEntry>>, ApiError> {
    let entries = run_blocking(|| Ok::<_, ApiError>(store(&app)?.list(Some(&namespace), clock::now())?))?;
    Ok(Json(entries.into_iter().map(KvEntry::without_secrets).collect()))
}

/// One value.
#[utoipa::path(get, path = "/namespaces/{namespace}/kv/{key}", tag = "kv",
    responses((status = 200, description = "`{type, value, …}`", body = Object), (status = 404, body = ApiError)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path((namespace, key)): Path<(String, String)>,
) -> Result<Json<KvEntry>, ApiError> {
    let not_found = || ApiError::not_found(format!("there is no key `{key}` in the namespace `{namespace}`"));
    let entry = run_blocking(|| Ok::<_, ApiError>(store(&app)?.get(&namespace, &key, clock::now())?))?;
    entry.map(KvEntry::without_secrets).map(Json).ok_or_else(not_found)
}

/// Sets a value: the body as JSON, or otherwise as text.
#[utoipa::path(put, path = "/namespaces/{namespace}/kv/{key}", tag = "kv", request_body(content = Object),
    params(("ttl" = Option<String>, Query, description = "The time until the key expires, such as PT1H; also accepted as a header")),
    responses((status = 200, description = "The entry", body = Object), (status = 422, body = ApiError)))]
pub(super) async fn set(
    State(app): State<Arc<App>>,
    Path((namespace, key)): Path<(String, String)>,
    parameters: QueryParameters,
    headers: HeaderMap,
    body: String,
) -> Result<Json<KvEntry>, ApiError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ttl = parameters.one("ttl").or(header("ttl")).map(str::parse::<DurationSpec>).transpose();
    let ttl = ttl.map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let value = json_or_text(body).map_err(ApiError::unprocessable)?;
    let description = header("description").map(str::to_owned);
    let new = NewKvEntry { value, description, ttl: ttl.map(|span| span.0), ..NewKvEntry::default() };
    Ok(Json(run_blocking(|| Ok::<_, ApiError>(store(&app)?.set(&namespace, &key, new, true, clock::now())?))?))
}

/// Deletes a key.
#[utoipa::path(delete, path = "/namespaces/{namespace}/kv/{key}", tag = "kv",
    responses((status = 200, description = "Whether it existed", body = Object)))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path((namespace, key)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let was_there = run_blocking(|| Ok::<_, ApiError>(store(&app)?.delete(&namespace, &key, clock::now())?))?;
    Ok((StatusCode::OK, Json(json!(was_there))))
}
