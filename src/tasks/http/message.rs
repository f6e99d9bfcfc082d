//! What all requests and answers have in common: addresses as they are shown, and headers.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use crate::secret::Redactor;
use crate::task::TaskError;

/// The address that a text is.
///
/// # Errors
/// When it is none.
pub(super) fn address(text: &str, redactor: &Redactor) -> Result<Url, TaskError> {
    Url::parse(text)
        .map_err(|error| TaskError::permanent(format!("`{}` is no address", redactor.clean(text))).because(error))
}

/// The address without user and password.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // Both only fail for addresses without a host, which have no login either.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// Headers to send.
///
/// # Errors
/// When one cannot be sent.
pub(super) fn to_send(given: &BTreeMap<String, String>) -> Result<HeaderMap, TaskError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        // The value may be a login: it is not quoted.
        let wrong = || TaskError::permanent(format!("the header `{name}` cannot be sent"));
        let mut text = HeaderValue::from_str(value).map_err(|error| wrong().because(error))?;
        text.set_sensitive(true);
        headers.append(HeaderName::try_from(name).map_err(|error| wrong().because(error))?, text);
    }
    Ok(headers)
}

/// The server's headers for a task's outputs: names in lower case, each with its values.
pub(super) fn received(given: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Outputs are kept and shown; a session's cookie is nobody's business.
    for (name, value) in given.iter().filter(|(name, _)| *name != SET_COOKIE) {
        headers.entry(name.to_string()).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    headers
}
