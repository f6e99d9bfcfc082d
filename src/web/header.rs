//! Headers that flows and settings give.

use reqwest::header::{HeaderName, HeaderValue};

use crate::task::TaskError;

/// A header to send. Its value may be a login: no message quotes it.
///
/// # Errors
/// When it cannot be sent.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), TaskError> {
    let wrong = || TaskError::permanent(format!("the header `{name}` cannot be sent"));
    let mut value = HeaderValue::from_str(value).map_err(|error| wrong().caused_by(error))?;
    value.set_sensitive(true);
    Ok((HeaderName::try_from(name).map_err(|error| wrong().caused_by(error))?, value))
}
