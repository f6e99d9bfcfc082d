//! Cloud Storage over its JSON API: all but the content of objects.
//!
//! Google's crate for Rust asks for buckets, lists and deletions over gRPC, which emulators and many proxies do not
//! speak, and it keeps the address of a resumable upload to itself. These requests are made here as documented.

use google_cloud_storage::client::Storage;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::{Address, encode};
use super::blob::Blob;
use crate::gcp::{Api, ApiFailure, GoogleError, GoogleLogin, RetryPolicy, Service};
use crate::task::{TaskContext, TaskError};
use crate::web::RequestError;

/// Cloud Storage as a task sees it.
pub(super) struct Store<'a> {
    pub(super) context: &'a TaskContext,
    pub(super) api: Api,
    pub(super) retry: RetryPolicy<'a>,
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectPage {
    #[serde(default)]
    pub(super) items: Vec<Blob>,
    #[serde(default)]
    pub(super) prefixes: Vec<String>,
    pub(super) next_page_token: Option<String>,
}

impl<'a> Store<'a> {
    pub(super) async fn open(context: &'a TaskContext, login: &GoogleLogin<'_>) -> Result<Self, TaskError> {
        let api = Api::open(context, Service::Storage, login).await?;
        Ok(Self { context, api, retry: RetryPolicy::of(context) })
    }

    /// Google's own client, which moves the content of objects.
    pub(super) async fn client(&self) -> Result<Storage, TaskError> {
        let builder =
            Storage::builder().with_endpoint(&self.api.endpoint).with_credentials(self.api.access.credentials());
        builder
            .build()
            .await
            .map_err(|error| TaskError::permanent("cannot prepare Google's storage client").caused_by(error))
    }

    /// What a client of Google's failed with; `what` was being done.
    pub(super) fn request_error(&self, what: &str, error: google_cloud_storage::Error) -> RequestError {
        if let Some(status) = error.http_status_code() {
            // The client has read the answer's JSON already, and keeps Google's sentence alone.
            let read = error.status().map(|status| json!({"error": {"message": status.message}}).to_string().into());
            let body = read.or_else(|| error.http_payload().cloned()).unwrap_or_default();
            return self.explained(self.api.google_error_of(what, status, &body)).request_error();
        }
        // No answer came: the line, or no token. Only the latter will be the same again.
        let lasting = error.is_authentication();
        let failure = TaskError::transient(what).caused_by(error);
        if lasting {
            RequestError::Fatal(TaskError::permanent(failure.message))
        } else {
            RequestError::Retryable(failure, None)
        }
    }

    /// With the remedies that only storage knows.
    pub(super) fn explained(&self, google_error: GoogleError) -> GoogleError {
        match google_error.help {
            None if google_error.status == 404 && names_bucket(&google_error) => google_error.help(NO_BUCKET),
            _ => google_error,
        }
    }

    /// An object's own description; none where it is missing.
    pub(super) async fn find(&self, address: &Address) -> Result<Option<Blob>, TaskError> {
        let what = format!("looking at {address}");
        let found = self.api.call::<Blob>(&self.retry, &what, || self.api.request(Method::GET, &address.path())).await;
        match found {
            Ok(blob) => Ok(Some(blob.addressed())),
            // Google says `No such object`, or that the bucket is what is missing.
            Err(ApiFailure::Rejected(google_error)) if google_error.status == 404 && !names_bucket(&google_error) => {
                Ok(None)
            }
            Err(ApiFailure::Rejected(google_error)) => Err(self.explained(*google_error).into()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Deletes an object, of just this content if `generation` says so. Whether it existed.
    pub(super) async fn delete(&self, address: &Address, generation: Option<u64>) -> Result<bool, TaskError> {
        let what = format!("deleting {address}");
        let query = generation.map(|number| format!("?generation={number}")).unwrap_or_default();
        let path = format!("{}{query}", address.path());
        match self.api.call_value(&self.retry, &what, || self.api.request(Method::DELETE, &path)).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// One page of the objects whose names begin with the address's.
    pub(super) async fn page(
        &self,
        start: &Address,
        options: &str,
        token: Option<&str>,
    ) -> Result<ObjectPage, TaskError> {
        page(&self.api, &self.retry, start, options, token).await
    }

    /// What Google says of a bucket.
    pub(super) async fn bucket(&self, name: &str) -> Result<Value, ApiFailure> {
        let (what, path) = (format!("looking at gs://{name}"), format!("/storage/v1/b/{}", encode(name)));
        self.api.call_value(&self.retry, &what, || self.api.request(Method::GET, &path)).await
    }
}

/// One page of the objects whose names begin with the address's, for callers that use `api`.
pub(super) async fn page(
    api: &Api,
    retry: &RetryPolicy<'_>,
    start: &Address,
    options: &str,
    token: Option<&str>,
) -> Result<ObjectPage, TaskError> {
    let token = token.map(|token| format!("&pageToken={}", encode(token))).unwrap_or_default();
    let (bucket, prefix) = (encode(&start.bucket), encode(&start.name));
    let path = format!("/storage/v1/b/{bucket}/o?prefix={prefix}{options}{token}");
    let page = api.call(retry, &format!("listing {start}"), || api.request(Method::GET, &path)).await;
    page.map_err(|failure| match failure {
        failure if failure.is(StatusCode::NOT_FOUND) => failure.help(NO_BUCKET).into(),
        failure => failure.into(),
    })
}

fn names_bucket(google_error: &GoogleError) -> bool {
    google_error.message.to_ascii_lowercase().contains("bucket does not exist")
}

/// What to do where a bucket is missing.
pub(super) const NO_BUCKET: &str = "check the name, or create the bucket with a task of type `gcs.create_bucket`";
