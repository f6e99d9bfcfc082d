//! `gcs.delete`: removes an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::store::Store;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};

google_task! {
    /// Deletes an object of Cloud Storage. A missing object is not an error, so that the task can be repeated.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct GcsDelete {
        /// The object, `gs://bucket/folder/name`.
        uri: String,
        /// Whether a missing object is an error.
        #[serde(default, alias = "errorOnMissing")]
        error_on_missing: bool,
    }
}

/// What a deletion gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The object's address.
    pub uri: String,
    /// Whether it existed.
    pub deleted: bool,
}

impl Task for GcsDelete {
    const NAME: &'static str = "gcs.delete";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.Delete"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: tidy
  type: gcs.delete
  uri: gs://my-bucket/green/green_tripdata_2019-01.csv.gz
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let address = Address::of_object(&self.uri, self.bucket.as_deref())?;
        let store = Store::open(context, &self.login()).await?;
        let deleted = store.delete(&address, None).await?;
        if !deleted && self.error_on_missing {
            let message = format!("deleting {address}: the object does not exist");
            return Err(TaskError::permanent(message).help("without `error_on_missing` this is not an error"));
        }
        context.info(format!("{address} {}", if deleted { "is deleted" } else { "did not exist" }));
        Ok(Outputs { uri: address.to_string(), deleted })
    }
}
