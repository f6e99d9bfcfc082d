//! `gcs.upload`: files to Cloud Storage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::address::Address;
use super::blob::Blob;
use super::pack::pack;
use super::send::{UploadSource, send};
use super::store::Store;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::text;

google_task! {
    /// Uploads files to Cloud Storage.
    ///
    /// Safe to repeat: objects that already exist with the same length and checksum are not sent again. A large upload
    /// resumes after a lost connection or a killed process. The uploaded object is compared with the file by length
    /// and CRC-32C.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct GcsUpload {
        /// The file: the storage address of another task's file, or a path relative to the flow's folder. Or several:
        /// a list of them, or a map from object names to them; `to` is then the prefix of their addresses.
        from: Value,
        /// The destination: `gs://bucket/folder/name`. If it ends with a slash, it is a folder, and the file keeps its
        /// name.
        to: String,
        /// Whether to compress the files with gzip, each to an object whose name ends in `.gz`. Files that are already
        /// compressed are unchanged.
        #[serde(default)]
        gzip: bool,
        /// The media type of the objects. By default it is derived from the extension.
        #[serde(alias = "contentType")]
        content_type: Option<String>,
        /// `gzip` if readers are to receive the file unpacked. Do not set it for a `.csv.gz` that BigQuery is to load.
        #[serde(alias = "contentEncoding")]
        content_encoding: Option<String>,
        /// How a browser offers the file.
        #[serde(alias = "contentDisposition")]
        content_disposition: Option<String>,
        /// How long caches may keep copies.
        #[serde(alias = "cacheControl")]
        cache_control: Option<String>,
        /// The objects' storage class. By default the bucket's.
        #[serde(alias = "storageClass")]
        storage_class: Option<String>,
        /// Names and values to keep with the objects.
        #[serde(default)]
        metadata: BTreeMap<String, String>,
    }
}

/// What an upload gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The object's address, `gs://bucket/name`; for several files, the prefix of their addresses.
    pub uri: String,
    /// The addresses by the files' names.
    pub files: BTreeMap<String, String>,
    /// Objects written.
    pub uploaded: u64,
    /// Objects that already existed with the same content.
    pub skipped: u64,
    /// Bytes of all files.
    pub length: u64,
    /// Bytes that earlier attempts had sent and that were not sent again.
    pub resumed_bytes: u64,
    /// The object's CRC-32C in base64, as Google writes it; for several files, of the last one.
    pub crc32c: Option<String>,
    /// The generation of the object; for several files, of the last one.
    pub generation: u64,
    /// The total time in seconds.
    pub seconds: f64,
}

impl Task for GcsUpload {
    const NAME: &'static str = "gcs.upload";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.Upload"];
    const FILES: &'static [&'static str] = &["from", "service_account"];
    const EXAMPLE: &'static str = "\
- id: upload
  type: gcs.upload
  from: \"{{ outputs.extract.uri }}\"
  to: gs://my-bucket/green/green_tripdata_2019-01.csv.gz
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let started = Instant::now();
        let sources = self.sources(context).await?;
        let total: u64 = sources.iter().map(|(_, source)| source.length).sum();
        context.progress.set_total_bytes(total);
        let store = Store::open(context, &self.login()).await?;
        let client = store.client().await?;
        let mut outputs = self.outputs(&sources, total);
        for (name, source) in sources {
            context.info(source.what.clone());
            let sent = send(&store, &client, &source).await?;
            if self.gzip {
                // A packed file that stays is only in the way.
                let _ = std::fs::remove_file(session_path(context, &source.to, "gz")?);
            }
            if sent.skipped {
                context.info(format!("{} already exists with the same content", source.to));
            }
            outputs.count(name, &sent.blob, sent.skipped, sent.resumed);
        }
        outputs.seconds = started.elapsed().as_secs_f64();
        Ok(outputs)
    }
}

impl Outputs {
    fn count(&mut self, name: String, blob: &Blob, skipped: bool, resumed: u64) {
        self.files.insert(name, blob.uri.clone());
        (self.crc32c, self.generation) = (blob.crc32c.clone(), blob.generation);
        self.resumed_bytes += resumed;
        *(if skipped { &mut self.skipped } else { &mut self.uploaded }) += 1;
    }
}

