//! `gcs.list`: what is in a bucket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::blob::Blob;
use super::selection::{Depth, ListingKind, Selection, pattern};
use super::store::Store;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::text::count;

/// More do not belong into an execution's outputs.
const MAX_OBJECTS: usize = 10_000;

google_task! {
    /// Lists objects of Cloud Storage.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct GcsList {
        /// The prefix of the addresses, such as `gs://bucket/folder/`.
        from: String,
        /// `DIRECTORY` (by default) for the folder itself, `RECURSIVE` to include everything below.
        #[serde(default, alias = "listingType")]
        listing_type: Depth,
        /// Whether to list everything below; the same as `listing_type: RECURSIVE`.
        #[serde(default)]
        recursive: bool,
        /// `FILES`, `DIRECTORY` or `BOTH` (by default).
        #[serde(default)]
        filter: ListingKind,
        /// A regular expression that must match the whole address of an object.
        #[serde(alias = "regExp")]
        reg_exp: Option<String>,
        /// Whether to list earlier versions, too, in a bucket that keeps them.
        #[serde(default, alias = "allVersions")]
        all_versions: bool,
        /// The maximum number to list. By default 10,000.
        #[serde(alias = "maxFiles")]
        max_files: Option<usize>,
    }
}

/// What a listing gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The objects, by name.
    pub blobs: Vec<Blob>,
    /// Their number.
    pub size: u64,
    /// Bytes of all of them.
    pub length: u64,
    /// Whether there were more objects than `max_files`.
    pub truncated: bool,
}

impl Task for GcsList {
    const NAME: &'static str = "gcs.list";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.List"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: months
  type: gcs.list
  from: gs://my-bucket/green/
  reg_exp: .*2019-\\d\\d\\.csv\\.gz
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let selection = Selection {
            start: Address::parse(&self.from, self.bucket.as_deref())?,
            depth: if self.recursive { Depth::Recursive } else { self.listing_type },
            kind: self.filter,
            pattern: pattern(self.reg_exp.as_deref())?,
            versions: self.all_versions,
            most: self.max_files.unwrap_or(MAX_OBJECTS),
        };
        let store = Store::open(context, &self.login()).await?;
        let (blobs, truncated) = selection.find(&store).await?;
        if truncated {
            context.warn(format!(
                "{} has more than {} objects; the others are not listed",
                selection.start, selection.most
            ));
        }
        context.info(format!("{} in {}", count(blobs.len() as u64, "object"), selection.start));
        let length = blobs.iter().map(|blob| blob.size).sum();
        Ok(Outputs { size: blobs.len() as u64, length, truncated, blobs })
    }
}
