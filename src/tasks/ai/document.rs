//! Documents as text, wherever they are.

use std::io::Read;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde_json::{Map, Value};

use super::html;
use super::provider::retries;
use crate::storage;
use crate::task::{TaskContext, TaskError};
use crate::web::{RequestError, answer, client, follow, is_transient, retry_after};

/// The largest document.
const MAX_BYTES: usize = 20_000_000;
/// How long a server of documents may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A file, as it is.
pub(super) struct RawFile {
    pub(super) bytes: Vec<u8>,
    /// What the server says that it is.
    media_type: String,
    /// Where it comes from, without login and query.
    source: String,
}

/// A document as text.
#[derive(Clone, Debug)]
pub(super) struct SourceDocument {
    /// Its text; headings are lines that begin with `#`.
    pub(super) text: String,
    /// Where it comes from, and what the flow says of it.
    pub(super) metadata: Map<String, Value>,
}

/// The bytes of a file in storage, on this machine or of a web server.
///
/// # Errors
/// When it cannot be read or is too large.
pub(super) async fn read_bytes(field: &str, uri: &str, context: &TaskContext) -> Result<RawFile, TaskError> {
    if uri.starts_with("http://") || uri.starts_with("https://") {
        return download(uri, context).await;
    }
    if uri.contains("://") && !storage::is_uri(uri) && !uri.starts_with("file://") {
        return Err(TaskError::permanent(format!("cannot read `{uri}`: only http, https and files are supported")));
    }
    let path = context.input_file(field, uri)?;
    let failed = |error: std::io::Error| TaskError::permanent(format!("cannot read `{uri}`")).caused_by(error);
    let file = context.files.open(uri, &path).map_err(|finding| TaskError::from(*finding))?.map_err(failed)?;
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = reading.await.map_err(std::io::Error::other).flatten().map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(too_large(uri));
    }
    Ok(RawFile { bytes, media_type: String::new(), source: uri.to_owned() })
}

fn too_large(what: &str) -> TaskError {
    let most = crate::text::size(MAX_BYTES as u64);
    TaskError::permanent(format!("the document `{what}` is larger than {most}")).help("split it first")
}

async fn download(text: &str, context: &TaskContext) -> Result<RawFile, TaskError> {
    let redactor = &context.settings.redactor;
    let shown = redactor.clean(&crate::secret::hide_address(text.split(['?', '#']).next().unwrap_or_default()));
    let url = Url::parse(text)
        .map_err(|error| TaskError::permanent(format!("`{shown}` is not an address")).caused_by(error))?;
    if let Some(password) = url.password() {
        redactor.learn_login(url.username(), password);
    }
    let client = client::of_task(IDLE_TIMEOUT)?;
    retries(context).run(async || fetch(&client, url.clone(), &shown).await).await
}

async fn fetch(client: &Client, url: Url, shown: &str) -> Result<RawFile, RequestError> {
    let what = format!("reading {shown}");
    let response = follow::send(&what, client.get(url)).await?;
    let status = response.status();
    if !status.is_success() {
        let message = format!("{what}: the server answered {status}");
        return Err(if is_transient(status) {
            let error = TaskError::transient(message).code(status.as_str());
            RequestError::Retryable(error, retry_after(response.headers()))
        } else {
            RequestError::Fatal(TaskError::permanent(message).code(status.as_str()))
        });
    }
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media_type = media_type.to_ascii_lowercase();
    let bytes = answer::whole(&what, response, MAX_BYTES).await?;
    let bytes = bytes.ok_or_else(|| RequestError::Fatal(too_large(shown)))?;
    Ok(RawFile { bytes, media_type, source: shown.to_owned() })
}

/// Reads a document and makes text of it.
///
/// # Errors
/// When it cannot be read, or is neither text, Markdown nor HTML.
pub(super) async fn read(field: &str, uri: &str, context: &TaskContext) -> Result<SourceDocument, TaskError> {
    let RawFile { bytes, media_type, source } = read_bytes(field, uri, context).await?;
    let name = source.to_ascii_lowercase();
    let refused = |why: &str, help: &str| {
        TaskError::permanent(format!("the document `{source}` {why}")).code("bad data").help(help)
    };
    if bytes.starts_with(b"%PDF") {
        return Err(refused(
            "is a PDF, which is not supported",
            "make text of it first, for example with pdftotext in shell.commands",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| refused("is not UTF-8 text", "only text, Markdown and HTML can be read; convert it first"))?;
    if text.contains('\0') {
        return Err(refused("is not text", "only text, Markdown and HTML can be read; convert it first"));
    }
    let text = text.trim_start_matches('\u{feff}');
    let head = text.trim_start().get(..200).unwrap_or(text.trim_start()).to_ascii_lowercase();
    let is_html = media_type.starts_with("text/html")
        || media_type.starts_with("application/xhtml")
        || [".html", ".htm", ".xhtml"].iter().any(|end| name.ends_with(end))
        || head.starts_with("<!doctype html")
        || head.starts_with("<html");
    let text = if is_html { html::to_text(text) } else { text.to_owned() };
    let metadata = Map::from_iter([("source".to_owned(), Value::from(source.as_str()))]);
    Ok(SourceDocument { text, metadata })
}
