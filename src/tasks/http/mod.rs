//! Files and answers from web servers.

pub mod download;

mod fetch;
mod local;
mod neighbours;
mod page;
mod part;
mod refusal;
mod sums;
