//! JSON bodies, whatever content type they are sent with.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::server::api::error::ApiError;
use crate::task;
use crate::text::not_json;

/// Reads a body of JSON; an empty one counts as `{}`.
///
/// # Errors
/// When it is not JSON or a field is wrong; the message says where.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let value = serde_json::from_slice(body);
    let value =
        value.map_err(|error| ApiError::unprocessable(format!("the body cannot be read: {}", not_json(&error))))?;
    task::read(&value)
        .map_err(|error| ApiError::unprocessable(format!("the body cannot be read: {}", error.plainly(&[]).sentence())))
}
