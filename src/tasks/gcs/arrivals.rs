//! Lists a bucket for triggers that wait for files; not a task.

use super::address::Address;
use super::blob::Blob;
use super::store::{ObjectPage, page};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::{Api, GoogleLogin, RetryPolicy, Service};
use crate::task::TaskError;

/// Nobody waits for more: each page of a thousand is a request of its own, at every look.
const MAX_OBJECTS: usize = 100_000;

/// Somebody who may look into buckets. Clones share their tokens.
#[derive(Clone, Debug)]
pub struct BucketWatcher {
    api: Api,
}

impl BucketWatcher {
    /// The account that the login names; `folder` is where the path of a key starts.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn find(settings: &Settings, files: &FileAccess, login: &GoogleLogin<'_>) -> Result<Self, TaskError> {
        Ok(Self { api: Api::find(settings, files, Service::Storage, login).await? })
    }

    /// The objects in a folder such as `gs://bucket/folder` whose names there begin with `start`; those of the folders
    /// below too, if it is to be `deep`. Asks once: the caller will ask again anyway.
    ///
    /// # Errors
    /// When Google refuses or does not answer, or there are too many.
    pub async fn objects(&self, folder: &str, start: &str, deep: bool) -> Result<Vec<Blob>, TaskError> {
        let mut place = Address::parse(folder, None)?;
        if !place.name.is_empty() && !place.name.ends_with('/') {
            place.name.push('/');
        }
        place.name.push_str(start);
        let delimiter = if deep { "" } else { "&delimiter=%2F" };
        let options = format!("{delimiter}&fields=nextPageToken,items(bucket,name,size,generation)");
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let ObjectPage { items, next_page_token, .. } =
                page(&self.api, &RetryPolicy::never(), &place, &options, token.as_deref()).await?;
            // A name that ends with a slash is no file, but shows a folder in consoles.
            found.extend(items.into_iter().map(Blob::addressed).filter(|blob| !blob.directory));
            if found.len() > MAX_OBJECTS {
                let message = format!("there are more than {MAX_OBJECTS} objects in {place}, too many to poll");
                return Err(TaskError::permanent(message).help("use a separate folder for arriving files"));
            }
            token = next_page_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}
