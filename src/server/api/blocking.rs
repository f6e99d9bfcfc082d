//! Work that takes the processor for a while between its waits: what expressions of thousands of partitions come to.

use tokio::runtime::Handle;

use super::error::ApiError;

/// Does it on a thread that answers nobody else.
pub(super) async fn apart<T: Send + 'static>(
    work: impl AsyncFnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work()));
    done.await.map_err(|error| ApiError::internal(&error))?
}
