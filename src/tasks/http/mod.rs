//! Files and answers from web servers.

pub mod download;
pub mod request;

mod content;
mod fetch;
mod form;
mod local;
mod message;
mod neighbours;
mod offer;
mod options;
mod page;
mod part;
mod refusal;
mod room;
mod sums;
