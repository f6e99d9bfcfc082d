//! One of Google's services, spoken to as its JSON documentation says.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{GoogleAccess, GoogleError, GoogleLogin, RetryPolicy, Service};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::task::{TaskContext, TaskError};
use crate::web::{RequestError, client};

/// A server that sends nothing for so long is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a request failed.
#[derive(Debug)]
pub enum ApiFailure {
    /// Google said no, and will again.
    Rejected(Box<GoogleError>),
    /// There were no credentials or no line, the user stopped, or Google stayed busy for too long.
    Other(TaskError),
}

impl ApiFailure {
    /// Whether Google answered with this status.
    pub fn is(&self, status: StatusCode) -> bool {
        matches!(self, Self::Rejected(google_error) if google_error.status == status.as_u16())
    }

    /// With another remedy, where Google refused.
    pub fn help(self, help: impl Into<String>) -> Self {
        match self {
            Self::Rejected(google_error) => Self::Rejected(Box::new(google_error.help(help))),
            other => other,
        }
    }
}

impl From<ApiFailure> for TaskError {
    fn from(failure: ApiFailure) -> Self {
        match failure {
            ApiFailure::Rejected(google_error) => (*google_error).into(),
            ApiFailure::Other(error) => error,
        }
    }
}

impl From<TaskError> for ApiFailure {
    fn from(error: TaskError) -> Self {
        Self::Other(error)
    }
}

/// A service, and who speaks to it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    /// Who speaks.
    pub access: GoogleAccess,
    /// The address that paths are added to.
    pub endpoint: String,
    service: Service,
    client: Client,
}

impl Api {
    /// The service as a task means it.
    ///
    /// # Errors
    /// When there are no credentials.
    pub(crate) async fn open(
        context: &TaskContext,
        service: Service,
        login: &GoogleLogin<'_>,
    ) -> Result<Self, TaskError> {
        Self::find(&context.settings, &context.files, service, login).await
    }

    /// The same without a task: the path of a key must be among `files`.
    ///
    /// # Errors
    /// When there are no credentials.
    pub(crate) async fn find(
        settings: &Settings,
        files: &FileAccess,
        service: Service,
        login: &GoogleLogin<'_>,
    ) -> Result<Self, TaskError> {
        let access = GoogleAccess::find(settings, files, service, login).await?;
        let client = client::client(IDLE_TIMEOUT)
            .map_err(|error| TaskError::permanent("cannot prepare the connection to Google Cloud").caused_by(error))?;
        Ok(Self { access, endpoint: service.endpoint(settings), service, client })
    }

    /// A request to a path such as `/storage/v1/b`, not signed yet.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.endpoint))
    }

    /// A request to an address that the service gave.
    pub(crate) fn request_to(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Signs and sends once. Every response counts, error responses too.
    ///
    /// # Errors
    /// When no token can be obtained, or no answer comes.
    pub(crate) async fn send(&self, what: &str, request: RequestBuilder) -> Result<Response, RequestError> {
        let headers = self.access.headers().await?;
        request.headers(headers).send().await.map_err(|error| RequestError::from_reqwest(what, error))
    }

    /// The error of a response.
    pub(crate) async fn google_error(&self, what: &str, response: Response) -> GoogleError {
        GoogleError::of(what, self.service, &self.access, response).await
    }

    /// The same for an answer that a client of somebody else's has fetched.
    pub(crate) fn google_error_of(&self, what: &str, status: u16, body: &[u8]) -> GoogleError {
        GoogleError::read(what, self.service, &self.access, status, &Default::default(), body)
    }

    /// Sends what `make` makes until Google answers for good, and reads the answer as JSON.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        retry: &RetryPolicy<'_>,
        what: &str,
        make: impl Fn() -> RequestBuilder,
    ) -> Result<T, ApiFailure> {
        let answer = retry.run(|| self.answer(what, make())).await?;
        let bytes = answer.map_err(ApiFailure::Rejected)?;
        // Deletions are answered with nothing at all.
        let bytes = if bytes.is_empty() { b"null" } else { &bytes[..] };
        serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("{what}: the response is not as Google documents it");
            TaskError::permanent(message)
                .caused_by(error)
                .help("check for a proxy between this machine and Google")
                .into()
        })
    }

    /// As [`Api::call`], for an answer that nobody reads field by field.
    pub(crate) async fn call_value(
        &self,
        retry: &RetryPolicy<'_>,
        what: &str,
        make: impl Fn() -> RequestBuilder,
    ) -> Result<Value, ApiFailure> {
        self.call(retry, what, make).await
    }

    async fn answer(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Result<Result<bytes::Bytes, Box<GoogleError>>, RequestError> {
        let response = self.send(what, request).await?;
        if response.status().is_success() {
            return response.bytes().await.map(Ok).map_err(|error| RequestError::from_reqwest(what, error));
        }
        let google_error = self.google_error(what, response).await;
        if google_error.is_transient() { Err(google_error.request_error()) } else { Ok(Err(Box::new(google_error))) }
    }
}
