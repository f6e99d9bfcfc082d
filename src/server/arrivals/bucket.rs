//! Buckets of Cloud Storage.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{ArrivedFile, FileSource, Listing};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::Login;
use crate::task::TaskError;
use crate::tasks::gcs::Blob;
use crate::tasks::gcs::arrivals::Watcher;

/// Who looks: the folder where a key's path starts, the key, the account to act as, the scopes.
type BucketReader = (PathBuf, Option<String>, Option<String>, Vec<String>);

/// The buckets of Cloud Storage.
pub struct BucketSource {
    settings: Arc<Settings>,
    /// Those who have looked, so that a look does not want a new token.
    known: Mutex<HashMap<BucketReader, Watcher>>,
}

impl BucketSource {
    /// Buckets as these settings lead to them: their variables say who looks by default, and where.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, known: Mutex::default() }
    }

    async fn files(&self, look: &Listing) -> Result<Vec<ArrivedFile>, TaskError> {
        let who = (look.folder.clone(), look.service_account.clone(), look.impersonate.clone(), look.scopes.clone());
        let watcher = self.watcher(&who).await?;
        let found = watcher.objects(&look.address, &look.start, look.deep).await;
        if found.is_err() {
            // Perhaps the key was changed; the next look reads it anew.
            self.known.lock().await.remove(&who);
        }
        let file = |blob: Blob| ArrivedFile {
            name: blob.name.rsplit('/').next().unwrap_or_default().to_owned(),
            mark: format!("{} {}", blob.generation, blob.size),
            size: blob.size,
            // Google makes them of the time of writing.
            time: i128::from(blob.generation),
            // An object is there when all of it is.
            is_whole: true,
            uri: blob.uri,
        };
        Ok(found?.into_iter().map(file).collect())
    }

    async fn watcher(&self, who: &BucketReader) -> Result<Watcher, TaskError> {
        if let Some(known) = self.known.lock().await.get(who) {
            return Ok(known.clone());
        }
        let (folder, service_account, impersonate, scopes) = who;
        let login = Login {
            service_account: service_account.as_deref(),
            impersonate: impersonate.as_deref(),
            project: None,
            scopes,
        };
        let watcher = Watcher::find(&self.settings, &FileAccess::unrestricted(folder), &login).await?;
        self.known.lock().await.insert(who.clone(), watcher.clone());
        Ok(watcher)
    }
}

impl FileSource for BucketSource {
    fn has(&self, address: &str) -> bool {
        address.starts_with("gs://")
    }

    /// Google counts each look.
    fn soon(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn list<'a>(&'a self, look: &'a Listing) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>> {
        Box::pin(async move { self.files(look).await.map_err(|error| error.to_string()) })
    }
}
