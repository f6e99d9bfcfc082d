//! What a source offers now, known by its headers alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::options::RequestOptions;
use super::{content, message};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::secret::Redactor;
use crate::task::{SourceProbe, SourceVersion, TaskError, read};
use crate::web::{RequestError, follow};

/// How long a server may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// What tells one version of a file from another.
const VERSION_HEADERS: [&str; 2] = ["etag", "last-modified"];

const FIELDS: &[&str] = &["uri", "headers", "method", "params", "body", "form_data", "formData", "options"];

pub(super) const SOURCE: SourceProbe =
    SourceProbe { fields: FIELDS, probe: |fields, files, settings| Box::pin(probe(fields, files, settings)) };

/// Where a file is.
#[derive(Deserialize)]
struct SourceAddress {
    uri: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    method: content::Method,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    body: Value,
    #[serde(default, alias = "formData")]
    form_data: Map<String, Value>,
    #[serde(default)]
    options: RequestOptions,
}

async fn probe(fields: Value, files: FileAccess, settings: Arc<Settings>) -> Result<SourceVersion, TaskError> {
    let place: SourceAddress = read(&fields).map_err(|error| TaskError::permanent(error.message))?;
    if !place.uri.contains("://") || place.uri.starts_with("file://") {
        let path = files.resolve(&place.uri)?;
        let summed = tokio::task::spawn_blocking(move || of_file(&path)).await;
        return summed.map_err(|error| TaskError::permanent("looking at the file").caused_by(error));
    }
    if place.method != content::Method::Get || !place.body.is_null() || !place.form_data.is_empty() {
        let message = "the response to a request other than a plain GET is known only once it is sent";
        return Err(TaskError::permanent(message));
    }
    let mut url = message::address(&place.uri, &settings.redactor)?;
    content::add_params(&mut url, &place.params);
    let headers = message::to_send(&place.headers, &settings.redactor)?;
    let client = place.options.client_with_idle_timeout(IDLE_TIMEOUT)?;
    let request = |method| request(&client, method, &url, (&headers, &place.options), &settings.redactor);
    let head = request(Method::HEAD).await?;
    // Some servers, and most addresses that are signed for a download, refuse to give headers alone.
    if matches!(head.code, Some(400 | 403 | 405 | 501)) {
        return request(Method::GET).await;
    }
    Ok(head)
}

async fn request(
    client: &Client,
    method: Method,
    url: &Url,
    (headers, options): (&HeaderMap, &RequestOptions),
    redactor: &Redactor,
) -> Result<SourceVersion, TaskError> {
    let what = format!("requesting the headers of {}", message::display_address(url, redactor));
    let request = client.request(method, url.clone()).header("accept-encoding", "identity").headers(headers.clone());
    let request = options.authenticate(request, redactor)?;
    let response = follow::send(&what, request).await.map_err(RequestError::into_error)?;
    let status = response.status();
    let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    if !status.is_success() && !matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) && status.as_u16() >= 429 {
        return Err(TaskError::transient(format!("{what}: the server answered {status}")).code(status.as_str()));
    }
    Ok(SourceVersion {
        exists: status.is_success(),
        code: Some(status.as_u16()),
        length: text("content-length").and_then(|length| length.parse().ok()),
        headers: VERSION_HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect(),
        sha256: None,
    })
}

/// A file of this machine is read: its checksum costs nothing but time.
fn of_file(path: &Path) -> SourceVersion {
    match crate::storage::checksum(path) {
        Ok((length, sha256)) => {
            SourceVersion { exists: true, length: Some(length), sha256: Some(sha256), ..SourceVersion::default() }
        }
        Err(_) => SourceVersion::default(),
    }
}
