//! What everything that speaks HTTP shares: one client, which failures may pass, and how long to wait then.

pub mod backoff;
pub mod client;
pub mod follow;
mod reason;
mod trouble;

pub use reason::reason;
pub use trouble::{NO_CONNECTION, RequestError, may_pass, retry_after};
