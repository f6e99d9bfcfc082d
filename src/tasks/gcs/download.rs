//! `gcs.download`: an object of Cloud Storage into storage.

use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::receive::receive;
use super::store::Store;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};

google_task! {
    /// Downloads an object of Cloud Storage into storage.
    ///
    /// An interrupted download is resumed, and the file must have the length and CRC-32C of the object.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct GcsDownload {
        /// The object, `gs://bucket/folder/name`.
        from: String,
        /// The file's name in storage. By default the last part of the object's name.
        name: Option<String>,
    }
}

/// What a download gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The file's address in storage.
    pub uri: String,
    /// The object's bucket.
    pub bucket: String,
    /// The object's name.
    pub path: String,
    /// Bytes of the file.
    pub length: u64,
    /// The generation of the object.
    pub generation: u64,
    /// The total time in seconds.
    pub seconds: f64,
}

impl Task for GcsDownload {
    const NAME: &'static str = "gcs.download";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.Download"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: fetch
  type: gcs.download
  from: gs://my-bucket/green/green_tripdata_2019-01.csv.gz
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let started = Instant::now();
        let from = Address::of_object(&self.from, self.bucket.as_deref())?;
        let last = from.name.rsplit('/').next().unwrap_or_default();
        let file = context.output_file(self.name.as_deref().unwrap_or(last))?;
        let store = Store::open(context, &self.login()).await?;
        let client = store.client().await?;
        context.info(format!("downloading {from}"));
        let blob = receive(&store, &client, &from, &file.path).await?;
        context.note_origin(&file.path, &from.to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        let (length, generation) = (blob.size, blob.generation);
        Ok(Outputs { uri: file.uri, bucket: from.bucket, path: from.name, length, generation, seconds })
    }
}
