//! Errors as responses, in the shape that scripts for Kestra expect: `{"message": …}`.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::diagnostic::Diagnostic;
use crate::engine::SubmitError;
use crate::engine::backfill::BackfillError;
use crate::engine::catalog::CatalogError;
use crate::engine::{EngineError, input_files};
use crate::file_access::FileAccess;
use crate::flow::Flow;
use crate::id::{ExecutionId, InvalidId};
use crate::journal::JournalError;
use crate::server::App;
use crate::text::chain;

/// The most bytes of an error of the framework that are read.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// Why a request failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: u16,
    /// A description of the error.
    message: String,
    /// The problems of a flow or of inputs, each with its position.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    findings: Vec<Diagnostic>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status: status.as_u16(), message: message.into(), findings: Vec::new() }
    }

    /// The status of its response.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What it is about, each with its place.
    pub(crate) fn located(&self) -> &[Diagnostic] {
        &self.findings
    }

    /// The request itself is wrong.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub(crate) fn execution_not_found(id: &ExecutionId) -> Self {
        Self::not_found(format!("there is no execution {id}"))
    }

    pub(crate) fn flow_not_found(namespace: &str, id: &str) -> Self {
        Self::not_found(format!("there is no flow `{id}` in the namespace `{namespace}`"))
    }

    /// It cannot be done in the present state.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Rejects paths of this machine as values of file inputs: the client may be on another machine.
    pub(crate) fn check_file_inputs(app: &App, flow: &Flow, given: &[(String, String)]) -> Result<(), Self> {
        let files = FileAccess::restricted(&flow.folder, &app.settings);
        let foreign = input_files::foreign(&flow.inputs, given, &files);
        if foreign.is_empty() { Ok(()) } else { Err(Self::findings(foreign)) }
    }

    pub(crate) fn findings(findings: Vec<Diagnostic>) -> Self {
        let lines: Vec<String> = findings.iter().map(Diagnostic::sentence).collect();
        Self { findings, ..Self::unprocessable(lines.join("\n")) }
    }

    fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
    }

    /// The server itself failed.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, chain(error))
    }
}

/// Gives errors of the framework the same shape: bodies that are too large, cut off or of another type.
pub(crate) async fn as_json(response: Response) -> Response {
    let (status, headers) = (response.status(), response.headers());
    let is_ours = headers.get(header::CONTENT_TYPE).is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || is_ours {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, MAX_MESSAGE_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let message = match text.trim() {
        _ if status == StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than the limit of this endpoint",
        "" => status.canonical_reason().unwrap_or("rejected"),
        message => message,
    };
    let body = ApiError::new(status, message).into_response();
    for (name, value) in body.headers() {
        parts.headers.insert(name, value.clone());
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.into_body())
}

/// The message of an error response, for the server's own log.
#[derive(Clone)]
pub(crate) struct FailureMessage(pub String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = (self.status(), self.message.clone());
        let mut response = (status, Json(self)).into_response();
        response.extensions_mut().insert(FailureMessage(message));
        response
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        Self::internal(&error)
    }
}

/// There is nothing under an id that cannot exist.
impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Self::not_found(error.to_string())
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound(_) => Self::not_found(error.to_string()),
            EngineError::Locked(_) | EngineError::InvalidState { .. } | EngineError::CannotContinue { .. } => {
                Self::conflict(error.to_string())
            }
            EngineError::TargetMismatch { ref what, .. } => {
                let help = match what.split_once(' ') {
                    Some(("execution", _)) => {
                        "to continue with the present one, resume or restart it with `?retarget=true`"
                    }
                    _ => {
                        "to continue with the present one, stop the server and run `jitney backfill resume ID --retarget`"
                    }
                };
                Self::conflict(format!("{error}; {help}"))
            }
            EngineError::Unreachable(problem) => Self::new(StatusCode::BAD_GATEWAY, problem.to_string()),
            EngineError::Invalid(findings) => Self::findings(findings),
            EngineError::Stopping => Self::stopping(),
            other => Self::internal(&other),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Inputs(findings) => Self::findings(findings),
            SubmitError::Engine(error) => error.into(),
            SubmitError::Stopping => Self::stopping(),
            other => Self::conflict(other.to_string()),
        }
    }
}

impl From<BackfillError> for ApiError {
    fn from(error: BackfillError) -> Self {
        match error {
            BackfillError::Invalid(findings) => Self::findings(findings),
            BackfillError::NotFound(_) => Self::not_found(error.to_string()),
            BackfillError::Conflict(finding) => {
                Self { message: finding.sentence(), findings: vec![*finding], ..Self::conflict("") }
            }
            BackfillError::Target(_) => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
            BackfillError::Engine(error) => error.into(),
        }
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Invalid(findings) => Self::findings(findings),
            CatalogError::NotFound(flow) => Self::flow_not_found(&flow.namespace, &flow.id),
            CatalogError::Exists(flow) => {
                Self::conflict(format!("the flow `{}` already exists; change it with PUT", flow.id))
            }
            CatalogError::Changed { .. } => Self::conflict(error.to_string()),
            other => Self::internal(&other),
        }
    }
}
