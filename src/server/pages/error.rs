//! Errors as pages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::shell::Shell;
use crate::server::api::error::{ApiError, FailureMessage};

/// Why a page cannot be shown, or what it was asked for cannot be done.
pub(super) struct PageError(ApiError);

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    title: &'static str,
    message: String,
}

impl PageError {
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Self(ApiError::internal(error))
    }
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if super::wants_json() {
            return self.0.into_response();
        }
        let (status, message) = (self.0.status(), self.0.message().to_owned());
        let title = status.canonical_reason().unwrap_or("Error");
        let page = ErrorPage { shell: Shell::empty(), title, message: message.clone() };
        let Ok(text) = page.render() else { return self.0.into_response() };
        let mut response = (status, Html(text)).into_response();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            response.extensions_mut().insert(FailureMessage(message));
        }
        response
    }
}
