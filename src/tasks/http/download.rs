//! `http.download`: a file into storage, whole and checked.

use std::collections::BTreeMap;
use std::time::Instant;

use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{self, Method, RequestContent};
use super::fetch::{CORRUPT, Fetch, Fetched};
use super::options::{self, IDLE_TIMEOUT, RequestOptions};
use super::{local, message, similar_files, source_probe};
use crate::duration::DurationSpec;
use crate::secret::Redactor;
use crate::storage::{self, StoredFile};
use crate::task::{FieldConflict, Level, SourceProbe, Task, TaskContext, TaskError};
use crate::tasks::file_address::FileAddress;

/// Downloads a file into storage.
///
/// Retries when the connection is lost or the server is busy, and resumes where it stopped, even after the process was
/// killed. The length is checked and, for gzip files, every checksum. A file on this machine is copied and checked in
/// the same way, so that a folder can stand in for a server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDownload {
    /// What to download: an `http://`, `https://` or `file://` address, a path relative to the flow's folder, or the
    /// storage address of another task's file.
    uri: String,
    /// The file's name in storage. By default the last part of the address.
    #[serde(alias = "saveAs", alias = "save_as")]
    name: Option<String>,
    /// Headers to send, such as `Authorization`. None of them is passed on when the server redirects to another scheme,
    /// host or port.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The HTTP method. A request other than `GET`, or one with content, is sent once unless `attempts` is set, and a
    /// later attempt starts at the first byte.
    #[serde(default)]
    method: Method,
    /// Query parameters, added to the address after `?`; a list repeats the name.
    #[serde(default)]
    params: Map<String, Value>,
    /// The content to send: a text, or a map or list, which is sent as JSON.
    #[serde(default)]
    body: Value,
    /// A form to send instead, like `formData` of `http.request`.
    #[serde(default, alias = "formData")]
    form_data: Map<String, Value>,
    /// The media type of the content. By default it is derived from the content.
    #[serde(alias = "contentType")]
    content_type: Option<String>,
    /// Logins, timeouts, and which responses are accepted as the file.
    #[serde(default)]
    options: RequestOptions,
    /// Whether an empty file is an error. By default it is.
    #[serde(default = "yes", alias = "failOnEmptyResponse")]
    fail_on_empty_response: bool,
    /// The maximum size of the file in bytes. By default any size is accepted that leaves a twentieth of the disk
    /// free, or 256 MiB if that is less.
    max_bytes: Option<u64>,
    /// The expected SHA-256 of the file in hexadecimal digits. By default any content is accepted.
    sha256: Option<String>,
    /// How many attempts in a row may fail without any progress. By default 5, and as many more as fit into 90 s
    /// (`JITNEY_RETRY_TIMEOUT`).
    attempts: Option<u32>,
    /// After how long without data the connection counts as lost. By default 60s, or the timeout set in `options`.
    idle_timeout: Option<DurationSpec>,
    /// The connection counts as lost when fewer bytes than this arrive per second, on average over `idle_timeout`. By
    /// default 500.
    min_speed: Option<u64>,
}

fn yes() -> bool {
    true
}

/// What a download gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The file's address in storage.
    pub uri: String,
    /// The address that it was downloaded from, without login and query.
    pub source_uri: String,
    /// The server's status code: 200, or 206 if an earlier attempt was continued. For a file on this machine 200.
    pub code: u16,
    /// Bytes of the file.
    pub length: u64,
    /// The response headers: names in lower case, each with its values.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The file's SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Bytes from earlier attempts that were not downloaded again.
    pub resumed_bytes: u64,
    /// Seconds from the first request until the whole file was on disk.
    pub seconds: f64,
}

/// Bytes a second.
const MIN_SPEED: u64 = 500;

impl Task for HttpDownload {
    const NAME: &'static str = "http.download";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.http.Download", "io.kestra.plugin.fs.http.Download"];
    const FILES: &'static [&'static str] = &["uri"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = options::WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: extract
  type: http.download
  uri: https://github.com/DataTalksClub/nyc-tlc-data/releases/download/green/green_tripdata_2019-01.csv.gz
";
    const SOURCE: Option<SourceProbe> = Some(source_probe::SOURCE);
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut conflicts = content::conflicts(&self.body, &self.form_data, &self.options);
        if self.method == Method::Head {
            let message = "the response to HEAD has no content; to read its headers, use http.request";
            conflicts.push(FieldConflict::between(["method"], message));
        }
        // How a server is spoken to matters nothing to a folder that stands in for it, but what it is asked does.
        let asks = [
            ("method", self.method != Method::Get),
            ("params", !self.params.is_empty()),
            ("body", !self.body.is_null()),
            ("formData", !self.form_data.is_empty()),
        ];
        let asked = asks.into_iter().find(|(_, is_given)| *is_given);
        if let Some((name, _)) = asked.filter(|_| !self.is_remote()) {
            let message = "this applies only to requests to a server, but `uri` is a file on this machine";
            conflicts.push(FieldConflict::between([name, "uri"], message));
        }
        conflicts
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let started = Instant::now();
        let outputs = match self.scheme().as_deref() {
            Some("http" | "https") => self.fetch(context).await?,
            Some("file") | None => self.copy(context).await?,
            Some(_) if storage::is_uri(&self.uri) => self.copy(context).await?,
            Some(other) => {
                let message = format!("cannot download from `{other}://`: only http, https and file are supported");
                return Err(TaskError::permanent(message).help("or use the path of a file on this machine"));
            }
        };
        if outputs.length == 0 && self.fail_on_empty_response && !self.options.allow_failed {
            let error = TaskError::permanent(format!("the file {} is empty", outputs.source_uri)).code(CORRUPT);
            return Err(error.help("if it may be empty, set `fail_on_empty_response: false`"));
        }
        context.log_line(
            Level::Debug,
            &format!("{} bytes in {}, SHA-256 {}", outputs.length, outputs.uri, outputs.sha256),
        );
        Ok(Outputs { seconds: started.elapsed().as_secs_f64(), ..outputs })
    }
}

