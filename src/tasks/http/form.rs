//! What a request carries: a text, JSON, or a form with fields and files.

use std::path::PathBuf;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, RequestBuilder};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

use crate::storage::is_uri;
use crate::task::{TaskContext, TaskError};
use crate::text::plain;

const URL_ENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// The request with a text or JSON.
pub(super) fn with_body(request: RequestBuilder, body: &Value, content_type: Option<&str>) -> RequestBuilder {
    let text = plain(body);
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    let kind = content_type.unwrap_or(if is_json { "application/json" } else { "text/plain; charset=utf-8" });
    request.header(CONTENT_TYPE, kind).body(text)
}

/// The request with a form: in parts when it is asked for, or when there is a file in it.
///
/// # Errors
/// When a file is not there.
pub(super) async fn with_form(
    request: RequestBuilder,
    form: &Map<String, Value>,
    content_type: Option<&str>,
    context: &TaskContext,
) -> Result<RequestBuilder, TaskError> {
    let wanted = content_type.is_some_and(|kind| kind.starts_with(MULTIPART));
    if wanted || form.values().any(|value| value.is_object() || is_file(&plain(value))) {
        return in_parts(request, form, context).await;
    }
    let mut encoded =
        reqwest::Url::parse("form:").map_err(|error| TaskError::permanent("cannot encode").caused_by(error))?;
    encoded.query_pairs_mut().extend_pairs(form.iter().map(|(name, value)| (name, plain(value))));
    let text = encoded.query().unwrap_or_default().to_owned();
    Ok(request.header(CONTENT_TYPE, content_type.unwrap_or(URL_ENCODED)).body(text))
}

/// A form of parts, its files read as they are sent.
async fn in_parts(
    request: RequestBuilder,
    form: &Map<String, Value>,
    context: &TaskContext,
) -> Result<RequestBuilder, TaskError> {
    let boundary = format!("jitney-{}", uuid::Uuid::new_v4());
    let mut all: Box<dyn AsyncRead + Send + Unpin> = Box::new(tokio::io::empty());
    let mut length = 0;
    let mut add = |part: Box<dyn AsyncRead + Send + Unpin>, bytes: u64| {
        length += bytes;
        all = Box::new(std::mem::replace(&mut all, Box::new(tokio::io::empty())).chain(part));
    };
    let text = |text: String| (text.len() as u64, Box::new(std::io::Cursor::new(text.into_bytes())));
    for (name, value) in form {
        let part = FormPart::of(name, value, context)?;
        let (bytes, head) = text(format!("--{boundary}\r\n{}\r\n\r\n", part.head));
        add(head, bytes);
        match part.content {
            PartContent::Text(content) => {
                let (bytes, content) = text(content);
                add(content, bytes);
            }
            PartContent::File(path) => {
                let what = || TaskError::permanent(format!("cannot read {}", path.display()));
                let file = tokio::fs::File::open(&path).await.map_err(|error| what().caused_by(error))?;
                let bytes = file.metadata().await.map_err(|error| what().caused_by(error))?.len();
                add(Box::new(file.take(bytes)), bytes);
            }
        }
        let (bytes, end) = text("\r\n".to_owned());
        add(end, bytes);
    }
    let (bytes, end) = text(format!("--{boundary}--\r\n"));
    add(end, bytes);
    let request =
        request.header(CONTENT_TYPE, format!("{MULTIPART}; boundary={boundary}")).header(CONTENT_LENGTH, length);
    Ok(request.body(Body::wrap_stream(ReaderStream::new(all))))
}

/// One field of a form in parts.
struct FormPart {
    head: String,
    content: PartContent,
}

enum PartContent {
    Text(String),
    File(PathBuf),
}

impl FormPart {
    /// A text, the address of a file, or a map of `name`, `content` and `contentType`.
    fn of(field: &str, value: &Value, context: &TaskContext) -> Result<Self, TaskError> {
        let (map, content) = match value {
            Value::Object(map) => (Some(map), map.get("content").map(plain).unwrap_or_default()),
            other => (None, plain(other)),
        };
        let given = |key: &str| map.and_then(|map| map.get(key)).map(plain);
        let file = is_file(&content).then(|| context.input_file("formData", &content)).transpose()?;
        let own_name = file.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(field));
        if let Some(name) = given("name").or(own_name) {
            head += &format!("; filename=\"{}\"", quoted(&name));
        }
        let kind = given("contentType").or_else(|| file.as_ref().map(|_| "application/octet-stream".to_owned()));
        kind.iter().for_each(|kind| head += &format!("\r\nContent-Type: {}", quoted(kind)));
        Ok(Self { head, content: file.map_or(PartContent::Text(content), PartContent::File) })
    }
}

fn is_file(text: &str) -> bool {
    is_uri(text) || text.starts_with("file://")
}

/// A name between quotes in a header, as browsers escape it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
