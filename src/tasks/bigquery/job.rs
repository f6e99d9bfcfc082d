//! Jobs: each runs once, even if the process that submitted it is killed.
//!
//! A job's id derives from the execution, the task run and what the job does. A second request for it is answered that it
//! exists, and waits for that one. Only where that one failed is there a next, whose id ends in the next number; so a
//! new attempt goes past the jobs that failed in earlier ones and finds the one that did not.

use std::time::Duration;

use gcp_bigquery_client::model::error_proto::ErrorProto;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_reference::JobReference;
use reqwest::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::client::BigQueryClient;
use super::upload::{self, MediaUpload};
use crate::gcp::{ApiFailure, GoogleError};
use crate::task::{ErrorClass, TaskError};
use crate::text::hex;
use crate::web::RequestError;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// More than an execution can have attempts.
const MAX_JOBS: u32 = 1000;

/// A job to run.
pub(super) struct JobRequest<'a> {
    /// What it does, for messages: `loading gs://… into p.d.t`.
    pub(super) what: String,
    pub(super) configuration: JobConfiguration,
    /// What tells it from other jobs of the same task run.
    pub(super) identity: String,
    /// The file that is sent with it.
    pub(super) file: Option<&'a upload::LocalFile>,
}

impl JobRequest<'_> {
    /// A job that its configuration tells from others.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    pub(super) fn identity(configuration: &JobConfiguration) -> Result<String, TaskError> {
        // Maps of labels come in any order, and do not change what a job does.
        let mut normalized = configuration.clone();
        normalized.labels = None;
        if let Some(load) = normalized.load.as_mut() {
            load.destination_table_properties = None;
        }
        serde_json::to_string(&normalized)
            .map_err(|error| TaskError::permanent("cannot write the job").caused_by(error))
    }
}