impl HttpDownload {
    fn scheme(&self) -> Option<String> {
        self.uri.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
    }

    /// Whether a web server has the file.
    fn is_remote(&self) -> bool {
        self.scheme().is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https"))
    }

    async fn fetch(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let mut url = message::address(&self.uri, &context.settings.redactor)?;
        content::add_params(&mut url, &self.params);
        let display_address = message::display_address(&url, &context.settings.redactor);
        let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let file = self.place(context, last)?;
        let limits = [self.idle_timeout.map(|span| span.0), self.options.idle_timeout()];
        let idle_timeout = limits.into_iter().flatten().min().unwrap_or(IDLE_TIMEOUT);
        let client = self.options.client_with_idle_timeout(idle_timeout)?;
        context.info(format!("downloading {display_address}"));
        let fetch = Fetch {
            context,
            client,
            url,
            display_address,
            content: self.content(context)?,
            attempts: self.attempts,
            min_speed: self.min_speed.unwrap_or(MIN_SPEED),
            idle_timeout,
            max_bytes: self.max_bytes.unwrap_or(u64::MAX),
            sha256: self.sha256.clone(),
            target: file.path,
        };
        let fetched = tokio::select! {
            fetched = fetch.run() => fetched?,
            () = context.cancel.cancelled() => {
                let message = format!("stopped downloading {}", fetch.display_address);
                return Err(TaskError::cancelled(message).help("the downloaded part is kept: the next attempt continues from it"));
            }
        };
        context.note_origin(&fetch.target, &message::origin(&fetch.url, &context.settings.redactor))?;
        Ok(Outputs {
            source_uri: message::place(&fetch.url, &context.settings.redactor),
            ..outputs(file.uri, fetched, &context.settings.redactor)
        })
    }

    fn content(&self, context: &TaskContext) -> Result<RequestContent<'_>, TaskError> {
        Ok(RequestContent {
            method: self.method,
            headers: message::to_send(&self.headers, &context.settings.redactor)?,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            form_data: &self.form_data,
            options: &self.options,
        })
    }

    async fn copy(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let from = context.input_file("uri", &self.uri).map_err(|error| self.explain(context, error))?;
        let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file = self.place(context, name)?;
        let (target, sha256, limit) = (file.path.clone(), self.sha256.clone(), self.max_bytes.unwrap_or(u64::MAX));
        let (cancel, progress) = (context.cancel.clone(), context.progress.clone());
        let redactor = context.settings.redactor.clone();
        let place = context.place_of(&from);
        let (what, path) = (format!("copying {}", place.display()), from.clone());
        let copied = tokio::task::spawn_blocking(move || {
            local::copy(&path, &target, limit, sha256, &cancel, (&progress, &redactor))
        });
        let copied = copied.await.map_err(std::io::Error::other).flatten();
        if context.cancel.is_cancelled() {
            return Err(TaskError::cancelled(format!("stopped {what}")));
        }
        context.note_origin(&file.path, &FileAddress::of(context, &from).whole)?;
        let copied = copied.map_err(|error| TaskError::permanent(what).caused_by(error))?;
        let (length, sha256) = copied.map_err(|wrong| {
            TaskError::permanent(format!("the file {} {wrong}", self.uri))
                .code(CORRUPT)
                .help("download the file again, or try another source")
        })?;
        let outputs = outputs(
            file.uri,
            Fetched { code: 200, headers: HeaderMap::new(), length, sha256, resumed: 0 },
            &context.settings.redactor,
        );
        Ok(Outputs { source_uri: format!("file://{}", place.display()), ..outputs })
    }

    fn place(&self, context: &TaskContext, last: &str) -> Result<StoredFile, TaskError> {
        let name = self.name.as_deref().unwrap_or(if last.is_empty() { "download" } else { last });
        context.output_file(name)
    }

    fn explain(&self, context: &TaskContext, error: TaskError) -> TaskError {
        // The names of files next to one that may not be read are not revealed either.
        let Ok(path) = context.files.resolve(&self.uri) else { return error };
        match similar_files::in_folder(&path) {
            Some(nearest) => error.help(format!("looked at {}; {nearest}", path.display())),
            None => error,
        }
    }
}

fn outputs(uri: String, fetched: Fetched, redactor: &Redactor) -> Outputs {
    let headers = message::received(&fetched.headers, redactor);
    let Fetched { code, length, sha256, resumed, .. } = fetched;
    Outputs { uri, source_uri: String::new(), code, length, headers, sha256, resumed_bytes: resumed, seconds: 0.0 }
}
