//! BigQuery as a task sees it.
//!
//! Requests go through gcp-bigquery-client where it can make them. It has no uploads, no counts of a DML statement,
//! and knows but some fields of datasets and tables: those requests are made as Google documents them, by [`Api`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gcp_bigquery_client::auth::Authenticator;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::error::{BQError, ResponseError};
use reqwest::Method;
use serde_json::{Value, json};

use super::name::BigQueryTableName;
use super::remedy;
use crate::gcp::{Api, ApiFailure, GoogleAccess, GoogleError, GoogleLogin, RetryPolicy, Service};
use crate::task::{TaskContext, TaskError};
use crate::web::RequestError;

/// The crate's client has no limit of its own. Google answers long polls after ten seconds at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// BigQuery, who speaks to it, and for which project.
pub(super) struct BigQueryClient<'a> {
    pub(super) context: &'a TaskContext,
    pub(super) api: Api,
    pub(super) retry: RetryPolicy<'a>,
    /// The project whose jobs they are.
    pub(super) project: String,
    /// Where jobs run; none leaves it to what they read and write.
    pub(super) location: Option<String>,
    pub(super) client: gcp_bigquery_client::Client,
}

impl<'a> BigQueryClient<'a> {
    /// # Errors
    /// When there are no credentials, or no project.
    pub(super) async fn open(
        context: &'a TaskContext,
        login: &GoogleLogin<'_>,
        location: Option<&str>,
    ) -> Result<Self, TaskError> {
        let api = Api::open(context, Service::BigQuery, login).await?;
        let project = api.access.project()?.to_owned();
        let mut builder = ClientBuilder::new();
        builder.with_v2_base_url(format!("{}/bigquery/v2", api.endpoint));
        let client = builder.build_from_authenticator(Arc::new(Tokens(api.access.clone()))).await;
        let client =
            client.map_err(|error| TaskError::permanent("cannot prepare BigQuery's client").caused_by(error))?;
        let location = location.filter(|place| !place.is_empty()).map(str::to_owned);
        Ok(Self { context, api, retry: RetryPolicy::of(context), project, location, client })
    }

    /// Calls the crate's client until Google answers for good.
    pub(super) async fn call<T, F>(&self, what: &str, make: impl Fn() -> F) -> Result<T, ApiFailure>
    where
        F: Future<Output = Result<T, BQError>>,
    {
        let answer = self.retry.run(|| async {
            // Asked for here too, since the client would only say that there was none.
            self.api.access.token().await?;
            match tokio::time::timeout(REQUEST_TIMEOUT, make()).await {
                Ok(Ok(value)) => Ok(Ok(value)),
                Ok(Err(error)) => self.sort(what, error).map(Err),
                Err(_) => {
                    let message = format!("{what}: no response within {} s", REQUEST_TIMEOUT.as_secs());
                    Err(RequestError::Retryable(TaskError::transient(message), None))
                }
            }
        });
        answer.await?.map_err(|google_error| ApiFailure::Rejected(Box::new(google_error)))
    }

    /// A request that the crate cannot make.
    pub(super) async fn request(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiFailure> {
        let answer = self.api.call_value(&self.retry, what, || {
            let request = self.api.request(method.clone(), &format!("/bigquery/v2/projects/{path}"));
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        });
        answer.await.map_err(|failure| match failure {
            ApiFailure::Rejected(google_error) => ApiFailure::Rejected(Box::new(self.explained(*google_error))),
            other => other,
        })
    }

    /// A refusal that is final, or a trouble that may pass.
    fn sort(&self, what: &str, error: BQError) -> Result<GoogleError, RequestError> {
        match error {
            BQError::ResponseError { error } => {
                let google_error = self.google_error(what, error);
                if google_error.is_transient() { Err(google_error.request_error()) } else { Ok(google_error) }
            }
            // Also an answer of a busy frontend, which is a web page and no JSON.
            BQError::RequestError(error) => {
                let error = TaskError::transient(what).caused_by(error);
                Err(RequestError::Retryable(error.help("check the address, the network and any proxy"), None))
            }
            other => Err(RequestError::Fatal(TaskError::permanent(what).caused_by(other))),
        }
    }

    fn google_error(&self, what: &str, error: ResponseError) -> GoogleError {
        let error = error.error;
        let body = json!({"error": {
            "code": error.code, "message": error.message, "status": error.status, "errors": error.errors,
        }});
        let status = u16::try_from(error.code).unwrap_or(500);
        self.explained(self.api.google_error_of(what, status, body.to_string().as_bytes()))
    }

    /// With the remedies that only BigQuery knows.
    pub(super) fn explained(&self, google_error: GoogleError) -> GoogleError {
        match remedy::of(&google_error, self.location.as_deref()) {
            Some(help) if !google_error.is_transient() => google_error.help(help),
            _ => google_error,
        }
    }

    /// What Google says of a dataset.
    pub(super) async fn dataset(&self, project: &str, dataset: &str) -> Result<Value, ApiFailure> {
        let what = format!("looking at dataset {project}.{dataset}");
        self.request(&what, Method::GET, &format!("{project}/datasets/{dataset}"), None).await
    }

    /// What Google says of a table.
    pub(super) async fn table(&self, name: &BigQueryTableName) -> Result<Value, ApiFailure> {
        self.request(&format!("looking at table {name}"), Method::GET, &path(name), None).await
    }
}

/// Where a table is, after its project.
pub(super) fn path(name: &BigQueryTableName) -> String {
    let encoded: String = reqwest::Url::parse("http://x/")
        .ok()
        .and_then(|mut url| {
            url.path_segments_mut().ok()?.push(&name.table);
            Some(url.path().trim_start_matches('/').to_owned())
        })
        .unwrap_or_else(|| name.table.clone());
    format!("{}/datasets/{}/tables/{encoded}", name.project, name.dataset)
}

/// Tokens for the crate's client.
#[derive(Clone)]
struct Tokens(GoogleAccess);

impl Authenticator for Tokens {
    // What `async fn` in this trait comes to; its macro would be one more dependency.
    fn access_token<'own, 'future>(
        &'own self,
    ) -> Pin<Box<dyn Future<Output = Result<String, BQError>> + Send + 'future>>
    where
        'own: 'future,
        Self: 'future,
    {
        Box::pin(async move { self.0.token().await.map_err(|_| BQError::NoToken) })
    }
}
