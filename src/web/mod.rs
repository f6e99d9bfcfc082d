//! What everything that speaks HTTP shares: one client, which failures may pass, and how long to wait then.

pub mod backoff;
pub mod client;
mod trouble;

pub use trouble::{Trouble, may_pass, retry_after};
