//! What a body of JSON says, whatever content type it is sent under.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::server::api::error::ApiError;
use crate::task;
use crate::text::not_json;

/// Reads a body of JSON; an empty one says nothing.
///
/// # Errors
/// When it is none, or lacks a field; the place in it is told.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let value = serde_json::from_slice(body);
    let value = value.map_err(|error| ApiError::wrong(format!("the body cannot be read: {}", not_json(&error))))?;
    task::read(&value)
        .map_err(|error| ApiError::wrong(format!("the body cannot be read: {}", error.plainly(&[]).sentence())))
}
