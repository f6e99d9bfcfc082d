//! What a source offers now, known by its headers alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::message;
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::secret::Redactor;
use crate::task::{Offer, Source, TaskError, read};
use crate::web::{Trouble, client, follow};

/// What tells one version of a file from another.
const TELLING: [&str; 2] = ["etag", "last-modified"];

pub(super) const SOURCE: Source =
    Source { fields: &["uri", "headers"], look: |fields, files, settings| Box::pin(look(fields, files, settings)) };

/// Where a file is.
#[derive(Deserialize)]
struct Where {
    uri: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

async fn look(fields: Value, files: FileAccess, settings: Arc<Settings>) -> Result<Offer, TaskError> {
    let place: Where = read(&fields).map_err(|error| TaskError::permanent(error.message))?;
    if !place.uri.contains("://") || place.uri.starts_with("file://") {
        let path = files.resolve(&place.uri)?;
        let summed = tokio::task::spawn_blocking(move || of_file(&path)).await;
        return summed.map_err(|error| TaskError::permanent("looking at the file").because(error));
    }
    let url = message::address(&place.uri, &settings.redactor)?;
    let headers = message::to_send(&place.headers, &settings.redactor)?;
    let client = client::client(Duration::from_secs(30))
        .map_err(|error| TaskError::permanent("cannot prepare the connection").because(error))?;
    let head = ask(&client, Method::HEAD, &url, &headers, &settings.redactor).await?;
    // Some servers, and most addresses that are signed for a download, refuse to give headers alone.
    if matches!(head.code, Some(400 | 403 | 405 | 501)) {
        return ask(&client, Method::GET, &url, &headers, &settings.redactor).await;
    }
    Ok(head)
}

async fn ask(
    client: &Client,
    method: Method,
    url: &Url,
    headers: &HeaderMap,
    redactor: &Redactor,
) -> Result<Offer, TaskError> {
    let what = format!("asking for the headers of {}", message::shown(url, redactor));
    let request = client.request(method, url.clone()).header("accept-encoding", "identity").headers(headers.clone());
    let response = follow::send(&what, request).await.map_err(Trouble::into_error)?;
    let status = response.status();
    let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    if !status.is_success() && !matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) && status.as_u16() >= 429 {
        return Err(TaskError::transient(format!("{what}: the server answered {status}")).code(status.as_str()));
    }
    Ok(Offer {
        exists: status.is_success(),
        code: Some(status.as_u16()),
        length: text("content-length").and_then(|length| length.parse().ok()),
        headers: TELLING.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect(),
        sha256: None,
    })
}

/// A file of this machine is read: its checksum costs nothing but time.
fn of_file(path: &Path) -> Offer {
    match crate::storage::checksum(path) {
        Ok((length, sha256)) => Offer { exists: true, length: Some(length), sha256: Some(sha256), ..Offer::default() },
        Err(_) => Offer::default(),
    }
}