impl GcsUpload {
    /// Every file under the name that the outputs give it, checked before anything is sent.
    async fn sources(&self, context: &TaskContext) -> Result<Vec<(String, UploadSource)>, TaskError> {
        let files = files(&self.from)?;
        let several = !matches!(&self.from, Value::String(text) if !is_json(text));
        let mut sources: Vec<(String, UploadSource)> = Vec::new();
        for (name, from) in files {
            let path = context.input_file("from", &from)?;
            let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut name = name.unwrap_or_else(|| own.clone());
            if self.gzip && !name.ends_with(GZIP) {
                name.push_str(GZIP);
            }
            let to = self.target(&name, several)?;
            if let Some((_, other)) = sources.iter().find(|(_, other)| other.to == to) {
                let message = format!("{} and {} would both become {to}", other.path.display(), path.display());
                return Err(TaskError::permanent(message).help("give `from` as a map from object names to files"));
            }
            let what = format!("uploading {own} to {to}");
            let path = if self.gzip { pack(context, path, session_path(context, &to, "gz")?).await? } else { path };
            let session_file = session_path(context, &to, "session.json")?;
            let metadata = self.metadata(&to.name);
            let mut source = UploadSource::open(&path, to, session_file, metadata)?;
            source.what = what;
            sources.push((name, source));
        }
        Ok(sources)
    }

    fn target(&self, name: &str, several: bool) -> Result<Address, TaskError> {
        let folder = Address::parse(&self.to, self.bucket.as_deref())?;
        if !several && !folder.name.is_empty() && !folder.name.ends_with('/') {
            if self.gzip && !folder.name.ends_with(GZIP) {
                let message = format!("with `gzip`, the name {folder} of the compressed file needs the extension");
                return Err(TaskError::permanent(message).help(format!("write `to: {folder}{GZIP}`")));
            }
            return Ok(folder);
        }
        let slash = if folder.name.is_empty() || folder.name.ends_with('/') { "" } else { "/" };
        Address::of_object(&format!("{folder}{slash}{name}"), None)
    }

    fn metadata(&self, name: &str) -> Map<String, Value> {
        let guessed = media_type(name);
        let texts = [
            ("contentType", Some(self.content_type.as_deref().unwrap_or(guessed))),
            ("contentEncoding", self.content_encoding.as_deref()),
            ("contentDisposition", self.content_disposition.as_deref()),
            ("cacheControl", self.cache_control.as_deref()),
            ("storageClass", self.storage_class.as_deref()),
        ];
        let mut metadata: Map<String, Value> =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
        if !self.metadata.is_empty() {
            let own = self.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            metadata.insert("metadata".into(), Value::Object(own));
        }
        metadata
    }

    fn outputs(&self, sources: &[(String, UploadSource)], length: u64) -> Outputs {
        let uri = match sources {
            [(_, one)] => one.to.to_string(),
            _ => self.to.clone(),
        };
        Outputs {
            uri,
            files: BTreeMap::new(),
            uploaded: 0,
            skipped: 0,
            length,
            resumed_bytes: 0,
            crc32c: None,
            generation: 0,
            seconds: 0.0,
        }
    }
}

/// How the name of a packed object ends.
const GZIP: &str = ".gz";

/// Whether a template gave a list or a map as text.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{'])
}

/// The files that `from` names, each with the object's name where it says one.
fn files(from: &Value) -> Result<Vec<(Option<String>, String)>, TaskError> {
    let wrong = |found: &Value| {
        TaskError::permanent(format!("`from` contains {found}, which is not a file"))
            .help("write an address or a path, a list of these, or a map from names to these")
    };
    let text = |value: &Value| value.as_str().map(|text| text.trim().to_owned()).ok_or_else(|| wrong(value));
    match from {
        Value::String(text) if is_json(text) => {
            files(&serde_json::from_str(text).map_err(|error| wrong(from).caused_by(error))?)
        }
        Value::String(_) => Ok(vec![(None, text(from)?)]),
        Value::Array(list) => list.iter().map(|one| Ok((None, text(one)?))).collect(),
        Value::Object(map) => map.iter().map(|(name, one)| Ok((Some(name.clone()), text(one)?))).collect(),
        other => Err(wrong(other)),
    }
}

/// A file of an upload's own, such as its session: attempts of one task run find each other's.
fn session_path(context: &TaskContext, to: &Address, ending: &str) -> Result<PathBuf, TaskError> {
    let digest = text::hex(&Sha256::digest(to.to_string())[..8]);
    Ok(context.output_file(&format!("upload-{digest}.{ending}"))?.path)
}

/// What the ending of a name stands for. Google guesses nothing.
fn media_type(name: &str) -> &'static str {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "gz" => "application/gzip",
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "parquet" => "application/vnd.apache.parquet",
        "txt" | "log" | "sql" => "text/plain",
        "yaml" | "yml" => "application/yaml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
