//! Files and answers from web servers.

pub mod client;
pub mod download;
pub mod request;

mod backoff;
mod fetch;
mod form;
mod local;
mod message;
mod neighbours;
mod options;
mod page;
mod part;
mod refusal;
mod sums;
