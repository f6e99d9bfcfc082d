//! Files and answers from web servers.

pub mod client;
pub mod download;

mod backoff;
mod fetch;
mod local;
mod neighbours;
mod page;
mod part;
mod refusal;
mod sums;
