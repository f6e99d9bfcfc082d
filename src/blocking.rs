//! Work that takes the processor for a while, on a runtime whose threads have others to serve.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that may take long: reading a text that somebody wrote, rendering its templates. What else this thread of
/// the runtime would have to do is handed to another first.
pub(crate) fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