impl BigQueryClient<'_> {
    /// Runs a job to its end, or finds that it has run.
    ///
    /// # Errors
    /// When Google refuses, the job fails for good, or the user stops it.
    pub(super) async fn run(&self, work: &JobRequest<'_>) -> Result<Job, TaskError> {
        let base = self.job_id(&work.identity);
        let mut failed = 0;
        for number in 1..MAX_JOBS {
            let reference = JobReference {
                job_id: Some(format!("{base}_{number}")),
                location: self.location.clone(),
                project_id: Some(self.project.clone()),
            };
            let (job, is_new) = self.run_one(work, &reference).await?;
            match self.failure(&work.what, &job) {
                None => return Ok(job),
                // It failed in an earlier attempt, whose errors have been reported and counted: on to the next number.
                Some(_) if !is_new => {}
                Some(google_error) => match google_error.request_error() {
                    RequestError::Fatal(error) => return Err(error),
                    RequestError::Retryable(error, retry_after) => {
                        failed += 1;
                        self.retry.pause(failed, error, retry_after).await?;
                    }
                },
            }
        }
        Err(TaskError::permanent(format!("{}: it failed {MAX_JOBS} times", work.what)))
    }

    /// The id without its number. BigQuery refuses an id that a project has used before, for good, which makes a job
    /// with a derived id exactly-once: after a crash or a lost answer, the same request meets the job that it started.
    pub(super) fn job_id(&self, identity: &str) -> String {
        let id_char = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let run: String = self.context.run.as_str().chars().map(id_char).take(200).collect();
        // Two runs may look the same once their letters are replaced, so the originals go into the sum too.
        let sum = Sha256::digest(format!("{}\n{}\n{identity}", self.context.execution, self.context.run));
        format!("jitney_{}_{run}_{}", self.context.execution, &hex(&sum)[..16])
    }

    /// Starts one job and waits for it; stops it when the user stops the task. Whether it was not there before.
    async fn run_one(&self, work: &JobRequest<'_>, reference: &JobReference) -> Result<(Job, bool), TaskError> {
        let ended = async {
            let (job, is_new) = self.start(work, reference).await?;
            Ok((self.wait(&work.what, job, reference).await?, is_new))
        };
        let ended: Result<_, TaskError> = ended.await;
        match ended {
            Err(error) if error.class == ErrorClass::Cancelled => {
                self.cancel(reference).await;
                Err(TaskError::cancelled(format!("stopped {}", work.what)))
            }
            other => other,
        }
    }

    async fn start(&self, work: &JobRequest<'_>, reference: &JobReference) -> Result<(Job, bool), TaskError> {
        let job = Job {
            configuration: Some(work.configuration.clone()),
            job_reference: Some(reference.clone()),
            ..Job::default()
        };
        let started = match work.file {
            Some(file) => MediaUpload { bigquery: self, what: &work.what, job: &job, file }.send().await,
            None => self.call(&work.what, || self.client.job().insert(&self.project, job.clone())).await,
        };
        match started {
            Ok(job) => Ok((job, true)),
            Err(failure) if failure.is(StatusCode::CONFLICT) => {
                // A job is found in its location alone. It may differ from the task's, which can have been left to Google.
                let place = location_in(&failure).or_else(|| self.location.clone());
                let found = JobReference { location: place, ..reference.clone() };
                self.context.info(format!("found {}, which was started earlier", text(&found.job_id)));
                Ok((self.fetch(&work.what, &found).await?, false))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn wait(&self, what: &str, mut job: Job, reference: &JobReference) -> Result<Job, TaskError> {
        let mut pause = FIRST_DELAY;
        while !is_done(&job) {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.cancel.cancelled() => return Err(TaskError::cancelled("stopped")),
            }
            pause = (pause * 3 / 2).min(MAX_DELAY);
            let place = job.job_reference.as_ref().and_then(|own| own.location.clone());
            let reference = JobReference { location: place, ..reference.clone() };
            job = self.fetch(what, &reference).await?;
        }
        Ok(job)
    }

    /// How a job stands.
    pub(super) async fn fetch(&self, what: &str, reference: &JobReference) -> Result<Job, TaskError> {
        let (id, place) = (text(&reference.job_id), reference.location.as_deref());
        Ok(self.call(what, || self.client.job().get_job(&self.project, id, place)).await?)
    }

    /// Asks Google to stop a job. Without one, nothing happens.
    async fn cancel(&self, reference: &JobReference) {
        let (id, place) = (text(&reference.job_id), reference.location.as_deref());
        let cancellation = self.client.job().cancel_job(&self.project, id, place);
        match tokio::time::timeout(Duration::from_secs(10), cancellation).await {
            Ok(Ok(_)) => self.context.info(format!("asked BigQuery to stop {id}")),
            _ => self.context.warn(format!("could not stop {id} in BigQuery; it may run to its end")),
        }
    }

    /// What a job that has ended failed with.
    fn failure(&self, what: &str, job: &Job) -> Option<GoogleError> {
        let status = job.status.as_ref()?;
        let error = status.error_result.as_ref()?;
        let (reason, mut message) = (text(&error.reason), text(&error.message).to_owned());
        let others = status.errors.iter().flatten().filter(|other| text(&other.message) != message);
        let others: Vec<String> = others.take(3).map(described).collect();
        if !others.is_empty() {
            message = format!("{message} [{}]", others.join("; "));
        }
        let body = json!({"error": {"message": message, "errors": [{"reason": reason}]}});
        let google_error = self.api.google_error_of(what, status_of(reason, &message), body.to_string().as_bytes());
        Some(self.explained(google_error))
    }
}

/// The status that Google documents for an error of this name.
fn status_of(reason: &str, message: &str) -> u16 {
    // Two transactions on one table: the later one has to begin again.
    if message.contains("due to concurrent update") || message.contains("Could not serialize access") {
        return 503;
    }
    match reason {
        "notFound" => 404,
        "duplicate" => 409,
        "accessDenied" | "billingNotEnabled" | "quotaExceeded" | "rateLimitExceeded" | "jobRateLimitExceeded" => 403,
        "backendError" | "internalError" | "jobBackendError" | "jobInternalError" | "tableUnavailable" => 503,
        _ => 400,
    }
}

fn described(error: &ErrorProto) -> String {
    match (text(&error.location), text(&error.message)) {
        ("", message) => message.to_owned(),
        (place, message) => format!("{place}: {message}"),
    }
}

pub(super) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

pub(super) fn is_done(job: &Job) -> bool {
    job.status.as_ref().and_then(|status| status.state.as_deref()) == Some("DONE")
}

/// The place in `Already Exists: Job project:EU.id`.
fn location_in(failure: &ApiFailure) -> Option<String> {
    let ApiFailure::Rejected(google_error) = failure else { return None };
    let (_, rest) = google_error.message.split_once("Job ")?;
    let (_, rest) = rest.split_once(':')?;
    let (place, _) = rest.split_once('.')?;
    Some(place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_reasons_of_jobs_pass() {
        assert_eq!(status_of("backendError", ""), 503);
        assert_eq!(status_of("invalidQuery", "Transaction is aborted due to concurrent update against table"), 503);
        assert_eq!(status_of("invalidQuery", "Syntax error"), 400);
    }
}
