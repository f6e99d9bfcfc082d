//! Files of executions.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use tokio_util::io::ReaderStream;

use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::storage::{Storage, execution_of};
use crate::text::percent_encode;

/// A file of an execution by its address in storage.
///
/// # Errors
/// When the address is not one of this execution's, or the file is no longer there.
pub(in crate::server) fn find(app: &App, id: &ExecutionId, uri: &str) -> Result<PathBuf, ApiError> {
    let gone = || ApiError::not_found(format!("the execution {id} has no file `{uri}`"));
    if execution_of(uri).as_ref() != Some(id) {
        return Err(gone());
    }
    let root = app.settings.storage();
    let path = Storage::new(&root, id.clone()).path(uri).map_err(|_| gone())?;
    // A link could lead out of the storage.
    let (path, root) = (path.canonicalize().map_err(|_| gone())?, root.canonicalize().map_err(|_| gone())?);
    if path.is_file() && path.starts_with(root.join(id.as_str())) { Ok(path) } else { Err(gone()) }
}

/// A file of an execution.
#[utoipa::path(get, path = "/executions/{id}/file", tag = "executions",
    params(("path" = String, Query, description = "The file's address in storage, as outputs have it")),
    responses((status = 200, description = "The file", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 404, body = ApiError)))]
pub(super) async fn download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<impl IntoResponse, ApiError> {
    let id: ExecutionId = id.parse()?;
    let uri = parameters
        .one("path")
        .ok_or_else(|| ApiError::unprocessable("`path` is missing: the file's address in storage"))?;
    let path = run_blocking(|| find(&app, &id, uri))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = tokio::fs::File::open(&path).await.map_err(|error| ApiError::internal(&error))?;
    let length = file.metadata().await.map_err(|error| ApiError::internal(&error))?.len();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", percent_encode(&name))),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, 1 << 16))))
}
