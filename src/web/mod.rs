//! What everything that speaks HTTP shares: one client, what is sent and read, which failures may pass, and how
//! long to wait then.

pub mod answer;
pub mod backoff;
pub mod client;
mod error;
pub mod follow;
mod header;
mod reason;
mod retry;

pub use error::{NO_CONNECTION, RequestError, is_transient, retry_after};
pub use header::header;
pub use reason::reason;
pub use retry::RetryPolicy;
