//! Async work that also keeps a thread busy, such as rendering the expressions of thousands of partitions.

use tokio::runtime::Handle;

use super::error::ApiError;
use crate::server::access::Identity;

/// Runs it on a thread of the blocking pool, so that no request waits behind it.
pub(in crate::server) async fn run_on_pool<T: Send + 'static>(
    work: impl AsyncFnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let (runtime, caller) = (Handle::current(), Identity::current());
    let done = tokio::task::spawn_blocking(move || runtime.block_on(caller.scope(work())));
    done.await.map_err(|error| ApiError::internal(&error))?
}
