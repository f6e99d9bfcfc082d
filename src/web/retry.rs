//! Trying again while a server is busy, a quota is used up or the line is bad: ever later, and never all at once.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::{RequestError, backoff};
use crate::clock;
use crate::task::{TaskContext, TaskError};

/// Tries in a row that may fail. With pauses that double from 0.2 s to 30 s this is more than a minute of trying.
const MAX_ATTEMPTS: u32 = 12;

/// How patient a caller is, and whom it tells.
pub struct RetryPolicy<'a> {
    tries: u32,
    cancel: Option<&'a CancellationToken>,
    say: Box<dyn Fn(&str) + Send + Sync + 'a>,
}

impl<'a> RetryPolicy<'a> {
    /// For a task: twelve tries, each of them logged, until the user stops it.
    pub fn of(context: &'a TaskContext) -> Self {
        Self { tries: MAX_ATTEMPTS, cancel: Some(&context.cancel), say: Box::new(|line| context.warn(line)) }
    }

    /// The same with this many tries in all.
    #[must_use]
    pub fn with_tries(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    /// For somebody who wants an answer soon, and whom nobody stops: three tries.
    pub fn brief() -> Self {
        Self { tries: 3, ..Self::never() }
    }

    /// For somebody who looks around and wants to hear at once how things stand.
    pub fn never() -> Self {
        Self { tries: 1, cancel: None, say: Box::new(|_| {}) }
    }

    /// Tries until it succeeds, a failure will not pass, or too many did not.
    ///
    /// # Errors
    /// The last try's, or that the user stopped the task.
    pub async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, TaskError>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        let mut failed = 0;
        loop {
            let outcome = tokio::select! {
                outcome = attempt() => outcome,
                () = self.stopped() => return Err(stopped()),
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(RequestError::Fatal(error)) => return Err(error),
                Err(RequestError::Retryable(error, retry_after)) => {
                    failed += 1;
                    self.pause(failed, error, retry_after).await?;
                }
            }
        }
    }

    /// Waits after the `failed`th failure in a row.
    ///
    /// # Errors
    /// The failure itself when it was one too many, or that the user stopped the task.
    pub async fn pause(
        &self,
        failed: u32,
        mut error: TaskError,
        retry_after: Option<Duration>,
    ) -> Result<(), TaskError> {
        if let Some(until) = backoff::too_long(retry_after, clock::now()) {
            error.message = format!("{}; {until}", error.message);
            return Err(error);
        }
        if failed >= self.tries {
            return Err(error);
        }
        let pause = backoff::pause(failed, retry_after, rand::random());
        (self.say)(&format!("{}; trying again in {:.1} s", error.message, pause.as_secs_f64()));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stopped() => Err(stopped()),
        }
    }

    async fn stopped(&self) {
        match self.cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

fn stopped() -> TaskError {
    TaskError::cancelled("stopped during a request")
}
