//! Files and answers from web servers.

pub mod download;
pub mod request;

mod checksums;
mod content;
mod fetch;
mod form;
mod local;
mod message;
mod neighbours;
mod options;
mod page;
mod partial_file;
mod refusal;
mod room;
mod source_probe;
