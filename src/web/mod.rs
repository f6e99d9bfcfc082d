//! What everything that speaks HTTP shares: one client, which failures may pass, and how long to wait then.

pub mod backoff;
pub mod client;
mod error;
pub mod follow;
mod reason;
mod retry;

pub use error::{NO_CONNECTION, RequestError, is_transient, retry_after};
pub use reason::reason;
pub use retry::RetryPolicy;
