//! Buckets of Cloud Storage.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{ArrivedFile, FileSource, ListRequest};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::GoogleLogin;
use crate::task::TaskError;
use crate::tasks::gcs::Blob;
use crate::tasks::gcs::arrivals::BucketWatcher;

/// A login: the folder where a key's path starts, the key, the account to act as, the scopes.
type LoginKey = (PathBuf, Option<String>, Option<String>, Vec<String>);

/// Lists buckets of Cloud Storage.
pub struct BucketSource {
    settings: Arc<Settings>,
    /// A client for each login that was used, so that not every probe needs a new token.
    watchers: Mutex<HashMap<LoginKey, BucketWatcher>>,
}

impl BucketSource {
    /// Buckets as these settings reach them: their variables name the default credentials and the endpoint.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, watchers: Mutex::default() }
    }

    async fn files(&self, request: &ListRequest) -> Result<Vec<ArrivedFile>, TaskError> {
        let ListRequest { folder, service_account, impersonate, scopes, .. } = request.clone();
        let login = (folder, service_account, impersonate, scopes);
        let watcher = self.watcher(&login).await?;
        let found = watcher.objects(&request.address, &request.prefix, request.recursive).await;
        if found.is_err() {
            // The key may have been replaced; the next probe reads it again.
            self.watchers.lock().await.remove(&login);
        }
        let file = |blob: Blob| ArrivedFile {
            name: blob.name.rsplit('/').next().unwrap_or_default().to_owned(),
            version: format!("{} {}", blob.generation, blob.size),
            size: blob.size,
            // Google makes generations of the time of writing.
            time: i128::from(blob.generation),
            // An object appears when all of it is there.
            is_complete: true,
            uri: blob.uri,
        };
        Ok(found?.into_iter().map(file).collect())
    }

    async fn watcher(&self, key: &LoginKey) -> Result<BucketWatcher, TaskError> {
        if let Some(watcher) = self.watchers.lock().await.get(key) {
            return Ok(watcher.clone());
        }
        let (folder, service_account, impersonate, scopes) = key;
        let login = GoogleLogin {
            service_account: service_account.as_deref(),
            impersonate: impersonate.as_deref(),
            project: None,
            scopes,
        };
        let watcher = BucketWatcher::find(&self.settings, &FileAccess::unrestricted(folder), &login).await?;
        self.watchers.lock().await.insert(key.clone(), watcher.clone());
        Ok(watcher)
    }
}

impl FileSource for BucketSource {
    fn serves(&self, address: &str) -> bool {
        address.starts_with("gs://")
    }

    /// Each listing is billed.
    fn retry_delay(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>> {
        Box::pin(async move { self.files(request).await.map_err(|error| error.to_string()) })
    }
}
