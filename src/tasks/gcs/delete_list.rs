//! `gcs.delete_list`: removes many objects.

use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::selection::{Depth, ListingKind, Selection, pattern};
use super::store::Store;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::text::count;

google_task! {
    /// Deletes the objects of Cloud Storage below a prefix, or those that match a pattern.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct GcsDeleteList {
        /// The prefix of the addresses, such as `gs://bucket/folder/`.
        from: String,
        /// `DIRECTORY` (by default) for the objects in the folder, `RECURSIVE` to include everything below.
        #[serde(default, alias = "listingType")]
        listing_type: Depth,
        /// A regular expression that must match the whole address of an object.
        #[serde(alias = "regExp")]
        reg_exp: Option<String>,
        /// Whether to delete earlier versions, too, in a bucket that keeps them.
        #[serde(default, alias = "allVersions")]
        all_versions: bool,
        /// Whether it is an error if there is nothing to delete.
        #[serde(default, alias = "errorOnEmpty")]
        error_on_empty: bool,
        /// How many to delete at a time. By default 8.
        concurrent: Option<usize>,
    }
}

/// What a deletion of many gives to later tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The number of deleted objects.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
}

impl Task for GcsDeleteList {
    const NAME: &'static str = "gcs.delete_list";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.DeleteList"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: tidy
  type: gcs.delete_list
  from: gs://my-bucket/staging/
  listing_type: RECURSIVE
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let selection = Selection {
            start: Address::parse(&self.from, self.bucket.as_deref())?,
            depth: self.listing_type,
            kind: ListingKind::Files,
            pattern: pattern(self.reg_exp.as_deref())?,
            versions: self.all_versions,
            most: usize::MAX,
        };
        let store = &Store::open(context, &self.login()).await?;
        let (blobs, _) = selection.find(store).await?;
        if blobs.is_empty() && self.error_on_empty {
            let message = format!("deleting {}: there are no objects to delete", selection.start);
            return Err(TaskError::permanent(message).help("without `error_on_empty` this is not an error"));
        }
        // Just what was listed: an object that is written anew meanwhile stays.
        let deletions = blobs.into_iter().map(|blob| async move {
            let deleted = store.delete(&blob.address(), Some(blob.generation)).await?;
            Ok::<_, TaskError>(if deleted { (1, blob.size) } else { (0, 0) })
        });
        let sums = stream::iter(deletions).buffer_unordered(self.concurrent.unwrap_or(8).max(1));
        let (deleted, size) =
            sums.try_fold((0, 0), |sum, one| async move { Ok((sum.0 + one.0, sum.1 + one.1)) }).await?;
        context.info(format!("deleted {} of {} in {}", count(deleted, "object"), count(size, "byte"), selection.start));
        Ok(Outputs { count: deleted, size })
    }
}
