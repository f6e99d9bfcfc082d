//! What a body of JSON says, whatever content type it is sent under.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::server::api::problem::Problem;

/// Reads a body of JSON; an empty one says nothing.
///
/// # Errors
/// When it is none, or lacks a field; the place in it is told.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Problem::wrong(format!("the body cannot be read: {error}")))
}
