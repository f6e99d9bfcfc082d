//! An error response of Google's: its own message, read from the JSON, with a remedy.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::{GoogleAccess, GoogleRole, Service};
use crate::task::TaskError;
use crate::web::{RequestError, is_transient, retry_after};

/// More of an answer that is no JSON tells nothing.
const MAX_QUOTED_CHARS: usize = 300;
/// And of one that is longer no more is looked at.
const MAX_BODY_BYTES: usize = 64 << 10;

/// An error response of Google's.
#[derive(Clone, Debug)]
pub struct GoogleError {
    /// What was being done.
    pub what: String,
    /// The status code.
    pub status: u16,
    /// Google's short reason, such as `notFound` or `rateLimitExceeded`; empty if it gave none.
    pub reason: String,
    /// Google's sentence.
    pub message: String,
    /// How long Google asks to be left alone.
    pub wait: Option<Duration>,
    /// What to do next.
    pub help: Option<String>,
}

impl GoogleError {
    /// Reads an answer to the end.
    pub async fn of(what: &str, service: Service, access: &GoogleAccess, response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        // A body that cannot be read must not hide the status.
        let body = response.bytes().await.unwrap_or_default();
        Self::read(what, service, access, status.as_u16(), &headers, &body)
    }

    /// Reads an answer that somebody else has fetched.
    pub fn read(
        what: &str,
        service: Service,
        access: &GoogleAccess,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &json["error"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let detail = error["details"].as_array().and_then(|all| all.iter().find_map(|one| text(&one["reason"])));
        let reason = detail.or_else(|| text(&error["errors"][0]["reason"])).or_else(|| text(&error["status"]));
        let message = text(&error["message"]).unwrap_or_else(|| body_excerpt(status, body, access));
        let mut google_error = Self {
            what: what.to_owned(),
            status,
            reason: reason.unwrap_or_default(),
            message,
            wait: retry_after(headers),
            help: None,
        };
        google_error.help = google_error.remedy(service, access);
        google_error
    }

    /// Whether the same request may be answered better a little later: Google is busy, or a quota is used up for now.
    pub fn is_transient(&self) -> bool {
        let quota =
            ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded", "backendError"];
        // Notably 501 and 505 are no passing trouble.
        let busy = StatusCode::from_u16(self.status).is_ok_and(is_transient) && !matches!(self.status, 501 | 505);
        busy || (self.status == 403 && quota.contains(&self.reason.as_str()))
    }

    /// With another remedy, which the caller knows better.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As the trouble of one try.
    pub fn request_error(self) -> RequestError {
        let (is_transient, wait) = (self.is_transient(), self.wait);
        let error = TaskError::from(self);
        if is_transient { RequestError::Retryable(error, wait) } else { RequestError::Fatal(error) }
    }

    fn remedy(&self, service: Service, access: &GoogleAccess) -> Option<String> {
        let project = access.project().unwrap_or("PROJECT");
        match (self.status, self.reason.as_str()) {
            (401, _) => Some(format!("the credentials come from {}; renew them: {}", access.from, super::key::LOGIN)),
            (403, "accessNotConfigured" | "SERVICE_DISABLED") => {
                Some(format!("switch the service on: gcloud services enable {} --project={project}", service.api()))
            }
            _ if self.is_billing_problem() => Some(format!(
                "link a billing account: gcloud billing projects link {project} --billing-account=ACCOUNT \
                 (`gcloud billing accounts list` shows yours)"
            )),
            (403, "USER_PROJECT_DENIED") => Some(format!(
                "use a project of yours for quotas: gcloud auth application-default set-quota-project {project}"
            )),
            _ if self.is_transient() => Some(
                "a `retry` of the task waits longer; quotas: \
                 https://console.cloud.google.com/iam-admin/quotas"
                    .into(),
            ),
            (403, _) => {
                let (permission, role) = GoogleRole::missing(&self.message)?;
                let bucket = quoted_bucket(&self.what);
                Some(format!("grant {}, which has {permission}: {}", role.name, role.grant(access, bucket)))
            }
            _ => None,
        }
    }

    fn is_billing_problem(&self) -> bool {
        let unpaid =
            matches!(self.reason.as_str(), "BILLING_DISABLED" | "billingNotEnabled" | "UserProjectAccountProblem");
        unpaid || (self.status == 403 && self.message.to_ascii_lowercase().contains("billing account"))
    }
}

impl From<GoogleError> for TaskError {
    fn from(google_error: GoogleError) -> Self {
        let is_transient = google_error.is_transient();
        let GoogleError { what, status, reason, message, help, .. } = google_error;
        let reason = if reason.is_empty() { reason } else { format!(", {reason}") };
        let message = format!("{what}: Google answered {status}{reason}: {message}");
        let error = if is_transient { Self::transient(message) } else { Self::permanent(message) };
        Self { help, ..error }
    }
}

/// The bucket in a text such as `uploading to gs://bucket/name`.
fn quoted_bucket(what: &str) -> Option<&str> {
    let (_, rest) = what.split_once("gs://")?;
    rest.split(|letter: char| letter == '/' || letter.is_whitespace()).next().filter(|name| !name.is_empty())
}

fn body_excerpt(status: u16, body: &[u8], access: &GoogleAccess) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_BODY_BYTES)]);
    let text = access.redactor.excerpt(&text, MAX_QUOTED_CHARS);
    if text.is_empty() || text.starts_with('<') {
        let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        return known.unwrap_or("no reason given").to_owned();
    }
    text
}
